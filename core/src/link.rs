//! The connection: who is connected to what since when, publishes, subscriptions and requests.
//!
//! Everything above this module speaks in [`Error`]s; the errors of async-nats end here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use async_nats::{Event, HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dial::{self, Plan};
use crate::dialled::{Dialled, subscribe};
use crate::discover::Origin;
use crate::error::{Error, ErrorKind};
use crate::mux::{Mux, Slot};
use crate::random;
use crate::state::{Mark, Right, State};
use crate::unconnected::expired;

/// Until a stream says otherwise: a quarter of the server's default duplicate window.
const PATIENCE: Duration = Duration::from_secs(30);
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// How often a subject for answers that was refused is asked for again.
const DEAF_PAUSE: Duration = Duration::from_secs(2);
/// How long a client may take to take a command.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Link {
    plan: Plan,
    client: RwLock<Option<Arc<Dialled>>>,
    state: Arc<watch::Sender<State>>,
    mux: Arc<Mux>,
    inbox: String,
    inboxes: AtomicU64,
    patience_ms: AtomicU64,
    /// Ends everything that lives on this connection.
    pub(crate) closed: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// How waiting for an answer ended.
pub(crate) enum Outcome {
    Answer(Message),
    /// A new connection was made since the request was sent.
    Reconnected,
    /// The server refused the subject.
    Refused(Error),
    /// The server refuses the subject that answers come on: none will tell.
    Deaf(Error),
    Silence,
    Cancelled,
}

impl Link {
    /// Connects, and keeps reconnecting until [`Link::close`].
    pub(crate) async fn connect(plan: Plan) -> Result<Arc<Link>, Error> {
        let inbox = format!("{}.{}", plan.inbox_prefix(), random::hex(11));
        let mux = Mux::new(&inbox);
        let state = Arc::new(watch::Sender::new(State::new(mux.subject())));
        let link = Link {
            mux,
            inbox,
            plan,
            state,
            client: RwLock::new(None),
            inboxes: AtomicU64::new(0),
            patience_ms: AtomicU64::new(millis(PATIENCE)),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let link = Arc::new(link);
        let number = State::expect_client(&link.state);
        link.dial(number).await?;
        let supervisor = supervise(Arc::downgrade(&link), link.closed.clone());
        link.tasks.spawn(supervisor);
        Ok(link)
    }

    async fn dial(self: &Arc<Link>, number: u64) -> Result<(), Error> {
        let abandoned = Arc::new(AtomicBool::new(false));
        let state = self.state.clone();
        let note = move |event: Event| State::note(&state, number, event);
        let client = dial::dial(&self.plan, note, abandoned.clone()).await?;
        let gone = CancellationToken::new();
        let dialled = Arc::new(Dialled { client, abandoned, gone, hearing: Mutex::default() });
        self.hear(&dialled).await?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(dialled);
        self.state.send_modify(|it| it.install(number));
        // The event of this very connection is on its way; waiting keeps it from looking like a
        // second one.
        let mut state = self.state.subscribe();
        // On the time-out a safety net: an event can be lost when 128 others are queued before it.
        if timeout(self.plan.timeout, state.wait_for(State::is_up)).await.is_err() {
            self.state.send_modify(State::connected);
        }
        Ok(())
    }

    /// Listens for answers, in the place of what listened before.
    async fn hear(&self, dialled: &Dialled) -> Result<(), Error> {
        let mut answers = subscribe(&dialled.client, self.mux.subject(), None).await?;
        let (mux, hearing) = (self.mux.clone(), dialled.gone.child_token());
        self.tasks.spawn(hearing.clone().run_until_cancelled_owned(async move {
            while let Some(message) = answers.next().await {
                mux.deliver(message);
            }
        }));
        let mut current = dialled.hearing.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, hearing).cancel();
        Ok(())
    }

    /// Asks for the answers' subject again, which the server has refused on this connection: with
    /// other rights it has dropped what we listen by, and does not bring it back.
    async fn hear_again(&self) -> Result<(), Error> {
        let dialled = self.client()?;
        let mark = self.mark();
        self.bounded(&dialled, self.hear(&dialled)).await??;
        let mut slot = self.claim();
        let subject = slot.subject();
        self.publish(&subject, None, None, Bytes::new()).await?;
        let mut state = self.state.subscribe();
        // The server works in turn: once it has a word on the second, it has had one on the first.
        let word = state.wait_for(|it| {
            it.generation != mark.generation || it.refusal(Right::Publish, &subject, mark).is_some()
        });
        let heard = timeout(CLOSE_PATIENCE, async {
            tokio::select! {
                _ = slot.answer() => true,
                word = word => word.is_ok(),
            }
        });
        let inbox = self.mux.subject();
        if heard.await.unwrap_or(false)
            && self.refused_since(Right::Subscribe, &inbox, mark).is_none()
        {
            self.state.send_modify(State::hears_again);
        }
        Ok(())
    }

