//! One second of one shard, as it is handed to the collector.

use super::errors::{ErrorKey, ErrorTally};
use super::histogram::Distribution;
use super::sample::{Operation, Outcome, ThingEvent};
use super::scope::ScopeId;
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use std::time::Duration;
use thing_faults::Fault;

/// How often an operation was started and how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Begun, whatever became of them.
    pub started: u64,
    /// Ended with [`Outcome::Ok`].
    pub ok: u64,
    /// Ended with [`Outcome::Rejected`].
    pub rejected: u64,
    /// Ended with [`Outcome::Timeout`].
    pub timeout: u64,
    /// Ended with [`Outcome::Error`].
    pub error: u64,
    /// Planned starts that nobody was free to take.
    pub lost_arrivals: u64,
    /// Answers that came after their deadline.
    pub late_answers: u64,
    /// Starts that waited for a session or a free slot: nobody's delay but the endpoint's, or the plan's.
    pub blocked: u64,
}

impl Counts {
    /// Ended, however that was.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.ok + self.rejected + self.timeout + self.error
    }

    /// Started and not ended; the difference of totals, not of one second.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.started.saturating_sub(self.finished())
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Counts one end; its start is counted apart.
    pub fn finish(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Ok => &mut self.ok,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Timeout => &mut self.timeout,
            Outcome::Error => &mut self.error,
        } += 1;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.started += other.started;
        self.ok += other.ok;
        self.rejected += other.rejected;
        self.timeout += other.timeout;
        self.error += other.error;
        self.lost_arrivals += other.lost_arrivals;
        self.late_answers += other.late_answers;
        self.blocked += other.blocked;
    }
}

/// One operation in one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationInterval {
    /// What was measured.
    pub operation: Operation,
    /// Of which things.
    pub scope: ScopeId,
    /// Starts and ends within the second.
    pub counts: Counts,
    /// Service times of what ended in it.
    pub service: Distribution,
    /// Empty where [`Operation::has_response`] is false.
    pub response: Distribution,
}

/// What became of a thing's session, or of an attempt to have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionChange {
    /// Place in the fleet, from 0.
    pub thing: u32,
    /// When it happened.
    pub at: Mono,
    /// What happened.
    pub kind: SessionChangeKind,
}

/// What can happen to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionChangeKind {
    /// Subscribed, by an attempt that was planned for `intended`.
    Up {
        /// When the attempt was to begin.
        intended: Mono,
    },
    /// Lost; `by` an event of the scenario that cut it.
    Down {
        /// Its index in the scenario, from 0; `None`: no event cut it.
        by: Option<u16>,
    },
    /// An attempt that came to nothing; told where the scenario has events.
    Failed {
        /// When the attempt was to begin.
        intended: Mono,
    },
}

/// A thing was struck by a fault on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// Place in the fleet, from 0.
    pub thing: u32,
    /// What struck it.
    pub fault: Fault,
    /// What it was at, where the fault is of that and not of the thing.
    pub execution: Option<(JobId, i64)>,
}

/// What the bill of AWS counts of sessions and messages (PROTOCOL 16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metered {
    /// In units of 5 KB, what is no publish included: CONNECT, SUBSCRIBE and the PUBACKs of things.
    pub messages: u64,
    /// Of MQTT connections that ended, each one's begun minutes as whole ones.
    pub connection_minutes: u64,
}

impl AddAssign for Metered {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.connection_minutes += other.connection_minutes;
    }
}

/// One second of one shard, cut by finish time at whole seconds from the origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Whole seconds from the origin to its beginning.
    pub second: u64,
    /// Its end: the border, or earlier for the last one.
    pub until: Mono,
    /// Only those with something to tell.
    pub operations: Vec<OperationInterval>,
    /// Runnable -> written.
    pub lateness: Distribution,
    /// (second from the origin in which they were due, starts): those that left in this one, and where they belong.
    pub starts: Vec<(u64, u64)>,
    /// Which shard this is of, from 0; set by who runs the shard.
    pub shard: usize,
    /// CPU time that the shard took in it; set by who runs the shard.
    pub busy: Duration,
    /// How long the shard was ready to run in it and had no core; set by who runs the shard.
    pub waited: Duration,
    /// Messages received from the endpoint.
    pub messages_in: u64,
    /// Messages sent to it, repeated ones included.
    pub messages_out: u64,
    /// Of both, and of sessions, what the bill counts.
    pub metered: Metered,
    /// Things that became connected.
    pub connects: u64,
    /// Things connected at its end.
    pub connected: i64,
    /// Every kind of error of this second, with its count.
    pub errors: Vec<(ErrorKey, ErrorTally)>,
    /// What things told of their executions, in the order of the shard.
    pub thing_events: Vec<ThingEvent>,
    /// Sessions that came and went, in the order of the shard.
    pub sessions: Vec<SessionChange>,
    /// Faults that struck, in the order of the shard.
    pub faults: Vec<FaultEvent>,
    /// Events and session changes beyond the limits of an interval.
    pub events_lost: u64,
}
