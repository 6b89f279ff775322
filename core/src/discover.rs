//! Where the server is, from what is given, set or found, and how to enter it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::access::{Access, Certificate, Login, Secret, Setting};
use crate::address;
use crate::config::ConnectOptions;
use crate::context;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::hub_file::{HUB_FILE, Hub, is_absence};
use crate::reference;

const BONES_FILE: &str = ".bones/hub-nats-url";

/// All that connecting needs. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// With a scheme, without user and password.
    pub(crate) servers: Vec<String>,
    pub(crate) login: Login,
    pub(crate) token: Option<Secret>,
    pub(crate) tls_ca: Option<PathBuf>,
    pub(crate) tls_certificate: Option<Certificate>,
    pub(crate) tls_first: bool,
    pub(crate) tls_required: bool,
    pub(crate) js_domain: Option<String>,
    pub(crate) inbox_prefix: Option<String>,
    /// Where each value came from.
    pub(crate) origins: Vec<Origin>,
    /// Every place looked at and what was there, for the error of a connection that fails; empty
    /// where the servers were given.
    pub(crate) tried: Vec<String>,
}

/// A value that a connection uses, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// What it is: `server`, `login`, `token`, `tls ca`, …
    pub what: &'static str,
    /// How it may be shown: a secret is `set`.
    pub value: String,
    /// An option, a variable or a file.
    pub from: String,
}

/// Finds the server: what is given, else the variables `LIBCHAT_URL`, `NATS_URL` and
/// `NATS_CONTEXT`, else what lies in the current folder and above, else the selected context of
/// the `nats` program, else this machine's port 4222.
///
/// A login is taken as a whole from the first of: the options, the address, the context or hub
/// file, the `NATS_*` variables. Those variables are left alone where a file in the folder
/// names the server, so that nobody's folder can draw them to a server of its own.
pub(crate) fn resolve(options: &ConnectOptions, env: &Environment) -> Result<Resolved, Error> {
    let given = access_of_options(options, env)?;
    let mut search = Search { env, tried: Vec::new() };
    let found = search.find(options)?;
    let addresses = address::parse(&found.servers, &found.from)?;
    let mut access = given.over(addresses.access).over(found.access);
    if !found.in_folder {
        let variables = access_of_variables(env, !access.has_login())?;
        access = access.over(variables);
    }
    check_names(&access)?;
    let server = Setting::text(addresses.urls.join(","), found.from);
    Ok(Resolved {
        origins: origins(&server, &access),
        servers: addresses.urls,
        login: access.login.map(|it| it.value).unwrap_or_default(),
        token: access.token.map(|it| it.value),
        tls_ca: access.ca.map(|it| it.value),
        tls_certificate: access.certificate.map(|it| it.value),
        tls_first: access.tls_first.is_some(),
        tls_required: options.tls_required,
        js_domain: access.js_domain.map(|it| it.value),
        inbox_prefix: access.inbox_prefix.map(|it| it.value),
        tried: search.tried,
    })
}

/// An address list, unread, and what its source says about entering.
struct Found {
    servers: String,
    from: String,
    access: Access,
    in_folder: bool,
}

impl Found {
    fn address(servers: impl Into<String>, from: impl Into<String>) -> Found {
        let (servers, from) = (servers.into(), from.into());
        Found { servers, from, access: Access::default(), in_folder: false }
    }
}

struct Search<'a> {
    env: &'a Environment,
    tried: Vec<String>,
}

