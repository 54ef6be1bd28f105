//! `run.json`: what was run, where, and how it went. Written as RUNNING at the start, rewritten every second.

use super::check::{Check, CheckOutcome, CheckSubject};
use super::forecast_totals::ForecastTotals;
use super::shard_totals::{MergedShard, ShardTotals};
use crate::billing::BilledUnits;
use crate::exit;
use crate::preflight::HostFacts;
use iot_jobs::instant::Mono;
use load_metrics::{EventRow, ExecutionStage, Latency, OperationRow, ProcessUsage, ScopeName, Snapshot, StageCounts, ThresholdRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strum::{IntoStaticStr, VariantArray};

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "UPPERCASE")]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    Pass,
    Fail,
    Invalid,
    Interrupted,
    Error,
    Running,
}

impl Verdict {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What it says, in a sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Pass => "The run finished, and every threshold and check passed.",
            Self::Fail => "The run finished, and a threshold or check failed; findings and thresholds say which.",
            Self::Invalid => "The generator was the bottleneck or lost samples: these figures are no evidence of the endpoint.",
            Self::Interrupted => "The run was interrupted; these are the figures until then.",
            Self::Error => "The run could not be carried out; these are the figures until then.",
            Self::Running => {
                "There is no verdict: the run is still going on, or its process was killed; these are the figures so far."
            }
        }
    }

    /// Those that a run can end with.
    pub fn of_ended() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied().filter(|verdict| *verdict != Self::Running)
    }
}

/// Where the figures of a folder come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Things that were driven.
    #[default]
    Run,
    /// Virtual time.
    Forecast,
    /// The shards of one run.
    Merged,
}

/// The manifest of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Manifest {
    pub name: String,
    #[serde(default)]
    pub mode: Mode,
    pub verdict: Verdict,
    pub exit_code: Option<u8>,
    pub seed: u64,
    /// SHA-256 of the resolved scenario as TOML, in hex.
    pub scenario_sha256: String,
    /// The scenario with every default filled in.
    pub scenario: serde_json::Value,
    pub version: String,
    pub host: HostFacts,
    pub pid: u32,
    pub shards: usize,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub finished_at: Option<String>,
    pub totals: Totals,
    /// In the order of the scenario.
    pub thresholds: Vec<ThresholdTotals>,
    /// In the order of the scenario.
    #[serde(default)]
    pub events: Vec<EventTotals>,
    /// What the verdict rests on besides the thresholds; empty until the end.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What a reader must know, in plain words.
    pub findings: Vec<String>,
    /// Between the things' ledger and the service's, found by the reconciliation at the end; absent where there was none.
    #[serde(default)]
    pub differences: Option<u64>,
    /// How many of the findings are the reconciliation's: the last ones.
    #[serde(default, rename = "audit_findings")]
    pub reconciliation_findings: usize,
    /// What the forecast of the run said, where its endpoint has quotas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicted: Vec<PredictedRollout>,
    /// Only in a forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastTotals>,
    /// Only in a shard of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardTotals>,
    /// The shards of a merged run, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<MergedShard>,
}

impl Manifest {
    /// The scenario's name, with how much of the run this is, or that nothing was measured.
    #[must_use]
    pub fn title(&self) -> String {
        match (self.mode, &self.shard) {
            (Mode::Run, None) => self.name.clone(),
            (Mode::Run, Some(shard)) => format!("{} (slice {})", self.name, shard.slice),
            (Mode::Forecast, _) => format!("{} (forecast)", self.name),
            (Mode::Merged, _) => format!("{} ({} slices)", self.name, self.merged.len()),
        }
    }

    /// The run could not be carried out after all: why, after "failed to".
    pub(super) fn fail(&mut self, reason: String) {
        let why = format!("failed to {reason}");
        if let Some(shard) = &mut self.shard {
            shard.failed = Some(reason);
        }
        self.verdict = Verdict::Error;
        self.exit_code = Some(exit::ERROR);
        self.set_check(CheckSubject::CarriedOut, CheckOutcome::Error, vec![why.clone()]);
        self.findings.insert(0, why);
    }

    /// How one of the checks stands, in place of what was known of it.
    pub(super) fn set_check(&mut self, subject: CheckSubject, outcome: CheckOutcome, why: Vec<String>) {
        let check = Check { subject, outcome, why };
        match self.checks.iter_mut().find(|known| known.subject == subject) {
            Some(known) => *known = check,
            None => self.checks.push(check),
        }
    }
}

