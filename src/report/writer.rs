//! Writes the results folder while the run goes: after every second everything that is known is on disk.

use super::ReportError;
use super::check::Check;
use super::column::{GrowingFile, replace, to_csv};
use super::forecast_totals::ForecastTotals;
use super::hlog::IntervalLog;
use super::html::write_page;
use super::intervals::IntervalsWriter;
use super::manifest::{EventTotals, Manifest, PredictedRollout, ThresholdTotals, Verdict};
use super::reconciliation::ReconciliationTotals;
use super::shard_rows::ShardRows;
use super::shard_totals::ShardMeasured;
use super::tables::{self, ErrorLine, EventLine, ExecutionLine, OperationSecond, OperationTotal, RolloutSecond};
use super::widen::RowAggregator;
use crate::billing::BilledUnits;
use crate::roster::Things;
use iot_jobs::JobId;
use load_metrics::{Finding, Interval, Phase, ShardSecond, Snapshot, findings};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) const HLOG: &str = "histograms.hlog";
pub(crate) const MANIFEST: &str = "run.json";
/// The resolved scenario.
pub const SCENARIO: &str = "scenario.toml";

/// The files of one run.
pub struct ResultsWriter {
    dir: PathBuf,
    manifest: Manifest,
    findings: Vec<Finding>,
    things: Arc<Things>,
    timeseries: GrowingFile<Snapshot>,
    operations: GrowingFile<OperationSecond>,
    rollouts: GrowingFile<RolloutSecond>,
    executions: GrowingFile<ExecutionLine>,
    hlog: IntervalLog,
    /// Of a shard alone.
    intervals: Option<IntervalsWriter>,
    /// Of a merged run alone.
    shards: Option<ShardRows>,
    widening: RowAggregator,
    /// What the tables that sum up hold: most seconds most of them stay as they are.
    rewritten: BTreeMap<&'static str, Vec<u8>>,
}

impl ResultsWriter {
    /// Makes the folder with its manifest, RUNNING, and every file with its header.
    ///
    /// # Errors
    /// When the folder holds anything already, or cannot be written.
    pub fn create(dir: &Path, manifest: Manifest, things: Arc<Things>) -> Result<Self, ReportError> {
        Self::claim(dir)?;
        let mut writer = Self {
            dir: dir.into(),
            intervals: manifest.shard.as_ref().map(|_| IntervalsWriter::create(dir)).transpose()?,
            shards: match &manifest.merged[..] {
                [] => None,
                shards => Some(ShardRows::create(dir, shards.iter().map(|shard| shard.slice))?),
            },
            manifest,
            findings: Vec::new(),
            things,
            timeseries: GrowingFile::create(dir, tables::TIMESERIES, tables::timeseries_columns())?,
            operations: GrowingFile::create(dir, tables::OPERATIONS, tables::operations_columns())?,
            rollouts: GrowingFile::create(dir, tables::ROLLOUTS, tables::rollouts_columns())?,
            executions: GrowingFile::create(dir, tables::EXECUTIONS, tables::executions_columns())?,
            hlog: IntervalLog::create(dir.join(HLOG))?,
            widening: RowAggregator::default(),
            rewritten: BTreeMap::new(),
        };
        writer.rewrite(tables::SUMMARY, to_csv(&tables::summary_columns(), std::iter::empty()))?;
        writer.rewrite(tables::ERRORS, to_csv(&tables::errors_columns(), std::iter::empty()))?;
        writer.rewrite(tables::EVENTS, to_csv(&tables::events_columns(), std::iter::empty()))?;
        writer.write_manifest()?;
        Ok(writer)
    }

    /// Makes the folder, or takes an empty one.
    ///
    /// # Errors
    /// `NotEmpty` when it holds anything.
    pub fn claim(dir: &Path) -> Result<(), ReportError> {
        fs::create_dir_all(dir).map_err(|source| ReportError::write(dir, source))?;
        let mut entries = fs::read_dir(dir).map_err(|source| ReportError::Read { path: dir.into(), source })?;
        if entries.next().is_some() { Err(ReportError::NotEmpty { path: dir.into() }) } else { Ok(()) }
    }

