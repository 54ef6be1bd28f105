//! What a run makes in an account, and takes away again: its jobs, and the thing groups that it made for them.

use super::super::stop::StopRequests;
use super::super::ui::Ui;
use crate::aws::client::CallError;
use crate::aws::control::ControlClient;
use crate::aws::inventory::{Change, Kind, Record, Step};
use crate::aws::journal::{Durability, Journal, JournalError};
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
    pub(in crate::run) fn new(client: Arc<ControlClient>, groups: Vec<GroupName>, fleet: Option<PathBuf>) -> Self {
        Self { client, groups, fleet, created: Mutex::default() }
    }

    /// A job is about to be created.
    ///
    /// # Errors
    /// When the inventory of its fleet cannot be written.
    pub(in crate::run) fn begin(&self, job: &JobId) -> Result<(), JournalError> {
        self.note(job, Step::Begun)?;
        self.created.lock().unwrap_or_else(PoisonError::into_inner).push(job.clone());
        Ok(())
    }

    fn note(&self, job: &JobId, step: Step) -> Result<(), JournalError> {
        let Some(dir) = &self.fleet else { return Ok(()) };
        let change = Change { kind: Kind::Job, name: job.to_string(), step, certificate: None, at_ms: clock::epoch_ms() };
        Journal::open(dir)?.append(Record::Resource(change), Durability::Now)
    }

    /// Cancels what may go on, and takes everything away that is not to be kept. Says what is left; a request to stop ends it.
    pub(in crate::run) async fn finish(&self, is_complete: bool, afterwards: JobsAfterwards, ui: &Ui, stop: &mut StopRequests) {
        let work = async {
            let jobs = self.created.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for job in jobs {
                if !is_complete {
                    self.tell(ui, &format!("job {job} canceled"), self.client.cancel_job(&job).await);
                }
                if afterwards == JobsAfterwards::Deleted
                    && self.tell(ui, &format!("job {job} deleted"), self.client.delete_job(&job).await)
                {
                    if let Err(error) = self.note(&job, Step::Removed) {
                        ui.announce(&format!("fleetsim: failed to {error}"));
                    }
                }
            }
            for group in self.groups.iter().filter(|_| afterwards == JobsAfterwards::Deleted) {
                self.tell(ui, &format!("thing group {group} deleted"), self.client.delete_group(group).await);
            }
        };
        let given_up = |why: &str| {
            ui.announce(&format!(
                "fleetsim: {why} while jobs and thing groups of the run were deleted: some are left in the account"
            ))
        };
        tokio::select! {
            done = tokio::time::timeout(LIMIT, work) => if done.is_err() {
                given_up(&format!("{} s were up", LIMIT.as_secs()));
            },
            () = stop.next() => given_up("interrupted"),
        }
    }

    fn tell(&self, ui: &Ui, done: &str, outcome: Result<(), CallError>) -> bool {
        match &outcome {
            Ok(()) => ui.tell(done),
            Err(error) => ui.announce(&format!("fleetsim: left in the account, not: {done}: {error}")),
        }
        outcome.is_ok()
    }
}
