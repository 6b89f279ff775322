//! Durable chat for agents on NATS JetStream.
//!
//! Agents that work on one project talk in named threads, across processes, machines and restarts.
//! What is sent is stored before `send` returns; who was away reads on from a cursor and misses
//! nothing; what could not be delivered is an event, never silence. The stream is shared with the
//! Go package `internal/chat` of bones: both read each other.
//!
//! ```
//! use libchat::{LocalServer, OpenOptions, SendOptions, Start, WatchOptions};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let scratch = tempfile::tempdir()?;
//! # let folder = scratch.path();
//! // A server of this folder's own. `libchat::connect(Default::default())` finds one that runs.
//! let server = LocalServer::start(folder, &Default::default())?;
//! let connection = libchat::connect(server.connect_options()).await?;
//!
//! let ana = connection.open("shop", "ana", OpenOptions::default()).await?;
//! let watch = ana.watch("plan", WatchOptions::default()).await?;
//!
//! let ben = connection.open("shop", "ben", OpenOptions::default()).await?;
//! let receipt = ben.send("plan", "prices first", SendOptions::default()).await?;
//!
//! let message = watch.next().await?;
//! assert_eq!((message.sender.as_str(), message.body.as_str()), ("ben", "prices first"));
//! assert_eq!(message.id, receipt.id);
//!
//! // Later, perhaps in another process: go on after the last message seen.
//! let cursor = watch.cursor();
//! ana.close().await;
//! ben.send("plan", "then stock", SendOptions::default()).await?;
//! let ana = connection.open("shop", "ana", OpenOptions::default()).await?;
//! let watch = ana.watch("plan", WatchOptions::from(Start::After(cursor))).await?;
//! assert_eq!(watch.next().await?.body, "then stock");
//! # connection.close().await;
//! # LocalServer::stop(folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! [`connect`] gives a [`Connection`], which [`open`](Connection::open)s a [`Manager`]: one agent
//! in one project, with all verbs. [`send`](Manager::send) gives a [`Receipt`];
//! [`watch`](Manager::watch), [`watch_all`](Manager::watch_all) and
//! [`watch_pattern`](Manager::watch_pattern) give a [`Watch`] of [`Event`]s;
//! [`history`](Manager::history), [`list_threads`](Manager::list_threads) and
//! [`threads_for_agent`](Manager::threads_for_agent) read what is stored; [`ask`](Manager::ask)
//! and [`answer`](Manager::answer), [`request`](Manager::request) and
//! [`respond`](Manager::respond) are for answers at once. A [`Cursor`] is a place to resume from,
//! as text in a file or in another process. Every failure is an [`Error`] whose [`ErrorKind`] says
//! what to do.
//!
//! All calls need a tokio runtime with time and I/O enabled.
#![deny(unsafe_code)]

// Values: no network, no clock.
mod error; // what can go wrong, and what to do about it
mod name; // project, agent, thread, and the subjects they make
mod json; // JSON as Go reads and writes it
mod gotime; // timestamps as Go reads and writes them
mod envelope; // the JSON on the wire
mod message; // what is handed to users
mod cancel; // ends a call from somewhere else
mod config; // options, defaults, checks
mod filter; // which messages a watch wants
mod answer; // what the server's refusals mean
mod counters; // what a manager counts
mod clock; // time that goes on while the machine sleeps
mod random; // ids and names
mod log; // records for hosts without `tracing`

// Where the server is.
mod environment; // variables and folders of this process
mod access; // logins, certificates, and secrets that are never printed
mod hub_file; // .libchat/hub.json
mod reference; // values that name a place to read them from
mod address; // server addresses
mod context; // contexts of the `nats` program
mod discover; // the order in which all these are asked

// Transport: everything that touches the network.
mod unconnected; // why connecting failed
mod dial; // a connected client with our settings
mod state; // what the connection is in
mod mux; // one reply inbox for all requests
mod dialled; // one client, until it is thrown away
mod link; // connection state, publishes, requests
mod api; // JetStream's API, asked until it answers
mod stored; // a message as it lies in the stream
mod stream; // the project's stream
mod asked; // what a consumer was asked for
mod pull; // one ephemeral consumer
mod epoch; // is the stream still the one the cursor belongs to
mod fault; // no source: since when, why, and when to try again
mod reader; // stored messages from a cursor on: what all reading is made of
mod start; // from where a caller wants to begin to a cursor
mod wake; // a descriptor for event loops
mod queue; // from the network to one reader, bounded
mod taps; // who watches what, and how far each has come
mod catch_up; // reads on for a watch that was left behind
mod hub; // one live tail for all watches

// Verbs.
mod ack; // what is said to a publish
mod lanes; // the order of sends
mod send;
mod watch;
mod history;
mod threads;
mod index;
mod ask;

// Face.
mod manager; // connection and manager: a table of contents
mod nats_server; // finds and runs the official program
mod acl; // what an agent may do, as that program's configuration
mod local_server; // one for a folder
pub mod bridge;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing; // what fuzzers hand in, and what must hold of it

pub use acl::{AclOptions, Grant, Permissions, Responses, Role, acl};
pub use ask::{Reply, Request, Responder};
pub use cancel::Cancel;
pub use config::{
    CallOptions, ConnectOptions, ExpectLast, HistoryOptions, OpenOptions, RequestOptions,
    RespondOptions, Retention, SendOptions, WatchOptions,
};
pub use discover::Origin;
pub use error::{Error, ErrorKind};
pub use local_server::{LocalServer, LocalServerOptions};
pub use manager::{Connection, Manager, connect, origins};
pub use message::{Cursor, Event, Headers, History, Message, Receipt, Start, Stats, ThreadSummary};
pub use name::{Short, ThreadRef, thread_short};
pub use watch::Watch;

/// What the wire tests and fuzzers reach for; no part of the API.
#[doc(hidden)]
pub mod wire {
    pub use crate::envelope::Envelope;
    pub use crate::json::{Malformed, lossy};
    pub use crate::name::short_of_bytes;
    pub use crate::stored::read;
}
