//! How connecting fails, and how sessions end: by stage, with words that an errors table can count.

use aws_signing::request::SigningError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use thing_agent::SubscribeFailure;
use thing_faults::Fault;

/// The stages of a connection, timed one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The three-way handshake.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// CONNECT -> CONNACK.
    Mqtt,
    /// SUBSCRIBE -> SUBACK.
    Subscribe,
}

impl Stage {
    /// Its name in tables and in the words of a timeout.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Mqtt => "connack",
            Self::Subscribe => "suback",
        }
    }
}

/// The words of refusals that mean something besides being counted, whichever version of MQTT says them.
pub mod refusal {
    /// The client may not do this.
    pub(crate) const NOT_AUTHORIZED: &str = "not_authorized";
    /// Nobody that is known.
    pub(crate) const BAD_USER_NAME_OR_PASSWORD: &str = "bad_user_name_or_password";
    /// The client id, in MQTT 3.1.1.
    pub(crate) const IDENTIFIER_REJECTED: &str = "identifier_rejected";
    /// The client id, in MQTT 5.
    pub(crate) const CLIENT_IDENTIFIER_NOT_VALID: &str = "client_identifier_not_valid";
    /// By whoever runs the endpoint.
    pub(crate) const BANNED: &str = "banned";
    /// The endpoint takes nobody at present; MQTT 3.1.1 has no other word for a limit.
    pub const SERVER_UNAVAILABLE: &str = "server_unavailable";
    /// Later it may be taken.
    pub(crate) const SERVER_BUSY: &str = "server_busy";
    /// A quota of the account, or of the connection.
    pub(crate) const QUOTA_EXCEEDED: &str = "quota_exceeded";
    /// Too many connects.
    pub(crate) const CONNECTION_RATE_EXCEEDED: &str = "connection_rate_exceeded";
    /// Without a reason, in MQTT 5.
    pub(crate) const UNSPECIFIED: &str = "unspecified_error";
    /// A subscription, in MQTT 3.1.1, which knows no reason for that.
    pub const SUBACK_FAILURE: &str = "suback_failure";

    /// Whether it means a limit of the endpoint: the same may be taken at another time.
    #[must_use]
    pub fn is_limit(word: &str) -> bool {
        matches!(word, SERVER_UNAVAILABLE | SERVER_BUSY | QUOTA_EXCEEDED | CONNECTION_RATE_EXCEEDED)
    }

    /// Whether it may mean anything, a limit of the endpoint, too.
    #[must_use]
    pub fn is_without_reason(word: &str) -> bool {
        matches!(word, UNSPECIFIED | SUBACK_FAILURE)
    }

    /// Whether it means the client: who it is, or what it may do.
    pub(crate) fn is_of_client(word: &str) -> bool {
        matches!(word, NOT_AUTHORIZED | BAD_USER_NAME_OR_PASSWORD | IDENTIFIER_REJECTED | CLIENT_IDENTIFIER_NOT_VALID | BANNED)
    }
}