    /// The state now, and its changes.
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// To be taken before a request is sent, for [`Link::outcome`].
    pub(crate) fn mark(&self) -> Mark {
        self.state.borrow().mark()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.borrow().is_up()
    }

    /// Fails where no answer can come, as far as that is known.
    pub(crate) fn hears(&self) -> Result<(), Error> {
        self.state.borrow().deaf().map_or(Ok(()), Err)
    }

    /// How many connections were made after the first.
    pub(crate) fn reconnects(&self) -> u64 {
        self.state.borrow().generation.saturating_sub(1)
    }

    /// Waits until the server is connected; gives the connection's generation.
    pub(crate) async fn ready(&self, deadline: Instant) -> Result<u64, Error> {
        {
            let state = self.state.borrow();
            if state.is_up() {
                return Ok(state.generation);
            }
        }
        let mut state = self.state.subscribe();
        let wait = timeout_at(deadline, state.wait_for(State::is_up));
        tokio::select! {
            () = self.closed.cancelled() => Err(closed()),
            up = wait => match up {
                Ok(Ok(state)) => Ok(state.generation),
                Ok(Err(_)) => Err(closed()),
                Err(_) => Err(self.unreachable()),
            },
        }
    }

    /// The error of a call that found no connection in time.
    pub(crate) fn unreachable(&self) -> Error {
        let mut error = Error::new(
            ErrorKind::Disconnected,
            format!("no connection to {}", self.plan.servers()),
        );
        if let Some(hint) = expired(&self.plan.resolved.login) {
            error = error.hint(hint);
        }
        match self.state.borrow().last_error() {
            Some(cause) => error.because(cause.to_owned()),
            None => error,
        }
    }

    /// The server addresses, without secrets.
    pub(crate) fn servers(&self) -> String {
        self.plan.servers()
    }

    /// Where address and credentials came from.
    pub(crate) fn origins(&self) -> &[Origin] {
        &self.plan.resolved.origins
    }

    pub(crate) fn js_domain(&self) -> Option<&str> {
        self.plan.js_domain()
    }

    /// Whether the server says that it runs JetStream itself.
    pub(crate) fn server_has_jetstream(&self) -> bool {
        self.client().is_ok_and(|it| it.client.server_info().jetstream)
    }

    /// Largest payload, headers included, that the server takes.
    pub(crate) fn max_payload(&self) -> usize {
        self.client().map_or(1 << 20, |it| it.client.max_payload())
    }

    /// From which outage on queued commands are too old to be sent.
    pub(crate) fn set_patience(&self, patience: Duration) {
        self.patience_ms.fetch_min(millis(patience), Ordering::Relaxed);
    }

    fn take_client(&self) {
        let client = self.client.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(dialled) = client {
            dialled.abandon();
        }
    }

    fn client(&self) -> Result<Arc<Dialled>, Error> {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        client.ok_or_else(|| if self.closed.is_cancelled() { closed() } else { self.unreachable() })
    }

