//! Server addresses as people write them: `host`, `host:port`, `nats://`, `tls://`, with commas.

use std::str;

use crate::access::{Access, Setting};
use crate::error::{Error, ErrorKind};

/// Addresses as the connection takes them.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// With a scheme, without user and password.
    pub(crate) urls: Vec<String>,
    /// The user and password, or the token, that stood before an `@`. async-nats 0.51 does not
    /// look there.
    pub(crate) access: Access,
}

/// Reads a list of addresses; `from` says in errors where the list was found.
pub(crate) fn parse(list: &str, from: &str) -> Result<Addresses, Error> {
    let mut urls = Vec::new();
    let mut userinfo = None;
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let address = parse_one(item).map_err(|why| refused(from, &why))?;
        urls.push(address.url);
        if let Some(found) = address.userinfo {
            let first = *userinfo.get_or_insert(found);
            if first != found {
                return Err(refused(from, "two addresses with different users or passwords"));
            }
        }
    }
    if urls.is_empty() {
        return Err(refused(from, "holds no address"));
    }
    let access = match userinfo {
        Some(userinfo) => enter(userinfo, from)?,
        None => Access::default(),
    };
    Ok(Addresses { urls, access })
}

fn refused(from: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{from}: {why}"))
}

struct Address<'a> {
    url: String,
    userinfo: Option<&'a str>,
}

/// The error says what is wrong without what may be a password.
fn parse_one(item: &str) -> Result<Address<'_>, String> {
    let (scheme, rest) = item.split_once("://").unwrap_or(("nats", item));
    let scheme = scheme.to_ascii_lowercase();
    let (userinfo, place) = match rest.rsplit_once('@') {
        Some((userinfo, place)) => (Some(userinfo), place),
        None => (None, rest),
    };
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = split_port(place);
    if scheme != "nats" && scheme != "tls" {
        let why = "only nats and tls are supported";
        return Err(format!("server {host}: scheme {scheme:?}: {why}"));
    }
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = match inside {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c)),
    };
    if host.is_empty() || !plain {
        return Err(format!("server {host:?}: not a host name"));
    }
    match port {
        None => Ok(Address { url: format!("{scheme}://{host}"), userinfo }),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => {
                Ok(Address { url: format!("{scheme}://{host}:{port}"), userinfo })
            }
            _ => Err(format!("server {host}: what follows the colon is not a port")),
        },
    }
}

/// `host` and `port` of `host:port`, `[::1]:port`, `host`, `[::1]`.
fn split_port(place: &str) -> (&str, Option<&str>) {
    if place.ends_with(']') {
        return (place, None);
    }
    match place.rsplit_once("]:") {
        Some((host, port)) => (&place[..host.len() + 1], Some(port)),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    }
}

/// A name without a password is a token, as everywhere in NATS.
fn enter(userinfo: &str, from: &str) -> Result<Access, Error> {
    let decode = |text| {
        decode_percent(text).ok_or_else(|| refused(from, "user or password: malformed %-escape"))
    };
    let mut access = Access::default();
    match userinfo.split_once(':') {
        Some((user, password)) => {
            access.login = Some(Setting::password(&decode(user)?, &decode(password)?, from));
        }
        None => access.token = Some(Setting::secret(decode(userinfo)?, from)),
    }
    Ok(access)
}

fn decode_percent(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(digits, 16).ok()?);
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::Login;

    #[track_caller]
    fn check(list: &str, expected: Result<&[&str], &str>) {
        let found = parse(list, "NATS_URL").map(|found| found.urls);
        let found = found.map_err(|error| error.to_string());
        let expected = expected.map_err(|why| format!("NATS_URL: {why}"));
        assert_eq!(found, expected.map(|urls| urls.iter().map(|it| it.to_string()).collect()));
    }

    #[test]
    fn addresses_get_a_scheme_and_lose_user_and_password() {
        check("demo.nats.io", Ok(&["nats://demo.nats.io"]));
        check("localhost:4222", Ok(&["nats://localhost:4222"]));
        check("NATS://a:1/", Ok(&["nats://a:1"]));
        check(" tls://a , b:2,", Ok(&["tls://a", "nats://b:2"]));
        check("nats://ana:secret@a:1", Ok(&["nats://a:1"]));
        check("token@a", Ok(&["nats://a"]));
        check("nats://ana:se@cr/et@a", Ok(&["nats://a"]));
        check("[::1]:4222,[::1]", Ok(&["nats://[::1]:4222", "nats://[::1]"]));
    }

    #[test]
    fn what_is_no_address_is_refused_without_a_secret() {
        check("", Err("holds no address"));
        check(" , ", Err("holds no address"));
        let why = "only nats and tls are supported";
        check("ws://u:secret@a", Err(&format!("server a: scheme \"ws\": {why}")));
        check("nats://", Err("server \"\": not a host name"));
        check("nats://u:secret@", Err("server \"\": not a host name"));
        check("nats://a b", Err("server \"a b\": not a host name"));
        check("nats://[::x]", Err("server \"[::x]\": not a host name"));
        check("nats://::1", Err("server \"\": not a host name"));
        check("nats://a/b", Err("server \"a/b\": not a host name"));
        check("nats://user:secret", Err("server user: what follows the colon is not a port"));
        check("a:0", Err("server a: what follows the colon is not a port"));
        check("a:65536", Err("server a: what follows the colon is not a port"));
        check("u:p@a,u:q@b", Err("two addresses with different users or passwords"));
        check("u:secret%zz@a", Err("user or password: malformed %-escape"));
    }

    #[test]
    fn what_stands_before_the_at_sign_is_the_login() {
        let access = |list| parse(list, "x").expect(list).access;
        let login = access("u%40x:p%3Aw@a,b,u%40x:p%3Aw@c").login.expect("a login");
        assert_eq!(login.value, Setting::password("u@x", "p:w", "x").value);
        let token = access("nats://t0%6ben@a").token.expect("a token");
        assert_eq!(token.value.reveal(), "t0ken");
        assert!(matches!(access("u:@a").login.expect("a login").value, Login::Password { .. }));
    }

    proptest! {
        #[test]
        fn no_text_panics_or_shows_what_stands_before_the_at_sign(
            list in "((nats|tls|ws)://)?(hunter2:)?hunter2@.{0,12}|.*",
        ) {
            if let Err(error) = parse(&list, "x") {
                prop_assert!(!list.contains("hunter2@") || !error.to_string().contains("hunter2"));
            }
        }
    }
}
