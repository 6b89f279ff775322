//! Who we are, and the way to the server.

use std::env;
use std::io;

use libchat::{Connection, Manager, OpenOptions};
use tokio::signal;

use crate::failure::Failure;
use crate::folder;
use crate::options::Options;

/// A name, and where it comes from.
pub(crate) struct Named {
    pub(crate) value: String,
    pub(crate) from: String,
}

/// What a command does with the project.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Speaks under the agent's name, in a project that may be new.
    Writer,
    /// Waits for others to speak, in a project that may be new.
    Listener,
    /// Looks at what is there.
    Reader,
}

/// Opens the project, does `work`, and ends the connection so that nothing is left on the server.
pub(crate) async fn run<T>(
    options: &Options,
    role: Role,
    work: impl AsyncFnOnce(&Manager) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (connection, manager) = interruptible(open(options, role)).await?;
    let result = work(&manager).await;
    manager.close().await;
    connection.close().await;
    result
}

async fn open(options: &Options, role: Role) -> Result<(Connection, Manager), Failure> {
    let project = project(options)?;
    let agent = match role {
        Role::Writer => agent(options)?.value,
        Role::Listener | Role::Reader => reader(options),
    };
    let open = OpenOptions {
        create: role != Role::Reader,
        timeout: options.timeout(),
        ..OpenOptions::default()
    };
    let connection = libchat::connect(options.connect_options()).await?;
    let manager = connection.open(&project.value, &agent, open).await?;
    Ok((connection, manager))
}

/// The project asked for, or that of the folder.
pub(crate) fn project(options: &Options) -> Result<Named, Failure> {
    let given = options.project.clone().map(|value| Named { value, from: "--project".into() });
    if let Some(named) = given.or_else(|| variable("LIBCHAT_PROJECT")) {
        return Ok(named);
    }
    let folder = folder::nearest();
    let named = folder.as_ref().and_then(|folder| {
        let value = folder::project_name(folder)?;
        Some(Named { value, from: folder.display().to_string() })
    });
    named.ok_or_else(|| {
        let hint =
            "give --project NAME, set LIBCHAT_PROJECT, or make this folder one with `libchat up`";
        Failure::usage("no project", hint)
    })
}

/// The agent asked for, or whoever is logged in.
pub(crate) fn agent(options: &Options) -> Result<Named, Failure> {
    let given = options.agent.clone().map(|value| Named { value, from: "--as".into() });
    given
        .or_else(|| variable("LIBCHAT_AGENT"))
        .or_else(|| variable("USER"))
        .or_else(|| variable("LOGNAME"))
        .ok_or_else(|| Failure::usage("no agent", "give --as AGENT, or set LIBCHAT_AGENT"))
}

/// Whoever only reads needs no name: nobody sees it.
fn reader(options: &Options) -> String {
    agent(options).map_or_else(|_| "reader".into(), |agent| agent.value)
}

/// One that is set to nothing counts as not set.
fn variable(name: &str) -> Option<Named> {
    let value = env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then(|| Named { value, from: name.into() })
}

/// Runs `work` until Ctrl-C.
pub(crate) async fn interruptible<T, E>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    tokio::select! {
        biased;
        failure = interrupt() => Err(failure),
        result = work => Ok(result?),
    }
}

/// Waits for Ctrl-C.
pub(crate) async fn interrupt() -> Failure {
    match signal::ctrl_c().await {
        Ok(()) => Failure::Interrupted,
        Err(cause) => Failure::system("listen for Ctrl-C", &io::Error::other(cause)),
    }
}
