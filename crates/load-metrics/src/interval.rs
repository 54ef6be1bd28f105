//! One second of one shard, as it is handed to the collector.

use super::histogram::Distribution;
use super::sample::{Operation, Outcome, ThingEvent};
use super::scope::ScopeId;
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use std::ops::AddAssign;
use std::time::Duration;
use thing_faults::Fault;

/// How often an operation was started and how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub started: u64,
    pub ok: u64,
    pub rejected: u64,
    pub timeout: u64,
    pub error: u64,
    /// Planned starts that nobody was free to take.
    pub lost_arrivals: u64,
    /// Answers that came after their deadline.
    pub late_answers: u64,
    /// Starts that waited for a session or a free slot: nobody's delay but the endpoint's, or the plan's.
    pub blocked: u64,
}

impl Counts {
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.ok + self.rejected + self.timeout + self.error
    }

    /// Started and not ended; the difference of totals, not of one second.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.started.saturating_sub(self.finished())
    }

    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationInterval {
    pub operation: Operation,
    pub scope: ScopeId,
    pub counts: Counts,
    pub service: Distribution,
    /// Empty where [`Operation::has_response`] is false.
    pub response: Distribution,
}

/// The kind of error that was made on purpose; its code is the fault's name.
const FAULT_KIND: &str = "fault";

/// What an error is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorKey {
    pub operation: Operation,
    pub kind: &'static str,
    pub code: &'static str,
}

impl ErrorKey {
    /// A strike on purpose.
    pub(super) fn of_fault(operation: Operation, fault: Fault) -> Self {
        Self { operation, kind: FAULT_KIND, code: fault.key() }
    }

    /// The fault that struck, where it was on purpose.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        (self.kind == FAULT_KIND).then(|| Fault::of(self.code)).flatten()
    }

    /// What is counted together, once there are too many to tell apart.
    pub(super) fn other(operation: Operation) -> Self {
        Self { operation, kind: "other", code: "other" }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorTally {
    pub count: u64,
    pub first: Mono,
    pub last: Mono,
    /// The first one in words.
    pub example: String,
    /// The same of the newest second that has any.
    pub last_example: String,
}

/// What became of a thing's session, or of an attempt to have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionChange {
    pub thing: u32,
    pub at: Mono,
    pub kind: SessionChangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChangeKind {
    /// Subscribed, by an attempt that was planned for `intended`.
    Up { intended: Mono },
    /// Lost; `by` an event of the scenario that cut it.
    Down { by: Option<u16> },
    /// An attempt that came to nothing; told where the scenario has events.
    Failed { intended: Mono },
}

/// A thing was struck by a fault on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultEvent {
    pub thing: u32,
    pub fault: Fault,
    /// What it was at, where the fault is of that and not of the thing.
    pub execution: Option<(JobId, i64)>,
}

/// One second of one shard, cut by finish time at whole seconds from the origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Which shard this is of, and the CPU time it took; told by who runs the shard.
    pub shard: usize,
    pub busy: Duration,
    pub messages_in: u64,
    pub messages_out: u64,
    /// Things that became connected.
    pub connects: u64,
    /// Things connected at its end.
    pub connected: i64,
    pub errors: Vec<(ErrorKey, ErrorTally)>,
    pub thing_events: Vec<ThingEvent>,
    pub sessions: Vec<SessionChange>,
    pub faults: Vec<FaultEvent>,
    /// Events and session changes beyond the limits of an interval.
    pub events_lost: u64,
}
