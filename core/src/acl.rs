//! Which subjects an agent needs, by what it is to be allowed, as nats-server's configuration.

use std::time::Duration;

use crate::discover::{check_domain, check_prefix};
use crate::error::Error;
use crate::name::{Project, check_recipient};
use crate::nats_server::quote;

/// A server forgets by itself whom an agent may still answer.
const RESPONSES: Responses = Responses { max: 1, expires: Duration::from_secs(3600) };

/// Looks like a bcrypt hash and is none of any password: until it is replaced nobody gets in.
const NO_PASSWORD: &str = "$2a$11$replace-me";

/// Where answers come unless a client says otherwise.
const DEFAULT_INBOX: &str = "_INBOX";

/// What an agent is to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To send to every thread.
    Send,
    /// To read every thread.
    Read,
    /// To send, read, ask and answer in a project whose stream is there.
    Bind,
    /// The same, and to make the stream and change how long it keeps messages.
    Full,
}

impl Role {
    /// Every role, the smaller ones first.
    pub const ALL: &'static [Role] = &[Role::Send, Role::Read, Role::Bind, Role::Full];

    /// As the program takes it: `bind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Send => "send",
            Role::Read => "read",
            Role::Bind => "bind",
            Role::Full => "full",
        }
    }

    fn sends(self) -> bool {
        self != Role::Read
    }

    fn reads(self) -> bool {
        self != Role::Send
    }

    fn asks(self) -> bool {
        matches!(self, Role::Bind | Role::Full)
    }

    fn makes(self) -> bool {
        self == Role::Full
    }
}

/// How the agent reaches the server, as far as subjects depend on it.
#[derive(Clone, Debug, Default)]
pub struct AclOptions {
    /// JetStream domain, when the stream is behind a leaf node.
    pub js_domain: Option<String>,
    /// First part of reply subjects; by default one that no other agent has.
    pub inbox_prefix: Option<String>,
}

/// A subject, and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The subject, with wildcards.
    pub subject: String,
    /// Why the agent needs it.
    pub why: &'static str,
}

/// The right to answer whoever asks, without a right to the subjects that answers go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Responses {
    /// Answers to one request.
    pub max: u32,
    /// For how long after the request.
    pub expires: Duration,
}

/// A verb of JetStream's API, on the project's stream.
struct Verb {
    name: &'static str,
    rest: &'static str,
    for_role: fn(Role) -> bool,
    why: &'static str,
}

const fn verb(
    name: &'static str,
    rest: &'static str,
    for_role: fn(Role) -> bool,
    why: &'static str,
) -> Verb {
    Verb { name, rest, for_role, why }
}

const API: [Verb; 8] = [
    verb("STREAM.INFO", "", Role::reads, "open, read"),
    verb(
        "STREAM.INFO",
        "",
        |role| role == Role::Send,
        "open, and learn the receipts' cursors and the duplicate window",
    ),
    verb("STREAM.CREATE", "", Role::makes, "open a project that is new"),
    verb("STREAM.UPDATE", "", Role::makes, "change the retention"),
    verb("STREAM.MSG.GET", "", Role::reads, "read: single messages"),
    verb("CONSUMER.CREATE", ".*", Role::reads, "read: begin"),
    verb("CONSUMER.MSG.NEXT", ".*", Role::reads, "read: go on"),
    verb(
        "CONSUMER.DELETE",
        ".*",
        Role::reads,
        "read: end; without it the server does so after 60 s",
    ),
];

/// All that a server has to allow an agent.
#[derive(Clone, Debug)]
pub struct Permissions {
    /// The project.
    pub project: String,
    /// The agent.
    pub agent: String,
    /// What it is to be allowed.
    pub role: Role,
    /// What it publishes to.
    pub publish: Vec<Grant>,
    /// What it subscribes to.
    pub subscribe: Vec<Grant>,
    /// To be given to the agent's connection
    /// ([`ConnectOptions::inbox_prefix`](crate::ConnectOptions::inbox_prefix)).
    pub inbox_prefix: String,
    /// For an agent that answers.
    pub allow_responses: Option<Responses>,
}

/// The least rights with which `agent` can play `role` in `project`. Asks no server.
///
/// Within one account they keep honest agents apart, not hostile ones: see
/// [`Permissions::to_config`]. Fails with `InvalidArgument` for a name that breaks its rule; an
/// agent's must be one that can be asked.
pub fn acl(
    project: &str,
    agent: &str,
    role: Role,
    options: &AclOptions,
) -> Result<Permissions, Error> {
    let project = Project::new(project)?;
    check_recipient(agent)?;
    if let Some(domain) = &options.js_domain {
        check_domain(domain, "js_domain")?;
    }
    let inbox_prefix = match &options.inbox_prefix {
        Some(prefix) => {
            check_prefix(prefix, "inbox_prefix")?;
            prefix.clone()
        }
        None => own_prefix(&project, agent),
    };
    // A domain's own server looks at rights after it has mapped the subject (2.15), others before.
    let domain = options.js_domain.iter().map(|domain| format!("$JS.{domain}.API."));
    let apis: Vec<String> = domain.chain(["$JS.API.".to_owned()]).collect();
    let asks = role.asks() && project.may_ask();
    let mut subscribe = vec![grant(format!("{inbox_prefix}.>"), "replies")];
    if asks {
        subscribe.push(grant(project.ask_subject(agent)?, "answer"));
    }
    Ok(Permissions {
        publish: publish(&project, role, asks, &apis, &inbox_prefix),
        subscribe,
        allow_responses: asks.then_some(RESPONSES),
        inbox_prefix,
        project: project.as_str().to_owned(),
        agent: agent.to_owned(),
        role,
    })
}

