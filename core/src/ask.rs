//! Request and respond on any subject; ask and answer on an agent's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::deadline;
use crate::config::{RequestOptions, RespondOptions};
use crate::error::{Error, ErrorKind};
use crate::link::{Link, Outcome};
use crate::message::Headers;
use crate::state::{Mark, Right};
use crate::stored::headers_of;

/// On a request: the one who asks understands a failure. Others get no reply then, as from bones.
const TAKES_ERRORS: &str = "Libchat-Takes-Errors";
/// On a reply: the handler failed with this code, and the payload is the text.
const ERROR_CODE: &str = "Libchat-Error-Code";
/// Bytes of requests held for a responder that is slow to read them.
const HELD_BYTES: usize = 8 << 20;
/// How long requests that are on their way to a responder that has stopped are waited for.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
const CODE_MAX: usize = 64;
/// What is kept of the text of a failed handler: an error goes to terminals and logs.
const TEXT_MAX: usize = 64 << 10;

/// What a responder answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The answer, any bytes.
    pub payload: Vec<u8>,
    /// Its header fields.
    pub headers: Headers,
}

/// Sends one request and waits for the first answer.
pub(crate) async fn request(
    link: &Link,
    subject: &str,
    payload: &[u8],
    options: &RequestOptions,
    closed: &CancellationToken,
) -> Result<Reply, Error> {
    let deadline = deadline(options.timeout);
    let mut headers = header_map(&options.headers);
    headers.insert(TAKES_ERRORS, "1");
    let payload = Bytes::copy_from_slice(payload);
    let mut slot = link.claim();
    link.ready(deadline).await?;
    link.hears()?;
    let mut mark = link.mark();
    let publish = link.publish(subject, Some(slot.subject()), Some(headers), payload);
    timeout_at(deadline, publish).await.map_err(|_| link.unreachable())??;
    loop {
        match link.outcome(&mut slot, subject, mark, deadline, closed).await {
            Outcome::Answer(message) => return read(subject, message),
            // Not sent again: nobody knows whether it was handled, and the answer may still come.
            Outcome::Reconnected => mark = link.mark(),
            Outcome::Refused(error) | Outcome::Deaf(error) => return Err(error),
            Outcome::Cancelled => return Err(closed_error()),
            Outcome::Silence => {
                let seconds = options.timeout.as_secs_f64();
                let text = format!("request {subject}: no answer within {seconds} s");
                return Err(Error::new(ErrorKind::Timeout, text));
            }
        }
    }
}

fn read(subject: &str, message: Message) -> Result<Reply, Error> {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        let error =
            Error::new(ErrorKind::NoResponders, format!("request {subject}: nobody listens"));
        return Err(error.hint("start the agent that answers there, or try later"));
    }
    let code = message.headers.as_ref().and_then(|it| it.get(ERROR_CODE));
    if let Some(code) = code {
        // Whoever answers may write there what libchat would not.
        let code = if is_code(code.as_str()) { code.as_str() } else { "malformed" };
        let error = Error::new(ErrorKind::Remote, format!("request {subject}: the handler failed"));
        return Err(error.remote(code).because(failure_text(&message.payload)));
    }
    let headers = message.headers.as_ref().map_or_else(Headers::default, headers_of);
    Ok(Reply { payload: message.payload.into(), headers })
}

fn failure_text(payload: &[u8]) -> String {
    let (head, cut) = match payload.get(..TEXT_MAX) {
        Some(head) if payload.len() > TEXT_MAX => (head, "…"),
        _ => (payload, ""),
    };
    format!("{}{cut}", String::from_utf8_lossy(head))
}

/// Requests on a subject, one by one, until it is dropped or stopped.
pub struct Responder {
    requests: Mutex<mpsc::Receiver<Result<Request, Error>>>,
    stopped: CancellationToken,
}

/// A request to be answered once, from any task. Dropped unanswered, it counts as failed.
pub struct Request {
    subject: String,
    payload: Bytes,
    headers: Headers,
    answer: Option<Answer>,
    _held: Held,
}

/// How and where to answer.
struct Answer {
    link: Arc<Link>,
    reply: String,
    takes_errors: bool,
}