impl Search<'_> {
    fn find(&mut self, options: &ConnectOptions) -> Result<Found, Error> {
        if let Some(found) = self.given(options)? {
            return Ok(found);
        }
        if let Some(found) = self.in_variables()? {
            return Ok(found);
        }
        if let Some(found) = self.in_hub_file()? {
            return Ok(found);
        }
        if let Some(found) = self.in_bones_file()? {
            return Ok(found);
        }
        if let Some(found) = self.in_selected_context()? {
            return Ok(found);
        }
        self.note("default", "nats://127.0.0.1:4222");
        Ok(Found::address("nats://127.0.0.1:4222", "default"))
    }

    fn note(&mut self, place: &str, found: &str) {
        self.tried.push(format!("{place}: {found}"));
    }

    /// With both, the context says how to enter and the servers say where.
    fn given(&mut self, options: &ConnectOptions) -> Result<Option<Found>, Error> {
        let (servers, context) = (filled(&options.servers), filled(&options.context));
        if servers.is_none() && context.is_none() {
            self.note("servers and context", "not given");
        }
        let context = context.map(|name| self.context(name)).transpose()?;
        Ok(match (servers, context) {
            (Some(servers), context) => Some(Found {
                access: context.map(|found| found.access).unwrap_or_default(),
                ..Found::address(servers, "servers")
            }),
            (None, context) => context,
        })
    }

    fn in_variables(&mut self) -> Result<Option<Found>, Error> {
        if let Some(url) = self.variable("LIBCHAT_URL") {
            return Ok(Some(Found::address(url, "LIBCHAT_URL")));
        }
        let url = self.variable("NATS_URL");
        let context = self.variable("NATS_CONTEXT").map(|name| self.context(&name)).transpose()?;
        Ok(match (url, context) {
            (Some(url), context) => Some(Found {
                access: context.map(|found| found.access).unwrap_or_default(),
                ..Found::address(url, "NATS_URL")
            }),
            (None, context) => context,
        })
    }

    fn variable(&mut self, name: &'static str) -> Option<String> {
        let value = self.env.variable(name);
        self.note(name, if value.is_some() { "set" } else { "not set" });
        value
    }

    fn context(&mut self, name: &str) -> Result<Found, Error> {
        let context = context::load(name, self.env)?;
        let from = context.path.display().to_string();
        self.note(&from, "read");
        Ok(Found { access: context.access, ..Found::address(context.url, from) })
    }

    fn in_hub_file(&mut self) -> Result<Option<Found>, Error> {
        let Some(path) = self.upward(HUB_FILE) else { return Ok(None) };
        let Some(hub) = Hub::read(&path)? else { return Ok(None) };
        let from = path.display().to_string();
        let state = if hub.server_name.is_empty() || hub.pid != 0 { "read" } else { "stopped" };
        self.note(&from, state);
        let mut access = Access::default();
        if !hub.user.is_empty() {
            access.login = Some(Setting::password(&hub.user, hub.password.reveal(), &from));
        }
        Ok(Some(Found { access, in_folder: true, ..Found::address(hub.url, from) }))
    }

    fn in_bones_file(&mut self) -> Result<Option<Found>, Error> {
        let Some(path) = self.upward(BONES_FILE) else { return Ok(None) };
        let from = path.display().to_string();
        let url = fs::read_to_string(&path).map_err(|cause| unreadable(&path, cause))?;
        if url.trim().is_empty() {
            self.note(&from, "empty");
            return Ok(None);
        }
        self.note(&from, "read");
        Ok(Some(Found { in_folder: true, ..Found::address(url.trim(), from) }))
    }

    /// The nearest file of this name, in the current folder or above it. One that another user
    /// has put there is passed over.
    fn upward(&mut self, name: &str) -> Option<PathBuf> {
        let folder = self.env.folder();
        let owner = folder.and_then(|folder| fs::metadata(folder).ok()).map(|it| it.uid());
        let (Some(folder), Some(owner)) = (folder, owner) else {
            self.note(name, "the current folder is gone");
            return None;
        };
        for path in self.env.upward(name) {
            match fs::metadata(&path) {
                Ok(file) if is_trusted(file.uid(), owner) => return Some(path),
                Ok(file) => {
                    let why = format!("owned by user {}, not used", file.uid());
                    self.note(&path.display().to_string(), &why);
                }
                Err(cause) if is_absence(&cause) => {}
                Err(cause) => self.note(&path.display().to_string(), &cause.to_string()),
            }
        }
        self.note(&format!("{} and upward", folder.join(name).display()), "absent");
        None
    }

    fn in_selected_context(&mut self) -> Result<Option<Found>, Error> {
        let Some((path, name)) = context::selected(self.env) else {
            self.note("nats context", "no home folder");
            return Ok(None);
        };
        let place = path.display().to_string();
        self.note(&place, name.as_deref().unwrap_or("no context selected"));
        name.map(|name| self.context(&name)).transpose()
    }
}

