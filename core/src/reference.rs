//! Settings that point at a secret or a file instead of holding it, as the `nats` program writes
//! them. `place` names the setting: it begins the error's text, and is where a value came from.

use std::fs;
use std::path::{Path, PathBuf};

use crate::access::{Certificate, Login, Setting};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};

/// A credentials file: a path, `file://`, `data:;base64,` or `env://`.
pub(crate) fn creds(
    reference: &str,
    env: &Environment,
    place: &str,
) -> Result<Setting<Login>, Error> {
    let login = Login::from_creds(&read(reference, env, place)?, place)?;
    Ok(Setting::new(login, format!("creds {}", shown(reference)), place))
}

/// A file with the seed of an nkey, written like [`creds`].
pub(crate) fn nkey(
    reference: &str,
    env: &Environment,
    place: &str,
) -> Result<Setting<Login>, Error> {
    let login = Login::from_nkey(&read(reference, env, place)?, place)?;
    Ok(Setting::new(login, format!("nkey {}", shown(reference)), place))
}

/// The PEM file of certificate authorities: a path or `file://`.
pub(crate) fn ca(
    reference: &str,
    env: &Environment,
    place: &str,
) -> Result<Setting<PathBuf>, Error> {
    let path = file(reference, env, place)?;
    Ok(Setting::new(path.clone(), path.display().to_string(), place))
}

/// A certificate and its key, each as its place and its path; one is nothing without the other.
pub(crate) fn certificate(
    cert: (&str, Option<&str>),
    key: (&str, Option<&str>),
    env: &Environment,
) -> Result<Option<Setting<Certificate>>, Error> {
    let (cert_path, key_path) = match (cert.1, key.1) {
        (None, None) => return Ok(None),
        (Some(cert_path), Some(key_path)) => (cert_path, key_path),
        (Some(_), None) => return Err(refused(cert.0, &format!("goes with {} only", key.0))),
        (None, Some(_)) => return Err(refused(key.0, &format!("goes with {} only", cert.0))),
    };
    let certificate =
        Certificate { cert: file(cert_path, env, cert.0)?, key: file(key_path, env, key.0)? };
    let shown = certificate.cert.display().to_string();
    Ok(Some(Setting::new(certificate, shown, cert.0)))
}

fn read(reference: &str, env: &Environment, place: &str) -> Result<String, Error> {
    match scheme(reference).as_deref() {
        None => read_file(&env.path(reference), place),
        Some(scheme) => follow(scheme, reference, env, place)?
            .ok_or_else(|| refused(place, &format!("{scheme}: references are not supported"))),
    }
}

/// A password, token, JWT or seed: itself the secret, unless it begins like a reference.
pub(crate) fn read_literal(text: &str, env: &Environment, place: &str) -> Result<String, Error> {
    let Some(scheme) = scheme(text) else { return Ok(text.to_owned()) };
    let found = follow(&scheme, text, env, place)?.unwrap_or_else(|| text.to_owned());
    Ok(found.trim_end_matches(['\r', '\n']).to_owned())
}

/// A path, which must be one of a file that is there.
fn file(reference: &str, env: &Environment, place: &str) -> Result<PathBuf, Error> {
    match scheme(reference).as_deref() {
        None => existing(env.path(reference), place),
        Some("file") => existing(env.path(after_scheme(reference)), place),
        Some(scheme) => Err(refused(place, &format!("{scheme}: is not a path"))),
    }
}

fn existing(path: PathBuf, place: &str) -> Result<PathBuf, Error> {
    if !path.is_file() {
        return Err(Error::new(ErrorKind::System, format!("{place}: no file {}", path.display())));
    }
    Ok(path)
}

/// How a reference may be shown: what holds the secret itself is not.
fn shown(reference: &str) -> &str {
    if scheme(reference).as_deref() == Some("data") { "inline data" } else { reference }
}

fn read_file(path: &Path, place: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|cause| {
        Error::new(ErrorKind::System, format!("{place}: read {}", path.display())).because(cause)
    })
}