fn publish(project: &Project, role: Role, asks: bool, apis: &[String], inbox: &str) -> Vec<Grant> {
    let stream = project.stream();
    let mut publish = Vec::new();
    if role.sends() {
        publish.push(grant(format!("{}*", project.prefix()), "send"));
    }
    for api in apis {
        let subject = |verb: &str, rest: &str| format!("{api}{verb}.{stream}{rest}");
        let verbs = API.iter().filter(|verb| (verb.for_role)(role));
        publish.extend(verbs.map(|verb| grant(subject(verb.name, verb.rest), verb.why)));
    }
    if asks {
        publish.push(grant(format!("{}.ask.>", project.as_str()), "ask"));
        publish.push(grant(format!("{inbox}.>"), "answer: make sure that the server listens"));
        // Else it keeps each delivery for an hour as a request to be answered, and looks through
        // all of them again and again (2.15). Both forms of the subject; our consumers take no
        // acknowledgements.
        let why = "read: keeps deliveries out of allow_responses";
        publish.extend(["", "*.*."].map(|place| grant(format!("$JS.ACK.{place}{stream}.>"), why)));
    }
    publish
}

fn grant(subject: String, why: &'static str) -> Grant {
    Grant { subject, why }
}

/// Not below `_INBOX`, which users without rights of their own listen to. One token for the agent,
/// so that `a` does not get what is for `a.b`.
fn own_prefix(project: &Project, agent: &str) -> String {
    let agent = agent.replace('%', "%25").replace('.', "%2E");
    format!("_INBOX_{}.{agent}", project.as_str())
}

impl Permissions {
    /// As an entry of nats-server's `users: [ … ]`. Its password is a placeholder that lets nobody
    /// in.
    pub fn to_config(&self) -> String {
        let Permissions { project, agent, role, inbox_prefix, .. } = self;
        let mut text = format!(
            "# Agent {agent} in project {project}: {}. For the list `users: [ ]` of \
             `authorization {{ }}`\n\
             # or of an account. The agent connects with the inbox prefix\n\
             #   {inbox_prefix}\n",
            role.as_str()
        );
        for remark in self.remarks() {
            text += remark;
        }
        let (user, password) = (quote(&format!("{project}/{agent}")), quote(NO_PASSWORD));
        text += &format!(
            "{{\n  user: {user}\n  # Nobody gets in with this one: put the output of \
             `nats server passwd` here.\n  password: {password}\n  permissions: {{\n",
        );
        for (verb, grants) in [("publish", &self.publish), ("subscribe", &self.subscribe)] {
            text += &format!("    {verb}: {{ allow: [\n");
            for Grant { subject, why } in grants {
                text += &format!("      {} # {why}\n", quote(subject));
            }
            text += "    ] }\n";
        }
        if let Some(Responses { max, expires }) = self.allow_responses {
            text += &format!(
                "    # answer: whoever asked\n    \
                 allow_responses: {{ max: {max}, expires: \"{}s\" }}\n",
                expires.as_secs()
            );
        }
        text + "  }\n}\n"
    }

    /// What these rights do not do.
    fn remarks(&self) -> impl Iterator<Item = &'static str> {
        let role = self.role;
        let reads =
            "# It reads every thread of the project: reading cannot be limited by thread.\n";
        let sends =
            "# It may write any name as a message's sender: the server does not check it.\n";
        let walls = "# A server does not check where its own answers go, so a hostile agent that \
                     reads can have\n# them written to any subject. Who must be kept apart needs \
                     an account of its own.\n";
        let makes = "# Who may make a stream may have it copy every other stream of the account.\n";
        let looks = "# It may not look at messages: what it sends under an id that another message \
                     has\n# counts as stored before. Ids that nobody can guess avoid that.\n";
        let inbox = "# This inbox prefix is everybody's: it reads all answers, and can forge them. \
                     Leave it\n# out, and it has one of its own.\n";
        let all = [
            (self.inbox_prefix == DEFAULT_INBOX, inbox),
            (role == Role::Send, looks),
            (role.reads(), reads),
            (role.sends(), sends),
            (role.reads(), walls),
            (role.makes(), makes),
        ];
        all.into_iter().filter_map(|(holds, remark)| holds.then_some(remark))
    }
}
