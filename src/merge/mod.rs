//! `fleetsim merge`: the shards of one run become one results folder. What each of them has kept of its seconds is taken in by one
//! collector, on the way of every run: the same joins, thresholds, verdict and files. So the whole is what one process would have seen.

mod difference;
mod leader;
mod parts;
mod replay;
mod service;
#[cfg(test)]
mod tests;

use crate::exit;
use crate::report::{self, IntervalsError, MANIFEST, Mode, ReconciliationTotals, ReportError, ResultsWriter, ShardClock, Verdict};
use crate::results_folder::{self, RunsOn};
use crate::run::prediction;
use crate::scenario::Problems;
use crate::stop::StopFlag;
use crate::timestamp::rfc3339;
use crate::verdict::{End, Evidence, Judgement, judge};
use host::stdio;
use iot_jobs::NameError;
use iot_jobs::instant::Mono;
use leader::Leader;
pub(crate) use leader::WORKERS_FOLDER;
use load_metrics::{EventRow, Finding, LastSeconds, ShardReasons, Shards, Snapshot};
use parts::{Part, Parts};
use replay::Replay;
pub(crate) use replay::{WholeRun, bounds};
pub(crate) use service::Service;
pub use service::ServiceError;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often somebody who waits is told how far it is.
const TOLD: Duration = Duration::from_secs(1);

/// What `fleetsim merge` was asked for.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// The results folder of the whole: new or empty.
    pub out: PathBuf,
    /// Those of the shards, in any order.
    pub runs: Vec<PathBuf>,
    /// Whether what is printed may have colours.
    pub colour: bool,
}

/// Shards that were not merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("{0}")]
    Intervals(#[from] IntervalsError),
    #[error("{0}")]
    Service(#[from] ServiceError),
    #[error("merge these folders: they are not the slices of one run:\n{}", .0.iter().map(|why| format!("  - {why}")).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<String>),
    #[error("write {path}: it is not empty; name a new or empty folder for the whole run")]
    NotEmpty { path: PathBuf },
    #[error("resolve the scenario of the slices:\n{}", .0.render(false))]
    Scenario(Problems),
    #[error("name a thing: {0}")]
    Name(#[from] NameError),
    #[error("{0}")]
    RunId(String),
    #[error("listen for signals: {0}")]
    Signals(#[source] io::Error),
    #[error("merge: it was interrupted, and {path} was not made")]
    Interrupted { path: PathBuf },
}

impl MergeError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::NotEmpty { .. } => exit::USAGE,
            Self::Interrupted { .. } => exit::INTERRUPTED,
            Self::Scenario(_) => exit::SCENARIO,
            Self::Report(_) | Self::Intervals(_) | Self::Service(_) | Self::Name(_) | Self::RunId(_) | Self::Signals(_) => {
                exit::ERROR
            }
        }
    }
}

/// Merges; returns the exit code, which is that of the whole run.
#[must_use]
pub fn merge(options: &MergeOptions) -> u8 {
    let merged = StopFlag::listen().map_err(MergeError::Signals).and_then(|stop| {
        let mut told = Instant::now();
        into_folder(&options.out, &options.runs, |snapshot| {
            if told.elapsed() >= TOLD {
                told = Instant::now();
                stdio::say(&report::plain::line(snapshot));
            }
            stop.is_set()
        })
    });
    let printed = merged.and_then(|code| {
        let record = report::load(&options.out)?;
        Ok((code, stdio::print(&format!("{}\n", record.summary(options.colour)))))
    });
    match printed {
        Ok((code, Ok(()))) => code,
        Ok((_, Err(error))) => {
            stdio::say(&format!("fleetsim: failed to {error}"));
            exit::ERROR
        }
        Err(error) => {
            stdio::say(&format!("fleetsim: failed to {error}"));
            error.exit_code()
        }
    }
}

