//! The jobs of a run.

use iot_jobs::{JobDocument, JobId, JobSettings, NamespaceId, TemplateUse};
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};

/// One job, or a series of jobs that differ in nothing but their ids and when they are created.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutPlan {
    /// As the scenario calls it: the id of its job, or the template of its jobs' ids.
    pub name: String,
    /// In the order of their creation; at least one.
    pub jobs: Vec<JobId>,
    /// From the creation of a job to that of the next.
    pub every: Duration,
    pub start: RolloutStart,
    pub delay: Duration,
    /// Of every job the same things.
    pub targets: RolloutTargets,
    /// CreateJob's own members.
    pub settings: JobSettings,
    /// Only things of this namespace see the jobs.
    pub namespace: Option<NamespaceId>,
    /// The job template that the jobs are made from, by the ARN that the local endpoint would give it.
    pub template: Option<TemplateUse>,
    pub document: JobDocument,
    /// A file that the things are to fetch first.
    pub artifact: Option<ArtifactPlan>,
    /// Instead of the cohort's behavior.
    pub behavior: Option<String>,
}

impl RolloutPlan {
    /// When job `n`, from 0, is to be created, counted from the start: never from the job before, so that nothing drifts.
    #[must_use]
    pub fn creation(&self, n: usize) -> Duration {
        self.delay + self.every * u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Executions a minute, where that is one rate.
    #[must_use]
    pub fn rate_per_minute(&self) -> Option<u32> {
        let rollout = &self.settings.config.rollout;
        rollout.maximum_per_minute.filter(|_| rollout.exponential.is_none())
    }
}

/// A file of a rollout, made from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactPlan {
    pub bytes: u64,
    pub sign: bool,
    /// Bytes per second of each thing.
    pub bandwidth: Option<u64>,
    pub tamper: Option<Tamper>,
}

/// What is wrong, on purpose, with a file that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Tamper {
    /// A byte is another one.
    Content,
    /// A byte is missing.
    Length,
    /// Somebody else signed it.
    Key,
}

impl Tamper {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStart {
    /// Once every thing is connected.
    Connected,
    /// Counted from the first connect arrival.
    At(Duration),
}

#[derive(Clone, Debug, PartialEq)]
pub enum RolloutTargets {
    Share(f64),
    Cohort(String),
}
