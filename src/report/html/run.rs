//! A run as the page needs it: the manifest, and the files of its folder as lines over time.

use super::chart::{Axis, Limit, Moments, SERIES_MAX};
use super::demand::{QuotaUse, quota_uses};
use super::histograms::{self, AllTimes};
use super::limits;
use super::scale::Scale;
use super::shard_lines::{self, ShardLines};
use super::timeline::{Line, Merge, Timeline};
use crate::aws_quotas;
use crate::report::hlog_reader;
use crate::report::manifest::{EventTotals, Manifest, RolloutTotals};
use crate::report::sheet::{Notes, Row, Sheet};
use crate::report::writer::HLOG;
use crate::report::{FORECAST_FOLDER, tables};
use load_metrics::{ExecutionStage, Operation};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use strum::VariantArray;

/// Figures of `timeseries.csv` that are drawn, besides those of executions.
const FIGURES: [&str; 10] = [
    "connected",
    "connects_per_s",
    "messages_in_per_s",
    "messages_out_per_s",
    "lateness_ms_p99",
    "cpu_share",
    "rss_bytes",
    "endpoint_cpu_share",
    "endpoint_rss_bytes",
    "shard_busy_max",
];
/// Shares of a job that are marked on its curve, in percent.
pub(super) const MILESTONES: [f64; 4] = [50.0, 90.0, 99.0, 100.0];
/// Events and phases that charts show, at most: the first ones.
pub(super) const MOMENTS_MAX: usize = 20;
/// Percent; shares stand in their file with six decimals.
const SHARE_ROUNDING: f64 = 1e-4;
/// Notes of one kind come in masses.
const NOTES_MAX: usize = 10;

pub(super) struct Run<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) timeline: Timeline,
    pub(super) moments: Moments,
    pub(super) times: AllTimes,
    /// Of the whole fleet, in the order of every table.
    pub(super) operations: BTreeMap<Operation, Ended>,
    /// The largest ones.
    pub(super) jobs: Vec<Job>,
    /// The same ones as they were forecast, where they were.
    pub(super) predicted: Vec<Job>,
    pub(super) errors: Vec<ErrorRow>,
    pub(super) quota_uses: Vec<QuotaUse>,
    /// Of a merged run, by slice.
    pub(super) shards: BTreeMap<String, ShardLines>,
    /// What could not be read.
    pub(super) notes: Notes,
    seconds: BTreeMap<String, Vec<Row>>,
}

/// How operations ended, per second.
pub(super) struct Ended {
    pub(super) ok: Line,
    /// Refused, timed out or broken.
    pub(super) failed: Line,
}

pub(super) struct Job {
    pub(super) name: String,
    /// Percent of its targets that are done.
    pub(super) done: Line,
    /// For each of [`MILESTONES`] when it was reached, in seconds, evenly between two rows.
    pub(super) reached: [Option<f64>; MILESTONES.len()],
}

/// A row of `errors.csv`.
pub(super) struct ErrorRow {
    pub(super) what: [String; 3],
    pub(super) count: u64,
    /// Milliseconds from the origin.
    pub(super) seen: [Option<f64>; 2],
    pub(super) example: String,
}

impl<'a> Run<'a> {
    /// Everything that can be read; what cannot is among the notes.
    pub(super) fn load(dir: &Path, manifest: &'a Manifest) -> Self {
        let mut notes = Notes::new();
        let largest = largest(&manifest.totals.rollouts);
        let timeseries = Sheet::read(dir, tables::TIMESERIES, None, &mut notes);
        let operations = Sheet::read(dir, tables::OPERATIONS, Some(("scope", &["all"])), &mut notes);
        let [rollouts, forecast] =
            [dir, &dir.join(FORECAST_FOLDER)].map(|dir| Sheet::read(dir, tables::ROLLOUTS, Some(("job", &largest)), &mut notes));
        let log = fs::read(dir.join(HLOG)).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                notes.push(format!("{HLOG} cannot be read: {error}"));
            }
            Vec::new()
        });
        let ends: BTreeSet<u64> =
            [timeseries.ends(), operations.ends(), rollouts.ends(), hlog_reader::ends(&log)].into_iter().flatten().collect();
        let timeline = Timeline::new(&ends);
        let stages = ExecutionStage::VARIANTS.iter().map(|stage| format!("exec_{}", stage.key()));
        let columns: Vec<String> = FIGURES.map(str::to_owned).into_iter().chain(stages).collect();
        let figures = |column: String| {
            let rows = timeseries.figures(&column, &mut notes);
            (column, rows)
        };
        let seconds = columns.into_iter().map(figures).collect();
        let times = histograms::read(&log, &timeline, &mut notes);
        let quota_uses = quota_uses(&timeseries, &operations, &aws_quotas::defaults(), &mut notes);
        let operations = ended(&operations, &timeline, &mut notes);
        let [jobs, predicted] = [rollouts, forecast].map(|sheet| {
            sheet.grouped("job").into_iter().map(|(name, rows)| Job::new(name, &rows, &timeline, &mut notes)).collect()
        });
        let errors = errors(&Sheet::read(dir, tables::ERRORS, None, &mut notes));
        let shards = shard_lines::read(dir, manifest, &timeline, &mut notes);
        let events = manifest.events.iter().take(MOMENTS_MAX).map(span).collect();
        let moments = Moments { phases: phases(&timeseries), events };
        let more = notes.len().saturating_sub(NOTES_MAX);
        notes.truncate(NOTES_MAX);
        notes.extend((more > 0).then(|| format!("and {more} more places cannot be read")));
        Self { manifest, timeline, moments, times, operations, jobs, predicted, errors, quota_uses, shards, notes, seconds }
    }

    /// A figure of `timeseries.csv`; `None` where no second has it.
    pub(super) fn line(&self, figure: &str, merge: Merge) -> Option<Line> {
        let rows = self.seconds.get(figure).filter(|rows| !rows.is_empty())?;
        Some(self.timeline.line(rows, merge))
    }

    /// The highest second of a figure of `timeseries.csv`.
    pub(super) fn peak(&self, figure: &str) -> Option<f64> {
        self.seconds.get(figure)?.iter().map(|row| row.value).reduce(f64::max)
    }

    pub(super) fn time_axis(&self) -> Axis {
        Axis {
            scale: Scale::time(self.timeline.last()),
            fine: self.timeline.fine.ends().collect(),
            coarse: self.timeline.coarse.ends().collect(),
            head: "until",
        }
    }

    /// The thresholds that are drawn in this chart.
    pub(super) fn limits(&self, chart: &str) -> Vec<Limit> {
        limits::of_chart(self, chart)
    }
}

