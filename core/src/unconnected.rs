//! Why connecting failed, in words for one who has not seen the handshake.

use std::error::Error as StdError;
use std::io;

use async_nats::rustls::pki_types::UnixTime;
use async_nats::rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};
use async_nats::{ConnectError, ConnectErrorKind};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::access::Login;
use crate::error::{ErrorKind, root};

/// What went wrong, and what to do about it.
pub(crate) struct Reason {
    pub(crate) kind: ErrorKind,
    pub(crate) text: String,
    pub(crate) hint: String,
}

fn reason(kind: ErrorKind, text: impl Into<String>, hint: impl Into<String>) -> Reason {
    Reason { kind, text: text.into(), hint: hint.into() }
}

pub(crate) fn explain(cause: &ConnectError, login: &Login) -> Reason {
    use ErrorKind::{Disconnected, InvalidArgument};
    if let Some(tls) = tls_error(cause) {
        return explain_tls(tls);
    }
    let text = root(cause);
    match cause.kind() {
        ConnectErrorKind::AuthorizationViolation => unauthorized(text, login),
        ConnectErrorKind::Authentication => reason(
            InvalidArgument,
            "the seed is damaged",
            "take the nkey or credentials file from where it was made once more",
        ),
        ConnectErrorKind::ServerParse => {
            reason(InvalidArgument, text, "an address reads nats://host:port")
        }
        ConnectErrorKind::Tls if text == "could not add certificate or key" => reason(
            InvalidArgument,
            "the key is not the certificate's",
            "tls_key_file must hold the key of the certificate in tls_cert_file",
        ),
        ConnectErrorKind::Tls => reason(
            InvalidArgument,
            text,
            "check the files of the authority, of the certificate and of its key",
        ),
        // Before TLS or in its stead there is only the server's silence.
        ConnectErrorKind::Io if text == "expected INFO, got nothing" => reason(
            Disconnected,
            "the server said nothing",
            "no NATS server listens there, or one that wants TLS first: then set tls_first",
        ),
        _ => reason(
            Disconnected,
            text,
            "start one for this folder with `libchat up`, or name one in LIBCHAT_URL",
        ),
    }
}

/// The server says no more than that it refuses; of credentials that have expired we can tell.
fn unauthorized(text: String, login: &Login) -> Reason {
    let hint = || "check user, password, token or credentials".into();
    reason(ErrorKind::Unauthorized, text, expired(login).unwrap_or_else(hint))
}

/// What to do about credentials that have expired.
pub(crate) fn expired(login: &Login) -> Option<String> {
    let time = login.expired_at()?;
    Some(format!("the credentials expired at {}: connect anew with others", shown(time)))
}

fn tls_error(cause: &ConnectError) -> Option<&TlsError> {
    let mut link: Option<&(dyn StdError + 'static)> = Some(cause);
    while let Some(error) = link {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = inner.and_then(|it| it.downcast_ref::<TlsError>()) {
            return Some(tls);
        }
        link = error.source();
    }
    None
}

fn explain_tls(error: &TlsError) -> Reason {
    use ErrorKind::{Disconnected, Unauthorized};
    match error {
        TlsError::InvalidCertificate(why) => certificate(why),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => reason(
            Disconnected,
            "the server answers without TLS",
            "it offers none, or not first: check tls_required, tls:// and tls_first",
        ),
        TlsError::AlertReceived(alert) if is_about_us(*alert) => reason(
            Unauthorized,
            format!("the server refuses the client certificate, or that there is none ({alert:?})"),
            "give one that its authority has signed: tls_cert_file and tls_key_file",
        ),
        other => reason(
            Disconnected,
            other.to_string(),
            "check the certificate authority and the certificate's host name",
        ),
    }
}

fn is_about_us(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::NoCertificate
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate
    )
}

fn certificate(why: &CertificateError) -> Reason {
    use CertificateError as Why;
    let text = match why {
        // Also where the authority has the name of one that is trusted, and another key.
        Why::UnknownIssuer | Why::BadSignature => {
            "signed by an authority that is not trusted".into()
        }
        Why::ExpiredContext { not_after, .. } => format!("expired, since {}", unix(*not_after)),
        Why::NotValidYetContext { not_before, .. } => {
            format!("not valid before {}", unix(*not_before))
        }
        other => other.to_string().trim_start_matches("certificate ").to_owned(),
    };
    let hint = match why {
        Why::UnknownIssuer | Why::BadSignature => "give the file of its authority: tls_ca_file",
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "connect by a name that the certificate is for"
        }
        Why::Expired
        | Why::ExpiredContext { .. }
        | Why::NotValidYet
        | Why::NotValidYetContext { .. } => {
            "the server needs another one, unless this machine's clock is wrong"
        }
        _ => "the server needs another one",
    };
    reason(ErrorKind::Disconnected, format!("the server's certificate is {text}"), hint)
}

fn unix(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).map_or_else(|_| "?".into(), shown)
}

fn shown(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}
