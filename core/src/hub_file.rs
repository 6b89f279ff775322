//! `.libchat/hub.json`: where a folder's own server is, and how to enter it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::access::Secret;
use crate::error::{Error, ErrorKind};

/// Its place below a project's folder.
pub(crate) const HUB_FILE: &str = ".libchat/hub.json";

/// What the file says. One written by hand needs `url` only.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Hub {
    /// Without user and password.
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// The server's process; 0 when it was stopped.
    pub(crate) pid: u32,
    /// Drawn at each start, so that what answers on the port can be told from another server.
    pub(crate) server_name: String,
    pub(crate) port: u16,
    /// RFC 3339.
    pub(crate) started: String,
    pub(crate) store: PathBuf,
}

impl Hub {
    /// `None` if there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Hub>, Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) if is_absence(&cause) => return Ok(None),
            Err(cause) => {
                let text = format!("read {}", path.display());
                return Err(Error::new(ErrorKind::System, text).because(cause));
            }
        };
        let hub: Hub = serde_json::from_str(&text).map_err(|cause| malformed(path, &cause))?;
        if hub.url.is_empty() {
            let text = format!("{}: has no url", path.display());
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        Ok(Some(hub))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let text =
            serde_json::to_string_pretty(self).map_err(io::Error::other).map(|text| text + "\n");
        text.and_then(|text| write_secret(path, &text)).map_err(|cause| {
            Error::new(ErrorKind::System, format!("write {}", path.display())).because(cause)
        })
    }
}

/// Replaces the file in one step, readable by its owner only.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&fresh, path)
}

/// Whether the file, or a folder on the way to it, is not there.
pub(crate) fn is_absence(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Says where a file of settings is wrong, without its values: serde's own text quotes them.
pub(crate) fn malformed(path: &Path, cause: &serde_json::Error) -> Error {
    let what = if cause.is_data() { "a value of the wrong type" } else { "not JSON" };
    let at = format!("line {}, column {}", cause.line(), cause.column());
    Error::new(ErrorKind::InvalidArgument, format!("{}: {what} ({at})", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_reads_back_and_is_its_owners() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let path = folder.path().join("hub.json");
        assert!(Hub::read(&path).expect("absent").is_none());

        let password = Secret::new("hunter2");
        let hub = Hub { url: "nats://127.0.0.1:1".into(), password, port: 1, ..Hub::default() };
        hub.write(&path).expect("first");
        hub.write(&path).expect("again");

        let back = Hub::read(&path).expect("read").expect("there");
        assert_eq!((back.password, back.port, back.pid), (Secret::new("hunter2"), 1, 0));
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{hub:?}").contains("hunter2"));
    }

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        let folder = tempfile::tempdir().expect("scratch folder");
        let path = folder.path().join("hub.json");
        fs::write(&path, text).expect("write");
        let error = Hub::read(&path).expect_err(text);
        assert_eq!(format!("{error:#}"), format!("{}: {expected}", path.display()));
    }

    #[test]
    fn a_malformed_file_is_named_and_not_quoted() {
        refuses("", "not JSON (line 1, column 0)");
        refuses("{\"url\": \n hunter2}", "not JSON (line 2, column 2)");
        refuses("{\"port\": \"hunter2\"}", "a value of the wrong type (line 1, column 18)");
        refuses("{}", "has no url");
    }
}
