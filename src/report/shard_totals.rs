//! What a manifest says of shards: which one a run is, and which ones a merged run has.

use super::manifest::{Percentiles, UsageTotals, Verdict};
use crate::preflight::HostFacts;
use crate::slice::Slice;
use iot_jobs::JobId;
use serde::{Deserialize, Serialize};

/// Which part of a run a folder holds, and what its verdict does not say of its end.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ShardTotals {
    /// As in `--shard`.
    pub slice: Slice,
    /// As in `--start-at`; RFC 3339, UTC. Empty until a leader has told it.
    pub start_at: String,
    /// What the ids of its jobs end with in an account, where a leader says so; absent: `start_at` tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Whether `end.limit` ended it.
    #[serde(default)]
    pub limit_reached: bool,
    /// Jobs of the scenario that were not due, or not created, by its end.
    #[serde(default)]
    pub uncreated: Vec<JobId>,
    /// Why it could not be carried out, after "failed to".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// A shard, as a merged run has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MergedShard {
    pub slice: Slice,
    /// The folder as it was named.
    pub dir: String,
    /// That of the shard by itself, as its exit code.
    pub verdict: Verdict,
    pub exit_code: Option<u8>,
    pub host: HostFacts,
    /// Its threads.
    pub shards: usize,
    pub things: u64,
    pub started_at: String,
    pub finished_at: Option<String>,
    /// Its process; 0 where nobody knows.
    #[serde(default)]
    pub pid: u32,
    /// Of fleetsim.
    #[serde(default)]
    pub version: String,
    /// What it said of itself, in plain words.
    #[serde(default)]
    pub findings: Vec<String>,
    #[serde(flatten)]
    pub measured: ShardMeasured,
    /// CPU time and memory of its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<UsageTotals>,
    /// Where it had a leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ShardClock>,
}

/// What the seconds of a shard come to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct ShardMeasured {
    /// Whole seconds of it.
    #[serde(default)]
    pub run_s: u64,
    /// Those of which it has told nothing: up to its own end, or up to that of the run where it has none.
    #[serde(default)]
    pub silent_s: u64,
    /// PUBLISH packets to and from its things.
    #[serde(default)]
    pub messages: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<Busy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness_ms: Option<Percentiles>,
    /// Service times of its connects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<Percentiles>,
}

/// CPU time of the busiest thread of a second, as a share of one core.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Busy {
    pub mean: f64,
    pub max: f64,
}

/// How far the clock of a shard's host was from its leader's.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct ShardClock {
    /// The leader's less the shard's.
    pub offset_ms: f64,
    /// To what exactness that is known: half of the round trip.
    pub uncertainty_ms: f64,
}