/// A job of the run's forecast, and how far the run was from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PredictedRollout {
    pub job: String,
    /// As [`RolloutTotals::seconds_to`], of the forecast.
    pub seconds_to: Vec<Option<f64>>,
    /// Measured over predicted, less one.
    pub error_share: Vec<Option<f64>>,
}

/// The run in numbers: all that the summary shows.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Totals {
    /// Whole seconds of the run so far.
    pub run_s: u64,
    pub phase: String,
    pub things: u64,
    pub connected: u64,
    pub messages_in: u64,
    pub messages_out: u64,
    /// Units of AWS's bill; minutes of connections that ended. Absent in results of an earlier version.
    #[serde(default)]
    pub billed: Option<BilledUnits>,
    /// Executions by state; what the target cannot show is absent.
    pub executions: BTreeMap<String, u64>,
    pub rollouts: Vec<RolloutTotals>,
    pub operations: Vec<OperationTotals>,
    pub errors: Vec<ErrorTotals>,
    pub anomalies: BTreeMap<String, u64>,
    pub lateness_ms: Option<Percentiles>,
    /// Absent in a forecast.
    pub generator: Option<UsageTotals>,
    pub endpoint: Option<UsageTotals>,
    pub intervals_lost: u64,
    pub saturated: u64,
    /// `CLOCK_MONOTONIC` at the first connect arrival, in nanoseconds: what instants in the files count from.
    #[serde(default)]
    pub origin_mono_ns: u64,
}

/// A threshold and how it stands.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ThresholdTotals {
    pub metric: String,
    pub check: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// Absent: there is no sample.
    pub value: Option<f64>,
    /// Absent while the run goes on and there is no sample; at its end that is a failure.
    pub holds: Option<bool>,
}

impl ThresholdTotals {
    /// What it is about besides its metric: ` (last 60 s, rollout, cohort slow)`, or nothing.
    #[must_use]
    pub fn about(&self) -> String {
        let over = self.over_s.map(|seconds| format!("last {seconds} s"));
        let cohort = self.cohort.as_ref().map(|cohort| format!("cohort {cohort}"));
        let parts: Vec<String> = [over, self.phase.clone(), cohort].into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }
}

impl From<&ThresholdRow> for ThresholdTotals {
    fn from(row: &ThresholdRow) -> Self {
        let threshold = &row.threshold;
        Self {
            metric: threshold.metric.to_string(),
            check: threshold.check.to_string(),
            over_s: threshold.over.map(|over| over.as_secs()),
            phase: threshold.phase.map(|phase| phase.to_string()),
            cohort: threshold.cohort.clone(),
            value: row.value,
            holds: row.holds(),
        }
    }
}

/// An event and how the fleet took it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EventTotals {
    pub kind: String,
    pub at_s: f64,
    pub lasts_s: f64,
    /// From the origin: when the way was free again.
    pub over_ms: Option<f64>,
    /// Things that lost their session by it, and those that were subscribed again.
    pub affected: u64,
    pub back: u64,
    /// Attempts of them that failed before that.
    pub failures: u64,
    /// From its beginning until the last of them was subscribed again; absent while one is not.
    pub back_ms: Option<f64>,
    /// From when it was over until each was subscribed again.
    pub recovery_ms: Option<Percentiles>,
    pub peak_connects_per_s: u64,
    pub peak_attempts_per_s: u64,
}

impl EventTotals {
    pub(super) fn new(row: &EventRow, origin: Mono) -> Self {
        Self {
            kind: row.kind.into(),
            at_s: row.at.since(origin).as_secs_f64(),
            lasts_s: row.lasts.as_secs_f64(),
            over_ms: row.over.map(|over| over.ms_since(origin)),
            affected: row.affected,
            back: row.back,
            failures: row.failures,
            back_ms: row.back_after.map(|after| after.as_secs_f64() * 1e3),
            recovery_ms: row.recovery.map(Percentiles::from),
            peak_connects_per_s: row.peak_connects_per_s,
            peak_attempts_per_s: row.peak_attempts_per_s,
        }
    }

