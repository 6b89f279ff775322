//! A connection, and one agent in one project on it. Every method checks its names and calls one
//! verb.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::wrap;
use crate::ask::{self, Reply, Responder, header_map};
use crate::catch_up::Shared;
use crate::clock::deadline;
use crate::config::{
    CallOptions, ConnectOptions, ExpectLast, HistoryOptions, OpenOptions, RequestOptions,
    RespondOptions, SendOptions, WatchOptions,
};
use crate::counters::Counters;
use crate::dial::Plan;
use crate::discover::{self, Origin};
use crate::envelope::Envelope;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::history;
use crate::hub::Hub;
use crate::index;
use crate::link::Link;
use crate::message::{History, Receipt, Stats, ThreadSummary};
use crate::name::{
    Agent, Pattern, Project, ThreadRef, check_headers, check_id, check_queue_group,
    check_request_subject, check_respond_subject, text,
};
use crate::queue::Budget;
use crate::random;
use crate::send::{Accepted, Outgoing, Sender};
use crate::stream::Stream;
use crate::threads;
use crate::watch::{self, Watch};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BUFFER_BYTES: usize = 64 << 20;
/// What close may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// 16 random bytes as hex, as bones writes it.
const ID_BYTES: usize = 16;

/// One connection to a NATS server, for any number of managers. It reconnects by itself.
///
/// Clones are the same connection.
#[derive(Clone)]
pub struct Connection {
    link: Arc<Link>,
    budget: Arc<Budget>,
}

/// Connects to a NATS server.
///
/// With nothing given it looks, in this order, at `LIBCHAT_URL`, `NATS_URL`, the nearest
/// `.libchat/hub.json` upward from the current folder (as `libchat up` writes it), the nearest
/// `.bones/hub-nats-url` upward, the selected context of the `nats` program, and
/// `nats://127.0.0.1:4222`. Must be called within a tokio runtime.
///
/// Fails with `Disconnected` when nobody answers in 5 s (the text lists every place looked at),
/// `Unauthorized` when the server refuses the credentials, `InvalidArgument` for an address or a
/// file that cannot be read.
pub async fn connect(options: ConnectOptions) -> Result<Connection, Error> {
    let resolved = discover::resolve(&options, &Environment::of_process())?;
    let plan = Plan {
        resolved,
        name: options.name.clone().unwrap_or_else(|| "libchat".into()),
        timeout: options.timeout.unwrap_or(CONNECT_TIMEOUT),
    };
    let link = Link::connect(plan).await?;
    let limit = if options.buffer_bytes == 0 { BUFFER_BYTES } else { options.buffer_bytes };
    Ok(Connection { link, budget: Budget::new(limit) })
}

/// Where [`connect`] would go with these options, and where each value comes from; asks no server.
pub fn origins(options: &ConnectOptions) -> Result<Vec<Origin>, Error> {
    Ok(discover::resolve(options, &Environment::of_process())?.origins)
}

impl Connection {
    /// Opens `project` as `agent`, making the project's stream if there is none.
    ///
    /// Of an existing stream nothing is changed but its maximum age, and that only when `options`
    /// ask for it. Works with rights to bind only, to send only, to read only.
    ///
    /// Fails with `InvalidArgument` for a name that breaks its rule, `Conflict` for a stream whose
    /// settings would break libchat's promises, `NotFound` when there is no stream and `create` is
    /// off, `Server` when JetStream is off.
    pub async fn open(
        &self,
        project: &str,
        agent: &str,
        options: OpenOptions,
    ) -> Result<Manager, Error> {
        let (project, agent) = (Project::new(project)?, Agent::new(agent)?);
        options.check()?;
        let deadline = deadline(options.timeout);
        let stream = Stream::open(self.link.clone(), project, &options, deadline).await?;
        let (closed, tasks) = (self.link.closed.child_token(), TaskTracker::new());
        let counters = Arc::<Counters>::default();
        let shared =
            Shared::new(stream.clone(), self.budget.clone(), counters.clone(), closed.clone());
        let hub = Hub::new(shared, options.max_subscribers, tasks.clone());
        let sender = Sender::new(stream.clone(), counters.clone(), closed.clone());
        Ok(Manager {
            connection: self.clone(),
            agent,
            stream,
            hub,
            sender,
            counters,
            closed,
            tasks,
        })
    }

