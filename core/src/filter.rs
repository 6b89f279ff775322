//! Which messages a watch wants.

use crate::message::Message;
use crate::name::{Pattern, Project, Short, Thread};

#[derive(Clone, Debug)]
pub(crate) enum Filter {
    Thread(Thread),
    All,
    Pattern(Pattern),
}

impl Filter {
    /// The subject that covers all of it.
    pub(crate) fn subject(&self, project: &Project) -> String {
        match self {
            Filter::Thread(thread) => project.subject(&thread.short),
            Filter::All => format!("{}*", project.prefix()),
            Filter::Pattern(pattern) => format!("{}{}", project.prefix(), pattern.as_str()),
        }
    }

    /// What a reader of it is filtered by: nothing where it is all there is, for a filter that lets
    /// everything pass costs the server more than none.
    pub(crate) fn subjects(&self, project: &Project) -> Vec<String> {
        match self {
            Filter::All => Vec::new(),
            Filter::Pattern(pattern) if matches!(pattern.as_str(), "*" | ">") => Vec::new(),
            Filter::Thread(_) | Filter::Pattern(_) => vec![self.subject(project)],
        }
    }

    /// The one thread it is about.
    pub(crate) fn thread(&self) -> Option<Short> {
        match self {
            Filter::Thread(thread) => Some(thread.short),
            Filter::All | Filter::Pattern(_) => None,
        }
    }

    /// Whether it wants what is stored under `chat.<project>.<rest>`.
    pub(crate) fn matches(&self, rest: &str) -> bool {
        match self {
            Filter::Thread(thread) => thread.short.as_str() == rest,
            Filter::All => !rest.contains('.'),
            Filter::Pattern(pattern) => pattern.matches(rest),
        }
    }

    /// Whether `message`, whose subject matches, is of the thread asked for by name: two names may
    /// share their 32 bits.
    pub(crate) fn wants(&self, message: &Message) -> bool {
        match (self, &message.thread) {
            (Filter::Thread(Thread { name: Some(name), .. }), Some(other)) => name == other,
            _ => true,
        }
    }
}
