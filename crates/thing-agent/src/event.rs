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
    Publish(Request),
    /// Fetch the file that the document of `job` names, if it names one, and find out whether it is what it should be; the answer is
    /// [`super::JobsAgent::handle_fetched`]. Given up when the agent is not fetching any more.
    Fetch {
        job: JobId,
        document: JobDocument,
    },
    /// The same, with this fault in it.
    Faulty(Request, Fault),
    /// As many messages of QoS 0 at once.
    Flood(u32),
    /// The connection is to be dropped without a word, and the next one not to be made before that long.
    Crash {
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
    Bad { status: ExecutionStatus, reason: String },
}

/// One run of a job on this thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecutionKey {
    pub job: JobId,
    pub number: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerOutcome {
    Accepted,
    Refused(ErrorCode),
    /// The endpoint acknowledged the message as one that it did not take, as MQTT 5 can; no answer will come.
    NotTaken,
    Timeout,
    SessionLost,
}

/// What happened to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something goes wrong on purpose, with this execution where it is about one.
    Fault {
        fault: Fault,
        execution: Option<ExecutionKey>,
        at: Mono,
    },
    /// Every subscription was granted; the thing is up.
    Subscribed {
        sent: Mono,
        at: Mono,
    },
    SubscribeFailed {
        sent: Mono,
        at: Mono,
        why: SubscribeFailure,
    },
    /// The thing is up without subscribing: its session was still there, or its transport knows no subscriptions.
    Resumed {
        at: Mono,
    },
    /// A request left. It was planned for `intended` and could be sent from `runnable` on; the rest is the generator's lateness.
    Sent {
        kind: RequestKind,
        intended: Mono,
        runnable: Mono,
        sent: Mono,
    },
    Answered {
        kind: RequestKind,
        intended: Mono,
        sent: Mono,
        at: Mono,
        outcome: AnswerOutcome,
        /// The service's clock, where it answered.
        timestamp: Option<EpochSeconds>,
    },
    /// Planned requests that came due while an earlier one was waited for, or the session was down; they are not made up for.
    LostArrivals {
        kind: RequestKind,
        count: u64,
    },
    /// An answer nobody waits for any more.
    LateAnswer {
        kind: RequestKind,
    },
    /// The first `notify-next` of this session that names an execution; the thing is subscribed since `since`.
    FirstNotification {
        since: Mono,
        at: Mono,
    },
    /// `notify-next`, or the answer to a poll, named this execution. `queued_at` where that is when it became the next one: nothing
    /// was pending before, and the thing was subscribed all the while.
    Notified {
        execution: ExecutionKey,
        at: Mono,
        queued_at: Option<EpochSeconds>,
    },
    /// `start-next` handed it out; `resumed` when the thing was at work on it before it lost its session.
    Started {
        execution: ExecutionKey,
        at: Mono,
        resumed: bool,
    },
    /// An `IN_PROGRESS` report was accepted.
    Updated {
        execution: ExecutionKey,
        at: Mono,
    },
    /// An update was refused.
    UpdateRefused {
        execution: ExecutionKey,
        at: Mono,
        code: ErrorCode,
    },
    /// The terminal update was accepted. `since` is when the thing first heard of the execution.
    Finished {
        execution: ExecutionKey,
        since: Mono,
        at: Mono,
        status: ExecutionStatus,
    },
    /// The service no longer offers it: canceled, removed, deleted, timed out.
    Gone {
        execution: ExecutionKey,
        since: Mono,
        at: Mono,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeFailure {
    Refused,
    Timeout,
    SessionLost,
}
