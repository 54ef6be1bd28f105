//! What a run was asked for, and how a step of a search went.

use super::jobs::cleanup::JobsAfterwards;
use super::led::Led;
use super::measure::{MeasurePlan, Measured};
use super::shard::ShardOptions;
use super::ui::UiKind;
use crate::report::{CiFiles, Manifest};
use crate::scenario::plan::Plan;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What `fleetsim run` was asked for.
pub struct RunOptions {
    pub plan: Plan,
    /// The results folder; default `results/<name>-<UTC stamp>`.
    pub out: Option<PathBuf>,
    /// Where the certificates of local endpoints are kept; default: `certs/`, and where that cannot be written the user's data folder. For
    /// other endpoints: where the things of a led slice have theirs from, in place of what the scenario says.
    pub certs: Option<PathBuf>,
    pub ui: UiKind,
    /// Default: the host's cores.
    pub shards: Option<usize>,
    /// Of a run that is one of several: which one, and how they stand, for the dashboard.
    pub title: Option<String>,
    /// Where other processes drive the other things.
    pub shard: Option<ShardOptions>,
    /// Whoever leads all of them.
    pub led: Option<Led>,
    /// Of a run that is one step of a search.
    pub step: Option<MeasurePlan>,
    /// What becomes of jobs in an account.
    pub jobs_afterwards: JobsAfterwards,
    pub outlets: Outlets,
}

/// Who else is told of a run.
#[derive(Clone, Debug, Default)]
pub struct Outlets {
    /// Where its metrics are served.
    pub metrics: Option<SocketAddr>,
    pub ci: CiFiles,
}

/// How a step of a search went.
pub struct StepReport {
    pub manifest: Manifest,
    /// `None` where the run could not be carried out.
    pub measured: Option<Measured>,
    /// What failed, in words.
    pub failures: Vec<String>,
}