    /// Things that are not back.
    #[must_use]
    pub fn away(&self) -> u64 {
        self.affected - self.back
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RolloutTotals {
    pub job: String,
    pub targets: Option<u64>,
    pub executions: BTreeMap<String, u64>,
    /// Of these, that came after another one of the same thing.
    #[serde(default)]
    pub repeated: u64,
    pub done_share: Option<f64>,
    /// Seconds until 50, 90, 99 and 100 % of the executions were terminal.
    pub seconds_to: Vec<Option<f64>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OperationTotals {
    pub scope: ScopeName,
    pub operation: String,
    pub started: u64,
    pub ok: u64,
    pub rejected: u64,
    pub timeout: u64,
    pub error: u64,
    pub open: u64,
    pub service_ms: Option<Percentiles>,
    pub response_ms: Option<Percentiles>,
    /// Planned starts that nobody was free to take.
    #[serde(default)]
    pub lost_arrivals: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ErrorTotals {
    pub operation: String,
    pub kind: String,
    pub code: String,
    pub count: u64,
    pub example: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// CPU seconds and peak memory of a process.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct UsageTotals {
    pub cpu_seconds: f64,
    pub rss_bytes_max: u64,
}

impl From<Latency> for Percentiles {
    fn from(latency: Latency) -> Self {
        Self { p50: latency.p50, p90: latency.p90, p99: latency.p99, max: latency.max }
    }
}

impl From<&OperationRow> for OperationTotals {
    fn from(row: &OperationRow) -> Self {
        Self {
            scope: row.scope.clone(),
            operation: row.operation.as_str().into(),
            started: row.counts.started,
            ok: row.counts.ok,
            rejected: row.counts.rejected,
            timeout: row.counts.timeout,
            error: row.counts.error,
            open: row.open,
            service_ms: row.service.map(Percentiles::from),
            response_ms: row.response.map(Percentiles::from),
            lost_arrivals: row.counts.lost_arrivals,
        }
    }
}

/// By key; what is not known is absent.
fn by_stage(counts: &StageCounts) -> BTreeMap<String, u64> {
    counts.iter().filter_map(|(stage, count)| Some((stage.key().to_owned(), count?))).collect()
}

impl Totals {
    /// Executions that have not ended.
    #[must_use]
    pub fn open(&self) -> u64 {
        let open = ExecutionStage::VARIANTS.iter().filter(|stage| !stage.is_terminal());
        open.filter_map(|stage| self.executions.get(stage.key())).sum()
    }

    /// Peaks are kept from the totals before.
    pub(super) fn update(&mut self, snapshot: &Snapshot) {
        let usage_totals = |usage: ProcessUsage, before: Option<UsageTotals>| UsageTotals {
            cpu_seconds: usage.cpu_seconds,
            rss_bytes_max: before.map_or(0, |before| before.rss_bytes_max).max(usage.rss_bytes),
        };
        let generator = snapshot.generator.map(|usage| usage_totals(usage, self.generator));
        let endpoint = snapshot.endpoint.map(|usage| usage_totals(usage, self.endpoint));
        let rollout = |row: &load_metrics::RolloutRow| RolloutTotals {
            job: row.job.to_string(),
            targets: row.targets,
            executions: by_stage(&row.counts),
            repeated: row.repeated,
            done_share: row.done_share(),
            seconds_to: row.seconds_to.to_vec(),
        };
        *self = Self {
            run_s: snapshot.t_s,
            phase: snapshot.phase.to_string(),
            things: snapshot.things,
            connected: snapshot.connected,
            messages_in: snapshot.messages_in,
            messages_out: snapshot.messages_out,
            billed: Some(BilledUnits {
                messages: snapshot.metered.messages,
                connection_minutes: snapshot.metered.connection_minutes,
                executions: snapshot.executions.all(),
                registry_operations: 0,
            }),
            executions: by_stage(&snapshot.executions),
            rollouts: snapshot.rollouts.iter().map(rollout).collect(),
            operations: snapshot.totals.iter().map(OperationTotals::from).collect(),
            errors: snapshot
                .errors
                .iter()
                .map(|(key, tally)| ErrorTotals {
                    operation: key.operation.as_str().into(),
                    kind: key.kind.as_str().into(),
                    code: key.code.into(),
                    count: tally.count,
                    example: tally.example.clone(),
                })
                .collect(),
            anomalies: snapshot.anomalies.iter().map(|(anomaly, count)| (anomaly.as_str().into(), *count)).collect(),
            lateness_ms: snapshot.lateness_total.map(Percentiles::from),
            generator,
            endpoint: endpoint.or(self.endpoint),
            intervals_lost: snapshot.intervals_lost,
            saturated: snapshot.saturated,
            origin_mono_ns: snapshot.origin.0,
        };
    }
}
