//! The folder a command is about: the nearest one that holds `.libchat`.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The longest project name that the server takes.
const PROJECT_MAX: usize = 250;

/// The folder given, else the nearest one upward that holds `.libchat`, else the current one.
pub(crate) fn given_or_nearest(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match given.or_else(nearest) {
        Some(folder) => Ok(folder),
        None => env::current_dir().map_err(|cause| Failure::system("current folder", &cause)),
    }
}

/// The nearest folder upward that holds `.libchat`. One that another user has put there is passed
/// over, as libchat itself does when it looks for the server.
pub(crate) fn nearest() -> Option<PathBuf> {
    let current = env::current_dir().ok()?;
    let here = fs::metadata(&current).ok()?.uid();
    let trusted = [0, here, rustix::process::geteuid().as_raw()];
    let holds = |folder: &&Path| {
        let inside = fs::metadata(folder.join(".libchat"));
        inside.is_ok_and(|inside| inside.is_dir() && trusted.contains(&inside.uid()))
    };
    current.ancestors().find(holds).map(Path::to_owned)
}

/// The folder's name, as a project's: what may not stand in one becomes `-`.
pub(crate) fn project_name(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_string_lossy();
    let mut project: String = name.trim_start_matches(['$', '.']).chars().map(permitted).collect();
    while project.len() > PROJECT_MAX {
        project.pop();
    }
    (!project.is_empty()).then_some(project)
}

fn permitted(c: char) -> char {
    if c.is_whitespace() || c.is_control() || ".*>/\\".contains(c) { '-' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(folder: &str, expected: Option<&str>) {
        let project = project_name(Path::new(folder));
        assert_eq!(project.as_deref(), expected);
        if let Some(project) = project {
            libchat::thread_short(&project, "x").expect("a name libchat takes");
        }
    }

    #[test]
    fn a_folder_names_its_project() {
        check("/home/ana/shop", Some("shop"));
        check("/home/ana/My Shop v1.2", Some("My-Shop-v1-2"));
        check("/srv/$.x", Some("x"));
        check("/srv/größe", Some("größe"));
        check(&format!("/srv/{}", "ß".repeat(127)), Some(&"ß".repeat(125)));
        check("/srv/...", None);
        check("/", None);
    }
}
