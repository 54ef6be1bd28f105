//! What usually stands behind a failure, in words for whoever has to mend it.

use crate::error::{Failure, Stage, is_cut, refusal};
use rustls::{AlertDescription, CertificateError, Error};
use std::fmt;
use std::io::ErrorKind;

/// AWS IoT closes the connection, or refuses it, for each of these alike (PROTOCOL 13.2 and 14).
const CONNECT_REFUSED_HINT: &str = "usually the client id is not the thing name, the policy does not allow iot:Connect for it, or the certificate is not \
                           ACTIVE or not registered with the endpoint";
const CERTIFICATE_REFUSED: &str =
    "the endpoint does not take the thing's certificate: usually it, or its CA, is not registered there";

const CLOSED_EARLY: &str = "the endpoint closed the connection before CONNACK";

/// A failure with its usual cause, where it has one.
pub struct Explained<'a> {
    /// What failed.
    pub stage: Stage,
    /// How.
    pub failure: &'a Failure,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, failure } = self;
        match failure {
            Failure::Closed if *stage == Stage::Mqtt => write!(f, "{CLOSED_EARLY}")?,
            Failure::Io(error) if *stage == Stage::Mqtt && is_cut(error.kind()) => write!(f, "{CLOSED_EARLY} ({})", error.kind())?,
            failure => write!(f, "{failure}")?,
        }
        match cause(*stage, failure) {
            Some(cause) => write!(f, "; {cause}"),
            None => Ok(()),
        }
    }
}

fn cause(stage: Stage, failure: &Failure) -> Option<&'static str> {
    match failure {
        Failure::Closed if stage == Stage::Mqtt => Some(CONNECT_REFUSED_HINT),
        Failure::Refused(word) if refusal::is_of_client(word) => Some(CONNECT_REFUSED_HINT),
        Failure::Refused(word) if refusal::is_limit(word) => {
            Some("usually too many connects a second for the endpoint: lower fleet.connect.rate")
        }
        Failure::SubscriptionRefused(_) => {
            Some("usually the policy does not allow iot:Subscribe for the job topics of the thing (iot:Receive goes with it)")
        }
        Failure::Route(route) => no_way(route.error.kind()),
        Failure::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(tls) => of_tls(tls),
            None => hung_up(stage, error.kind()),
        },
        _ => None,
    }
}

fn no_way(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::AddrNotAvailable => {
            Some("no local port is left on this way, or the address is not of this host: use more target.source_ips, or more hosts")
        }
        ErrorKind::ConnectionRefused => Some("nothing listens there: are target.host and target.port right?"),
        _ => None,
    }
}

fn hung_up(stage: Stage, kind: ErrorKind) -> Option<&'static str> {
    match stage {
        Stage::Mqtt if is_cut(kind) => Some(CONNECT_REFUSED_HINT),
        Stage::Tls if is_cut(kind) => Some(
            "usually the port speaks no TLS, or the endpoint does not know the server name (target.server_name) or takes no such \
             certificate",
        ),
        _ => None,
    }
}

fn of_tls(error: &Error) -> Option<&'static str> {
    match error {
        // TLS 1.3 has the client's certificate refused when its handshake is over already.
        Error::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => Some(CERTIFICATE_REFUSED),
            AlertDescription::CertificateExpired => {
                Some("the endpoint finds the thing's certificate expired: whose clock is wrong?")
            }
            AlertDescription::CertificateRevoked => Some("the thing's certificate is revoked at the endpoint"),
            AlertDescription::CertificateRequired => Some("the endpoint wants a client certificate, and took none of the thing's"),
            AlertDescription::NoApplicationProtocol => Some("the endpoint knows no protocol of that name: is target.alpn right?"),
            AlertDescription::UnrecognisedName => Some("the endpoint has no such name: is target.server_name right?"),
            AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
                Some("the two sides have no TLS version, cipher or kind of key in common")
            }
            _ => None,
        },
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(
            "the endpoint's certificate is of another CA: target.tls.ca must be the one that signed it (left out: Amazon's roots)",
        ),
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            Some("the endpoint's certificate is for another name: set target.server_name to one that it has")
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Some("the endpoint's certificate has expired, or this host's clock is wrong")
        }
        Error::InvalidMessage(_) => Some("usually the port speaks no TLS: is target.port right?"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_closed_before_connack_says_what_usually_causes_it() {
        let text = Explained { stage: Stage::Mqtt, failure: &Failure::Closed }.to_string();
        assert!(text.contains("before CONNACK") && text.contains("client id") && text.contains("iot:Connect"), "{text}");
        assert_eq!(
            Explained { stage: Stage::Subscribe, failure: &Failure::Closed }.to_string(),
            "the endpoint closed the connection"
        );
    }

    #[test]
    fn alerts_and_refusals_say_it_too() {
        let alert = |alert| Failure::from(std::io::Error::other(Error::AlertReceived(alert)));
        for (failure, word) in [
            (alert(AlertDescription::UnknownCA), "registered"),
            (alert(AlertDescription::NoApplicationProtocol), "target.alpn"),
            (Failure::Refused("not_authorized"), "iot:Connect"),
            (Failure::Refused("identifier_rejected"), "iot:Connect"),
            (Failure::Refused("quota_exceeded"), "fleet.connect.rate"),
            (std::io::Error::other(Error::InvalidCertificate(CertificateError::UnknownIssuer)).into(), "target.tls.ca"),
        ] {
            let text = Explained { stage: Stage::Mqtt, failure: &failure }.to_string();
            assert!(text.starts_with(&failure.to_string()) && text.contains(word), "{text}");
        }
    }
}
