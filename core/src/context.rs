//! Contexts of the `nats` program, read as it reads them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::access::{Access, Login, Secret, Setting, seed_in};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::hub_file::{is_absence, malformed};
use crate::reference;

/// What a context says.
pub(crate) struct Context {
    pub(crate) path: PathBuf,
    pub(crate) url: String,
    pub(crate) access: Access,
}

/// The file that names the selected context, and the name in it.
pub(crate) fn selected(env: &Environment) -> Option<(PathBuf, Option<String>)> {
    let path = env.config_folder()?.join("nats/context.txt");
    let name = fs::read_to_string(&path).ok().map(|name| name.trim().to_owned());
    Some((path, name.filter(|name| !name.is_empty())))
}

/// Loads the context `name`, or the file itself if `name` is the path of a `.json` file.
pub(crate) fn load(name: &str, env: &Environment) -> Result<Context, Error> {
    let path = locate(name, env)?;
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if is_absence(&cause) => return Err(missing(name, &path)),
        Err(cause) => {
            let text = format!("read {}", path.display());
            return Err(Error::new(ErrorKind::System, text).because(cause));
        }
    };
    read(&text, path, env)
}

/// Reads the text of the context that lies at `path`.
pub(crate) fn read(text: &str, path: PathBuf, env: &Environment) -> Result<Context, Error> {
    let file: File = serde_json::from_str(text).map_err(|cause| malformed(&path, &cause))?;
    let reader = Reader { file: &file, env, place: path.display().to_string() };
    reader.refuse_unsupported()?;
    let access = reader.access()?;
    let url = file.url.filter(|url| !url.is_empty());
    Ok(Context { path, url: url.unwrap_or_else(|| "nats://127.0.0.1:4222".into()), access })
}

fn locate(name: &str, env: &Environment) -> Result<PathBuf, Error> {
    let direct = env.path(name);
    if name.ends_with(".json") && direct.is_file() {
        return Ok(direct);
    }
    if name.is_empty() || name.contains("..") || name.contains(['/', '\\']) {
        let text = format!("context {name:?}: neither a name nor a .json file that is there");
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    let folder = env.config_folder().ok_or_else(|| {
        let text = format!("context {name:?}: this user has no home folder to look in");
        Error::new(ErrorKind::NotFound, text)
    })?;
    Ok(folder.join("nats/context").join(format!("{name}.json")))
}

fn missing(name: &str, path: &Path) -> Error {
    let folder = path.parent().unwrap_or(path);
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.into()))
        .collect();
    names.sort_unstable();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let text = format!("context {name:?}: not in {} (there: {there})", folder.display());
    Error::new(ErrorKind::NotFound, text)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    url: Option<String>,
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    creds: Option<String>,
    nkey: Option<String>,
    user_jwt: Option<String>,
    user_seed: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    ca: Option<String>,
    tls_first: Option<bool>,
    jetstream_domain: Option<String>,
    inbox_prefix: Option<String>,
    jetstream_api_prefix: Option<String>,
    nsc: Option<String>,
    socks_proxy: Option<String>,
    windows_cert_store: Option<String>,
}

struct Reader<'a> {
    file: &'a File,
    env: &'a Environment,
    place: String,
}

/// The `nats` program writes every field, empty where there is nothing.
fn given(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|value| !value.is_empty())
}

