//! A responder and whom it tells, and the requests that wait for their answers.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use libchat::bridge::Task;
use libchat::{ErrorKind, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::boundary::Out;
use crate::bytes::{Headers, Texts, fields_out};
use crate::conn::Conn;
use crate::dispatch::{Caller, Dispatcher, Ending, UserData};
use crate::error::Failure;
use crate::handles::{Missing, Table};
use crate::lifecycle::Lifecycle;
use crate::manager::{Child, Manager};
use crate::read::{count_in, timeout_in};
use crate::respond::{libchat_incoming, libchat_request_fn, libchat_request_id};
use crate::respond::{libchat_respond_options, libchat_responder};
use crate::status::*;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

static RESPONDERS: Table<Responder> = Table::new(4);
static REQUESTS: Table<OpenRequest> = Table::new(6);

/// A responder and whom it tells.
pub(crate) struct Responder {
    handle: u64,
    lifecycle: Lifecycle,
    dispatcher: Arc<Dispatcher>,
    conn: Arc<Conn>,
    manager: Weak<Manager>,
    on_request: libchat_request_fn,
    user_data: UserData,
    answer_timeout: Duration,
    open: Mutex<Open>,
    /// One token for each request that is not answered.
    unanswered: TaskTracker,
    stop: CancellationToken,
    ending: Ending,
}

#[derive(Default)]
struct Open {
    /// Not told yet.
    ready: VecDeque<Arc<OpenRequest>>,
    /// Not answered yet.
    ids: HashSet<u64>,
    ended: bool,
}

/// A request that is not answered yet, or whose callback still reads it.
pub(crate) struct OpenRequest {
    id: u64,
    texts: Texts<2>,
    headers: Headers,
    responder: Arc<Responder>,
    unanswered: Mutex<Option<Unanswered>>,
}

/// The token is to be kept until the answer is on its way: the responder ends after that.
pub(crate) struct Unanswered {
    pub(crate) request: Request,
    _permit: OwnedSemaphorePermit,
    _token: TaskTrackerToken,
    timer: Option<Task>,
}

impl Responder {
    pub(crate) fn add(
        manager: &Arc<Manager>,
        core: libchat::Responder,
        options: &libchat_respond_options,
        out: Out<libchat_responder>,
    ) -> Result<(), Failure> {
        let user_data = UserData(options.user_data);
        let responder = RESPONDERS.insert(|handle| {
            Arc::new(Responder {
                handle,
                lifecycle: Lifecycle::new(),
                dispatcher: manager.conn().dispatcher().clone(),
                conn: manager.conn().clone(),
                manager: Arc::downgrade(manager),
                on_request: options.on_request,
                user_data,
                answer_timeout: timeout_in(options.answer_timeout_ms).unwrap_or(ANSWER_TIMEOUT),
                open: Mutex::default(),
                unanswered: TaskTracker::new(),
                stop: CancellationToken::new(),
                ending: Ending::new(handle, options.on_done, user_data, manager.token()),
            })
        })?;
        manager.adopt(responder.handle, responder.clone(), out)?;
        let concurrency = count_in(options.concurrency);
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        manager.conn().runtime().spawn(responder.run(core, concurrency));
        Ok(())
    }

    /// Hands out requests until it is stopped, then waits until all are answered.
    async fn run(self: Arc<Responder>, core: libchat::Responder, concurrency: usize) {
        // However it ends, the last callback comes.
        let end = End(self.clone());
        self.listen(core, concurrency).await;
        self.unanswered.close();
        self.unanswered.wait().await;
        drop(end);
    }

    async fn listen(self: &Arc<Responder>, core: libchat::Responder, concurrency: usize) {
        let permits = Arc::new(Semaphore::new(concurrency));
        loop {
            let next = async {
                let permit = permits.clone().acquire_owned().await;
                (permit, core.next().await)
            };
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                next = next => next,
            };
            match next {
                (Ok(permit), Ok(request)) => self.take(request, permit),
                (_, Err(error)) => {
                    if error.kind() != ErrorKind::Closed {
                        self.ending.fail(error.into());
                    }
                    break;
                }
                // Nobody closes the semaphore.
                (Err(_), _) => break,
            }
        }
    }

    /// Makes a request one that can be answered, and has it told.
    fn take(self: &Arc<Responder>, request: Request, permit: OwnedSemaphorePermit) {
        let unanswered =
            Unanswered { request, _permit: permit, _token: self.unanswered.token(), timer: None };
        let made = REQUESTS.insert(|id| Arc::new(OpenRequest::new(id, self, unanswered)));
        let Ok(request) = made else { return };
        let mut open = self.open();
        if open.ended {
            drop(open);
            drop(OpenRequest::take(request.id));
            return;
        }
        open.ids.insert(request.id);
        open.ready.push_back(request.clone());
        drop(open);
        let (id, time) = (request.id, self.answer_timeout);
        let timer = self.conn.runtime().spawn(async move {
            tokio::time::sleep(time).await;
            OpenRequest::expire(id).await;
        });
        request.set_timer(timer);
        self.dispatcher.wake(self);
    }

    pub(crate) fn stop(self: &Arc<Responder>) {
        self.ending.stop();
        self.mute();
    }

    fn mute(self: &Arc<Responder>) {
        self.lifecycle.mute();
        self.stop.cancel();
        // Those that were not told yet are failed in a turn.
        self.dispatcher.wake(self);
    }

    /// Takes no new requests, and fails those that are open.
    pub(crate) fn end(self: &Arc<Responder>) {
        self.mute();
        let ids = {
            let mut open = self.open();
            open.ended = true;
            std::mem::take(&mut open.ids)
        };
        for id in ids {
            // Dropped unanswered, which who asks is told.
            drop(OpenRequest::take(id));
        }
    }

    pub(crate) fn of(handle: libchat_responder) -> Result<Arc<Responder>, Failure> {
        RESPONDERS.get(handle)
    }

    /// `None` if it is closed already.
    pub(crate) fn to_close(handle: libchat_responder) -> Result<Option<Arc<Responder>>, Failure> {
        RESPONDERS.get_to_close(handle)
    }

    /// Takes it out of the tables.
    pub(crate) fn release(&self) {
        if let Some(manager) = self.manager.upgrade() {
            manager.forget(self.handle);
        }
        self.remove();
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the last callback of a responder come when it is dropped.
struct End(Arc<Responder>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.dispatcher.end(&self.0);
    }
}

impl OpenRequest {
    fn new(id: u64, responder: &Arc<Responder>, unanswered: Unanswered) -> OpenRequest {
        let request = &unanswered.request;
        OpenRequest {
            id,
            texts: Texts::new([request.subject().as_bytes(), request.payload()]),
            headers: Headers::new(request.headers()),
            responder: responder.clone(),
            unanswered: Mutex::new(Some(unanswered)),
        }
    }

    /// Takes the request out of the table to be answered: once.
    pub(crate) fn take(id: libchat_request_id) -> Result<(Arc<Conn>, Unanswered), Failure> {
        let (conn, unanswered) = OpenRequest::remove(id)?;
        if let Some(timer) = &unanswered.timer {
            timer.abort();
        }
        Ok((conn, unanswered))
    }

    fn remove(id: libchat_request_id) -> Result<(Arc<Conn>, Unanswered), Failure> {
        let gone = || {
            let text = "this request was answered already, or its time is over";
            Failure::new(LIBCHAT_ERR_INVALID_STATE, text)
        };
        if REQUESTS.find(id).is_err_and(|missing| missing == Missing::Closed) {
            return Err(gone());
        }
        let Some(request) = REQUESTS.remove(id)? else { return Err(gone()) };
        {
            let mut open = request.responder.open();
            open.ids.remove(&id);
            // One that was never told, as behind a callback that blocks, is not kept for it.
            open.ready.retain(|ready| ready.id != id);
        }
        let unanswered = request.lock().take();
        let unanswered = unanswered.ok_or_else(gone)?;
        Ok((request.responder.conn.clone(), unanswered))
    }

    async fn expire(id: libchat_request_id) {
        // Answered meanwhile, where it is gone. Not `take`, which would end the timer that runs
        // this.
        let Ok((_, open)) = OpenRequest::remove(id) else { return };
        let failed = open.request.fail("timeout", "the handler gave no answer in time").await;
        if let Err(error) = failed {
            tracing::debug!(%error, "telling that a request has timed out");
        }
    }

    fn set_timer(&self, timer: Task) {
        match &mut *self.lock() {
            Some(unanswered) => unanswered.timer = Some(timer),
            None => timer.abort(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Unanswered>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller for Responder {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn call(&self) -> bool {
        loop {
            let next = self.open().ready.pop_front();
            let (Some(request), Some(on_request)) = (next, self.on_request) else { return false };
            if !self.lifecycle.may_call() {
                drop(OpenRequest::take(request.id));
                continue;
            }
            let fields = request.headers.fields();
            let incoming = libchat_incoming {
                id: request.id,
                subject: request.texts.get(0).data.cast(),
                payload: request.texts.get(1),
                headers: fields_out(fields),
                headers_len: fields.len(),
                reserved: [0; 2],
            };
            // SAFETY: the host gave it for this; `request` keeps alive what it is lent.
            unsafe { on_request(self.handle, &incoming, self.user_data.0) };
        }
    }

    fn panicked(&self) {
        self.ending.fail(Failure::panicked());
        self.lifecycle.mute();
        self.stop.cancel();
    }

    fn last_call(&self) {
        self.ending.tell();
    }
}

impl Child for Responder {
    fn end_with_manager(self: Arc<Responder>) {
        self.end();
    }

    fn remove(&self) {
        // A handle that we issued; gone already is as good.
        drop(RESPONDERS.remove(self.handle));
    }
}
