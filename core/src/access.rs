//! How to enter a server: logins, TLS files, and where each of them came from.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::error::{Error, ErrorKind};

/// Text that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set")
    }
}

/// Who this client says it is, in one way; a token may come on top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Login {
    /// Nothing, or the token alone.
    #[default]
    None,
    /// For `async_nats::ConnectOptions::user_and_password`.
    Password { user: String, password: Secret },
    /// A credentials file's text, holding a JWT and a seed, for `credentials`.
    Creds(Secret),
    /// A user's seed, for `nkey`.
    Nkey(Secret),
    /// A bearer JWT, for `jwt` with a callback that signs with nothing.
    Jwt(Secret),
}

impl Login {
    /// From a credentials file. It is written anew, because async-nats wants a line end after it
    /// that other clients do not ask for.
    pub(crate) fn from_creds(text: &str, place: &str) -> Result<Login, Error> {
        let jwt = text.lines().map(str::trim).find(|line| line.starts_with("eyJ"));
        match (jwt, seed_in(text)) {
            (Some(jwt), Some(seed)) => Ok(Login::from_jwt_and_seed(jwt, seed)),
            (None, _) => Err(invalid(place, "holds no JWT")),
            (_, None) => Err(invalid(place, "holds no user seed")),
        }
    }

    pub(crate) fn from_jwt_and_seed(jwt: &str, seed: &str) -> Login {
        Login::Creds(Secret(format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )))
    }

    /// When it expired, as its JWT says, if it has.
    pub(crate) fn expired_at(&self) -> Option<OffsetDateTime> {
        let (Login::Creds(text) | Login::Jwt(text)) = self else { return None };
        let jwt = text.reveal().lines().find(|line| line.starts_with("eyJ"))?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let time = OffsetDateTime::from_unix_timestamp(claims.get("exp")?.as_i64()?).ok()?;
        (time <= OffsetDateTime::now_utc()).then_some(time)
    }

    /// From a file with a seed, which may have text around it.
    pub(crate) fn from_nkey(text: &str, place: &str) -> Result<Login, Error> {
        let seed = seed_in(text).ok_or_else(|| invalid(place, "holds no user seed"))?;
        Ok(Login::Nkey(Secret::new(seed)))
    }
}

fn invalid(place: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{place}: {why}"))
}

/// The first line that looks like the seed of a user's nkey.
pub(crate) fn seed_in(text: &str) -> Option<&str> {
    let base32 = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
    text.lines()
        .map(str::trim)
        .find(|line| line.len() == 58 && line.starts_with("SU") && line.chars().all(base32))
}

/// A client certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// A value, how it is shown, and where it was found.
#[derive(Clone, Debug)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) shown: String,
    pub(crate) from: String,
}

impl<T> Setting<T> {
    pub(crate) fn new(value: T, shown: impl Into<String>, from: impl Into<String>) -> Setting<T> {
        Setting { value, shown: shown.into(), from: from.into() }
    }
}

impl Setting<Secret> {
    pub(crate) fn secret(text: impl Into<String>, from: impl Into<String>) -> Setting<Secret> {
        Setting::new(Secret::new(text), "set", from)
    }
}

impl Setting<String> {
    pub(crate) fn text(text: impl Into<String>, from: impl Into<String>) -> Setting<String> {
        let text = text.into();
        Setting::new(text.clone(), text, from)
    }
}

impl Setting<Login> {
    pub(crate) fn password(user: &str, password: &str, from: &str) -> Setting<Login> {
        let login = Login::Password { user: user.to_owned(), password: Secret::new(password) };
        Setting::new(login, format!("user {user}, password set"), from)
    }
}

/// What one source says about entering the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    pub(crate) login: Option<Setting<Login>>,
    pub(crate) token: Option<Setting<Secret>>,
    pub(crate) ca: Option<Setting<PathBuf>>,
    pub(crate) certificate: Option<Setting<Certificate>>,
    pub(crate) tls_first: Option<Setting<bool>>,
    pub(crate) js_domain: Option<Setting<String>>,
    pub(crate) inbox_prefix: Option<Setting<String>>,
}

impl Access {
    pub(crate) fn has_login(&self) -> bool {
        self.login.is_some() || self.token.is_some()
    }

    /// Takes from `lower` what is not given here. A login stands as a whole, so a token of `lower`
    /// is never added to a login from here; a token from here goes on top of a login of `lower`.
    pub(crate) fn over(self, lower: Access) -> Access {
        Access {
            token: if self.login.is_some() { self.token } else { self.token.or(lower.token) },
            login: self.login.or(lower.login),
            ca: self.ca.or(lower.ca),
            certificate: self.certificate.or(lower.certificate),
            tls_first: self.tls_first.or(lower.tls_first),
            js_domain: self.js_domain.or(lower.js_domain),
            inbox_prefix: self.inbox_prefix.or(lower.inbox_prefix),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const JWT: &str = "eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiJVQSJ9.c2ln";
    pub(crate) const SEED: &str = "SUAIO3FHUX5PNV2LQIIP7TZ3N4L7TX3W53MQGEIVYFIGA635OZCKEYHFLM";

    #[test]
    fn a_secret_is_never_printed() {
        let login = Login::from_jwt_and_seed(JWT, SEED);
        let printed = format!("{login:?} {:?}", Setting::password("ana", "hunter2", "x"));
        for secret in [JWT, SEED, "hunter2"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn creds_are_read_however_they_end() {
        let Login::Creds(whole) = Login::from_jwt_and_seed(JWT, SEED) else { panic!("creds") };
        for text in [whole.reveal().trim_end(), &whole.reveal().replace('\n', "\r\n")] {
            let login = Login::from_creds(text, "x").expect("both parts are there");
            assert_eq!(login, Login::Creds(whole.clone()));
        }
    }

    #[test]
    fn creds_that_lack_a_part_say_which() {
        let text =
            |result: Result<Login, Error>| result.expect_err("a part is missing").to_string();
        assert_eq!(text(Login::from_creds(SEED, "a.creds")), "a.creds: holds no JWT");
        assert_eq!(text(Login::from_creds(JWT, "a.creds")), "a.creds: holds no user seed");
        assert_eq!(text(Login::from_nkey("SUAIO", "a.nk")), "a.nk: holds no user seed");
    }

    #[test]
    fn a_login_stands_as_a_whole() {
        let token = |text: &str| Some(Setting::secret(text, text));
        let login = || Some(Setting::password("ana", "x", "login"));
        let lower = Access { login: login(), token: token("low"), ..Access::default() };

        let whole = Access { login: login(), ..Access::default() }.over(lower.clone());
        assert!(whole.token.is_none());

        let lone = Access { token: token("high"), ..Access::default() }.over(lower);
        assert!(lone.login.is_some());
        assert_eq!(lone.token.map(|it| it.from).as_deref(), Some("high"));
    }
}