/// Whether a file that names a server may be followed: it is ours, the administrator's, or of
/// whoever owns the folder we work in.
fn is_trusted(owner: u32, folder_owner: u32) -> bool {
    owner == 0 || owner == folder_owner || owner == rustix::process::geteuid().as_raw()
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::System, format!("read {}", path.display())).because(cause)
}

fn filled(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|value| !value.is_empty())
}

fn access_of_options(options: &ConnectOptions, env: &Environment) -> Result<Access, Error> {
    let path = |field: &Option<PathBuf>| {
        let path = field.as_ref().filter(|path| !path.as_os_str().is_empty())?;
        Some(path.to_string_lossy().into_owned())
    };
    let (creds, nkey) = (path(&options.creds_file), path(&options.nkey_file));
    let (user, password) = (filled(&options.user), filled(&options.password));
    let mut access = Access {
        token: filled(&options.token).map(|token| Setting::secret(token, "token")),
        certificate: reference::certificate(
            ("tls_cert_file", path(&options.tls_cert_file).as_deref()),
            ("tls_key_file", path(&options.tls_key_file).as_deref()),
            env,
        )?,
        tls_first: options.tls_first.then(|| Setting::new(true, "yes", "tls_first")),
        js_domain: filled(&options.js_domain).map(|it| Setting::text(it, "js_domain")),
        inbox_prefix: filled(&options.inbox_prefix).map(|it| Setting::text(it, "inbox_prefix")),
        ..Access::default()
    };
    if let Some(ca) = path(&options.tls_ca_file) {
        access.ca = Some(reference::ca(&ca, env, "tls_ca_file")?);
    }
    match (user, creds, nkey) {
        (None, ..) if password.is_some() => return Err(refused("password: goes with user only")),
        (None, None, None) => {}
        (Some(user), None, None) => enter(&mut access, user, password, "user"),
        (None, Some(creds), None) => {
            access.login = Some(reference::creds(&creds, env, "creds_file")?);
        }
        (None, None, Some(nkey)) => {
            access.login = Some(reference::nkey(&nkey, env, "nkey_file")?);
        }
        _ => return Err(refused("user, creds_file, nkey_file: give one of them")),
    }
    Ok(access)
}

/// A user without a password is a token, as in the `nats` program and in addresses.
fn enter(access: &mut Access, user: &str, password: Option<&str>, from: &str) {
    match password {
        None if access.token.is_none() => access.token = Some(Setting::secret(user, from)),
        password => {
            let password = password.unwrap_or_default();
            access.login = Some(Setting::password(user, password, from));
        }
    }
}

fn access_of_variables(env: &Environment, with_login: bool) -> Result<Access, Error> {
    let variable = |name| env.variable(name);
    let mut access = Access {
        certificate: reference::certificate(
            ("NATS_CERT", variable("NATS_CERT").as_deref()),
            ("NATS_KEY", variable("NATS_KEY").as_deref()),
            env,
        )?,
        ..Access::default()
    };
    if let Some(ca) = variable("NATS_CA") {
        access.ca = Some(reference::ca(&ca, env, "NATS_CA")?);
    }
    if !with_login {
        return Ok(access);
    }
    access.token = variable("NATS_TOKEN").map(|token| Setting::secret(token, "NATS_TOKEN"));
    if let Some(user) = variable("NATS_USER") {
        enter(&mut access, &user, variable("NATS_PASSWORD").as_deref(), "NATS_USER");
    } else if let Some(creds) = variable("NATS_CREDS") {
        access.login = Some(reference::creds(&creds, env, "NATS_CREDS")?);
    } else if let Some(nkey) = variable("NATS_NKEY") {
        access.login = Some(reference::nkey(&nkey, env, "NATS_NKEY")?);
    }
    Ok(access)
}

/// The domain and the inbox prefix become parts of subjects.
fn check_names(access: &Access) -> Result<(), Error> {
    if let Some(domain) = &access.js_domain {
        check_domain(&domain.value, &domain.from)?;
    }
    access.inbox_prefix.as_ref().map_or(Ok(()), |prefix| check_prefix(&prefix.value, &prefix.from))
}

pub(crate) fn check_domain(domain: &str, from: &str) -> Result<(), Error> {
    if is_token(domain) && !domain.contains('.') {
        return Ok(());
    }
    Err(refused(&format!("{from}: {domain:?} is not one subject token")))
}

