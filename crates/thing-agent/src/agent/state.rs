//! Where an agent stands: its session, its next step, its work.

use super::fetch::{BadFile, Fetch, Needed};
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
        /// The service said in this session that nothing is pending, and has announced nothing since.
        is_nothing_pending: bool,
    },
    /// To be dropped, and why.
    Useless(SubscribeFailure),
}

impl Session {
    /// The service says whether something is pending. Returns whether it had said in this session that nothing is.
    pub(super) fn hear_pending(&mut self, is_pending: bool) -> bool {
        match self {
            Self::Subscribed { is_nothing_pending, .. } => std::mem::replace(is_nothing_pending, !is_pending),
            Self::Down | Self::Up | Self::Subscribing { .. } | Self::Useless(_) => false,
        }
    }
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
    /// Waiting for an answer.
    Asked(Asked),
}

/// A request that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub ask: Ask,
    /// Of the request: the answer has it too.
    pub number: u32,
    pub intended: Mono,
    pub sent: Mono,
    pub deadline: Mono,
}

/// The execution a thing is working on, or has chosen to.
#[derive(Debug)]
pub(super) struct Work {
    pub key: ExecutionKey,
    pub version: i64,
    pub script: Script,
    /// Reports accepted so far.
    pub reports: u32,
    /// When the next report, or the end, is due.
    pub next_at: Mono,
    pub since: Mono,
    pub phase: Phase,
}

/// How far a thing is with an execution.
#[derive(Debug)]
pub(super) enum Phase {
    /// The next update is to make it `IN_PROGRESS`.
    Chosen { needed: Option<Box<Needed>> },
    /// It is `IN_PROGRESS`, and its file must be there before anything is done.
    Fetching(Box<Fetch>),
    Running {
        /// Why nothing can be done but end it.
        bad_file: Option<Box<BadFile>>,
        /// The report that is open is of the file while that was under way, and none of the work.
        is_file_reported: bool,
    },
    /// A terminal update was sent and not refused: it may have been accepted.
    Ending {
        bad_file: Option<Box<BadFile>>,
        /// One was sent before that, and never answered.
        may_have_ended: bool,
    },
}

impl Phase {
    /// Of what has just become `IN_PROGRESS`.
    pub(super) fn begin(needed: Option<Box<Needed>>) -> Self {
        let bad_file = match needed.map(|needed| *needed) {
            None => None,
            Some(Needed::File(document)) => return Self::Fetching(Box::new(Fetch::Wanted(document))),
            Some(Needed::Document) => Some(Box::new(BadFile::without_document())),
        };
        Self::Running { bad_file, is_file_reported: false }
    }
}

impl Work {
    /// It is `IN_PROGRESS`, as far as the thing knows.
    pub(super) fn is_started(&self) -> bool {
        !matches!(self.phase, Phase::Chosen { .. })
    }

    /// Its end was sent, and may have been accepted.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. })
    }

    pub(super) fn bad_file(&self) -> Option<&BadFile> {
        match &self.phase {
            Phase::Running { bad_file, .. } | Phase::Ending { bad_file, .. } => bad_file.as_deref(),
            Phase::Chosen { .. } | Phase::Fetching(_) => None,
        }
    }

    /// How it is to end.
    pub(super) fn outcome(&self) -> ExecutionStatus {
        self.bad_file().map_or(self.script.outcome, |bad| bad.status)
    }

    /// An update to this status is about to leave.
    pub(super) fn handle_update(&mut self, status: ExecutionStatus) {
        match &mut self.phase {
            Phase::Running { bad_file, .. } if status.is_terminal() => {
                self.phase = Phase::Ending { bad_file: bad_file.take(), may_have_ended: false };
            }
            Phase::Ending { may_have_ended, .. } if status.is_terminal() => *may_have_ended = true,
            Phase::Running { is_file_reported, .. } => *is_file_reported = false,
            Phase::Ending { .. } => self.resume(),
            Phase::Chosen { .. } | Phase::Fetching(_) => {}
        }
    }

    /// It has not ended as far as the thing knows, whatever was sent.
    pub(super) fn resume(&mut self) {
        if let Phase::Ending { bad_file, .. } = &mut self.phase {
            self.phase = Phase::Running { bad_file: bad_file.take(), is_file_reported: false };
        }
    }

    /// The update that was sent last came to nothing; one before it may have ended the execution all the same.
    pub(super) fn withdraw_update(&mut self) {
        if matches!(self.phase, Phase::Ending { may_have_ended: false, .. }) {
            self.resume();
        }
    }
}
