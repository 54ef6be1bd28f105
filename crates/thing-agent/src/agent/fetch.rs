//! The file of a job, which comes before its work (PROTOCOL 17.3). Who fetches it, and finds it good or bad, is the session.

use super::state::{Ask, Asked, Phase, Step, Work};
use super::{AgentSettings, JobsAgent};
use crate::event::{Fetched, Transmit};
use iot_jobs::instant::Mono;
use iot_jobs::{ExecutionStatus, JobDocument, JobExecution};
use std::time::Duration;

/// While a file is fetched, reports are as far apart as the steps of work, and never closer than this.
const REPORT_EVERY_MIN: Duration = Duration::from_secs(1);

/// What the work on an execution has to wait for, where it has to.
#[derive(Debug)]
pub(super) enum Needed {
    /// The file that this document names, if it names one.
    File(JobDocument),
    /// A document, which never came.
    Document,
}

impl Needed {
    pub(super) fn of(settings: &AgentSettings, execution: &JobExecution) -> Option<Box<Self>> {
        settings.fetches.then(|| Box::new(execution.job_document.clone().map_or(Self::Document, Self::File)))
    }
}

/// A file with which nothing can be done.
#[derive(Debug)]
pub(super) struct BadFile {
    /// How the execution ends.
    pub status: ExecutionStatus,
    pub reason: Box<str>,
}

impl BadFile {
    /// What cannot be verified is not done.
    pub(super) fn without_document() -> Self {
        Self { status: ExecutionStatus::Rejected, reason: "the execution came without its document".into() }
    }
}

/// How a file stands that is not found good yet.
#[derive(Debug)]
pub(super) enum Fetch {
    /// To be asked for.
    Wanted(JobDocument),
    Running {
        received: u64,
        /// As far as the other side has told it.
        length: Option<u64>,
    },
    /// Its session is gone, and the URL in its document ages.
    Interrupted,
}

impl Fetch {
    /// What arrived so far, and the length as far as that is known.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        match *self {
            Self::Running { received, length } => (received, length),
            Self::Wanted(_) | Self::Interrupted => (0, None),
        }
    }
}

impl Work {
    /// Until it reports again, or ends.
    pub(super) fn pause(&self, settings: &AgentSettings) -> Duration {
        let step = || self.script.step(settings.behavior(&self.key.job), self.reports);
        match &self.phase {
            Phase::Fetching(_) => step().max(REPORT_EVERY_MIN),
            _ if self.bad_file().is_some() => Duration::ZERO,
            _ => step(),
        }
    }

    fn fetch_mut(&mut self) -> Option<&mut Fetch> {
        match &mut self.phase {
            Phase::Fetching(fetch) => Some(fetch),
            _ => None,
        }
    }
}

impl JobsAgent {
    /// What arrived of the file so far, and its length if that is known, both in bytes.
    pub fn handle_fetch_progress(&mut self, bytes: u64, of: Option<u64>) {
        if let Some(Fetch::Running { received, length }) = self.work.as_mut().and_then(|work| work.fetch_mut()) {
            (*received, *length) = (bytes, of);
        }
    }

    /// The answer to [`Transmit::Fetch`].
    pub fn handle_fetched(&mut self, fetched: Fetched, now: Mono) {
        if !self.is_fetching() {
            return;
        }
        let Some(work) = &mut self.work else { return };
        let bad_file = match fetched {
            Fetched::Nothing | Fetched::Good => None,
            Fetched::Bad { status, reason } => Some(Box::new(BadFile { status, reason: reason.into() })),
        };
        let is_file_reported = matches!(self.step, Step::Asked(Asked { ask: Ask::Update, .. }));
        work.phase = Phase::Running { bad_file, is_file_reported };
        work.next_at = now + work.pause(&self.settings);
        let next_at = work.next_at;
        if matches!(self.step, Step::Planned { ask: Ask::Update, .. }) {
            self.plan(next_at, Ask::Update);
        }
    }

    /// Whether the file asked for with [`Transmit::Fetch`] is still wanted.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        let phase = self.work.as_ref().map(|work| &work.phase);
        matches!(phase, Some(Phase::Fetching(fetch)) if matches!(**fetch, Fetch::Running { .. }))
    }

    /// Asks for the file of what was started.
    pub(super) fn fetch(&mut self) -> Option<Transmit> {
        let work = self.work.as_mut()?;
        let Phase::Fetching(fetch) = &mut work.phase else { return None };
        let Fetch::Wanted(document) = &**fetch else { return None };
        let document = document.clone();
        **fetch = Fetch::Running { received: 0, length: None };
        Some(Transmit::Fetch { job: work.key.job.clone(), document })
    }

    /// The session that fetched is gone.
    pub(super) fn interrupt_fetch(&mut self) {
        if let Some(fetch) = self.work.as_mut().and_then(|work| work.fetch_mut()) {
            *fetch = Fetch::Interrupted;
        }
    }
}
