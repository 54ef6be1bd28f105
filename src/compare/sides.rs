//! The runs of each side, read from their folders; which of them count, and why the others do not.

use super::CompareError;
use super::differences::{Difference, between_scenarios};
use crate::report::{MANIFEST, Manifest, Mode, ReportError, RunSeconds, Verdict, load_manifest, load_seconds};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Earlier runs from which on they tell how much runs vary.
const NOISE_MIN: usize = 5;
/// Keys that are named where scenarios differ that should not.
const KEYS_TOLD: usize = 3;

/// A run that counts.
pub(super) struct RunFolder {
    pub(super) dir: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) seconds: RunSeconds,
}

/// A run that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    pub(super) dir: String,
    pub(super) why: String,
    #[serde(skip)]
    is_invalid: bool,
}

/// Runs of one scenario.
#[derive(Default)]
pub(super) struct Side {
    pub(super) runs: Vec<RunFolder>,
    pub(super) left_out: Vec<LeftOut>,
}

/// All that is held against each other; each side has a run at least.
pub(super) struct Sides {
    pub(super) base: Side,
    pub(super) run: Side,
    pub(super) noise: Side,
}

impl Sides {
    /// # Errors
    /// When a folder is none of a run, stands twice, or nothing is left of a side.
    pub(super) fn load(base: &[PathBuf], run: &[PathBuf], noise: &[PathBuf]) -> Result<Self, CompareError> {
        let [base, run, noise] = [expanded(base)?, expanded(run)?, expanded(noise)?];
        none_twice(base.iter().chain(&run).chain(&noise))?;
        let sides = Self { base: Side::load("BASE", base)?, run: Side::load("RUN", run)?, noise: Side::load("--noise", noise)? };
        sides.base.check_left("BASE")?;
        sides.run.check_left("RUN")?;
        sides.check_noise()?;
        Ok(sides)
    }

    fn check_noise(&self) -> Result<(), CompareError> {
        let Self { base, noise, .. } = self;
        if noise.runs.is_empty() && noise.left_out.is_empty() {
            return Ok(());
        }
        let count = noise.runs.len();
        if count < NOISE_MIN {
            let left_out = noise.reasons().map(|why| format!("; not counted: {why}")).unwrap_or_default();
            let why = format!("--noise has {count} runs that count, and how much runs vary takes {NOISE_MIN} at least{left_out}");
            return Err(CompareError::Usage(why));
        }
        for run in &noise.runs {
            let dir = run.dir.display();
            let of_base = &base.runs[0].manifest;
            let differences = between_scenarios(&of_base.scenario, &run.manifest.scenario);
            if !differences.is_empty() {
                let why = format!("--noise {dir} is of another scenario than BASE: {}", keys(&differences));
                return Err(CompareError::Usage(why));
            }
            if run.manifest.host.hostname != of_base.host.hostname || run.manifest.mode != of_base.mode {
                let why = format!("--noise {dir} must be a run on the host of BASE, {}", of_base.host.hostname);
                return Err(CompareError::Usage(why));
            }
        }
        Ok(())
    }
}

impl Side {
    fn load(name: &str, dirs: Vec<PathBuf>) -> Result<Self, CompareError> {
        let mut side = Self::default();
        for dir in dirs {
            let manifest = load_manifest(&dir)?;
            let has_forecast = side.runs.iter().any(|run| run.manifest.mode == Mode::Forecast);
            if let Some(why) = refusal(&manifest, has_forecast) {
                side.leave_out(&dir, why, manifest.verdict == Verdict::Invalid);
                continue;
            }
            match load_seconds(&dir) {
                Ok(seconds) => side.runs.push(RunFolder { dir, manifest, seconds }),
                Err(error) => side.leave_out(&dir, format!("failed to {error}"), false),
            }
        }
        side.check_scenarios(name)?;
        Ok(side)
    }

    fn leave_out(&mut self, dir: &Path, why: String, is_invalid: bool) {
        self.left_out.push(LeftOut { dir: dir.display().to_string(), why, is_invalid });
    }

