//! The jobs of a run: when each is due, that it is created, and whether it is over.
//!
//! Calls of the control plane go on beside the run, so that a slow endpoint delays nothing but its own jobs.

use super::super::targets::ControlPlane;
use crate::aws::client::CallError;
use crate::aws::control::JobState;
use crate::aws::journal::JournalError;
use crate::scenario::plan::{Plan, RolloutStart};
use crate::workload::jobs::create_job;
use iot_jobs::instant::Mono;
use iot_jobs::{JobId, JobTarget};
use load_metrics::RolloutRow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often one process asks how its jobs stand, where others ask as well.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A job of the plan, by place: of its rollout, and in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rollout: usize,
    n: usize,
}

/// What a call of the control plane came to.
pub(in crate::run) enum Called {
    Created {
        job: JobId,
        targets: u64,
    },
    /// How the jobs that were asked about stand.
    Looked(Vec<(JobId, JobState)>),
}

/// A job that may have executions to come.
#[derive(Clone, Copy)]
struct OpenJob {
    targets: u64,
    /// Whether it is there: another process may be still to create it.
    is_seen: bool,
}

/// A job that could not be created.
#[derive(Debug, thiserror::Error)]
pub(in crate::run) enum CreateError {
    #[error("{job}: {source}")]
    Call { job: JobId, source: CallError },
    #[error("{job}: {source}")]
    Journal { job: JobId, source: JournalError },
}

/// A job that is being created.
pub(in crate::run) struct Begun {
    pub(in crate::run) job: JobId,
    pub(in crate::run) targets: u64,
}

pub(in crate::run) struct Rollouts<'a> {
    plan: &'a Plan,
    /// Absent where jobs are created by others; then the plan has none.
    control: Option<ControlPlane>,
    /// Rollouts that begin once the fleet is connected.
    unconnected: Vec<usize>,
    due: BTreeSet<(Mono, Place)>,
    creating: usize,
    /// Created and not known to be over.
    open: BTreeMap<JobId, OpenJob>,
    is_looking: bool,
    looked_at: Option<Mono>,
    calls: JoinSet<Result<Called, CreateError>>,
}

impl<'a> Rollouts<'a> {
    pub(in crate::run) fn new(plan: &'a Plan, origin: Mono, control: Option<ControlPlane>) -> Self {
        let mut rollouts = Self {
            plan,
            control,
            unconnected: Vec::new(),
            due: BTreeSet::new(),
            creating: 0,
            open: BTreeMap::new(),
            is_looking: false,
            looked_at: None,
            calls: JoinSet::new(),
        };
        for (n, rollout) in plan.rollouts.iter().enumerate() {
            match rollout.start {
                RolloutStart::At(at) => rollouts.begin(n, origin + at),
                RolloutStart::Connected => rollouts.unconnected.push(n),
            }
        }
        rollouts
    }

    /// Every thing was connected at `at`.
    pub(in crate::run) fn connected(&mut self, at: Mono) {
        for rollout in std::mem::take(&mut self.unconnected) {
            self.begin(rollout, at);
        }
    }

    fn begin(&mut self, rollout: usize, start: Mono) {
        let plan = &self.plan.rollouts[rollout];
        self.due.extend((0..plan.jobs.len()).map(|n| (start + plan.creation(n), Place { rollout, n })));
    }