/// The whole is made beside `out` and gets its name when it is complete. `each` hears of every second, and says whether to stop.
fn into_folder(out: &Path, runs: &[PathBuf], each: impl FnMut(&Snapshot) -> bool) -> Result<u8, MergeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| MergeError::Report(ReportError::Write { path, source })
    };
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(MergeError::NotEmpty { path: out.into() });
    }
    let parts = Parts::read(runs)?;
    let clocks = parts.leader.as_ref().map_or_else(BTreeMap::new, |leader| leader.clocks.clone());
    let notes = LeaderNotes { clocks, ..LeaderNotes::default() };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed(parent))?;
    let mut builder = tempfile::Builder::new();
    let aside = builder.prefix(".merge-").permissions(Permissions::from_mode(0o777)).tempdir_in(parent).map_err(failed(parent))?;
    let code = write(aside.path(), &parts, &notes, each).map_err(|error| match error {
        MergeError::Interrupted { .. } => MergeError::Interrupted { path: out.into() },
        error => error,
    })?;
    fs::rename(aside.path(), out).map_err(failed(out))?;
    // There is nothing left to remove.
    let _ = aside.keep();
    Ok(code)
}

/// What whoever led a run knows of it besides what its shards have in their folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeaderNotes {
    pub findings: Vec<Finding>,
    /// Why the run was ended early, or could not be carried out; `None`: its shards tell.
    pub end: Option<End>,
    /// How far the leader's clock was ahead of a shard's, and to what exactness, in milliseconds; by slice.
    pub clocks: BTreeMap<u32, ShardClock>,
}

/// Makes the files of the whole in a folder that its leader has written so far, each in place of the one that is there, the manifest last.
///
/// # Errors
/// When the folders of the shards are not those of one run, or a file cannot be read or written.
pub(crate) fn replace_folder(
    out: &Path,
    runs: &[PathBuf],
    notes: &LeaderNotes,
    each: impl FnMut(&Snapshot) -> bool,
) -> Result<u8, MergeError> {
    let failed = |source| MergeError::Report(ReportError::Write { path: out.into(), source });
    let leader = Leader::new(out, &report::load_manifest(out)?);
    let parts = Parts { leader: Some(leader), ..Parts::read(runs)? };
    let aside = tempfile::Builder::new().prefix(".merge-").tempdir_in(out).map_err(failed)?;
    let code = write(aside.path(), &parts, notes, each)?;
    let mut files: Vec<PathBuf> = fs::read_dir(aside.path())
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().into())).collect())
        .map_err(failed)?;
    // The folder of its forecast is there.
    files.retain(|file| !aside.path().join(file).is_dir());
    files.sort_by_key(|file| file == Path::new(MANIFEST));
    files.iter().try_for_each(|file| fs::rename(aside.path().join(file), out.join(file))).map_err(failed)?;
    Ok(code)
}

fn write(dir: &Path, parts: &Parts, notes: &LeaderNotes, mut each: impl FnMut(&Snapshot) -> bool) -> Result<u8, MergeError> {
    let mut replay = Replay::open(parts)?;
    let mut writer = create(dir, parts, notes)?;
    if let Some(leader) = &parts.leader {
        leader.copy_to(dir)?;
    }
    let mut last: Option<Arc<Snapshot>> = None;
    while let Some((snapshot, is_last)) = replay.next(|place, second| writer.of_shard(place, second))? {
        writer.append(&snapshot, true)?;
        if is_last {
            writer.sum_up(&snapshot)?;
        }
        if each(&snapshot) {
            return Err(MergeError::Interrupted { path: dir.into() });
        }
        last = Some(snapshot);
    }
    let of_shards = of_shards(&parts.parts, replay.seconds(), &notes.findings);
    let findings: Vec<Finding> = writer.findings().iter().cloned().chain(notes.findings.iter().cloned()).chain(of_shards).collect();
    let last = last.as_deref();
    let predicted = parts.leader.as_ref().map_or_else(Vec::new, Leader::predicted);
    let predicted = prediction::compare(&predicted, &writer.manifest().totals.rollouts);
    let Judgement { verdict, exit_code, findings, checks, differences, reconciliation_findings } = judge(&Evidence {
        end: notes.end.clone().unwrap_or_else(|| end(parts, last)),
        thresholds_hold: last.is_none_or(|last| last.thresholds.iter().all(|threshold| threshold.holds() == Some(true))),
        findings: &findings,
        remarks: &prediction::findings(&predicted),
        uncreated: &parts.parts[0].shard.uncreated,
        reconciliation: report::reconcile(dir, last.map_or(Mono(0), |last| last.origin)).map_err(|error| error.to_string()),
    });
    writer.set_predicted(predicted);
    writer.finish_shards(|place| parts.parts[place].is_cut())?;
    writer.set_checks(checks);
    let finished_at = parts.parts.iter().filter_map(|part| part.manifest.finished_at.clone()).max();
    let reconciliation = differences.map(|differences| ReconciliationTotals { differences, findings: reconciliation_findings });
    writer.finish(verdict, exit_code, finished_at.unwrap_or_else(rfc3339), findings, reconciliation)?;
    Ok(exit_code)
}