    /// The server's addresses, without passwords.
    pub fn servers(&self) -> String {
        self.link.servers()
    }

    /// Where the address and the credentials came from.
    pub fn origins(&self) -> &[Origin] {
        self.link.origins()
    }

    /// Ends the connection and every manager on it, within 2 s. What was sent and not confirmed yet
    /// has an unknown outcome.
    pub async fn close(&self) {
        self.link.close().await;
    }
}

/// One agent in one project: all verbs. Dropping it is closing it without waiting.
pub struct Manager {
    connection: Connection,
    agent: Agent,
    stream: Arc<Stream>,
    hub: Arc<Hub>,
    sender: Arc<Sender>,
    counters: Arc<Counters>,
    closed: CancellationToken,
    tasks: TaskTracker,
}

impl Manager {
    /// The project's name.
    pub fn project(&self) -> &str {
        self.stream.project.as_str()
    }

    /// This agent's name.
    pub fn agent(&self) -> &str {
        self.agent.as_str()
    }

    /// Stores one message in `thread` and waits for the server's word on it.
    ///
    /// Messages of one manager to one thread are stored in the order in which the returned futures
    /// are first polled, across faults too, however many are outstanding. `body` must be UTF-8.
    ///
    /// Every failure is one of two: `OutcomeUnknown` (the message may be stored: send again with
    /// the same [`id`](Error::id), the server drops the copy), or anything else (it is not stored).
    /// Dropping the future before the message is written stores nothing; after that the outcome is
    /// unknown.
    pub async fn send(
        &self,
        thread: impl Into<ThreadRef<'_>>,
        body: impl AsRef<[u8]>,
        options: SendOptions,
    ) -> Result<Receipt, Error> {
        let outgoing = self.outgoing(thread.into(), body.as_ref(), options)?;
        self.sender.enter(outgoing).run().await
    }

    /// A send whose caller does not wait: its place in the order is the call's. `None` if as many
    /// as may be are under way.
    pub(crate) fn accept(
        &self,
        thread: ThreadRef<'_>,
        body: &[u8],
        options: SendOptions,
    ) -> Result<Option<Accepted>, Error> {
        Ok(self.sender.accept(self.outgoing(thread, body, options)?))
    }

    fn outgoing(
        &self,
        thread: ThreadRef<'_>,
        body: &[u8],
        options: SendOptions,
    ) -> Result<Outgoing, Error> {
        let thread = self.stream.project.thread(thread)?;
        let body = text("body", body)?;
        check_headers(&options.headers)?;
        let id_given = options.id.is_some();
        let id = options.id.unwrap_or_else(|| random::hex(ID_BYTES));
        check_id(&id)?;
        let reply_to = options.reply_to.unwrap_or_default();
        if !reply_to.is_empty() {
            check_id(&reply_to).map_err(|cause| wrap(cause, "reply_to"))?;
        }
        self.check_open().map_err(|closed| closed.about(&id, id_given))?;
        let mut headers = header_map(&options.headers);
        headers.insert("Nats-Msg-Id", id.as_str());
        let expected = options.expect_last.map(|it| self.expected(it)).transpose();
        let expected = expected.map_err(|cause| cause.about(&id, id_given))?;
        if let Some(seq) = expected {
            headers.insert("Nats-Expected-Last-Subject-Sequence", seq.to_string());
        }
        let envelope = Envelope {
            id: id.clone(),
            sender: self.agent.as_str().to_owned(),
            thread: thread.short.to_string(),
            body: body.to_owned(),
            timestamp: OffsetDateTime::now_utc(),
            reply_to,
            thread_name: thread.name.unwrap_or_default(),
        };
        Ok(Outgoing {
            id,
            id_given,
            short: thread.short,
            headers,
            payload: envelope.encode().into(),
            expected,
            unordered: options.unordered,
            cancel: options.cancel,
            deadline: deadline(options.timeout),
        })
    }