    /// Runs of different scenarios are no measure of how much runs vary.
    fn check_scenarios(&self, name: &str) -> Result<(), CompareError> {
        let Some((first, others)) = self.runs.split_first() else { return Ok(()) };
        for other in others {
            let differences = between_scenarios(&first.manifest.scenario, &other.manifest.scenario);
            let is_other_mode = first.manifest.mode != other.manifest.mode;
            if !differences.is_empty() || is_other_mode {
                let how = if is_other_mode { "one is a forecast, the other a run".to_owned() } else { keys(&differences) };
                let (first, other) = (first.dir.display(), other.dir.display());
                let why = format!("the runs of a side must be of one scenario; of {name}, {first} and {other} differ: {how}");
                return Err(CompareError::Incomparable(why));
            }
        }
        Ok(())
    }

    fn check_left(&self, name: &str) -> Result<(), CompareError> {
        if !self.runs.is_empty() {
            return Ok(());
        }
        let why = format!("nothing is left of {name} to compare: {}", self.reasons().unwrap_or_else(|| "it has no run".into()));
        let is_invalid = self.left_out.iter().any(|run| run.is_invalid);
        Err(if is_invalid { CompareError::Invalid(why) } else { CompareError::Incomparable(why) })
    }

    fn reasons(&self) -> Option<String> {
        let reasons: Vec<String> = self.left_out.iter().map(|run| format!("{}: {}", run.dir, run.why)).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    pub(super) fn manifests(&self) -> Vec<&Manifest> {
        self.runs.iter().map(|run| &run.manifest).collect()
    }
}

/// Why a run does not count.
fn refusal(manifest: &Manifest, has_forecast: bool) -> Option<String> {
    let finding = || manifest.findings.first().map(|finding| format!(": {finding}")).unwrap_or_default();
    match manifest.verdict {
        Verdict::Pass | Verdict::Fail if manifest.mode == Mode::Forecast && has_forecast => {
            Some("a forecast of one scenario is the same each time: one counts".into())
        }
        Verdict::Pass | Verdict::Fail => None,
        Verdict::Invalid => Some(format!("it is INVALID, so its figures are no evidence{}", finding())),
        Verdict::Error => Some(format!("it could not be carried out{}", finding())),
        Verdict::Interrupted => Some("it was interrupted".into()),
        Verdict::Running => Some("it never finished, or still goes on".into()),
    }
}

fn keys(differences: &[Difference]) -> String {
    let told = differences.iter().take(KEYS_TOLD).map(|difference| {
        let Difference { key, base, run, .. } = difference;
        format!("{key} is {base} and {run}")
    });
    let more = differences.len().saturating_sub(KEYS_TOLD);
    told.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join(", ")
}

/// Folders of runs; a folder that is none stands for those in it, as `run --repeat` leaves them.
fn expanded(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CompareError> {
    let mut dirs = Vec::new();
    for path in paths {
        if path.join(MANIFEST).exists() {
            dirs.push(path.clone());
            continue;
        }
        let found = runs_in(path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
        if found.is_empty() {
            let why = format!("{} is no results folder, and holds none: there is no {MANIFEST}", path.display());
            return Err(CompareError::Incomparable(why));
        }
        dirs.extend(found);
    }
    Ok(dirs)
}

/// In the order of their numbers; links, as `latest` is one, stand for what is there anyway.
fn runs_in(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.path().join(MANIFEST).exists() {
            found.push(entry.path());
        }
    }
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    found.sort_by_key(|path| (name(path).parse::<u64>().unwrap_or(u64::MAX), name(path)));
    Ok(found)
}

/// A run that stood twice would agree with itself.
fn none_twice<'a>(dirs: impl Iterator<Item = &'a PathBuf>) -> Result<(), CompareError> {
    let mut known: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
    for dir in dirs {
        let place = fs::canonicalize(dir).map_err(|source| ReportError::Read { path: dir.clone(), source })?;
        if let Some(other) = known.insert(place, dir) {
            let (dir, other) = (dir.display(), other.display());
            let why = if dir.to_string() == other.to_string() {
                format!("{dir} is given twice")
            } else {
                format!("{dir} and {other} are the same run")
            };
            return Err(CompareError::Usage(format!("{why}: each run counts once")));
        }
    }
    Ok(())
}
