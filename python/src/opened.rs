//! What a manager and all that it has made hold on to.

use std::sync::Arc;

use libchat::{Connection, Manager};
use pyo3::prelude::*;

use crate::wait::{Kept, close_behind};

/// A manager with a connection of its own, closed when nothing uses it any more.
pub(crate) struct Opened(Kept<(Arc<Manager>, Connection)>);

impl Opened {
    pub(crate) fn new(core: Arc<Manager>, connection: Connection) -> Opened {
        Opened(Kept::new((core, connection)))
    }

    pub(crate) fn core(&self, py: Python<'_>) -> PyResult<Arc<Manager>> {
        Ok(self.0.get(py)?.0.clone())
    }

    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<impl Future<Output = ()> + use<>> {
        let (core, connection) = self.0.get(py)?.clone();
        Ok(close(core, connection))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some((core, connection)) = self.0.last() {
            close_behind(close(core, connection));
        }
    }
}

async fn close(core: Arc<Manager>, connection: Connection) {
    core.close().await;
    connection.close().await;
}