impl Reader<'_> {
    fn at(&self, field: &str) -> String {
        format!("{}: {field}", self.place)
    }

    fn refuse(&self, field: &str, why: &str, hint: &'static str) -> Error {
        let text = format!("{}: {why}", self.at(field));
        Error::new(ErrorKind::InvalidArgument, text).hint(hint)
    }

    fn refuse_unsupported(&self) -> Result<(), Error> {
        let file = self.file;
        let unsupported = [
            (
                "socks_proxy",
                &file.socks_proxy,
                "use a context without a proxy, or forward a local port to the server",
            ),
            (
                "nsc",
                &file.nsc,
                "write the credentials to a file with `nsc generate creds` and set `creds`",
            ),
            ("windows_cert_store", &file.windows_cert_store, "set `cert` and `key` to PEM files"),
            (
                "jetstream_api_prefix",
                &file.jetstream_api_prefix,
                "set `jetstream_domain` instead, if the prefix is that of a domain",
            ),
        ];
        match unsupported.into_iter().find(|(_, value, _)| given(value).is_some()) {
            Some((field, _, hint)) => Err(self.refuse(field, "is not supported", hint)),
            None => Ok(()),
        }
    }

    fn access(&self) -> Result<Access, Error> {
        let file = self.file;
        let text = |name, field| given(field).map(|value| Setting::text(value, self.at(name)));
        let mut access = Access {
            login: self.login()?,
            certificate: reference::certificate(
                (&self.at("cert"), given(&file.cert)),
                (&self.at("key"), given(&file.key)),
                self.env,
            )?,
            js_domain: text("jetstream_domain", &file.jetstream_domain),
            inbox_prefix: text("inbox_prefix", &file.inbox_prefix),
            ..Access::default()
        };
        if let Some(token) = given(&file.token) {
            let token = self.literal("token", token)?;
            access.token = Some(Setting::secret(token, self.at("token")));
        }
        if let Some(ca) = given(&file.ca) {
            access.ca = Some(reference::ca(ca, self.env, &self.at("ca"))?);
        }
        if file.tls_first == Some(true) {
            access.tls_first = Some(Setting::new(true, "yes", self.at("tls_first")));
        }
        Ok(access)
    }

    /// The first of user, creds, nkey, JWT with seed, JWT, as the `nats` program takes them.
    fn login(&self) -> Result<Option<Setting<Login>>, Error> {
        let file = self.file;
        if let Some(user) = given(&file.user) {
            let password = self.literal("password", given(&file.password).unwrap_or_default())?;
            return Ok(Some(Setting::password(user, &password, &self.at("user"))));
        }
        if let Some(creds) = given(&file.creds) {
            return reference::creds(creds, self.env, &self.at("creds")).map(Some);
        }
        if let Some(nkey) = given(&file.nkey) {
            return reference::nkey(nkey, self.env, &self.at("nkey")).map(Some);
        }
        let Some(jwt) = given(&file.user_jwt) else { return Ok(None) };
        let jwt = self.literal("user_jwt", jwt)?;
        let Some(seed) = given(&file.user_seed) else {
            let login = Login::Jwt(Secret::new(jwt));
            return Ok(Some(Setting::new(login, "bearer JWT set", self.at("user_jwt"))));
        };
        let seed = self.literal("user_seed", seed)?;
        let hint = "it is the line that starts with SU in a credentials file";
        let seed =
            seed_in(&seed).ok_or_else(|| self.refuse("user_seed", "is no user seed", hint))?;
        let login = Login::from_jwt_and_seed(&jwt, seed);
        Ok(Some(Setting::new(login, "JWT and seed set", self.at("user_jwt"))))
    }

    fn literal(&self, field: &str, value: &str) -> Result<String, Error> {
        reference::read_literal(value, self.env, &self.at(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::{JWT, SEED};

    /// Loads the text as the context `x`, written to a scratch folder where `a.creds` and `a.pem`
    /// lie too; the folder's path reads `/w` in what comes back.
    fn load_text(text: &str) -> Result<Context, String> {
        let folder = tempfile::tempdir().expect("scratch folder");
        let contexts = folder.path().join("home/.config/nats/context");
        fs::create_dir_all(&contexts).expect("folder");
        fs::write(contexts.join("x.json"), text).expect("context");
        fs::write(folder.path().join("a.creds"), format!("{JWT}\n{SEED}")).expect("creds");
        fs::write(folder.path().join("a.pem"), "").expect("certificate");
        let variables = [("DIR", folder.path().to_str().expect("path")), ("PW", "hunter2\n")];
        load("x", &Environment::of_test(folder.path(), "", &variables))
            .map_err(|error| format!("{error:#}").replace(&*folder.path().to_string_lossy(), "/w"))
    }

    #[track_caller]
    fn enters(text: &str, expected: &str) {
        let context = load_text(text).expect(text);
        let login = context.access.login.expect(text);
        assert_eq!(login.shown, expected);
    }

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        let error = load_text(text).err().expect(text);
        assert_eq!(error, format!("/w/home/.config/nats/context/x.json: {expected}"));
    }

    #[test]
    fn the_order_of_logins_is_that_of_the_nats_program() {
        enters(
            r#"{"user":"ana","password":"p","creds":"none","nkey":"n"}"#,
            "user ana, password set",
        );
        enters(r#"{"creds":"${DIR}/a.creds","nkey":"none"}"#, "creds ${DIR}/a.creds");
        enters(r#"{"nkey":"file://$DIR/a.creds","user_jwt":"j"}"#, "nkey file://$DIR/a.creds");
        enters(&format!(r#"{{"user_jwt":"{JWT}","user_seed":"{SEED}"}}"#), "JWT and seed set");
        enters(&format!(r#"{{"user_jwt":"{JWT}","user_seed":""}}"#), "bearer JWT set");
    }

    #[test]
    fn a_token_comes_on_top_and_secrets_may_be_references() {
        let text = r#"{"user":"ana","password":"env://PW","token":"data:;base64,aHVu"}"#;
        let access = load_text(text).expect(text).access;
        let login = access.login.expect("a login").value;
        assert_eq!(login, Setting::password("ana", "hunter2", "x").value);
        assert_eq!(access.token.expect("a token").value.reveal(), "hun");
    }

    #[test]
    fn the_other_fields_are_read_and_nothing_is_like_absent() {
        let text = r#"{"url":"","nkey":"","cert":"a.pem","key":"file://a.pem","ca":"a.pem",
            "tls_first":true,"jetstream_domain":"hub","inbox_prefix":"_IN.ana","token":null,
            "description":"x","color_scheme":"y","socks_proxy":"","jetstream_event_prefix":"z"}"#;
        let context = load_text(text).expect(text);
        let access = context.access;
        assert_eq!(context.url, "nats://127.0.0.1:4222");
        assert!(access.certificate.is_some() && access.ca.is_some() && access.tls_first.is_some());
        assert_eq!(access.js_domain.expect("domain").value, "hub");
        assert_eq!(access.inbox_prefix.expect("prefix").value, "_IN.ana");
        assert!(access.login.is_none() && access.token.is_none());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        refuses(r#"{"socks_proxy":"socks5://a"}"#, "socks_proxy: is not supported");
        refuses(r#"{"nsc":"nsc://o/a/u"}"#, "nsc: is not supported");
        refuses(r#"{"windows_cert_store":"user"}"#, "windows_cert_store: is not supported");
        refuses(r#"{"jetstream_api_prefix":"$JS.x"}"#, "jetstream_api_prefix: is not supported");
        refuses(r#"{"creds":"op://a/b/c"}"#, "creds: op: references are not supported");
        refuses(r#"{"ca":"op://a/b/c"}"#, "ca: op: is not a path");
        refuses(
            r#"{"cert":"a.pem"}"#,
            "cert: goes with /w/home/.config/nats/context/x.json: key only",
        );
        refuses(r#"{"user_jwt":"a","user_seed":"hunter2"}"#, "user_seed: is no user seed");
        refuses(r#"{"password":12345}"#, "a value of the wrong type (line 1, column 17)");
        refuses("password", "not JSON (line 1, column 1)");
    }

    #[test]
    fn a_context_is_a_name_or_a_json_file() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let contexts = folder.path().join("home/.config/nats/context");
        fs::create_dir_all(&contexts).expect("folder");
        for name in ["prod.json", "dev.json", "notes.txt"] {
            fs::write(contexts.join(name), "{}").expect("context");
        }
        let env = Environment::of_test(folder.path(), "", &[]);
        load("home/.config/nats/context/dev.json", &env).expect("a file");

        let text = |name| load(name, &env).err().expect(name).to_string();
        let there = format!("context \"x\": not in {} (there: dev, prod)", contexts.display());
        assert_eq!(text("x"), there);
        let why = "neither a name nor a .json file that is there";
        assert_eq!(text("../dev"), format!("context \"../dev\": {why}"));
        assert_eq!(text("no/such.json"), format!("context \"no/such.json\": {why}"));
    }
}
