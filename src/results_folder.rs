//! The results folder of a run: where it is, what is in it first, and the link to the newest.

use crate::preflight::HostFacts;
use crate::report::{Manifest, Mode, ReportError, ResultsWriter, ShardTotals, Totals, Verdict};
use crate::roster::Roster;
use crate::scenario::plan::Plan;
use crate::slice::Slice;
use crate::timestamp::{rfc3339, stamp};
use crate::user_folder::here_or_users;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where results go if nobody says where.
const RESULTS: &str = "results";
/// Runs of one name that may begin in one second.
const RUNS_A_SECOND_MAX: u32 = 1_000;

/// What carries a run, or a forecast.
#[derive(Clone, Debug)]
pub(crate) struct RunsOn {
    pub mode: Mode,
    pub host: HostFacts,
    pub shards: usize,
    /// Where it carries a part of the fleet alone.
    pub shard: Option<ShardTotals>,
}

/// Makes `dir`, or if nobody says where `<name>-<UTC stamp>` in [`results_root`], with the manifest of a run that begins.
///
/// # Errors
/// When it is not empty, or cannot be written.
pub(crate) fn create(dir: Option<&Path>, plan: &Plan, roster: &Roster, on: &RunsOn) -> Result<ResultsWriter, ReportError> {
    let kind = match (on.mode, &on.shard) {
        (Mode::Forecast, _) => "forecast-".to_owned(),
        (_, Some(shard)) => format!("shard-{}-of-{}-", shard.slice.index(), shard.slice.count()),
        _ => String::new(),
    };
    let made = match dir {
        Some(dir) => dir.to_owned(),
        None => claim_default(&format!("{}-{kind}", plan.name))?,
    };
    let writer = ResultsWriter::create(&made, manifest(plan, on), Arc::clone(roster.things()))?;
    writer.keep_scenario(&plan.to_toml())?;
    Ok(writer)
}

/// The manifest of a run that begins.
#[must_use]
pub(crate) fn manifest(plan: &Plan, on: &RunsOn) -> Manifest {
    let slice = on.shard.as_ref().map_or(Slice::WHOLE, |shard| shard.slice);
    Manifest {
        name: plan.name.clone(),
        mode: on.mode,
        verdict: Verdict::Running,
        exit_code: None,
        seed: plan.seed,
        scenario_sha256: fingerprint(&plan.to_toml()),
        scenario: plan.to_json(),
        version: env!("CARGO_PKG_VERSION").into(),
        host: on.host.clone(),
        pid: std::process::id(),
        shards: on.shards,
        started_at: rfc3339(),
        finished_at: None,
        totals: Totals { things: slice.things(plan.fleet.things), ..Totals::default() },
        thresholds: Vec::new(),
        events: Vec::new(),
        checks: Vec::new(),
        findings: Vec::new(),
        differences: None,
        reconciliation_findings: 0,
        predicted: Vec::new(),
        forecast: None,
        shard: on.shard.clone(),
        merged: Vec::new(),
    }
}

/// What a resolved scenario is known by: the SHA-256 of its TOML, in hex.
#[must_use]
pub(crate) fn fingerprint(resolved: &str) -> String {
    hex::encode(Sha256::digest(resolved.as_bytes()))
}

/// Where results go if nobody says where: `results`, and where that cannot be written the user's data folder.
///
/// # Errors
/// When there is no such folder.
pub(crate) fn results_root() -> Result<PathBuf, ReportError> {
    here_or_users(Path::new(RESULTS), "--out DIR")
        .map_err(|why| ReportError::Write { path: RESULTS.into(), source: io::Error::new(io::ErrorKind::PermissionDenied, why) })
}

/// Makes `<prefix><UTC stamp>` in [`results_root`].
///
/// # Errors
/// When it cannot be made.
pub(crate) fn claim_default(prefix: &str) -> Result<PathBuf, ReportError> {
    claim(&results_root()?, &format!("{prefix}{}", stamp())).map_err(|(path, source)| {
        let why = format!("{source}; --out DIR names another folder");
        ReportError::Write { path, source: io::Error::new(source.kind(), why) }
    })
}

/// Makes a folder that nobody else has: who comes later in the same second gets `-2` behind its name, and so on.
fn claim(parent: &Path, name: &str) -> Result<PathBuf, (PathBuf, io::Error)> {
    fs::create_dir_all(parent).map_err(|error| (parent.to_owned(), error))?;
    let mut dir = parent.join(name);
    for next in 2.. {
        match fs::create_dir(&dir) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && next <= RUNS_A_SECOND_MAX => {
                dir = parent.join(format!("{name}-{next}"));
            }
            Err(error) => return Err((dir, error)),
        }
    }
    Ok(dir)
}

/// `latest` in [`results_root`] points to `dir`, the newest folder there; a host without links does without it.
pub(crate) fn point_latest(dir: &Path) {
    let is_root = |folder: &&Path| folder.file_name().is_some_and(|name| name == RESULTS);
    let Some(root) = dir.ancestors().skip(1).find(is_root) else { return };
    let below = dir.strip_prefix(root).expect("an ancestor is a prefix");
    let aside = root.join(format!(".latest-{}", std::process::id()));
    let linked = std::os::unix::fs::symlink(below, &aside).and_then(|()| std::fs::rename(&aside, root.join("latest")));
    if let Err(error) = linked {
        tracing::warn!(%error, "results/latest was not updated");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_begin_in_one_second_have_folders_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("results");
        let claimed: Vec<PathBuf> = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..8).map(|_| scope.spawn(|| claim(&parent, "x-20260131T120000Z").unwrap())).collect();
            claims.into_iter().map(|claim| claim.join().unwrap()).collect()
        });
        let names: std::collections::BTreeSet<_> = claimed.iter().collect();
        assert_eq!(names.len(), 8, "{claimed:?}");
        assert!(claimed.contains(&parent.join("x-20260131T120000Z")) && claimed.contains(&parent.join("x-20260131T120000Z-8")));
    }
}