pub(crate) fn check_prefix(prefix: &str, from: &str) -> Result<(), Error> {
    // The server cuts the connection over a protocol line of more than 4,096.
    if prefix.len() <= 1024 && prefix.split('.').all(is_token) {
        return Ok(());
    }
    Err(refused(&format!("{from}: {prefix:?} is not a subject")))
}

fn is_token(text: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "*>".contains(c);
    !text.is_empty() && !text.contains(bad)
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, text)
}

fn origins(server: &Setting<String>, access: &Access) -> Vec<Origin> {
    fn origin<T>(what: &'static str, setting: &Option<Setting<T>>) -> Option<Origin> {
        let setting = setting.as_ref()?;
        Some(Origin { what, value: setting.shown.clone(), from: setting.from.clone() })
    }
    let server = Origin { what: "server", value: server.shown.clone(), from: server.from.clone() };
    [
        Some(server),
        origin("login", &access.login),
        origin("token", &access.token),
        origin("tls ca", &access.ca),
        origin("tls certificate", &access.certificate),
        origin("tls first", &access.tls_first),
        origin("js domain", &access.js_domain),
        origin("inbox prefix", &access.inbox_prefix),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::{JWT, SEED};

    const HUB: (&str, &str) =
        (".libchat/hub.json", r#"{"url":"nats://h:1","user":"u","password":"hunter2"}"#);
    const BONES: (&str, &str) = ("a/.bones/hub-nats-url", "nats://b:1\n");
    const SELECTED: (&str, &str) = ("home/.config/nats/context.txt", "prod\n");
    const PROD: (&str, &str) =
        ("home/.config/nats/context/prod.json", r#"{"url":"c:1","user":"c","password":"hunter2"}"#);

    /// Resolves in the folder `/w/a/b` of a machine that has these files below `/w` and these
    /// variables.
    fn resolve_in(
        files: &[(&str, &str)],
        variables: &[(&str, &str)],
        options: ConnectOptions,
    ) -> Result<Resolved, String> {
        let top = tempfile::tempdir().expect("scratch folder");
        let creds = format!("{JWT}\n{SEED}\n");
        let standing = [("a/b/x.creds", creds.as_str()), ("a/b/x.pem", "")];
        for (path, text) in files.iter().chain(&standing) {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            fs::write(path, text).expect("file");
        }
        let rename = |text: &str| text.replace(&*top.path().to_string_lossy(), "/w");
        let env = Environment::of_test(top.path(), "a/b", variables);
        let mut resolved = resolve(&options, &env).map_err(|error| {
            assert!(!format!("{error:#} {error:?}").contains("hunter2"));
            rename(&error.to_string())
        })?;
        assert!(!format!("{resolved:?}").contains("hunter2"));
        for origin in &mut resolved.origins {
            origin.value = rename(&origin.value);
            origin.from = rename(&origin.from);
        }
        for line in &mut resolved.tried {
            *line = rename(line);
        }
        Ok(resolved)
    }

    /// Compares with the origins, one `what value (from)` each.
    #[track_caller]
    fn check(
        files: &[(&str, &str)],
        variables: &[(&str, &str)],
        options: ConnectOptions,
        expected: Result<&[&str], &str>,
    ) {
        let found = resolve_in(files, variables, options).map(|found| {
            let show = |it: &Origin| format!("{} {} ({})", it.what, it.value, it.from);
            found.origins.iter().map(show).collect::<Vec<_>>()
        });
        let expected = expected.map(|them| them.iter().map(|it| it.to_string()).collect());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    fn options() -> ConnectOptions {
        ConnectOptions::default()
    }

    fn servers(list: &str) -> ConnectOptions {
        ConnectOptions { servers: Some(list.into()), ..options() }
    }

    fn named(context: &str) -> ConnectOptions {
        ConnectOptions { context: Some(context.into()), ..options() }
    }

    const HUB_PLACE: [&str; 2] = [
        "server nats://h:1 (/w/.libchat/hub.json)",
        "login user u, password set (/w/.libchat/hub.json)",
    ];
    const PROD_PLACE: [&str; 2] = [
        "server nats://c:1 (/w/home/.config/nats/context/prod.json)",
        "login user c, password set (/w/home/.config/nats/context/prod.json: user)",
    ];

    #[test]
    fn the_first_place_that_names_a_server_is_taken() {
        let files = [HUB, BONES, SELECTED, PROD];
        let all = [("LIBCHAT_URL", "l"), ("NATS_URL", "n"), ("NATS_CONTEXT", "prod")];
        check(&files, &all, servers("o:1,o:2"), Ok(&["server nats://o:1,nats://o:2 (servers)"]));
        check(&files, &all, named("prod"), Ok(&PROD_PLACE));
        check(&files, &all, options(), Ok(&["server nats://l (LIBCHAT_URL)"]));
        check(&files, &all[1..2], options(), Ok(&["server nats://n (NATS_URL)"]));
        check(&files, &all[2..], options(), Ok(&PROD_PLACE));
        check(&files, &[("NATS_URL", "")], options(), Ok(&HUB_PLACE));
        let bones = "server nats://b:1 (/w/a/.bones/hub-nats-url)";
        check(&files[1..], &[], options(), Ok(&[bones]));
        check(&files[2..], &[], options(), Ok(&PROD_PLACE));
        check(&files[3..], &[], options(), Ok(&["server nats://127.0.0.1:4222 (default)"]));
    }

    #[test]
    fn the_nearest_hub_file_is_taken() {
        let near = ("a/.libchat/hub.json", r#"{"url":"tls://near"}"#);
        check(&[HUB, near], &[], options(), Ok(&["server tls://near (/w/a/.libchat/hub.json)"]));
    }

    #[test]
    fn servers_and_a_context_share_the_work() {
        let expected = |place| [place, PROD_PLACE[1]];
        let both = ConnectOptions { servers: Some("o".into()), ..named("prod") };
        check(&[PROD], &[], both, Ok(&expected("server nats://o (servers)")));
        let both = [("NATS_URL", "n"), ("NATS_CONTEXT", "prod")];
        check(&[PROD], &both, options(), Ok(&expected("server nats://n (NATS_URL)")));
    }

    #[test]
    fn a_login_is_the_calls_the_addresss_the_sources_or_the_variables() {
        let user = |user: &str| ConnectOptions {
            user: Some(user.into()),
            password: Some("hunter2".into()),
            ..options()
        };
        check(&[HUB], &[], user("o"), Ok(&[HUB_PLACE[0], "login user o, password set (user)"]));
        let url = [("NATS_URL", "u:hunter2@n"), ("NATS_USER", "v"), ("NATS_PASSWORD", "hunter2")];
        let server = "server nats://n (NATS_URL)";
        check(&[], &url, options(), Ok(&[server, "login user u, password set (NATS_URL)"]));
        check(&[], &url, user("o"), Ok(&[server, "login user o, password set (user)"]));
        let default = "server nats://127.0.0.1:4222 (default)";
        let login = "login user v, password set (NATS_USER)";
        check(&[], &url[1..], options(), Ok(&[default, login]));
        check(&[], &url[1..2], options(), Ok(&[default, "token set (NATS_USER)"]));
        let creds = [("NATS_CREDS", "x.creds"), ("NATS_NKEY", "none")];
        check(&[], &creds, options(), Ok(&[default, "login creds x.creds (NATS_CREDS)"]));
        check(&[SELECTED, PROD], &creds, options(), Ok(&PROD_PLACE));
        let nkey = ConnectOptions { nkey_file: Some("x.creds".into()), ..options() };
        check(&[], &[], nkey, Ok(&[default, "login nkey x.creds (nkey_file)"]));
    }

    #[test]
    fn a_file_in_the_folder_draws_no_login_from_the_variables() {
        let variables = [("NATS_TOKEN", "hunter2"), ("NATS_CA", "x.pem")];
        check(
            &[BONES],
            &variables,
            options(),
            Ok(&["server nats://b:1 (/w/a/.bones/hub-nats-url)"]),
        );
        let found = [
            "server nats://n (servers)",
            "token set (NATS_TOKEN)",
            "tls ca /w/a/b/x.pem (NATS_CA)",
        ];
        check(&[BONES], &variables, servers("n"), Ok(&found));
    }

    #[test]
    fn the_other_options_are_taken_over_a_contexts() {
        let options = ConnectOptions {
            tls_cert_file: Some("x.pem".into()),
            tls_key_file: Some("x.pem".into()),
            tls_first: true,
            tls_required: true,
            js_domain: Some("hub".into()),
            token: Some("hunter2".into()),
            ..named("dev")
        };
        let dev = r#"{"jetstream_domain":"leaf","inbox_prefix":"_IN.x","user":"d"}"#;
        let dev = ("home/.config/nats/context/dev.json", dev);
        let place = "/w/home/.config/nats/context/dev.json";
        let found = resolve_in(&[dev], &[], options.clone()).expect("resolves");
        assert!(found.tls_first && found.tls_required && found.tls_certificate.is_some());
        check(
            &[dev],
            &[],
            options,
            Ok(&[
                &format!("server nats://127.0.0.1:4222 ({place})"),
                &format!("login user d, password set ({place}: user)"),
                "token set (token)",
                "tls certificate /w/a/b/x.pem (tls_cert_file)",
                "tls first yes (tls_first)",
                "js domain hub (js_domain)",
                &format!("inbox prefix _IN.x ({place}: inbox_prefix)"),
            ]),
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refuses = |options, why| check(&[], &[], options, Err(why));
        refuses(
            ConnectOptions { password: Some("hunter2".into()), ..options() },
            "password: goes with user only",
        );
        refuses(
            ConnectOptions {
                creds_file: Some("a".into()),
                nkey_file: Some("b".into()),
                ..options()
            },
            "user, creds_file, nkey_file: give one of them",
        );
        refuses(
            ConnectOptions { tls_key_file: Some("x.pem".into()), ..options() },
            "tls_key_file: goes with tls_cert_file only",
        );
        refuses(
            ConnectOptions { creds_file: Some("none".into()), ..options() },
            "creds_file: read /w/a/b/none",
        );
        refuses(
            ConnectOptions { tls_ca_file: Some("none".into()), ..options() },
            "tls_ca_file: no file /w/a/b/none",
        );
        refuses(
            ConnectOptions { js_domain: Some("a.b".into()), ..options() },
            "js_domain: \"a.b\" is not one subject token",
        );
        refuses(
            ConnectOptions { inbox_prefix: Some("_IN.".into()), ..options() },
            "inbox_prefix: \"_IN.\" is not a subject",
        );
        refuses(
            servers("ws://u:hunter2@a"),
            "servers: server a: scheme \"ws\": only nats and tls are supported",
        );
        refuses(
            named("prod"),
            "context \"prod\": not in /w/home/.config/nats/context (there: none)",
        );
    }

    #[test]
    fn a_malformed_file_is_an_error() {
        let hub = (HUB.0, "{\"url\":\"nats://a\",\"user\":\"hunter2\",}");
        check(&[hub], &[], options(), Err("/w/.libchat/hub.json: not JSON (line 1, column 36)"));
        let url = (BONES.0, "http://a");
        let why = "server a: scheme \"http\": only nats and tls are supported";
        check(&[url], &[], options(), Err(&format!("/w/a/.bones/hub-nats-url: {why}")));
    }

    #[test]
    fn every_place_looked_at_is_told() {
        let found =
            resolve_in(&[(BONES.0, " \n")], &[("NATS_URL", "")], options()).expect("default");
        assert_eq!(
            found.tried,
            [
                "servers and context: not given",
                "LIBCHAT_URL: not set",
                "NATS_URL: not set",
                "NATS_CONTEXT: not set",
                "/w/a/b/.libchat/hub.json and upward: absent",
                "/w/a/.bones/hub-nats-url: empty",
                "/w/home/.config/nats/context.txt: no context selected",
                "default: nats://127.0.0.1:4222",
            ]
        );
        assert!(resolve_in(&[], &[], servers("a")).expect("given").tried.is_empty());
        let stopped = (HUB.0, r#"{"url":"nats://h","server_name":"libchat-1"}"#);
        let found = resolve_in(&[stopped], &[], options()).expect("a stopped hub");
        assert_eq!(found.tried.last().map(String::as_str), Some("/w/.libchat/hub.json: stopped"));
    }

    #[test]
    fn a_file_of_another_user_is_not_followed() {
        let me = rustix::process::geteuid().as_raw();
        let other = me + 1;
        assert!(is_trusted(me, other) && is_trusted(0, other) && is_trusted(other, other));
        assert!(!is_trusted(other, me));
    }
}
