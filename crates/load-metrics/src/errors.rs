//! What went wrong, as it is counted: by operation, kind and code.

use super::interned::interned;
use super::sample::Operation;
use iot_jobs::instant::Mono;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use strum::{Display, IntoStaticStr};
use thing_faults::Fault;

/// Where something went wrong. In the order of their names, which tables have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ErrorKind {
    /// From CONNECT to CONNACK.
    Connack,
    /// By a policy of the endpoint; the code is the action, such as `iot:Subscribe`.
    Denied,
    /// On purpose; the code is the fault's name.
    Fault,
    /// While a file was downloaded.
    File,
    /// A session that had been there.
    Lost,
    /// Too many kinds and codes to tell them apart.
    Other,
    /// A PUBACK that refuses.
    Puback,
    /// Before a PUBLISH was sent.
    Publish,
    /// After the TLS handshake, by an endpoint that TLS 1.3 lets refuse late.
    Refused,
    /// By the service.
    Rejected,
    /// From SUBSCRIBE to SUBACK.
    Suback,
    /// The TCP handshake.
    Tcp,
    /// No answer in time.
    Timeout,
    /// The TLS handshake.
    Tls,
    /// A message that could not be parsed; with code `part` only partly.
    Unreadable,
}

impl ErrorKind {
    /// Its name in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What an error is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ErrorKey {
    /// What went wrong.
    pub operation: Operation,
    /// Where.
    pub kind: ErrorKind,
    /// How: an error code of the service, a word for what the network said, or the name of a fault.
    pub code: &'static str,
}

impl<'de> Deserialize<'de> for ErrorKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            operation: Operation,
            kind: ErrorKind,
            code: String,
        }
        let Written { operation, kind, code } = Written::deserialize(deserializer)?;
        Ok(Self { operation, kind, code: interned(&code).map_err(D::Error::custom)? })
    }
}

impl ErrorKey {
    /// A strike on purpose.
    pub(crate) fn of_fault(operation: Operation, fault: Fault) -> Self {
        Self { operation, kind: ErrorKind::Fault, code: fault.key() }
    }

    /// The fault that struck, where it was on purpose.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        (self.kind == ErrorKind::Fault).then(|| Fault::of(self.code)).flatten()
    }

    /// What is counted together, once there are too many to tell apart.
    pub(crate) fn other(operation: Operation) -> Self {
        Self { operation, kind: ErrorKind::Other, code: "other" }
    }
}

/// How often an error was seen, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorTally {
    /// How often.
    pub count: u64,
    /// When it was first seen.
    pub first: Mono,
    /// When it was last seen.
    pub last: Mono,
    /// The first one in words.
    pub example: String,
    /// The same of the newest second that has any.
    pub last_example: String,
}
