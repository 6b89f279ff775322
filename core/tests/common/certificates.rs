//! A certificate authority for one test.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

/// Signs certificates and keeps them as PEM files, which go with it.
pub(crate) struct Authority {
    folder: TempDir,
    certificate: Certificate,
    key: KeyPair,
}

/// A certificate and its key, as PEM files.
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        let folder = tempfile::tempdir().expect("a scratch folder");
        write(&folder.path().join("ca.pem"), "CERTIFICATE", certificate.der());
        Authority { folder, certificate, key }
    }

    /// What whoever trusts it is given.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// For a host or an agent of this name.
    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.sign(name, params(name))
    }

    /// One that was good until 2020.
    pub(crate) fn issue_expired(&self, name: &str) -> Pair {
        let mut params = params(name);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign("expired", params)
    }

    fn sign(&self, file: &str, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.certificate, &self.key).expect("signed");
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        let pair = Pair { cert: path("pem"), key: path("key") };
        write(&pair.cert, "CERTIFICATE", signed.der());
        write(&pair.key, "PRIVATE KEY", &key.serialize_der());
        pair
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn write(path: &Path, label: &str, der: &[u8]) {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).expect("ASCII")).collect();
    let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
    std::fs::write(path, pem).expect("written");
}