/// `None` for a scheme that means nothing here.
fn follow(
    scheme: &str,
    reference: &str,
    env: &Environment,
    place: &str,
) -> Result<Option<String>, Error> {
    let rest = after_scheme(reference);
    match scheme {
        "file" => read_file(&env.path(rest), place).map(Some),
        "env" => match env.variable(rest) {
            Some(value) => Ok(Some(value)),
            None => Err(refused(place, &format!("the variable {rest} is not set"))),
        },
        "data" => decode_data(rest)
            .map(Some)
            .ok_or_else(|| refused(place, "not text written as data:;base64,…")),
        "op" | "nsc" => Err(refused(place, &format!("{scheme}: references are not supported"))
            .hint("put the secret into a file or a variable, and write its path or env://NAME")),
        _ => Ok(None),
    }
}

fn refused(place: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{place}: {why}"))
}

/// The part before the colon, if it is a URL scheme; one letter is a drive.
fn scheme(reference: &str) -> Option<String> {
    let (scheme, _) = reference.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    (named && scheme.len() > 1).then(|| scheme.to_ascii_lowercase())
}

fn after_scheme(reference: &str) -> &str {
    let rest = reference.split_once(':').map_or(reference, |(_, rest)| rest);
    rest.strip_prefix("//").unwrap_or(rest)
}

fn decode_data(rest: &str) -> Option<String> {
    let (header, payload) = rest.split_once(',')?;
    let named = header.split(';').any(|part| part.trim() == "base64");
    String::from_utf8(named.then(|| decode_base64(payload))??).ok()
}

/// The standard alphabet, padded; line ends are skipped.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !b"\r\n".contains(byte)).collect();
    let body = digits.strip_suffix(b"==").or(digits.strip_suffix(b"=")).unwrap_or(&digits);
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() * 3 / 4);
    for group in body.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut bits = 0u32;
        for &digit in group {
            bits = bits << 6 | base64_digit(digit)?;
        }
        let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
        out.extend_from_slice(bytes.get(1..group.len())?);
    }
    Some(out)
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURROUNDINGS: &[(&str, &str)] = &[("SECRET", "from-env\n")];

    fn env() -> Environment {
        Environment::of_test(Path::new("/none"), "", SURROUNDINGS)
    }

    #[track_caller]
    fn check_literal(text: &str, expected: Result<&str, &str>) {
        let found = read_literal(text, &env(), "x.json: password");
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found.as_deref(), expected.map_err(str::to_owned).as_deref(), "{text}");
    }

    #[test]
    fn a_literal_is_itself_unless_it_begins_like_a_reference() {
        check_literal("hunter2", Ok("hunter2"));
        check_literal("a:b", Ok("a:b"));
        check_literal("vault:b", Ok("vault:b"));
        check_literal("100%:x", Ok("100%:x"));
        check_literal("env://SECRET", Ok("from-env"));
        check_literal("data:;base64,aHVudGVyMg==", Ok("hunter2"));
        check_literal("DATA:text/plain;base64,aHVudGVyMjM=", Ok("hunter23"));
        check_literal("env://NONE", Err("x.json: password: the variable NONE is not set"));
        let inline = "x.json: password: not text written as data:;base64,…";
        check_literal("data:,aHVudGVyMg==", Err(inline));
        check_literal("data:;base64,aHVudGVyMg", Err(inline));
        check_literal("data:;base64,a", Err(inline));
        check_literal("data:;base64,a===", Err(inline));
        check_literal("data:;base64,/w==", Err(inline));
        check_literal("op://v/i/f", Err("x.json: password: op: references are not supported"));
        check_literal("nsc://o/a/u", Err("x.json: password: nsc: references are not supported"));
        check_literal("file:///none/a", Err("x.json: password: read /none/a"));
    }

    #[test]
    fn a_reference_is_a_path_unless_it_says_otherwise() {
        let text = |reference| match read(reference, &env(), "x.json: creds") {
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        assert_eq!(text("env://SECRET"), "from-env\n");
        assert_eq!(text("data:;base64,aHVu"), "hun");
        assert_eq!(text("a.creds"), "x.json: creds: read /none/a.creds");
        assert_eq!(text("~/a.creds"), "x.json: creds: read /none/home/a.creds");
        assert_eq!(text("vault://a"), "x.json: creds: vault: references are not supported");
    }

    #[test]
    fn tls_settings_are_paths_only() {
        let text = |it| file(it, &env(), "x.json: ca").expect_err(it).to_string();
        assert_eq!(text("env://CA"), "x.json: ca: env: is not a path");
        assert_eq!(text("file:///none/ca.pem"), "x.json: ca: no file /none/ca.pem");
        assert!(file("/", &env(), "x.json: ca").is_err());
    }
}
