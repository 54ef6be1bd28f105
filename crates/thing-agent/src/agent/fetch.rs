//! The file of a job, which comes before its work (PROTOCOL 17.3). Who fetches it, and finds it good or bad, is the session.

use super::state::{Ask, Step, Work};
use super::{AgentSettings, JobsAgent};
use crate::event::{Fetched, Transmit};
use iot_jobs::instant::Mono;
use iot_jobs::{ExecutionStatus, JobDocument, JobExecution};
use std::time::Duration;

/// While a file is fetched, reports are as far apart as the steps of work, and never closer than this.
const REPORT_EVERY_MIN: Duration = Duration::from_secs(1);

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
    Bad {
        status: ExecutionStatus,
        reason: Box<str>,
    },
}

impl Work {
    /// The file is awaited.
    pub(super) fn awaits_file(&self) -> bool {
        self.fetch.as_deref().is_some_and(|fetch| !matches!(fetch, Fetch::Bad { .. }))
    }

    /// Until it reports again, or ends.
    pub(super) fn pause(&self, settings: &AgentSettings) -> Duration {
        let step = self.script.step(settings.behavior(&self.key.job), self.reports);
        match self.fetch.as_deref() {
            None => step,
            Some(Fetch::Bad { .. }) => Duration::ZERO,
            Some(_) => step.max(REPORT_EVERY_MIN),
        }
    }
}

impl JobsAgent {
    /// What arrived of the file so far, and its length if that is known.
    pub fn handle_fetch_progress(&mut self, bytes: u64, of: Option<u64>) {
        if let Some(Fetch::Running { received, length }) = self.work.as_mut().and_then(|work| work.fetch.as_deref_mut()) {
            (*received, *length) = (bytes, of);
        }
    }

    /// The answer to [`Transmit::Fetch`].
    pub fn handle_fetched(&mut self, fetched: Fetched, now: Mono) {
        if !self.is_fetching() {
            return;
        }
        let Some(work) = &mut self.work else { return };
        match fetched {
            Fetched::Nothing | Fetched::Good => work.fetch = None,
            Fetched::Bad { status, reason } => {
                work.fetch = Some(Box::new(Fetch::Bad { status, reason: reason.into() }));
            }
        }
        work.next_at = now + work.pause(&self.settings);
        let next_at = work.next_at;
        if matches!(self.step, Step::Planned { ask: Ask::Update, .. }) {
            self.plan(next_at, Ask::Update);
        }
    }

    /// Whether the file asked for with [`Transmit::Fetch`] is still wanted.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.work.as_ref().is_some_and(|work| matches!(work.fetch.as_deref(), Some(Fetch::Running { .. })))
    }

    /// Asks for the file of what was started.
    pub(super) fn fetch(&mut self) -> Option<Transmit> {
        let work = self.work.as_mut().filter(|work| work.is_started)?;
        let fetch = work.fetch.as_deref_mut().filter(|fetch| matches!(fetch, Fetch::Wanted(_)))?;
        let Fetch::Wanted(document) = std::mem::replace(fetch, Fetch::Running { received: 0, length: None }) else { return None };
        Some(Transmit::Fetch { job: work.key.job.clone(), document })
    }

    /// The session that fetched is gone.
    pub(super) fn interrupt_fetch(&mut self) {
        if let Some(work) = self.work.as_mut().filter(|work| work.awaits_file()) {
            work.fetch = Some(Box::new(Fetch::Interrupted));
        }
    }
}

/// What an execution has to wait for.
pub(super) fn file_of(settings: &AgentSettings, execution: &JobExecution) -> Option<Box<Fetch>> {
    let document = || execution.job_document.clone();
    // What cannot be verified is not done.
    let bad = || Fetch::Bad { status: ExecutionStatus::Rejected, reason: "the execution came without its document".into() };
    settings.fetches.then(|| Box::new(document().map_or_else(bad, Fetch::Wanted)))
}