    /// When the next job is due.
    pub(in crate::run) fn next(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Begins to create the next job, once it is due; of several processes one does.
    pub(in crate::run) fn poll(&mut self, now: Mono) -> Option<Begun> {
        let (at, place) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        let control = self.control.as_ref()?;
        let (group, targets) = control.groups.of_rollout(place.rollout);
        let rollout = &self.plan.rollouts[place.rollout];
        let target = JobTarget::Group(group.clone());
        let create = create_job(self.plan, rollout, place.n, target, control.documents.get(&place.rollout));
        let (client, job) = (Arc::clone(&control.client), create.job_id.clone());
        let begun = Begun { job: job.clone(), targets: control.groups.targets_in(place.rollout, control.slice) };
        if !control.creates {
            self.open.insert(job, OpenJob { targets, is_seen: false });
            return Some(begun);
        }
        self.creating += 1;
        let cleanup = control.cleanup.clone();
        self.calls.spawn(async move {
            if let Some(Err(source)) = cleanup.map(|cleanup| cleanup.begin(&job)) {
                return Err(CreateError::Journal { job, source });
            }
            match client.create_job(&create).await {
                Ok(()) => Ok(Called::Created { job, targets }),
                Err(source) => Err(CreateError::Call { job, source }),
            }
        });
        Some(begun)
    }

    /// Asks about the jobs that may be over: the ledger shows nothing of them that is open. Several processes ask as often as one.
    pub(in crate::run) fn look(&mut self, rows: &[RolloutRow], now: Mono) {
        let Some(control) = self.control.as_ref().filter(|_| !self.is_looking) else { return };
        let pause = LOOK_EVERY * (control.slice.count() - 1);
        if self.looked_at.is_some_and(|looked_at| now < looked_at + pause) {
            return;
        }
        let is_quiet = |job: &JobId| rows.iter().find(|row| row.job == *job).is_some_and(|row| row.counts.open() == 0);
        let quiet: Vec<(JobId, u64)> =
            self.open.iter().filter(|(job, _)| is_quiet(job)).map(|(job, open)| (job.clone(), open.targets)).collect();
        if quiet.is_empty() {
            return;
        }
        let client = Arc::clone(&control.client);
        self.is_looking = true;
        self.looked_at = Some(now);
        self.calls.spawn(async move {
            let mut looked = Vec::new();
            for (job, targets) in quiet {
                match client.job_state(&job, targets).await {
                    Ok(state) => looked.push((job, state)),
                    // It will be asked again.
                    Err(error) => tracing::warn!(%error, %job, "a job does not say how it stands"),
                }
            }
            Ok(Called::Looked(looked))
        });
    }

    /// What the next call came to; never, while none is under way. May be dropped while it waits.
    ///
    /// # Errors
    /// When a job could not be created.
    pub(in crate::run) async fn called(&mut self) -> Result<Called, CreateError> {
        let called = match self.calls.join_next().await {
            Some(Ok(called)) => called?,
            Some(Err(broken)) => std::panic::resume_unwind(broken.into_panic()),
            None => std::future::pending().await,
        };
        match &called {
            Called::Created { job, targets } => {
                self.creating -= 1;
                self.open.insert(job.clone(), OpenJob { targets: *targets, is_seen: true });
            }
            Called::Looked(jobs) => {
                self.is_looking = false;
                jobs.iter().for_each(|(job, state)| self.take(job, *state));
            }
        }
        Ok(called)
    }

    fn take(&mut self, job: &JobId, state: JobState) {
        let Some(open) = self.open.get_mut(job) else { return };
        match state {
            // Who deletes a job ends it; one that was never there is still to come.
            JobState::Missing if !open.is_seen => {}
            JobState::Missing | JobState::Over => _ = self.open.remove(job),
            JobState::Open => open.is_seen = true,
        }
    }

    /// Jobs of the plan that nobody has begun to create.
    pub(in crate::run) fn uncreated(&self) -> Vec<JobId> {
        let due = self.due.iter().map(|(_, place)| self.plan.rollouts[place.rollout].jobs[place.n].clone());
        let unconnected = self.unconnected.iter().flat_map(|rollout| self.plan.rollouts[*rollout].jobs.iter().cloned());
        due.chain(unconnected).collect()
    }

    /// Every job of the plan is there.
    pub(in crate::run) fn are_created(&self) -> bool {
        self.unconnected.is_empty() && self.due.is_empty() && self.creating == 0
    }

    /// Every execution of every job has ended.
    pub(in crate::run) fn are_over(&self) -> bool {
        self.are_created() && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_another_process_is_to_create_is_not_over_before_it_was_there() {
        let text = "name = 'x'\nfleet.things = 2\nend.duration = '1s'";
        let plan = crate::scenario::load("x", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let (job, mut rollouts) = (JobId::new("fw-1").unwrap(), Rollouts::new(&plan, Mono(0), None));
        for (states, is_over) in [
            (&[JobState::Missing][..], false),
            (&[JobState::Missing, JobState::Open], false),
            (&[JobState::Missing, JobState::Open, JobState::Missing], true),
            (&[JobState::Missing, JobState::Over], true),
        ] {
            rollouts.open.insert(job.clone(), OpenJob { targets: 2, is_seen: false });
            states.iter().for_each(|state| rollouts.take(&job, *state));
            assert_eq!(rollouts.are_over(), is_over, "{states:?}");
        }
        rollouts.open.insert(job.clone(), OpenJob { targets: 2, is_seen: true });
        rollouts.take(&job, JobState::Missing);
        assert!(rollouts.are_over(), "it was created here, and deleted since");
    }
}