/// Bytes of a request, as long as it lives.
struct Held(Arc<AtomicUsize>, usize);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// Listens on `subject`; returns when the server has the subscription.
pub(crate) async fn respond(
    link: &Arc<Link>,
    subject: String,
    options: &RespondOptions,
    closed: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Responder, Error> {
    let deadline = deadline(options.timeout);
    if options.queue == 0 {
        return Err(Error::new(ErrorKind::InvalidArgument, "respond: queue: must be > 0"));
    }
    link.ready(deadline).await?;
    let violation = link.mark();
    let subscribe = link.subscribe(subject.clone(), options.queue_group.clone());
    let subscriber = timeout_at(deadline, subscribe).await.map_err(|_| link.unreachable())??;
    link.round_trip(deadline).await?;
    if let Some(error) = link.refused_since(Right::Subscribe, &subject, violation) {
        return Err(error);
    }
    let stopped = closed.child_token();
    let (sender, requests) = mpsc::channel(options.queue);
    let listener = Listener {
        link: link.clone(),
        subject,
        queue_group: options.queue_group.clone(),
        requests: sender,
        held: Arc::default(),
    };
    let token = stopped.clone();
    tasks.spawn(async move {
        let mut subscriber = subscriber;
        let stopped = token.run_until_cancelled(listener.run(&mut subscriber, violation)).await;
        if stopped.is_none() {
            // What does not come in time is lost with the subscription: who asks waits it out.
            let _ = timeout(DRAIN_TIMEOUT, drain(&mut subscriber, &listener)).await;
        }
    });
    Ok(Responder { requests: Mutex::new(requests), stopped })
}

/// Ends the subscription, and lets those who have asked meanwhile know that nobody answers.
async fn drain(subscriber: &mut Subscriber, listener: &Listener) {
    // Refused only where the client has ended, and its subscriptions with it.
    if subscriber.drain().await.is_ok() {
        while let Some(message) = subscriber.next().await {
            drop(listener.request(message));
        }
    }
}

struct Listener {
    link: Arc<Link>,
    subject: String,
    queue_group: Option<String>,
    requests: mpsc::Sender<Result<Request, Error>>,
    held: Arc<AtomicUsize>,
}

impl Listener {
    async fn run(&self, subscriber: &mut Subscriber, since: Mark) {
        let mut state = self.link.state();
        loop {
            let message = tokio::select! {
                message = subscriber.next() => message,
                _ = state.changed() => {
                    let refused = self.link.refused_since(Right::Subscribe, &self.subject, since);
                    if let Some(error) = refused {
                        // Nobody reads it when the responder was dropped.
                        let _ = self.requests.send(Err(error)).await;
                        return;
                    }
                    continue;
                }
            };
            match message {
                Some(message) => self.take(message).await,
                // A client dialled anew knows nothing of the old one's subscriptions.
                None => match self.subscribe_again().await {
                    Some(again) => *subscriber = again,
                    None => return,
                },
            }
        }
    }

    async fn subscribe_again(&self) -> Option<Subscriber> {
        loop {
            match self.link.ready(deadline(Duration::from_secs(60))).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Closed => return None,
                Err(_) => continue,
            }
            let again = self.link.subscribe(self.subject.clone(), self.queue_group.clone()).await;
            match again {
                Ok(subscriber) => return Some(subscriber),
                Err(error) if error.kind() == ErrorKind::Closed => return None,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn take(&self, message: Message) {
        let size = message.payload.len();
        let before = self.held.load(Ordering::Relaxed);
        let request = self.request(message);
        if before > 0 && before + size > HELD_BYTES {
            return request.refuse_busy().await;
        }
        if let Err(full) = self.requests.try_send(Ok(request))
            && let Ok(request) = full.into_inner()
        {
            request.refuse_busy().await;
        }
    }

    fn request(&self, message: Message) -> Request {
        let headers = message.headers.as_ref();
        let takes_errors = headers.is_some_and(|it| it.get(TAKES_ERRORS).is_some());
        let link = self.link.clone();
        let reply = message.reply.map(|it| it.into_string()).filter(|it| takes_answers(it));
        let answer = reply.map(|reply| Answer { link, reply, takes_errors });
        let size = message.payload.len();
        self.held.fetch_add(size, Ordering::Relaxed);
        Request {
            subject: message.subject.into_string(),
            payload: message.payload,
            headers: headers.map_or_else(Headers::default, headers_of),
            answer,
            _held: Held(self.held.clone(), size),
        }
    }
}

/// Whether an answer may go there. Who asks names the place, and who answers publishes with its own
/// rights: an answer must be no request to the server, and nothing that a stream of ours stores.
fn takes_answers(reply: &str) -> bool {
    let commands = reply.starts_with('$') || reply.starts_with("chat.");
    if commands {
        tracing::warn!(reply, "a request wants its answer where it would do more: not answered");
    }
    !commands
}

impl Responder {
    /// The next request, for one of those that wait for it. Cancel safe.
    ///
    /// Fails with `Closed` when the responder was stopped or its manager closed, with
    /// `Unauthorized` when the right to listen was taken away.
    pub async fn next(&self) -> Result<Request, Error> {
        let request = async { self.requests.lock().await.recv().await };
        tokio::select! {
            biased;
            () = self.stopped.cancelled() => Err(closed_error()),
            request = request => request.unwrap_or_else(|| Err(closed_error())),
        }
    }

    /// Returns when it was stopped or its manager closed.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Takes no further requests; those already handed out can still be answered.
    pub fn stop(&self) {
        self.stopped.cancel();
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl Request {
    /// The subject it came on.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What was asked, any bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Its header fields, `traceparent` among them where the sender gave one.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Answers. Whether the answer arrives is not known: nobody acknowledges it. Nothing is sent
    /// to one who wants it where it would be a command to the server (`$…`) or be stored
    /// (`chat.…`). Fails with `TooLarge` for more than the server takes; the one who asks is told.
    pub async fn reply(mut self, payload: impl AsRef<[u8]>) -> Result<(), Error> {
        let Some(answer) = self.answer.take() else { return Ok(()) };
        let payload = Bytes::copy_from_slice(payload.as_ref());
        let sent = answer.link.publish(&answer.reply, None, None, payload).await;
        if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::TooLarge) {
            answer.fail("too_large", "the answer is larger than the server takes").await?;
        }
        sent
    }

    /// Says that it failed: the one who asks gets `Remote` with `code` and `text`, if that is
    /// libchat; no reply at all otherwise, as from bones.
    ///
    /// `code` is a word of at most 64 letters, digits, `_`, `-` or `.`.
    pub async fn fail(mut self, code: &str, text: &str) -> Result<(), Error> {
        check_code(code)?;
        match self.answer.take() {
            Some(answer) => {
                let sent = answer.fail(code, text).await;
                if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::TooLarge) {
                    answer
                        .fail(code, "what the handler said is larger than the server takes")
                        .await?;
                }
                sent
            }
            None => Ok(()),
        }
    }

    async fn refuse_busy(mut self) {
        if let Some(answer) = self.answer.take() {
            tracing::warn!(
                subject = self.subject,
                "more requests than the handler takes: answered busy"
            );
            // An answer that cannot be sent is one that the asker will miss by its own deadline.
            let _ = answer.fail("busy", "the handler has more requests than it can take").await;
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer.fail_now("unanswered", "the handler gave no answer");
        }
    }
}

impl Answer {
    async fn fail(&self, code: &str, text: &str) -> Result<(), Error> {
        let Some((headers, payload)) = self.failure(code, text) else { return Ok(()) };
        self.link.publish(&self.reply, None, Some(headers), payload).await
    }

    /// Where it cannot be sent at once, the asker's deadline covers it.
    fn fail_now(&self, code: &str, text: &str) {
        if let Some((headers, payload)) = self.failure(code, text) {
            let _ = self.link.publish_now(&self.reply, None, Some(headers), payload);
        }
    }

    /// `None` if the one who asks would take it for an answer.
    fn failure(&self, code: &str, text: &str) -> Option<(HeaderMap, Bytes)> {
        let mut headers = HeaderMap::new();
        headers.insert(ERROR_CODE, code);
        self.takes_errors.then(|| (headers, Bytes::copy_from_slice(text.as_bytes())))
    }
}

fn is_code(code: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    !code.is_empty() && code.len() <= CODE_MAX && code.chars().all(word)
}

pub(crate) fn check_code(code: &str) -> Result<(), Error> {
    if !is_code(code) {
        let text = format!("error code {code:?}: must be a word of at most {CODE_MAX} characters");
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    Ok(())
}

/// Checked before: names and values are what NATS takes.
pub(crate) fn header_map(fields: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name.as_str(), value.as_str());
    }
    map
}

fn closed_error() -> Error {
    Error::new(ErrorKind::Closed, "the manager is closed")
}
