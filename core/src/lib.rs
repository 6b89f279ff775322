//! Durable chat for agents on NATS JetStream.
#![deny(unsafe_code)]

mod error;
mod clock;
mod random;
mod name;
mod json;
mod gotime;
mod envelope;
mod message;
mod config;
mod answer;
mod counters;
mod environment;
mod access;
mod hub_file;
mod reference;
mod address;
mod context;
mod discover;
mod dial;
mod mux;
mod link;
mod api;
mod stored;
mod stream;
mod pull;
mod epoch;
mod reader;
mod start;
mod filter;
mod queue;
mod taps;
mod catch_up;
mod hub;
mod watch;
mod send;
mod history;
mod threads;
mod index;
mod ask;
mod manager;
mod nats_server;
mod local_server;

pub use ask::{Reply, Request, Responder};
pub use config::{
    CallOptions, ConnectOptions, ExpectLast, HistoryOptions, OpenOptions, RequestOptions,
    RespondOptions, Retention, SendOptions, WatchOptions,
};
pub use discover::Origin;
pub use error::{Error, ErrorKind};
pub use local_server::{LocalServer, LocalServerOptions};
pub use manager::{Connection, Manager, connect};
pub use message::{Cursor, Event, Headers, History, Message, Receipt, Start, Stats, ThreadSummary};
pub use name::{Short, ThreadRef, thread_short};
pub use watch::Watch;

#[doc(hidden)]
pub mod wire {
    pub use crate::envelope::Envelope;
    pub use crate::json::{Malformed, lossy};
    pub use crate::name::short_of_bytes;
}
