//! What a server has to allow an agent.

use clap::Args;
use libchat::{AclOptions, Grant, Permissions, Role};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::{HELP, Options};
use crate::output::{print, print_json};
use crate::session;

const NOTE: &str = "\
Prints an entry for the list `users: [ ]` of nats-server's configuration, to be given a \
password; asks no server. Roles:
  send   to send to every thread
  read   to read every thread
  bind   to send, read, ask and answer in a project that somebody has opened before
  full   the same, and to open a new project and change its retention
The agent must connect with the inbox prefix that is printed: --inbox-prefix here, \
inbox_prefix in a library or a nats context.";

/// Print the rights an agent needs, as nats-server's configuration
#[derive(Args)]
#[command(help_template = HELP, after_help = NOTE)]
pub(crate) struct Acl {
    /// What the agent is to be allowed: send, read, bind or full
    #[arg(long, default_value = "bind", value_parser = role)]
    role: Role,
}

fn role(text: &str) -> Result<Role, String> {
    let known = Role::ALL.iter().find(|role| role.as_str() == text);
    known.copied().ok_or_else(|| "one of send, read, bind, full".into())
}

impl Acl {
    pub(crate) fn run(self, options: &Options) -> Result<(), Failure> {
        let (project, agent) = (session::project(options)?, session::agent(options)?);
        let connect = options.connect_options();
        let given = AclOptions { js_domain: connect.js_domain, inbox_prefix: connect.inbox_prefix };
        let permissions = libchat::acl(&project.value, &agent.value, self.role, &given)?;
        if options.json {
            return print_json(to_json(&permissions));
        }
        print(permissions.to_config().as_bytes())
    }
}

fn to_json(permissions: &Permissions) -> Value {
    let subjects =
        |grants: &[Grant]| -> Vec<String> { grants.iter().map(|it| it.subject.clone()).collect() };
    json!({
        "project": permissions.project,
        "agent": permissions.agent,
        "role": permissions.role.as_str(),
        "publish": subjects(&permissions.publish),
        "subscribe": subjects(&permissions.subscribe),
        "inbox_prefix": permissions.inbox_prefix,
        "allow_responses": permissions.allow_responses.map(|it| {
            json!({"max": it.max, "expires_s": it.expires.as_secs()})
        }),
    })
}
