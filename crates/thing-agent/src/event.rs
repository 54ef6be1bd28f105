//! What an agent asks for and what it tells.

use iot_jobs::instant::{EpochSeconds, Mono};
use iot_jobs::{ErrorCode, ExecutionStatus, JobDocument, JobId, Request, RequestKind, Subscription};
use std::time::Duration;
use thing_faults::Fault;

/// What an agent wants its session to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// One SUBSCRIBE packet, at most 8 filters, QoS 1.
    Subscribe(&'static [Subscription]),
    /// A request, at QoS 1.
    Publish(Request),
    /// Fetch the file that the document of `job` names, if it names one, and find out whether it is what it should be; the answer is
    /// [`super::JobsAgent::handle_fetched`]. Given up when the agent is not fetching any more.
    Fetch {
        /// Whose bandwidth cap holds.
        job: JobId,
        /// The document of the execution.
        document: JobDocument,
    },
    /// The same, with this fault in it.
    Faulty(Request, Fault),
    /// As many messages of QoS 0 at once.
    Flood(u32),
    /// The connection is to be dropped without a word, and the next one not to be made before that long.
    Crash {
        /// How long the thing stays away.
        away: Duration,
    },
    /// The session is of no use.
    Disconnect(SubscribeFailure),
}

/// How the fetching of a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The document names no file.
    Nothing,
    /// It is there, as long as it should be, and signed by whom it should be where that matters.
    Good,
    /// The execution ends with this status, for this reason (PROTOCOL 17.3).
    Bad {
        /// How the execution ends.
        status: ExecutionStatus,
        /// In words, for `statusDetails`.
        reason: String,
    },
}

/// One run of a job on this thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecutionKey {
    /// The job.
    pub job: JobId,
    /// `executionNumber`.
    pub number: i64,
}

/// How the wait for an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerOutcome {
    /// On `.../accepted`.
    Accepted,
    /// On `.../rejected`.
    Refused(ErrorCode),
    /// The endpoint acknowledged the message as one that it did not take, as MQTT 5 can; no answer will come.
    NotTaken,
    /// An answer came, of which nothing was understood.
    Unreadable,
    /// Not within the deadline.
    Timeout,
    /// The session ended first.
    SessionLost,
}

/// What happened to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something goes wrong on purpose, with this execution where it is about one.
    Fault {
        /// What goes wrong.
        fault: Fault,
        /// Which execution.
        execution: Option<ExecutionKey>,
        /// When it happened.
        at: Mono,
    },
    /// Every subscription was granted; the thing is up.
    Subscribed {
        /// When it left.
        sent: Mono,
        /// When it happened.
        at: Mono,
    },
    /// The thing is not up, as not every subscription was granted.
    SubscribeFailed {
        /// When it left.
        sent: Mono,
        /// When it happened.
        at: Mono,
        /// For which reason.
        why: SubscribeFailure,
    },
    /// The thing is up without subscribing: its session was still there, or its transport knows no subscriptions.
    Resumed {
        /// When it happened.
        at: Mono,
    },
    /// A request left. It was planned for `intended` and could be sent from `runnable` on; the rest is the generator's lateness.
    Sent {
        /// Of which request.
        kind: RequestKind,
        /// When the plan wanted it to leave.
        intended: Mono,
        /// From when on it could be sent.
        runnable: Mono,
        /// When it left.
        sent: Mono,
    },
    /// The wait for an answer ended.
    Answered {
        /// Of which request.
        kind: RequestKind,
        /// When the plan wanted it to leave.
        intended: Mono,
        /// When it left.
        sent: Mono,
        /// When it happened.
        at: Mono,
        /// How the wait ended.
        outcome: AnswerOutcome,
        /// The service's clock, where it answered.
        timestamp: Option<EpochSeconds>,
    },
    /// Planned requests that came due while an earlier one was waited for, or the session was down; they are not made up for.
    LostArrivals {
        /// Of which request.
        kind: RequestKind,
        /// So many.
        count: u64,
    },
    /// An answer nobody waits for any more.
    LateAnswer {
        /// Of which request.
        kind: RequestKind,
    },
    /// The first `notify-next` of this session that names an execution; the thing is subscribed since `since`.
    FirstNotification {
        /// Since when the thing is subscribed.
        since: Mono,
        /// When it happened.
        at: Mono,
    },
    /// `notify-next`, or the answer to a poll, named this execution. `queued_at` where that is when it became the next one: nothing
    /// was pending before, and the thing was subscribed all the while.
    Notified {
        /// Which execution.
        execution: ExecutionKey,
        /// When it happened.
        at: Mono,
        /// The service's clock, where it tells when the execution became the next one.
        queued_at: Option<EpochSeconds>,
    },
    /// `start-next` handed it out; `resumed` when the thing was at work on it before it lost its session.
    Started {
        /// Which execution.
        execution: ExecutionKey,
        /// When it happened.
        at: Mono,
        /// Whether the thing was at work on it before.
        resumed: bool,
    },
    /// An `IN_PROGRESS` report was accepted.
    Updated {
        /// Which execution.
        execution: ExecutionKey,
        /// When it happened.
        at: Mono,
    },
    /// An update was refused.
    UpdateRefused {
        /// Which execution.
        execution: ExecutionKey,
        /// When it happened.
        at: Mono,
        /// Of the refusal.
        code: ErrorCode,
    },
    /// The terminal update was accepted. `since` is when the thing first heard of the execution.
    Finished {
        /// Which execution.
        execution: ExecutionKey,
        /// When the thing first heard of it.
        since: Mono,
        /// When it happened.
        at: Mono,
        /// How it ended.
        status: ExecutionStatus,
    },
    /// The service no longer offers it: canceled, removed, deleted, timed out.
    Gone {
        /// Which execution.
        execution: ExecutionKey,
        /// When the thing first heard of it.
        since: Mono,
        /// When it happened.
        at: Mono,
    },
}

/// Why a SUBSCRIBE came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeFailure {
    /// A filter was not granted.
    Refused,
    /// No SUBACK within the deadline.
    Timeout,
    /// The session ended first.
    SessionLost,
}
