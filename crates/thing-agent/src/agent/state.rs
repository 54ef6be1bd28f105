//! Where an agent stands: its session, its next step, its work.

use super::fetch::Fetch;
use crate::behavior::Script;
use crate::event::{ExecutionKey, SubscribeFailure};
use iot_jobs::instant::Mono;
use iot_jobs::{ExecutionStatus, RequestKind};

#[derive(Debug)]
pub(super) enum Session {
    Down,
    /// SUBSCRIBE not yet handed out.
    Up,
    Subscribing {
        sent: Mono,
    },
    Subscribed {
        since: Mono,
        /// An execution was announced in this session.
        is_told: bool,
    },
    /// To be dropped, and why.
    Useless(SubscribeFailure),
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    StartNext,
    /// What is pending?
    List,
    /// What is the execution that would be next, or that was picked?
    Look,
    /// Is there anything to do? The next of the schedule.
    Poll,
    /// Is the execution we work on still ours?
    Describe,
    /// The start, where that is the thing's own update; the next report, or the end.
    Update,
    /// One more report although the end was accepted: a fault.
    AfterEnd,
}

impl Ask {
    pub(super) fn kind(self) -> RequestKind {
        match self {
            Self::StartNext => RequestKind::StartNext,
            Self::List => RequestKind::GetPending,
            Self::Look | Self::Poll | Self::Describe => RequestKind::Describe,
            Self::Update | Self::AfterEnd => RequestKind::Update,
        }
    }

    /// Whether it asks for work to take up, which a thing that is at work does only to find its own again.
    pub(super) fn seeks_work(self) -> bool {
        matches!(self, Self::StartNext | Self::List | Self::Look | Self::Poll)
    }
}

#[derive(Debug)]
pub(super) enum Step {
    /// Nothing planned; a notification, or a session, will change that.
    Idle,
    /// `ask` is planned for `at`, and could not be sent before `runnable`, which is later only for what is overdue.
    Planned { at: Mono, runnable: Mono, ask: Ask },
    /// Asked, and waiting for the answer with this number.
    Asked { ask: Ask, number: u32, intended: Mono, sent: Mono, deadline: Mono },
}

/// The execution a thing is working on, or has chosen to.
#[derive(Debug)]
pub(super) struct Work {
    pub key: ExecutionKey,
    pub version: i64,
    /// It is `IN_PROGRESS`; if not, the next update is to make it so.
    pub is_started: bool,
    pub script: Script,
    /// Reports accepted so far.
    pub reports: u32,
    /// When the next report, or the end, is due.
    pub next_at: Mono,
    pub since: Mono,
    /// A terminal update was sent and not refused: it may have been accepted.
    pub end_sent: bool,
    /// One was sent before that, and never answered.
    pub may_have_ended: bool,
    /// The report sent last was of a file under way, which is none of the work.
    pub told_of_file: bool,
    /// What must be there first.
    pub fetch: Option<Box<Fetch>>,
}

impl Work {
    /// How it is to end.
    pub(super) fn outcome(&self) -> ExecutionStatus {
        match self.fetch.as_deref() {
            Some(Fetch::Bad { status, .. }) => *status,
            _ => self.script.outcome,
        }
    }
}
