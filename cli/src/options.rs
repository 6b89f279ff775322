//! Options of every command: how to reach the server, whose project, which form of output.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use libchat::ConnectOptions;

use crate::failure::tell;
use crate::output::Color;
use crate::when;

/// What a command does stands before its many options.
pub(crate) const HELP: &str =
    "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}";

#[derive(Args)]
pub(crate) struct Options {
    /// The project [env: LIBCHAT_PROJECT] [default: the name of the folder with .libchat]
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Who and where")]
    pub(crate) project: Option<String>,
    /// The agent to be [env: LIBCHAT_AGENT] [default: your login name]
    #[arg(long = "as", global = true, value_name = "AGENT", help_heading = "Who and where")]
    pub(crate) agent: Option<String>,

    /// Print JSON: one document, or one line for each message and event
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Colour: auto, always or never [env: NO_COLOR, CLICOLOR_FORCE]
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    #[arg(hide_possible_values = true, hide_default_value = true, help_heading = "Output")]
    pub(crate) color: Color,
    /// Say only what is wrong
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Log to standard error; twice for more [env: LIBCHAT_LOG=libchat=debug]
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,

    #[command(flatten)]
    server: ServerOptions,
    /// Print help
    #[arg(short, long, global = true, action = ArgAction::HelpShort, help_heading = "Output")]
    help: Option<bool>,
}

/// Named as in the `nats` program. Their variables are read by the library, in its order; it has
/// none for the timeout.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerOptions {
    /// Addresses, with commas between them [env: LIBCHAT_URL, NATS_URL] [default: that of the
    /// folder with .libchat, of the selected nats context, or nats://127.0.0.1:4222]
    #[arg(short, long = "server", global = true, value_name = "URL")]
    servers: Option<String>,
    /// A context of the nats program [env: NATS_CONTEXT]
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// File with credentials [env: NATS_CREDS]
    #[arg(long, global = true, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// File with an nkey seed [env: NATS_NKEY]
    #[arg(long, global = true, value_name = "FILE")]
    nkey: Option<PathBuf>,
    /// User name; without --password, a token [env: NATS_USER]
    #[arg(long, global = true, value_name = "NAME")]
    user: Option<String>,
    /// Password of the user [env: NATS_PASSWORD]
    #[arg(long, global = true, value_name = "PASSWORD")]
    password: Option<String>,
    /// Token [env: NATS_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN")]
    token: Option<String>,
    /// PEM file of our certificate [env: NATS_CERT]
    #[arg(long, global = true, value_name = "FILE")]
    tlscert: Option<PathBuf>,
    /// PEM file of the certificate's key [env: NATS_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    tlskey: Option<PathBuf>,
    /// PEM file of the authorities to trust [env: NATS_CA]
    #[arg(long, global = true, value_name = "FILE")]
    tlsca: Option<PathBuf>,
    /// Begin TLS before the server speaks
    #[arg(long, alias = "tls-first", global = true)]
    tlsfirst: bool,
    /// JetStream domain
    #[arg(long, global = true, value_name = "NAME")]
    js_domain: Option<String>,
    /// First part of reply subjects
    #[arg(long, global = true, value_name = "SUBJECT")]
    inbox_prefix: Option<String>,
    /// How long to wait for the server [default: 5s; `ask` waits 30s for the agent]
    #[arg(long, global = true, value_name = "DURATION", value_parser = when::duration)]
    #[arg(env = "NATS_TIMEOUT", hide_env_values = true)]
    timeout: Option<Duration>,
}

impl Options {
    pub(crate) fn connect_options(&self) -> ConnectOptions {
        let server = &self.server;
        ConnectOptions {
            servers: server.servers.clone(),
            context: server.context.clone(),
            name: Some("libchat-cli".into()),
            creds_file: server.creds.clone(),
            nkey_file: server.nkey.clone(),
            user: server.user.clone(),
            password: server.password.clone(),
            token: server.token.clone(),
            tls_ca_file: server.tlsca.clone(),
            tls_cert_file: server.tlscert.clone(),
            tls_key_file: server.tlskey.clone(),
            tls_first: server.tlsfirst,
            js_domain: server.js_domain.clone(),
            inbox_prefix: server.inbox_prefix.clone(),
            timeout: Some(self.timeout()),
            ..ConnectOptions::default()
        }
    }

    /// How long to wait for the server.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout_or(Duration::from_secs(5))
    }

    pub(crate) fn timeout_or(&self, default: Duration) -> Duration {
        self.server.timeout.unwrap_or(default)
    }

    /// Tells a person what is going on, unless that is not wanted.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            tell(&format!("{text}\n"));
        }
    }
}
