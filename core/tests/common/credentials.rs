//! An operator with one account, as `nsc` would make them, and users of it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

pub(crate) struct Operator {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Operator {
        let account = KeyPair::new_account;
        Operator { operator: KeyPair::new_operator(), system: account(), account: account() }
    }

    /// Lines of a server's configuration.
    pub(crate) fn config(&self) -> String {
        let operator = json!({"nats": {"type": "operator", "version": 2}});
        let accounts = [(&self.system, 0), (&self.account, -1)].map(|(account, storage)| {
            let limits = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1,
                "exports": -1, "wildcards": true, "conn": -1, "leaf": -1, "mem_storage": storage,
                "disk_storage": storage, "streams": storage, "consumer": storage});
            let claims = json!({"nats": {"type": "account", "version": 2, "limits": limits}});
            format!("{}: {}", account.public_key(), signed(&self.operator, account, claims))
        });
        format!(
            "authorization {{}}\noperator: {}\nsystem_account: {}\nresolver: MEMORY\n\
             resolver_preload: {{\n{}\n}}",
            signed(&self.operator, &self.operator, operator),
            self.system.public_key(),
            accounts.join("\n"),
        )
    }

    /// The text of a credentials file; `expires` in Unix seconds.
    pub(crate) fn user(&self, expires: Option<i64>) -> String {
        let key = KeyPair::new_user();
        self.user_with(&key, &key, expires)
    }

    /// With the seed of another key than the JWT is about.
    pub(crate) fn user_with_anothers_seed(&self) -> String {
        self.user_with(&KeyPair::new_user(), &KeyPair::new_user(), None)
    }

    fn user_with(&self, key: &KeyPair, secret: &KeyPair, expires: Option<i64>) -> String {
        let user = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let mut claims = json!({"nats": user});
        if let Some(expires) = expires {
            claims["exp"] = expires.into();
        }
        let jwt = signed(&self.account, key, claims);
        let seed = secret.seed().expect("a seed");
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

fn signed(issuer: &KeyPair, subject: &KeyPair, mut claims: Value) -> String {
    claims["iss"] = issuer.public_key().into();
    claims["sub"] = subject.public_key().into();
    claims["name"] = "test".into();
    claims["iat"] = 1_700_000_000.into();
    claims["jti"] = "test".into();
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let unsigned = format!("{header}.{}", part(claims));
    let signature = issuer.sign(unsigned.as_bytes()).expect("signed");
    format!("{unsigned}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