fn create(dir: &Path, parts: &Parts, notes: &LeaderNotes) -> Result<ResultsWriter, MergeError> {
    let on = RunsOn { mode: Mode::Merged, host: parts.host(), shards: parts.threads().iter().sum(), shard: None };
    let mut manifest = results_folder::manifest(&parts.plan, &on);
    manifest.merged = parts.totals(&notes.clocks);
    let started_at = parts.parts.iter().map(|part| part.manifest.started_at.clone()).min();
    manifest.started_at = started_at.unwrap_or(manifest.started_at);
    let mut writer = ResultsWriter::create(dir, manifest, Arc::clone(parts.roster.things()))?;
    writer.keep_scenario(&parts.plan.to_toml())?;
    writer.set_origin(Duration::from_millis(u64::try_from(parts.start_at.epoch_ms()).unwrap_or(0)));
    Ok(writer)
}

/// How the whole came to its end: as the worst of its shards.
fn end(parts: &Parts, last: Option<&Snapshot>) -> End {
    let with = |verdict: Verdict| parts.parts.iter().find(move |part| part.manifest.verdict == verdict);
    if let Some(part) = with(Verdict::Error) {
        return End::Failed(format!("complete slice {}: {}", part.shard.slice, first_finding(part)));
    }
    if with(Verdict::Interrupted).is_some() {
        return End::Interrupted;
    }
    match parts.parts.iter().any(|part| part.shard.limit_reached) {
        true => End::Limit {
            limit: parts.plan.end.limit,
            open: last.map_or(0, |last| last.executions.open()),
            away: last.map_or(0, |last| last.events.iter().map(EventRow::away).sum()),
        },
        false => End::Complete,
    }
}

/// What makes shards, and so the whole, no evidence. Of one that was lost nobody needs to hear again that it has no end.
fn of_shards(parts: &[Part], seconds: impl Iterator<Item = u64>, notes: &[Finding]) -> impl Iterator<Item = Finding> {
    let of = parts[0].shard.slice.count();
    let is_lost = |index: u32| {
        notes.iter().any(|note| match note {
            Finding::ShardsLost { shards, .. } => shards.has(index),
            Finding::ShardsFailed(reasons) => reasons.shards().has(index),
            _ => false,
        })
    };
    let (mut invalid, mut cut) = (Vec::new(), Vec::new());
    for (part, seconds) in parts.iter().zip(seconds) {
        let index = part.shard.slice.index();
        match part.manifest.verdict {
            Verdict::Invalid => invalid.push((index, first_finding(part))),
            _ if part.is_cut() && !is_lost(index) => cut.push((index, seconds)),
            _ => {}
        }
    }
    let invalid = ShardReasons::new(&invalid, of).map(Finding::ShardsInvalid);
    let cut = LastSeconds::new(cut.iter().map(|(_, seconds)| *seconds))
        .map(|seconds| Finding::ShardsCut { shards: Shards::new(cut.iter().map(|(index, _)| *index), of), seconds });
    invalid.into_iter().chain(cut)
}

fn first_finding(part: &Part) -> String {
    part.manifest.findings.first().cloned().unwrap_or_else(|| format!("see {}", part.dir.display()))
}