    /// Keeps what a shard's collector is about to take in, for the merge, and gives it as it is kept; of a run that is no shard's nothing
    /// is kept.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn shard_second(&mut self, second: &ShardSecond<&[Interval]>) -> Result<Option<Vec<u8>>, ReportError> {
        self.intervals.as_mut().map(|intervals| intervals.second(second)).transpose()
    }

    /// Appends what a second brought, and rewrites what sums up.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn second(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        self.append(snapshot, true)?;
        self.sum_up(snapshot)
    }

    /// Appends what a second brought; the rows of executions only where they are wanted.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn append(&mut self, snapshot: &Snapshot, wants_executions: bool) -> Result<(), ReportError> {
        if let Some(row) = self.widening.push(snapshot, snapshot.phase == Phase::Done) {
            self.row(&row)?;
        }
        for execution in snapshot.closed.iter().filter(|_| wants_executions) {
            let place = execution.thing as usize;
            self.executions.write(&ExecutionLine {
                thing: self.things.names[place].clone(),
                cohort: Arc::clone(self.things.cohort_name(place).expect("every thing has a cohort")),
                origin: snapshot.origin,
                execution: execution.clone(),
            });
        }
        self.shards.as_mut().map_or(Ok(()), ShardRows::flush)?;
        self.executions.flush()
    }

    /// Rewrites what sums up.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn sum_up(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        let totals = snapshot.totals.iter().map(|row| OperationTotal { run_s: snapshot.t_s, row: row.clone() });
        self.rewrite(tables::SUMMARY, to_csv(&tables::summary_columns(), totals))?;
        let errors =
            snapshot.errors.iter().map(|(key, tally)| ErrorLine { origin: snapshot.origin, key: *key, tally: tally.clone() });
        self.rewrite(tables::ERRORS, to_csv(&tables::errors_columns(), errors))?;
        self.manifest.events = snapshot.events.iter().map(|row| EventTotals::new(row, snapshot.origin)).collect();
        let events = self.manifest.events.iter().zip(1..).map(|(totals, event)| EventLine { event, totals: totals.clone() });
        self.rewrite(tables::EVENTS, to_csv(&tables::events_columns(), events))?;
        self.manifest.totals.update(snapshot);
        self.manifest.thresholds = snapshot.thresholds.iter().map(ThresholdTotals::from).collect();
        self.findings = findings(snapshot);
        self.manifest.findings = self.findings.iter().map(ToString::to_string).collect();
        self.write_manifest()
    }

    /// One second, or what was widened.
    fn row(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        self.timeseries.write(snapshot);
        for row in &snapshot.second {
            self.operations.write(&OperationSecond { t_s: snapshot.t_s, row: row.clone() });
        }
        for row in &snapshot.rollouts {
            self.rollouts.write(&RolloutSecond { t_s: snapshot.t_s, row: row.clone() });
        }
        self.hlog.second(snapshot)?;
        self.timeseries.flush()?;
        self.operations.flush()?;
        self.rollouts.flush()
    }

    /// What the verdict rests on besides the thresholds.
    pub fn set_checks(&mut self, checks: Vec<Check>) {
        self.manifest.checks = checks;
    }

    /// Keeps the resolved scenario as the text that it is known by.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep_scenario(&self, resolved: &str) -> Result<(), ReportError> {
        replace(&self.dir.join(SCENARIO), resolved.as_bytes())
    }

    /// When a shard starts, where that was not known before.
    pub fn set_shard_start(&mut self, start_at: String) {
        if let Some(shard) = &mut self.manifest.shard {
            shard.start_at = start_at;
        }
    }

    /// How a shard came to its end, where its verdict does not say.
    pub fn set_shard_end(&mut self, limit_reached: bool, uncreated: &[JobId]) {
        if let Some(shard) = &mut self.manifest.shard {
            shard.limit_reached = limit_reached;
            shard.uncreated = uncreated.to_vec();
        }
    }

    /// Why a shard could not be carried out, after "failed to".
    pub fn set_shard_failure(&mut self, reason: &str) {
        if let Some(shard) = &mut self.manifest.shard {
            shard.failed = Some(reason.to_owned());
        }
    }

    /// A second of the shard of a merged run that is at this place.
    pub(crate) fn of_shard(&mut self, place: usize, second: &ShardSecond) {
        if let Some(shards) = &mut self.shards {
            shards.second(place, second);
        }
    }

    /// There are no more seconds of shards; those of which it `is_cut` are missing until the end of the run.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn finish_shards(&mut self, is_cut: impl Fn(usize) -> bool) -> Result<(), ReportError> {
        let Some(shards) = &mut self.shards else { return Ok(()) };
        let run_s = self.manifest.totals.run_s;
        for (place, (shard, measured)) in self.manifest.merged.iter_mut().zip(shards.finish()?).enumerate() {
            let missing = if is_cut(place) { run_s.saturating_sub(measured.run_s) } else { 0 };
            shard.measured = ShardMeasured { silent_s: measured.silent_s + missing, ..measured };
        }
        Ok(())
    }

    /// Second 0 began at this time since the epoch, by whatever clock.
    pub fn set_origin(&mut self, since_epoch: Duration) {
        self.hlog.set_origin(since_epoch);
    }

    /// How the run compares with its forecast.
    pub fn set_predicted(&mut self, predicted: Vec<PredictedRollout>) {
        self.manifest.predicted = predicted;
    }

    /// What a forecast says besides, and what of it is billed: more exactly than its things tell.
    pub fn set_forecast(&mut self, totals: ForecastTotals, billed: BilledUnits) {
        self.manifest.forecast = Some(totals);
        self.manifest.totals.billed = Some(billed);
    }

    /// The last word on the run, and its page. A run whose page cannot be written is one that could not be carried out.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn finish(
        &mut self,
        verdict: Verdict,
        exit_code: u8,
        finished_at: String,
        findings: Vec<String>,
        reconciliation: Option<ReconciliationTotals>,
    ) -> Result<(), ReportError> {
        self.manifest.verdict = verdict;
        self.manifest.exit_code = Some(exit_code);
        self.manifest.finished_at = Some(finished_at);
        self.manifest.findings = findings;
        self.manifest.differences = reconciliation.map(|totals| totals.differences);
        self.manifest.reconciliation_findings = reconciliation.map_or(0, |totals| totals.findings);
        // What never had a sample has not held.
        self.manifest.thresholds.iter_mut().for_each(|threshold| _ = threshold.holds.get_or_insert(false));
        self.write_manifest()?;
        write_page(&self.dir, &self.manifest).or_else(|error| {
            self.manifest.fail(error.to_string());
            self.write_manifest().and(Err(error))
        })
    }

    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the figures so far tell; in the manifest too.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn write_manifest(&self) -> Result<(), ReportError> {
        let text = serde_json::to_vec_pretty(&self.manifest).expect("a manifest has string keys and finite numbers");
        replace(&self.dir.join(MANIFEST), &text)
    }

    fn rewrite(&mut self, name: &'static str, bytes: Vec<u8>) -> Result<(), ReportError> {
        if self.rewritten.get(name) != Some(&bytes) {
            replace(&self.dir.join(name), &bytes)?;
            self.rewritten.insert(name, bytes);
        }
        Ok(())
    }
}