    fn expected(&self, expect: ExpectLast) -> Result<u64, Error> {
        let ExpectLast::At(cursor) = expect else { return Ok(0) };
        if cursor.incarnation != self.stream.known_now().incarnation {
            let text = format!("expect_last {cursor}: a place of another stream than today's");
            return Err(Error::new(ErrorKind::Conflict, text).hint("read the thread again"));
        }
        Ok(cursor.seq)
    }

    /// Watches one thread.
    ///
    /// Returns when the watch is set up: with [`Start::New`](crate::Start::New) every message
    /// stored after that is delivered, and none stored before the call.
    ///
    /// Fails with `InvalidArgument` for a name or an option that breaks its rule,
    /// `TooManySubscribers`, `Unauthorized`, `NotFound` when the stream is gone, `Timeout` or
    /// `Disconnected`.
    pub async fn watch(
        &self,
        thread: impl Into<ThreadRef<'_>>,
        options: WatchOptions,
    ) -> Result<Watch, Error> {
        let thread = self.stream.project.thread(thread.into())?;
        self.watch_filter(Filter::Thread(thread), options).await
    }

    /// Watches every thread of the project. As [`Manager::watch`] otherwise.
    pub async fn watch_all(&self, options: WatchOptions) -> Result<Watch, Error> {
        self.watch_filter(Filter::All, options).await
    }

    /// Watches the threads whose short matches a NATS subject pattern: `*`, `>` or 8 hex digits. As
    /// [`Manager::watch`] otherwise.
    pub async fn watch_pattern(
        &self,
        pattern: &str,
        options: WatchOptions,
    ) -> Result<Watch, Error> {
        self.watch_filter(Filter::Pattern(Pattern::new(pattern)?), options).await
    }

    async fn watch_filter(&self, filter: Filter, options: WatchOptions) -> Result<Watch, Error> {
        options.check()?;
        let deadline = deadline(options.timeout);
        let watch = watch::watch(&self.hub, filter, self.agent(), &options, deadline);
        self.alive("watch", watch).await
    }

    /// Past messages of a thread, oldest first, up to the stream's end as it was at the call.
    ///
    /// Fails with `Conflict` when the stream is made anew meanwhile or the cursor is another
    /// stream's.
    pub async fn history(
        &self,
        thread: impl Into<ThreadRef<'_>>,
        options: HistoryOptions,
    ) -> Result<History, Error> {
        options.check()?;
        let filter = Filter::Thread(self.stream.project.thread(thread.into())?);
        let deadline = deadline(options.timeout);
        self.alive("history", history::history(&self.stream, &filter, &options, deadline)).await
    }

    /// Every thread of the project, the most recently used first: complete, or an error. Its cost
    /// grows with the threads, not with the messages.
    pub async fn list_threads(&self, options: CallOptions) -> Result<Vec<ThreadSummary>, Error> {
        let deadline = deadline(options.timeout);
        self.alive("list threads", threads::list(&self.stream, deadline)).await
    }

    /// The threads that `agent` has written in, the most recently used first, at most
    /// `max_threads`: complete, or an error.
    pub async fn threads_for_agent(
        &self,
        agent: &str,
        max_threads: usize,
        options: CallOptions,
    ) -> Result<Vec<ThreadSummary>, Error> {
        let agent = Agent::new(agent)?;
        let deadline = deadline(options.timeout);
        let find = index::threads_for_agent(&self.stream, agent.as_str(), max_threads, deadline);
        self.alive(&format!("threads for {}", agent.as_str()), find).await
    }

    /// Sends `payload` to whoever listens on `subject` and waits for the first answer.
    ///
    /// Fails with `NoResponders` at once when nobody listens, `Timeout` when no answer comes (also
    /// when whoever took the request was killed over it), or `Remote` when the handler failed and
    /// both ends are libchat.
    pub async fn request(
        &self,
        subject: &str,
        payload: impl AsRef<[u8]>,
        options: RequestOptions,
    ) -> Result<Reply, Error> {
        check_request_subject(subject)?;
        check_headers(&options.headers)?;
        let link = &self.stream.link;
        let request = ask::request(link, subject, payload.as_ref(), &options, &self.closed);
        self.unless_closed(request).await
    }

