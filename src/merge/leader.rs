//! The folder of whoever led a run: what it knows besides what the shards have in theirs.

use super::parts::Part;
use crate::report::{
    self, DECISIONS, ENDPOINT_CONFIG, ENDPOINT_LOG, ENDPOINT_SECONDS, FORECAST_FOLDER, Manifest, Mode, ReportError, RolloutTotals,
    SERVICE_LEDGER, ShardClock, Verdict,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Below a leader's results folder: those of the slices.
pub(crate) const WORKERS_FOLDER: &str = "workers";
/// What a leader has of the endpoint that it started.
const OF_ENDPOINT: [&str; 5] = [SERVICE_LEDGER, DECISIONS, ENDPOINT_SECONDS, ENDPOINT_CONFIG, ENDPOINT_LOG];

#[derive(Debug)]
pub(super) struct Leader {
    pub dir: PathBuf,
    /// By slice.
    pub clocks: BTreeMap<u32, ShardClock>,
    scenario_sha256: String,
    version: String,
}

impl Leader {
    /// Whether a folder is a leader's: one that was made of others has no slices below it.
    pub(super) fn is_of(dir: &Path, manifest: &Manifest) -> bool {
        manifest.mode == Mode::Merged && dir.join(WORKERS_FOLDER).is_dir()
    }

    pub(super) fn new(dir: &Path, manifest: &Manifest) -> Self {
        Self {
            dir: dir.into(),
            clocks: manifest.merged.iter().filter_map(|shard| Some((shard.slice.index(), shard.clock?))).collect(),
            scenario_sha256: manifest.scenario_sha256.clone(),
            version: manifest.version.clone(),
        }
    }

    /// That it led something else, where it did.
    pub(super) fn differs(&self, shard: &Part) -> Option<String> {
        let is_same = self.scenario_sha256 == shard.manifest.scenario_sha256 && self.version == shard.manifest.version;
        let (leader, shard) = (self.dir.display(), shard.dir.display());
        (!is_same).then(|| format!("{leader} is the folder of a leader, and {shard} is not a slice of its run"))
    }

    /// The jobs of the forecast that it made; none where it made none, or could not.
    pub(super) fn predicted(&self) -> Vec<RolloutTotals> {
        let forecast = report::load_manifest(&self.dir.join(FORECAST_FOLDER)).ok();
        let made = forecast.filter(|forecast| !matches!(forecast.verdict, Verdict::Running | Verdict::Error));
        made.map_or_else(Vec::new, |forecast| forecast.totals.rollouts)
    }

    /// Copies what it has of the endpoint, and its forecast.
    ///
    /// # Errors
    /// When the disk does not do it.
    pub(super) fn copy_to(&self, out: &Path) -> Result<(), ReportError> {
        copy(&self.dir, out, OF_ENDPOINT.map(PathBuf::from))?;
        let forecast = self.dir.join(FORECAST_FOLDER);
        let Ok(files) = fs::read_dir(&forecast) else { return Ok(()) };
        let out = out.join(FORECAST_FOLDER);
        fs::create_dir(&out).map_err(|source| ReportError::Write { path: out.clone(), source })?;
        copy(&forecast, &out, files.filter_map(|file| Some(PathBuf::from(file.ok()?.file_name()))))
    }
}

/// Those of these files that there are.
fn copy(from: &Path, to: &Path, names: impl IntoIterator<Item = PathBuf>) -> Result<(), ReportError> {
    names.into_iter().filter(|name| from.join(name).is_file()).try_for_each(|name| {
        let path = to.join(&name);
        fs::copy(from.join(name), &path).map(drop).map_err(|source| ReportError::Write { path, source })
    })
}
