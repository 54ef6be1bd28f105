//! What a shard tells of its things, and to whom: no metrics are known here.

use crate::download::FileFailure;
use crate::error::{Failure, Stage};
use crate::mqtt::Published;
use crate::thing_id::ThingId;
use iot_jobs::RequestKind;
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
        /// When the plan wanted it.
        intended: Mono,
        /// When the thing was awake for it.
        woke: Mono,
        /// Whether it waited at the gate.
        is_blocked: bool,
    },
    /// A stage of connecting began.
    StageStarted(Stage),
    /// It ended, with `failure` or well.
    StageEnded {
        /// Which stage.
        stage: Stage,
        /// When it began.
        started: Mono,
        /// When it happened.
        at: Mono,
        /// How it failed.
        failure: Option<&'a Failure>,
    },
    /// Subscribed. `intended` is when the plan wanted the attempt; `lost` when the session before this one ended.
    Connected {
        /// When the plan wanted it.
        intended: Mono,
        /// When it began.
        started: Mono,
        /// When it happened.
        at: Mono,
        /// When the session before this one ended.
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
        /// How it failed.
        failure: &'a Failure,
        /// After the last stage, none of which tells it.
        is_late: bool,
    },
    /// A session that was subscribed is gone.
    Lost {
        /// When it happened.
        at: Mono,
        /// How it failed.
        failure: &'a Failure,
    },
    /// The same, because the run wanted it.
    Closed {
        /// When it happened.
        at: Mono,
    },
    /// A message is about to leave. Over HTTP `topic` is method and path.
    MessageOut {
        /// Topic of the message.
        topic: &'a str,
        /// Its payload.
        payload: &'a [u8],
    },
    /// A message came. Over HTTP `topic` is the status, and method and path of what it answers.
    MessageIn {
        /// Topic of the message.
        topic: &'a str,
        /// Its payload.
        payload: &'a [u8],
    },
    /// A message that is not what its topic promises, or on no topic of this thing.
    Unreadable {
        /// What it was to be.
        message: MessageKind,
        /// When it happened.
        at: Mono,
        /// Whether enough of it was understood to go by.
        is_used: bool,
        /// In words.
        why: &'a str,
    },
    /// Something goes wrong on purpose with the connection.
    Fault {
        /// What goes wrong.
        fault: Fault,
        /// When it happened.
        at: Mono,
    },
    /// A PUBLISH is about to leave; at QoS 1 a [`Self::PublishEnded`] follows.
    PublishSent {
        /// Which PUBLISH.
        publish: Published,
        /// At QoS 1; otherwise at QoS 0.
        is_acknowledged: bool,
    },
    /// A PUBLISH that was not acknowledged left once more, in a session that went on.
    PublishRepeated {
        /// Of the whole packet.
        bytes: usize,
    },
    /// A file is being fetched.
    DownloadStarted,
    /// `bytes` arrived of a file; good, or not.
    DownloadEnded {
        /// When it began.
        started: Mono,
        /// When it happened.
        at: Mono,
        /// That arrived.
        bytes: u64,
        /// How it failed.
        failure: Option<&'a FileFailure>,
    },
    /// The wait for a PUBACK ended.
    PublishEnded {
        /// Which PUBLISH.
        publish: Published,
        /// When it happened.
        at: Mono,
        /// How it ended.
        end: PublishEnd,
    },
    /// Telemetry that came due while nobody could send it.
    TelemetryLost {
        /// So many messages.
        count: u64,
    },
}

/// What a message to a thing is to be, by where it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// The answer to such a request.
    Answer(RequestKind),
    /// `notify` or `notify-next`.
    Notification,
    /// Nothing that the thing has subscribed to.
    Unasked,
}

/// How the wait for a PUBACK ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishEnd {
    /// PUBACK.
    Acknowledged,
    /// PUBACK with a failure, in words.
    Refused(&'static str),
    /// It never left: the endpoint takes no packet of its size.
    TooLarge,
    /// Given up.
    Timeout,
    /// The connection ended first.
    SessionLost,
}
