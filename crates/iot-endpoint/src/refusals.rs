//! Who was not let in, for the log: each reason at once when it comes up, then now and then with how often it came.

use host::clock;
use iot_jobs::instant::Mono;
use rustls::{AlertDescription, CertificateError, Error};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// From one line of a reason to its next.
const INTERVAL: Duration = Duration::from_secs(10);
/// Reasons that are told apart; some have words of the client's in them.
const REASONS_MAX: usize = 64;
const OTHER_REASONS: &str = "other reasons";
/// How much is told of what a client calls itself.
const NAME_CHARS_MAX: usize = 128;

/// Where somebody was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RefusedAt {
    /// Before anything but its certificate was known.
    Handshake,
    /// At CONNECT, with a client id.
    Connect,
    /// What an MQTT client wanted to do once it was connected.
    Mqtt,
    /// A request.
    Https,
}

impl fmt::Display for RefusedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "TLS handshake",
            Self::Connect => "MQTT CONNECT",
            Self::Mqtt => "MQTT",
            Self::Https => "HTTPS",
        })
    }
}

/// How often a reason came up.
struct Count {
    total: u64,
    /// Since its last line.
    untold: u64,
    told: Mono,
}

/// All reasons so far.
#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeMap<(RefusedAt, String), Count>>);

impl Refusals {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(RefusedAt, String), Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `who`, an address or a client id, was refused.
    pub(super) fn note(&self, at: RefusedAt, who: &str, why: &str) {
        if let Some(count) = self.count(at, why, clock::mono()) {
            let who: String = who.chars().take(NAME_CHARS_MAX).collect();
            // As Rust would write it: a client id may hold anything.
            tracing::warn!(listener = %at, ?who, why, count, "refused");
        }
    }

    /// How often it happened since that was told last, when it is to be told now.
    fn count(&self, at: RefusedAt, why: &str, now: Mono) -> Option<u64> {
        let mut reasons = self.lock();
        let mut key = (at, why.to_owned());
        if reasons.len() >= REASONS_MAX && !reasons.contains_key(&key) {
            key.1 = OTHER_REASONS.to_owned();
        }
        let count = reasons.entry(key).or_insert_with(|| Count { total: 0, untold: 0, told: now - INTERVAL });
        count.total += 1;
        count.untold += 1;
        if now.since(count.told) < INTERVAL {
            return None;
        }
        count.told = now;
        Some(std::mem::take(&mut count.untold))
    }

    /// The last words: how often each reason came up, where that was not told.
    pub(super) fn finish(&self) {
        for ((at, why), count) in &*self.lock() {
            if count.untold > 0 {
                tracing::warn!(listener = %at, why, count = count.total, "refused in all");
            }
        }
    }
}

/// Why a TLS handshake failed, for whoever has to mend it; `None` where the client just went away.
pub(super) fn explain(error: &io::Error) -> Option<String> {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
        let is_gone = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected
        );
        return (!is_gone).then(|| error.to_string());
    };
    Some(match error {
        Error::NoCertificatesPresented => "the client showed no certificate".into(),
        Error::InvalidCertificate(why) => explain_certificate(why),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA => {
                "the client does not trust this endpoint's certificate (its CA is DIR/ca.cert.pem): UnknownCA".into()
            }
            alert => format!("the client refused: {alert:?}"),
        },
        Error::InvalidMessage(_) => format!("what came is no TLS that is understood: {error}"),
        error => error.to_string(),
    })
}

fn explain_certificate(why: &CertificateError) -> String {
    let reason = match why {
        CertificateError::UnknownIssuer => {
            "it is neither of this endpoint's CA nor registered (RegisterCertificateWithoutCA takes it), or it is REVOKED"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::BadSignature => "its signature is wrong, or what was signed with its key is",
        CertificateError::BadEncoding => "it is no X.509 certificate",
        CertificateError::InvalidPurpose => "it is not for clients: its extended key usage lacks clientAuth",
        CertificateError::UnhandledCriticalExtension => "it has a critical extension that is not known",
        other => return format!("the client's certificate: {other:?}"),
    };
    format!("the client's certificate: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_at_once_and_then_now_and_then_with_its_number() {
        let refusals = Refusals::default();
        let start = clock::mono();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(refusals.count(RefusedAt::Handshake, "a", at(0)), Some(1));
        assert_eq!(refusals.count(RefusedAt::Handshake, "b", at(0)), Some(1));
        assert_eq!(refusals.count(RefusedAt::Connect, "a", at(0)), Some(1));
        for second in 1..10 {
            assert_eq!(refusals.count(RefusedAt::Handshake, "a", at(second)), None);
        }
        assert_eq!(refusals.count(RefusedAt::Handshake, "a", at(10)), Some(10));
        for n in 0..10 * REASONS_MAX {
            refusals.count(RefusedAt::Connect, &n.to_string(), at(11));
        }
        assert!(refusals.lock().len() <= REASONS_MAX + 2, "reasons are bounded");
    }

    #[test]
    fn a_client_that_goes_away_is_no_refusal_and_whatever_rustls_says_is() {
        assert_eq!(explain(&io::ErrorKind::UnexpectedEof.into()), None);
        for error in [
            Error::NoCertificatesPresented,
            CertificateError::UnknownIssuer.into(),
            Error::AlertReceived(AlertDescription::UnknownCA),
            Error::General("other".into()),
        ] {
            let text = explain(&io::Error::new(io::ErrorKind::InvalidData, error.clone())).unwrap();
            assert!(!text.is_empty(), "{error}");
        }
    }
}
