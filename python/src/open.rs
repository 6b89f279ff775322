//! Opens a project: where the server is, who speaks.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use libchat::{ConnectOptions, OpenOptions, Retention};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::bell::Bell;
use crate::convert::{Seconds, Text, size};
use crate::error::invalid;
use crate::log;
use crate::manager::Manager;
use crate::opened::Opened;
use crate::wait::{Face, check_process};

/// Which servers: one text, or a list.
pub(crate) struct Servers(String);

impl<'py> FromPyObject<'_, 'py> for Servers {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Servers> {
        if object.is_instance_of::<PyString>() {
            return Ok(Servers(object.extract::<Text>()?.0));
        }
        let all: Vec<Text> = object.extract()?;
        if all.is_empty() {
            return Err(invalid(object.py(), "servers: the list is empty", "leave it out"));
        }
        Ok(Servers(all.into_iter().map(|server| server.0).collect::<Vec<_>>().join(",")))
    }
}

/// Connects, and opens `project` as `agent`, making the project's stream if there is none.
#[pyfunction]
#[pyo3(signature = (project=None, agent=None, *, servers=None, context=None, creds=None, nkey=None,
                    user=None, password=None, token=None, tls_ca=None, tls_cert=None, tls_key=None,
                    tls_first=false, js_domain=None, inbox_prefix=None, create=true,
                    max_retention_age=None, max_subscribers=None, timeout=Seconds::new(5),
                    _bell=None))]
#[pyo3(text_signature = "(project=None, agent=None, *, servers=None, context=None, creds=None, \
                         nkey=None, user=None, password=None, token=None, tls_ca=None, \
                         tls_cert=None, tls_key=None, tls_first=False, js_domain=None, \
                         inbox_prefix=None, create=True, max_retention_age=None, \
                         max_subscribers=1024, timeout=5.0)")]
#[expect(clippy::too_many_arguments, reason = "each is an option that a caller names")]
pub(crate) fn open(
    py: Python<'_>,
    project: Option<Text>,
    agent: Option<Text>,
    servers: Option<Servers>,
    context: Option<Text>,
    creds: Option<PathBuf>,
    nkey: Option<PathBuf>,
    user: Option<Text>,
    password: Option<Text>,
    token: Option<Text>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_first: bool,
    js_domain: Option<Text>,
    inbox_prefix: Option<Text>,
    create: bool,
    max_retention_age: Option<Seconds>,
    max_subscribers: Option<&Bound<'_, PyAny>>,
    timeout: Seconds,
    _bell: Option<Py<Bell>>,
) -> PyResult<Py<PyAny>> {
    check_process(py)?;
    let project = named(py, "project", project, "LIBCHAT_PROJECT")?;
    let agent = named(py, "agent", agent, "LIBCHAT_AGENT")?;
    let text = |text: Option<Text>| text.map(|text| text.0);
    let connect = ConnectOptions {
        servers: servers.map(|servers| servers.0),
        context: text(context),
        creds_file: creds,
        nkey_file: nkey,
        user: text(user),
        password: text(password),
        token: text(token),
        tls_ca_file: tls_ca,
        tls_cert_file: tls_cert,
        tls_key_file: tls_key,
        tls_first,
        js_domain: text(js_domain),
        inbox_prefix: text(inbox_prefix),
        timeout: Some(timeout.0),
        ..ConnectOptions::default()
    };
    let retention = retention(max_retention_age);
    let max_subscribers = max_subscribers.map_or(Ok(1024), |it| size("max_subscribers", it))?;
    let mut options = OpenOptions { create, retention, max_subscribers, timeout: timeout.0 };
    log::keep(py)?;
    let face = _bell.map_or(Face::Blocking, Face::Asyncio);
    let later = face.share(py);
    let opening = async move {
        let begun = Instant::now();
        let connection = libchat::connect(connect).await?;
        options.timeout = options.timeout.saturating_sub(begun.elapsed());
        match connection.open(&project, &agent, options).await {
            Ok(core) => Ok((Arc::new(core), connection)),
            Err(error) => {
                connection.close().await;
                Err(error)
            }
        }
    };
    face.run(py, opening, move |py, (core, connection)| {
        let opened = Arc::new(Opened::new(core, connection));
        Ok(Py::new(py, Manager::new(opened, later))?.into_any())
    })
}

fn retention(max_age: Option<Seconds>) -> Retention {
    match max_age {
        None => Retention::Keep,
        Some(age) if age.0.is_zero() => Retention::Unbounded,
        Some(age) => Retention::MaxAge(age.0),
    }
}

/// What is given, or what the variable says.
fn named(py: Python<'_>, what: &str, given: Option<Text>, variable: &str) -> PyResult<String> {
    let from_variable = || env::var(variable).ok().filter(|value| !value.is_empty());
    given.map(|given| given.0).or_else(from_variable).ok_or_else(|| {
        let text = format!("open: no {what} is given, nor is {variable} set");
        invalid(py, &text, "name it: libchat.open(\"shop\", \"ana\")")
    })
}
