//! What is read of the surroundings: variables, the current folder, home.

use std::env;
use std::path::{Path, PathBuf};

type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The surroundings of a process; tests make their own.
pub(crate) struct Environment {
    variable: Variables,
    folder: Option<PathBuf>,
    /// Searches upward end here.
    top: PathBuf,
    home: Option<PathBuf>,
    program: Option<PathBuf>,
}

impl Environment {
    pub(crate) fn of_process() -> Environment {
        Environment {
            variable: Box::new(|name| {
                env::var_os(name).map(|value| value.to_string_lossy().into_owned())
            }),
            folder: env::current_dir().ok(),
            top: PathBuf::from("/"),
            home: env::home_dir(),
            program: env::current_exe().ok(),
        }
    }

    /// A variable's value; one that is set to nothing counts as not set.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// Where `name` may lie: in the current folder and in each one above it, the nearest first.
    pub(crate) fn upward(&self, name: &str) -> Vec<PathBuf> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(&self.top));
        folders.map(|folder| folder.join(name)).collect()
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// `$XDG_CONFIG_HOME`, else `~/.config`, on every system: where the `nats` program looks.
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        let given = self.variable("XDG_CONFIG_HOME").map(PathBuf::from);
        given.or_else(|| Some(self.home.as_ref()?.join(".config")))
    }

    /// The folder of the running program.
    pub(crate) fn program_folder(&self) -> Option<&Path> {
        self.program.as_deref()?.parent()
    }

    /// The path that `text` stands for, as the `nats` program reads one: `$NAME`, `${NAME}`, a
    /// leading `~`.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        let text = self.expand(text);
        let path = match (text.strip_prefix('~'), &self.home) {
            (Some(rest), Some(home)) => home.join(rest.trim_start_matches('/')),
            _ => PathBuf::from(text),
        };
        match &self.folder {
            Some(folder) => folder.join(path),
            None => path,
        }
    }

    fn expand(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, tail) = variable_name(after);
            match name {
                Some(name) => out.push_str(&self.variable(name).unwrap_or_default()),
                None => out.push('$'),
            }
            rest = tail;
        }
        out + rest
    }
}

/// The name at the start of what follows a `$`, and what follows the name.
fn variable_name(text: &str) -> (Option<&str>, &str) {
    if let Some((name, tail)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        return (Some(name), tail);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, tail) = text.split_at(end);
    ((!name.is_empty()).then_some(name), tail)
}

#[cfg(any(test, feature = "fuzzing"))]
impl Environment {
    /// Surroundings of a test, all of them within `top`; the current folder is `below` it.
    pub(crate) fn of_test(top: &Path, below: &str, variables: &[(&str, &str)]) -> Environment {
        let variables: std::collections::HashMap<String, String> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Environment {
            variable: Box::new(move |name| variables.get(name).cloned()),
            folder: Some(if below.is_empty() { top.to_owned() } else { top.join(below) }),
            top: top.to_owned(),
            home: Some(top.join("home")),
            program: Some(top.join("program/libchat")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let env = Environment::of_test(Path::new("/w"), "", &[("A", "x"), ("EMPTY", "")]);
        assert_eq!(env.path(text), Path::new(expected), "{text}");
    }

    #[test]
    fn paths_are_expanded_as_the_nats_program_does() {
        check("/a/b", "/a/b");
        check("a", "/w/a");
        check("~/a", "/w/home/a");
        check("/a/$A/${A}y", "/a/x/xy");
        check("/a/$A.creds", "/a/x.creds");
        check("/a$EMPTY$NONE/b", "/a/b");
        check("/a/$", "/a/$");
        check("/a/${A", "/a/${A");
        check("/a/~", "/a/~");
    }

    #[test]
    fn the_config_folder_is_xdgs_or_homes() {
        let env = |variables| Environment::of_test(Path::new("/w"), "", variables).config_folder();
        assert_eq!(env(&[]), Some("/w/home/.config".into()));
        assert_eq!(env(&[("XDG_CONFIG_HOME", "/x")]), Some("/x".into()));
    }

    #[test]
    fn upward_begins_with_the_nearest() {
        let env = Environment::of_test(Path::new("/a"), "b/c", &[]);
        let expected: [PathBuf; 3] = ["/a/b/c/x".into(), "/a/b/x".into(), "/a/x".into()];
        assert_eq!(env.upward("x"), expected);
    }
}