    /// Asks an agent of this project: a [`request`](Manager::request) on its own subject.
    pub async fn ask(
        &self,
        agent: &str,
        payload: impl AsRef<[u8]>,
        options: RequestOptions,
    ) -> Result<Reply, Error> {
        let subject = self.stream.project.ask_subject(agent)?;
        self.request(&subject, payload, options).await
    }

    /// Listens for requests on `subject`. Returns when the server knows of it.
    pub async fn respond(
        &self,
        subject: &str,
        options: RespondOptions,
    ) -> Result<Responder, Error> {
        check_respond_subject(subject)?;
        options.queue_group.as_deref().map_or(Ok(()), check_queue_group)?;
        let (link, subject) = (&self.stream.link, subject.to_owned());
        let respond = ask::respond(link, subject, &options, &self.closed, &self.tasks);
        self.unless_closed(respond).await
    }

    /// Listens for what is asked of this agent: [`respond`](Manager::respond) on its own subject.
    pub async fn answer(&self, options: RespondOptions) -> Result<Responder, Error> {
        let subject = self.stream.project.ask_subject(self.agent())?;
        self.respond(&subject, options).await
    }

    /// Counters since the open.
    pub fn stats(&self) -> Stats {
        let Counters {
            sent,
            resent,
            duplicates,
            delivered,
            malformed,
            gaps,
            resets,
            detaches,
            reopens,
        } = &*self.counters;
        Stats {
            sent: sent.get(),
            resent: resent.get(),
            duplicates: duplicates.get(),
            delivered: delivered.get(),
            malformed: malformed.get(),
            gaps: gaps.get(),
            resets: resets.get(),
            detaches: detaches.get(),
            reopens: reopens.get(),
            reconnects: self.stream.link.reconnects(),
            watches: self.hub.watches() as u64,
            buffered_bytes: self.connection.budget.used() as u64,
            connected: self.stream.link.is_up(),
            polling: self.hub.is_polling(),
        }
    }

    /// Ends everything this manager started, within 2 s: watches and responders end with `Closed`,
    /// sends under way with `OutcomeUnknown`, its consumers on the server are deleted. Closing
    /// again does nothing; every later call fails with `Closed`. The connection stays.
    pub async fn close(&self) {
        self.shut();
        // What does not end in time ends by itself; the server forgets our consumers after 60 s.
        let _ = timeout(CLOSE_TIMEOUT, async {
            self.tasks.wait().await;
            self.stream.deletes.close();
            self.stream.deletes.wait().await;
            self.stream.link.flush().await;
        })
        .await;
    }

    fn shut(&self) {
        self.closed.cancel();
        self.hub.close();
        self.tasks.close();
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.closed.is_cancelled() { Err(closed()) } else { Ok(()) }
    }

    /// As [`Manager::unless_closed`], and says what failed.
    async fn alive<T>(
        &self,
        what: &str,
        verb: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let what = |cause| wrap(cause, format!("{what} in {}", self.project()));
        self.unless_closed(async { verb.await.map_err(what) }).await
    }

    /// Runs a verb that can be dropped, until the manager is closed.
    async fn unless_closed<T>(
        &self,
        verb: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.closed.run_until_cancelled(verb).await.unwrap_or_else(|| Err(closed()))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.shut();
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the manager is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only if every verb can run in a task of its own.
    #[test]
    fn every_verb_can_be_spawned() {
        fn can_be_spawned<T: Send + 'static>(_: impl FnOnce(Arc<Manager>) -> T) {}
        can_be_spawned(|it| async move { it.send("t", "b", Default::default()).await });
        can_be_spawned(|it| async move { it.watch("t", Default::default()).await });
        can_be_spawned(|it| async move { it.watch_all(Default::default()).await });
        can_be_spawned(|it| async move { it.history("t", Default::default()).await });
        can_be_spawned(|it| async move { it.list_threads(Default::default()).await });
        can_be_spawned(|it| async move { it.threads_for_agent("a", 1, Default::default()).await });
        can_be_spawned(|it| async move { it.ask("a", "p", Default::default()).await });
        can_be_spawned(|it| async move { it.answer(Default::default()).await });
        can_be_spawned(|it| async move { it.close().await });
    }
}
