//! What the simulation tells, and to whom: no metrics are known here.

use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use iot_jobs::ledger::LedgerRow;
use std::time::Duration;
use thing_agent::Event;
use thing_faults::Fault;

/// Who wants to know what happens. Things are told by their places in the fleet, from 0; instants never go back.
pub trait Observer {
    /// The agent of a thing emitted this.
    fn agent(&mut self, thing: u32, event: Event);
    /// This happened to the session of a thing.
    fn session(&mut self, thing: u32, event: SessionEvent);
    /// The service committed this change.
    fn committed(&mut self, row: LedgerRow);
    /// A job was created for so many things.
    fn job_created(&mut self, job: &JobId, targets: u64, at: Mono);
    /// The endpoint was back from the restart that is the event of this number.
    fn endpoint_back(&mut self, event: u16, at: Mono);
    /// From now on every thing was connected at least once.
    fn all_connected(&mut self, at: Mono);
}

/// The stages of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The TCP handshake.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// CONNECT -> CONNACK.
    Mqtt,
    /// SUBSCRIBE -> SUBACK.
    Subscribe,
}

/// Why a session ended, or never began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// CONNACK: over a quota.
    OverQuota,
    /// SUBACK: not every filter was granted.
    SubscriptionRefused,
    /// This stage took too long.
    Timeout(Stage),
    /// Nobody listens.
    ConnectionRefused,
    /// No route during an outage of the scenario.
    Outage,
    /// The certificate has expired.
    Certificate,
    /// The endpoint closed the connection.
    Closed,
    /// By the event of the scenario with this number, from 0.
    Cut(u16),
    /// By a fault on purpose.
    OnPurpose(Fault),
}

/// What happens to a connection or session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// An attempt to connect begins that was planned for `intended`; `is_blocked` when it had to wait for a place among those in progress.
    ConnectStarted {
        /// When the plan wanted it.
        intended: Mono,
        /// Whether it had to wait.
        is_blocked: bool,
    },
    /// A stage of connecting was tried.
    Stage {
        /// Which one.
        stage: Stage,
        /// When it began.
        started: Mono,
        /// When it ended.
        at: Mono,
        /// Why it failed, where it did.
        failure: Option<Reason>,
    },
    /// Subscribed.
    Connected {
        /// When the plan wanted the attempt.
        intended: Mono,
        /// When it began.
        started: Mono,
        /// When it happened.
        at: Mono,
        /// When the session before this one was lost.
        lost: Option<Mono>,
    },
    /// The attempt came to nothing.
    ConnectFailed {
        /// When the plan wanted it.
        intended: Mono,
        /// When it began.
        started: Mono,
        /// When it happened.
        at: Mono,
        /// Why.
        reason: Reason,
    },
    /// A session that was subscribed is gone.
    Lost {
        /// When it happened.
        at: Mono,
        /// Why.
        reason: Reason,
    },
    /// The same, since the simulation ends.
    Closed {
        /// When it happened.
        at: Mono,
    },
    /// A message left a thing.
    MessageOut,
    /// A message reached a thing.
    MessageIn,
    /// A message of QoS 1, or telemetry of QoS 0, and how it ended.
    Published(Published),
    /// Something went wrong on purpose with the connection.
    Fault {
        /// What.
        fault: Fault,
        /// When it happened.
        at: Mono,
    },
    /// A file was fetched.
    Fetched {
        /// When that began.
        started: Mono,
        /// When it was there.
        at: Mono,
        /// Its length.
        bytes: u64,
    },
    /// Telemetry that came due while nobody could send it.
    TelemetryLost {
        /// So many messages.
        count: u64,
    },
}

/// A message that a thing published, when that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Telemetry; otherwise a request.
    pub is_telemetry: bool,
    /// When the plan wanted it.
    pub intended: Mono,
    /// When it left.
    pub sent: Mono,
    /// How long the PUBACK took; `None` at QoS 0.
    pub acknowledged_after: Option<Duration>,
}