/// Why a session ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// This stage, or this answer, took too long.
    #[error("{0} did not complete in time")]
    Timeout(&'static str),
    /// Of the socket, or of TLS.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No TCP connection.
    #[error("{0}")]
    Route(#[from] Box<RouteError>),
    /// In the middle of something, or before anything.
    #[error("the endpoint closed the connection")]
    Closed,
    /// Right after the thing had sent something, which the endpoint did not acknowledge.
    #[error("{0}")]
    ClosedAfter(Box<ClosedAfter>),
    /// Between two requests, which is no error of anybody. Not before `away` will the thing need another one.
    #[error("the endpoint closed the connection, on which nothing was under way")]
    ClosedIdle {
        /// How long the thing does not come back; `None`: by its policy.
        away: Option<Duration>,
    },
    /// The answer to the upgrade to a WebSocket.
    #[error("the endpoint refused the upgrade to a WebSocket: {status} {why}")]
    NoUpgrade {
        /// Of the answer.
        status: u16,
        /// In words.
        why: String,
    },
    /// An answer over HTTP that is none of the operation.
    #[error("the endpoint does not let the thing ask: {status} {why}")]
    Forbidden {
        /// Of the answer.
        status: u16,
        /// In words.
        why: String,
    },
    /// Nothing can be signed.
    #[error("{0}")]
    Unsigned(#[from] Box<SigningError>),
    /// CONNACK with another code than 0.
    #[error("the endpoint refused the connection: {0}")]
    Refused(&'static str),
    /// A DISCONNECT of the endpoint.
    #[error("the endpoint disconnected the thing: {0}")]
    Disconnected(&'static str),
    /// SUBACK with a failure.
    #[error("a subscription was refused: {0}")]
    SubscriptionRefused(&'static str),
    /// In which way.
    #[error("the endpoint broke the protocol: {0}")]
    Protocol(String),
    /// By the run itself.
    #[error("cut by event {} of the scenario", event + 1)]
    Cut {
        /// Its number in the scenario, from 0.
        event: u16,
    },
    /// As where no way leads to the endpoint any more.
    #[error("no route to the endpoint during an outage of the scenario")]
    Outage,
    /// Not before `away` will the thing be back, where its policy does not say when.
    #[error("dropped on purpose: {}", fault.key())]
    OnPurpose {
        /// Which fault of the scenario.
        fault: Fault,
        /// How long the thing does not come back; `None`: by its policy.
        away: Option<Duration>,
    },
}

impl Failure {
    /// A word that `errors.csv` counts by.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout(what) | Self::Refused(what) | Self::Disconnected(what) | Self::SubscriptionRefused(what) => what,
            Self::Io(error) => io_code(error),
            Self::Route(route) => io_code(&route.error),
            Self::Closed => "closed",
            Self::ClosedAfter(closed) => closed.failure.code(),
            Self::ClosedIdle { .. } => "closed_idle",
            Self::NoUpgrade { .. } => "upgrade_refused",
            Self::Forbidden { .. } => "forbidden",
            Self::Unsigned(_) => "unsigned",
            Self::Protocol(_) => "protocol",
            Self::Cut { .. } => "cut",
            Self::Outage => "outage",
            Self::OnPurpose { fault, .. } => fault.key(),
        }
    }

    /// Whether the endpoint may have closed the connection since the thing may not do what it did: AWS gives no reason in MQTT 3.1.1, and
    /// one word in MQTT 5 (PROTOCOL 14).
    #[must_use]
    pub fn may_be_a_no(&self) -> bool {
        match self {
            Self::Closed | Self::Disconnected(refusal::NOT_AUTHORIZED) => true,
            Self::Io(error) => is_cut(error.kind()),
            _ => false,
        }
    }

    /// Whether it took too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Refused by the endpoint's decision rather than broken on the way.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::SubscriptionRefused(_) | Self::NoUpgrade { .. } | Self::Forbidden { .. })
    }
}

/// What a policy may deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedPacket {
    /// To the topics of jobs.
    Subscribe,
    /// To one topic.
    Publish,
}

/// A connection that the endpoint closed, and what was sent right before.
#[derive(Debug)]
pub struct ClosedAfter {
    /// What left last.
    pub packet: DeniedPacket,
    /// Where to.
    pub topic: String,
    /// How the connection ended.
    pub failure: Failure,
}

impl fmt::Display for ClosedAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packet, topic, failure } = self;
        let (packet, action) = match packet {
            DeniedPacket::Subscribe => ("SUBSCRIBE", "iot:Subscribe"),
            DeniedPacket::Publish => ("PUBLISH", "iot:Publish"),
        };
        write!(
            f,
            "closed right after {packet} {topic}, unacknowledged ({failure}); where that happens each time, usually the policy does not \
             allow {action} there"
        )
    }
}

/// Ended by the other side, without a word.
pub(crate) fn is_cut(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// A way that could not be taken.
#[derive(Debug, thiserror::Error)]
pub struct RouteError {
    /// Of the socket; `None` where the kernel was to choose.
    pub source_ip: Option<IpAddr>,
    /// Of the endpoint.
    pub destination: SocketAddr,
    /// What the kernel said.
    #[source]
    pub error: io::Error,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect")?;
        if let Some(source) = self.source_ip {
            write!(f, " from {source}")?;
        }
        write!(f, " to {}: {}", self.destination, self.error)
    }
}

impl From<SigningError> for Failure {
    fn from(error: SigningError) -> Self {
        Box::new(error).into()
    }
}

impl Failure {
    /// `refusal` is what the SUBACK said, where one came.
    #[must_use]
    pub fn of_subscribing(failure: SubscribeFailure, refusal: Option<&'static str>) -> Self {
        match failure {
            SubscribeFailure::Refused => Self::SubscriptionRefused(refusal.unwrap_or("suback_incomplete")),
            SubscribeFailure::Timeout => Self::Timeout(Stage::Subscribe.as_str()),
            SubscribeFailure::SessionLost => Self::Closed,
        }
    }
}

fn io_code(error: &io::Error) -> &'static str {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => "invalid_certificate",
            rustls::Error::AlertReceived(_) => "tls_alert",
            _ => "tls",
        };
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection_refused",
        io::ErrorKind::ConnectionReset => "connection_reset",
        io::ErrorKind::ConnectionAborted => "connection_aborted",
        io::ErrorKind::BrokenPipe => "broken_pipe",
        io::ErrorKind::UnexpectedEof => "unexpected_eof",
        io::ErrorKind::AddrNotAvailable => "no_free_port",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable",
        io::ErrorKind::TimedOut => "timed_out",
        // Frames of a WebSocket that are none.
        io::ErrorKind::InvalidData => "protocol",
        _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => "too_many_open_files",
        _ => "io",
    }
}
