//! The C ABI of libchat: what `include/libchat.h` declares, in the same order.
//!
//! It decides nothing: no retry, no default, no wording that core does not have.
#![allow(non_camel_case_types)] // C's names
#![allow(rustdoc::invalid_html_tags)] // the comments are C's
#![expect(clippy::missing_safety_doc, reason = "it would stand in the header; its rules are there")]

// Mechanism.
mod lifecycle; // when a callback may run, and when the last one has
mod boundary; // where C enters and leaves
mod read; // arguments and options
mod handles; // integers for objects
mod latch; // what happens once
mod dispatch; // the threads of callbacks
mod completions; // what sends came to that nobody waits for
mod watcher; // a watch and whom it tells
mod responder; // a responder, and its requests

// The header, section by section.
pub mod status;
pub mod version;
pub mod bytes;
pub mod error;
pub mod log;
pub mod cancel;
pub mod local_server;
pub mod conn;
pub mod manager;
pub mod message;
pub mod send;
pub mod events;
pub mod watch;
pub mod history;
pub mod threads;
pub mod ask;
pub mod respond;
pub mod stats;
