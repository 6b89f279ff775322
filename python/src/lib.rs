//! libchat for Python: the module `libchat._libchat`. It sits on the core, not on the C ABI.
//!
//! What Python sees is documented in `libchat/_libchat.pyi`.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "documented where Python's tools look for it: in the stub")]

mod error; // the core's errors as Python's exceptions
mod convert; // Python's own types in and out
mod wait; // calls from Python's threads
mod bell; // from the network's thread to an event loop
mod value; // what all values have
mod cursor;
mod message;
mod event;
mod threads; // listings and pages of the past
mod argument; // arguments that may be of several types
mod log; // records for `logging`
mod trace; // OpenTelemetry's context
mod server; // one for a folder
mod opened; // what a manager and all that it has made hold on to
mod respond; // requests on their way to a handler
mod watch;
mod manager; // all verbs
mod open;

#[pyo3::pymodule(name = "_libchat")]
mod module {
    #[pymodule_export]
    use crate::bell::{Bell, Call};
    #[pymodule_export]
    use crate::convert::_seconds;
    #[pymodule_export]
    use crate::cursor::{Cursor, Last};
    #[pymodule_export]
    use crate::error::_classes;
    #[pymodule_export]
    use crate::event::{CaughtUp, Gap, Malformed, Reset, Resumed, Stalled};
    #[pymodule_export]
    use crate::log::_next_records;
    #[pymodule_export]
    use crate::manager::Manager;
    #[pymodule_export]
    use crate::message::{Message, Receipt, Request};
    #[pymodule_export]
    use crate::open::open;
    #[pymodule_export]
    use crate::respond::{_check_code, Answer, Requests};
    #[pymodule_export]
    use crate::server::{_start_server, _stop_server};
    #[pymodule_export]
    use crate::threads::{History, ThreadSummary};
    #[pymodule_export]
    use crate::value::_build;
    #[pymodule_export]
    use crate::wait::{_check_process, _leave};
    #[pymodule_export]
    use crate::watch::{Events, Watch};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