    /// Hands one message to the network, 5 s at most. `Ok` says that it may arrive, not that it
    /// did.
    pub(crate) async fn publish(
        &self,
        subject: &str,
        reply: Option<String>,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<(), Error> {
        let dialled = self.client()?;
        let handed_over = dialled.publish(subject, reply, headers, payload);
        self.bounded(&dialled, handed_over).await?
    }

    /// The same, if that takes no waiting; also outside of a runtime.
    pub(crate) fn publish_now(
        &self,
        subject: &str,
        reply: Option<String>,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Option<Result<(), Error>> {
        let dialled = self.client().ok()?;
        dialled.publish(subject, reply, headers, payload).now_or_never()
    }

    /// Subscribes within 5 s.
    pub(crate) async fn subscribe(
        &self,
        subject: String,
        queue_group: Option<String>,
    ) -> Result<Subscriber, Error> {
        let dialled = self.client()?;
        let handed_over = subscribe(&dialled.client, subject, queue_group);
        self.bounded(&dialled, handed_over).await?
    }

    /// A client whose connection takes nothing fills its queue, and then waits for ever.
    async fn bounded<T>(
        &self,
        dialled: &Dialled,
        handed_over: impl Future<Output = T>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = timeout(QUEUE_PATIENCE, handed_over) => done.map_err(|_| self.unreachable()),
            () = dialled.gone.cancelled() => Err(self.unreachable()),
        }
    }

    /// A subject of our own for one reader.
    pub(crate) fn new_inbox(&self) -> String {
        // The mux listens on one token below `inbox`, a reader on two.
        format!("{}.r.{:x}", self.inbox, self.inboxes.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn claim(&self) -> Slot {
        self.mux.claim()
    }

    /// Waits for the answer to a request sent to `subject` after `mark` was taken.
    pub(crate) async fn outcome(
        &self,
        slot: &mut Slot,
        subject: &str,
        mark: Mark,
        until: Instant,
        cancel: &CancellationToken,
    ) -> Outcome {
        let mut state = self.state.subscribe();
        state.mark_changed();
        let silence = sleep_until(until);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                biased;
                answer = slot.answer() => return match answer {
                    Ok(message) => Outcome::Answer(message),
                    Err(error) => Outcome::Refused(error),
                },
                _ = state.changed() => {
                    let now = state.borrow_and_update();
                    if let Some(error) = now.refusal(Right::Publish, subject, mark) {
                        return Outcome::Refused(error);
                    }
                    if now.is_up() && now.generation != mark.generation {
                        return Outcome::Reconnected;
                    }
                    if let Some(error) = now.deaf() {
                        return Outcome::Deaf(error);
                    }
                }
                () = &mut silence => return Outcome::Silence,
                () = cancel.cancelled() => return Outcome::Cancelled,
            }
        }
    }

    /// Waits until the server has handled everything published and subscribed so far. Where we may
    /// not publish to our own inbox, it has only been written.
    pub(crate) async fn round_trip(&self, deadline: Instant) -> Result<(), Error> {
        let mut slot = self.claim();
        let subject = slot.subject();
        let mark = self.mark();
        self.publish(&subject, None, None, Bytes::new()).await?;
        match self.outcome(&mut slot, &subject, mark, deadline, &self.closed).await {
            // A new connection has been told of every subscription before anything else.
            Outcome::Answer(_) | Outcome::Refused(_) | Outcome::Reconnected => Ok(()),
            Outcome::Deaf(error) => Err(error),
            Outcome::Silence => {
                let text = format!("{} did not confirm in time", self.servers());
                Err(Error::new(ErrorKind::Timeout, text))
            }
            Outcome::Cancelled => Err(closed()),
        }
    }

    /// Whether the server has refused `subject` since `mark`.
    pub(crate) fn refused_since(&self, right: Right, subject: &str, mark: Mark) -> Option<Error> {
        self.state.borrow().refusal(right, subject, mark)
    }

    /// Waits until what was published is written, if there is a connection, 2 s at most.
    pub(crate) async fn flush(&self) {
        if let (true, Ok(dialled)) = (self.is_up(), self.client()) {
            // When it takes longer, the server's side times out by itself.
            let _ = timeout(CLOSE_PATIENCE, dialled.client.flush()).await;
        }
    }

    /// Ends the connection after what was published is written, or 2 s.
    pub(crate) async fn close(&self) {
        self.closed.cancel();
        self.tasks.close();
        self.flush().await;
        self.state.send_modify(State::disconnected);
        self.take_client();
        // Tasks end with their subscriptions, which end with the client dropped above.
        let _ = timeout(CLOSE_PATIENCE, self.tasks.wait()).await;
    }

    /// Drops a client whose queue is too old to be sent, and makes a new connection.
    async fn redial(self: &Arc<Link>) {
        // First, so that nobody takes the connection for up while there is no client.
        let number = State::expect_client(&self.state);
        self.take_client();
        let wanted = || Arc::strong_count(self) > 1 && !self.closed.is_cancelled();
        while wanted() {
            match self.dial(number).await {
                Ok(()) => break,
                Err(error) => self.state.send_modify(|it| it.failed(format!("{error:#}"))),
            }
            sleep(dial::MAX_DELAY).await;
        }
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the connection is closed")
}

/// Watches for outages longer than what was queued may live.
async fn supervise(link: Weak<Link>, closed: CancellationToken) {
    let Some(mut state) = link.upgrade().map(|link| link.state()) else { return };
    loop {
        let (is_deaf, age) = tokio::select! {
            () = closed.cancelled() => return,
            down = state.wait_for(|it| !it.is_up() || it.is_deaf()) => match down {
                Ok(state) => (state.is_up(), state.down_for()),
                Err(_) => return,
            },
        };
        let Some(strong) = link.upgrade() else { return };
        if is_deaf {
            if let Err(error) = strong.hear_again().await {
                tracing::debug!(cause = format!("{error:#}"), "cannot listen for answers");
            }
            drop(strong);
            if closed.run_until_cancelled(sleep(DEAF_PAUSE)).await.is_none() {
                return;
            }
            continue;
        }
        let patience = Duration::from_millis(strong.patience_ms.load(Ordering::Relaxed));
        if age >= patience {
            tracing::warn!(
                servers = strong.servers(),
                "dropping what an outage kept queued; dialling anew"
            );
            strong.redial().await;
            continue;
        }
        drop(strong);
        tokio::select! {
            () = closed.cancelled() => return,
            // Short steps: a suspended machine's timers stop, its age does not.
            () = sleep((patience - age).min(Duration::from_secs(1))) => {}
            up = state.wait_for(State::is_up) => if up.is_err() { return },
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
