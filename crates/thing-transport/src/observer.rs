//! What a shard tells of its things, and to whom: no metrics are known here.

use crate::download::FileFailure;
use crate::error::{Failure, Stage};
use crate::mqtt::Published;
use crate::thing_id::ThingId;
use iot_jobs::instant::Mono;
use thing_faults::Fault;

/// Who wants to know what happens to the things of a shard. All calls come from the shard's thread.
pub trait Observer {
    /// The agent of the thing emitted this.
    fn agent(&self, thing: &ThingId, event: thing_agent::Event);
    /// This happened to the session of the thing.
    fn session(&self, thing: &ThingId, event: SessionEvent<'_>);
}

/// What happens to a connection or session.
#[derive(Debug)]
pub enum SessionEvent<'a> {
    /// The gate is passed, the first packet is about to leave. The attempt was planned for `intended`, its thing awake at `woke`;
    /// `is_blocked` when it had to wait at the gate.
    ConnectStarted {
        intended: Mono,
        woke: Mono,
        is_blocked: bool,
    },
    StageStarted(Stage),
    StageEnded {
        stage: Stage,
        started: Mono,
        at: Mono,
        failure: Option<&'a Failure>,
    },
    /// Subscribed. `intended` is when the plan wanted the attempt; `lost` when the session before this one ended.
    Connected {
        intended: Mono,
        started: Mono,
        at: Mono,
        lost: Option<Mono>,
    },
    ConnectFailed {
        intended: Mono,
        started: Mono,
        at: Mono,
        failure: &'a Failure,
        /// After the last stage, none of which tells it.
        is_late: bool,
    },
    /// A session that was subscribed is gone.
    Lost {
        at: Mono,
        failure: &'a Failure,
    },
    /// The same, because the run wanted it.
    Closed,
    MessageOut {
        topic: &'a str,
        payload: &'a [u8],
    },
    MessageIn {
        topic: &'a str,
        payload: &'a [u8],
    },
    /// A message that is not what its topic promises, or on no topic of this thing.
    Unreadable {
        at: Mono,
        why: &'a str,
    },
    /// Something goes wrong on purpose with the connection.
    Fault {
        fault: Fault,
        at: Mono,
    },
    /// A PUBLISH is about to leave; at QoS 1 a [`Self::PublishEnded`] follows.
    PublishSent {
        publish: Published,
        is_acknowledged: bool,
    },
    /// A PUBLISH that was not acknowledged left once more, in a session that went on.
    PublishRepeated,
    DownloadStarted,
    /// `bytes` arrived of a file; good, or not.
    DownloadEnded {
        started: Mono,
        at: Mono,
        bytes: u64,
        failure: Option<&'a FileFailure>,
    },
    PublishEnded {
        publish: Published,
        at: Mono,
        end: PublishEnd,
    },
    /// Telemetry that came due while nobody could send it.
    TelemetryLost {
        count: u64,
    },
}

/// How the wait for a PUBACK ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishEnd {
    Acknowledged,
    /// PUBACK with a failure, in words.
    Refused(&'static str),
    /// It never left: the endpoint takes no packet of its size.
    TooLarge,
    /// Given up.
    Timeout,
    SessionLost,
}