impl Job {
    fn new(name: String, rows: &Sheet, timeline: &Timeline, notes: &mut Notes) -> Self {
        let shares: Vec<Row> =
            rows.figures("done_share", notes).into_iter().map(|row| Row { value: row.value * 100.0, ..row }).collect();
        let reached = MILESTONES.map(|percent| reached(&shares, percent));
        Self { name, done: timeline.line(&shares, Merge::Last), reached }
    }
}

fn reached(shares: &[Row], percent: f64) -> Option<f64> {
    let place = shares.iter().position(|row| row.value >= percent - SHARE_ROUNDING)?;
    let after = shares[place];
    let Some(before) = place.checked_sub(1).map(|before| shares[before]) else { return Some(after.end as f64) };
    let part = ((percent - before.value) / (after.value - before.value)).clamp(0.0, 1.0);
    Some(before.end as f64 + part * (after.end as f64 - before.end as f64))
}

/// Jobs with the most targets, as many as a chart has lines.
fn largest(rollouts: &[RolloutTotals]) -> Vec<&str> {
    let mut sorted: Vec<&RolloutTotals> = rollouts.iter().collect();
    sorted.sort_by_key(|job| Reverse(job.targets.unwrap_or_else(|| job.executions.values().sum())));
    sorted.iter().take(SERIES_MAX).map(|job| job.job.as_str()).collect()
}

fn ended(sheet: &Sheet, timeline: &Timeline, notes: &mut Notes) -> BTreeMap<Operation, Ended> {
    let mut ended = BTreeMap::new();
    for (name, rows) in sheet.grouped("operation") {
        let Ok(operation) = name.parse() else { continue };
        let failed: Vec<Row> = ["rejected", "timeout", "error"].iter().flat_map(|column| rows.figures(column, notes)).collect();
        let line = |rows: &[Row]| timeline.line(rows, Merge::PerSecond);
        ended.insert(operation, Ended { ok: line(&rows.figures("ok", notes)), failed: line(&failed) });
    }
    ended
}

fn errors(sheet: &Sheet) -> Vec<ErrorRow> {
    let row = |[operation, kind, code, count, first, last, example]: [&str; 7]| ErrorRow {
        what: [operation, kind, code].map(str::to_owned),
        count: count.parse().unwrap_or_default(),
        seen: [first, last].map(|ms| ms.parse().ok()),
        example: example.to_owned(),
    };
    let columns = ["operation", "kind", "code", "count", "first_ms", "last_ms", "example"];
    let mut errors: Vec<ErrorRow> = sheet.texts(columns).map(row).collect();
    errors.sort_by_key(|error| Reverse(error.count));
    errors
}

/// Each phase with its first second.
fn phases(timeseries: &Sheet) -> Vec<(String, f64)> {
    let mut phases: Vec<(String, f64)> = Vec::new();
    let mut before = 0.0;
    for [end, phase] in timeseries.texts(["t_s", "phase"]) {
        if phases.len() < MOMENTS_MAX && phases.last().is_none_or(|(known, _)| known != phase) {
            phases.push((phase.to_owned(), before));
        }
        before = end.parse().unwrap_or(before);
    }
    phases
}

/// Of an event, in seconds; one that is not over is shown for as long as it was to last.
fn span(event: &EventTotals) -> (f64, f64) {
    (event.at_s, event.over_ms.map_or(event.at_s + event.lasts_s, |over| over / 1e3))
}
