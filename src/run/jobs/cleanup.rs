//! What a run makes in an account, and takes away again: its jobs, and the thing groups that it made for them.

use super::super::ui::Ui;
use crate::aws::calls::Canceled;
use crate::aws::client::CallError;
use crate::aws::control::ControlClient;
use crate::aws::inventory::{Change, Kind, Record, Step};
use crate::aws::journal::{Durability, Journal, JournalError};
use crate::stop::StopRequests;
use host::clock;
use iot_jobs::{GroupName, JobId};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A service that does not answer is not waited for any longer.
const LIMIT: Duration = Duration::from_secs(120);

/// What is taken away when a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobsAfterwards {
    /// Jobs are deleted, and the groups that the run made.
    Deleted,
    /// All of it stays; jobs of a run that did not come to its end are cancelled.
    Kept,
}

pub(in crate::run) struct Cleanup {
    client: Arc<ControlClient>,
    /// Made by the run.
    groups: Vec<GroupName>,
    /// Of a fleet with an inventory: its folder. `aws deprovision` removes what a run could not.
    fleet: Option<PathBuf>,
    created: Mutex<Vec<JobId>>,
}

impl Cleanup {
    /// The groups are about to be made.
    ///
    /// # Errors
    /// When the inventory of the fleet cannot be written.
    pub(in crate::run) fn new(
        client: Arc<ControlClient>,
        groups: Vec<GroupName>,
        fleet: Option<PathBuf>,
    ) -> Result<Self, JournalError> {
        let cleanup = Self { client, groups, fleet, created: Mutex::default() };
        cleanup.groups.iter().try_for_each(|group| cleanup.note(Kind::ThingGroup, group.as_str(), Step::Begun))?;
        Ok(cleanup)
    }

    /// A job is about to be created.
    ///
    /// # Errors
    /// When the inventory of its fleet cannot be written.
    pub(in crate::run) fn begin(&self, job: &JobId) -> Result<(), JournalError> {
        self.note(Kind::Job, job.as_str(), Step::Begun)?;
        self.created.lock().unwrap_or_else(PoisonError::into_inner).push(job.clone());
        Ok(())
    }

    fn note(&self, kind: Kind, name: &str, step: Step) -> Result<(), JournalError> {
        let Some(dir) = &self.fleet else { return Ok(()) };
        let change = Change { kind, name: name.into(), step, certificate: None, at_ms: clock::epoch_ms() };
        Journal::open(dir)?.append(Record::Resource(change), Durability::Now)
    }

    fn created(&self) -> Vec<JobId> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing more is to be rolled out; what things have begun may end. [`Self::finish`] tells what came of it.
    pub(in crate::run) async fn cancel_queued(&self) {
        for job in self.created() {
            if let Err(error) = self.client.cancel_job(&job, Canceled::Queued).await {
                tracing::debug!(%job, %error, "the job goes on until the run has drained");
            }
        }
    }

    /// Cancels what may go on, and takes everything away that is not to be kept. Says what is left; a request to stop ends it.
    pub(in crate::run) async fn finish(&self, is_complete: bool, afterwards: JobsAfterwards, ui: &Ui, stop: &mut StopRequests) {
        let work = async {
            let jobs = self.created();
            for job in jobs.iter().filter(|_| !is_complete) {
                told(ui, &format!("job {job} canceled"), self.client.cancel_job(job, Canceled::All).await);
            }
            if afterwards == JobsAfterwards::Deleted {
                for job in &jobs {
                    let is_gone = told(ui, &format!("job {job} deleted"), self.client.delete_job(job).await);
                    self.removed(ui, is_gone, Kind::Job, job.as_str());
                }
                for group in &self.groups {
                    let is_gone = told(ui, &format!("thing group {group} deleted"), self.client.delete_group(group).await);
                    self.removed(ui, is_gone, Kind::ThingGroup, group.as_str());
                }
            }
        };
        let given_up = |why: &str| {
            ui.announce(&format!(
                "fleetsim: {why} while jobs and thing groups of the run were deleted: some are left in the account"
            ));
        };
        tokio::select! {
            done = tokio::time::timeout(LIMIT, work) => if done.is_err() {
                given_up(&format!("{} s were up", LIMIT.as_secs()));
            },
            () = stop.next() => given_up("interrupted"),
        }
    }

    fn removed(&self, ui: &Ui, is_gone: bool, kind: Kind, name: &str) {
        if let Err(error) = if is_gone { self.note(kind, name, Step::Removed) } else { Ok(()) } {
            ui.announce(&format!("fleetsim: failed to {error}"));
        }
    }
}

/// Whether it was done.
fn told(ui: &Ui, done: &str, outcome: Result<(), CallError>) -> bool {
    match &outcome {
        Ok(()) => ui.tell(done),
        Err(error) => ui.announce(&format!("fleetsim: not done, left in the account: {done}: {error}")),
    }
    outcome.is_ok()
}
