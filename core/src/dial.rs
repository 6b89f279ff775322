//! Turns what was given and found into a connected client with our settings.

use std::fs;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, Event};
use tokio::time::timeout;

use crate::access::Login;
use crate::discover::Resolved;
use crate::error::{Error, ErrorKind};
use crate::random;
use crate::unconnected::{Reason, explain};

/// The longest pause between two attempts to reconnect.
pub(crate) const MAX_DELAY: Duration = Duration::from_millis(250);
const PING_INTERVAL: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A pull asks for far fewer messages than this, so no subscription of ours overflows.
const SUBSCRIPTION_CAPACITY: usize = 65_536;

const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Where to connect, and how.
pub(crate) struct Plan {
    pub(crate) resolved: Resolved,
    pub(crate) name: String,
    pub(crate) timeout: Duration,
}

impl Plan {
    pub(crate) fn inbox_prefix(&self) -> &str {
        self.resolved.inbox_prefix.as_deref().unwrap_or("_INBOX")
    }

    pub(crate) fn js_domain(&self) -> Option<&str> {
        self.resolved.js_domain.as_deref()
    }

    /// The addresses, without secrets.
    pub(crate) fn servers(&self) -> String {
        self.resolved.servers.join(",")
    }
}

/// Connects once. `note` gets every event of the client; setting `abandoned` ends it for good.
pub(crate) async fn dial(
    plan: &Plan,
    note: impl Fn(Event) + Send + Sync + 'static,
    abandoned: Arc<AtomicBool>,
) -> Result<Client, Error> {
    let servers = addresses(plan)?;
    let options = options(plan)?
        .event_callback(move |event| {
            note(event);
            ready(())
        })
        .reconnect_delay_callback(move |attempt| delay(attempt, &abandoned));
    match timeout(plan.timeout, options.connect(servers)).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(cause)) => Err(connect_error(plan, cause)),
        Err(_) => {
            let seconds = plan.timeout.as_secs_f64();
            let silence = format!("no answer within {seconds} s");
            Err(failed(plan, ErrorKind::Disconnected).because(silence))
        }
    }
}

fn addresses(plan: &Plan) -> Result<Vec<async_nats::ServerAddr>, Error> {
    let parse = |url: &String| {
        url.parse::<async_nats::ServerAddr>()
            .map_err(|cause| failed(plan, ErrorKind::InvalidArgument).because(cause))
    };
    plan.resolved.servers.iter().map(parse).collect()
}

fn options(plan: &Plan) -> Result<async_nats::ConnectOptions, Error> {
    let resolved = &plan.resolved;
    let mut options = async_nats::ConnectOptions::new()
        .name(&plan.name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .max_reconnects(None)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .custom_inbox_prefix(plan.inbox_prefix())
        .require_tls(resolved.tls_required);
    options = match &resolved.login {
        Login::None => options,
        Login::Password { user, password } => {
            options.user_and_password(user.clone(), password.reveal().to_owned())
        }
        Login::Creds(text) => options
            .credentials(text.reveal())
            .map_err(|cause| failed(plan, ErrorKind::InvalidArgument).because(cause))?,
        Login::Nkey(seed) => options.nkey(seed.reveal().to_owned()),
        // A bearer token: the server asks for no signature.
        Login::Jwt(jwt) => options.jwt(jwt.reveal().to_owned(), |_| ready(Ok(Vec::new()))),
    };
    if let Some(token) = &resolved.token {
        options = options.token(token.reveal().to_owned());
    }
    if let Some(file) = &resolved.tls_ca {
        // Without one nobody would be trusted, and the server be blamed.
        let holds_some = |text: Vec<u8>| text.windows(PEM.len()).any(|it| it == PEM);
        if !fs::read(file).is_ok_and(holds_some) {
            let why = format!("{} holds no certificate that can be read", file.display());
            let hint = "it must be PEM, with certificates of authorities to trust";
            return Err(failed(plan, ErrorKind::InvalidArgument).because(why).hint(hint));
        }
        options = options.add_root_certificates(file.clone());
    }
    if let Some(certificate) = &resolved.tls_certificate {
        options = options.add_client_certificate(certificate.cert.clone(), certificate.key.clone());
    }
    if resolved.tls_first {
        options = options.tls_first();
    }
    Ok(options)
}

/// 0, 10, 20 … 250 ms and up to a fifth more, so that a thousand agents do not come back as one.
fn delay(attempt: usize, abandoned: &AtomicBool) -> Duration {
    if abandoned.load(Ordering::Relaxed) {
        return end_task();
    }
    let step = Duration::from_millis(10)
        * u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(25);
    let mut byte = [0u8; 1];
    random::fill(&mut byte);
    step.min(MAX_DELAY) + step.min(MAX_DELAY) * u32::from(byte[0]) / (5 * 256)
}

/// Ends the task that asks how long to wait, and with it the client's queue.
// async-nats 0.51 goes on connecting for ever after its last `Client` is dropped, and would then
// send what was queued; nothing but this callback reaches that task. `resume_unwind` runs no panic
// hook.
fn end_task() -> Duration {
    if cfg!(panic = "unwind") {
        std::panic::resume_unwind(Box::new("abandoned"));
    }
    // Without unwinding the task can only be put to sleep: it must never connect again.
    Duration::MAX
}

fn connect_error(plan: &Plan, cause: async_nats::ConnectError) -> Error {
    let Reason { kind, text, hint } = explain(&cause, &plan.resolved.login);
    failed(plan, kind).because(text).hint(hint)
}

/// Says every place that was looked at, unless the address was given.
fn failed(plan: &Plan, kind: ErrorKind) -> Error {
    let tried = &plan.resolved.tried;
    let searched =
        if tried.is_empty() { String::new() } else { format!(" ({})", tried.join("; ")) };
    Error::new(kind, format!("connect to {}{searched}", plan.servers()))
}
