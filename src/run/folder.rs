//! The results folder of a run: where it is, what is in it first, and the link to the newest.

use super::Setup;
use super::timestamp::{rfc3339, stamp};
use crate::report::{Manifest, ReportError, ResultsWriter, Totals, Verdict};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where results go if nobody says where: `results/<name>-<UTC stamp>`.
pub(super) fn default_path(name: &str) -> PathBuf {
    PathBuf::from("results").join(format!("{name}-{}", stamp()))
}

/// Makes it, with the manifest of a run that begins.
///
/// # Errors
/// When it is not empty, or cannot be written.
pub(super) fn create(dir: &Path, setup: &Setup) -> Result<ResultsWriter, ReportError> {
    let plan = &setup.plan;
    let manifest = Manifest {
        name: plan.name.clone(),
        verdict: Verdict::Running,
        exit_code: None,
        seed: plan.seed,
        scenario_sha256: hex::encode(Sha256::digest(plan.to_toml().as_bytes())),
        scenario: plan.to_json(),
        version: env!("CARGO_PKG_VERSION").into(),
        host: setup.host.clone(),
        pid: std::process::id(),
        shards: setup.shards,
        started_at: rfc3339(),
        finished_at: None,
        totals: Totals { things: plan.fleet.things, ..Totals::default() },
        thresholds: Vec::new(),
        events: Vec::new(),
        findings: Vec::new(),
        differences: None,
        audit_findings: 0,
    };
    ResultsWriter::create(dir, manifest, Arc::clone(setup.roster.things()))
}

/// `results/latest` points to the newest folder; a host without links does without it.
pub(super) fn point_latest(dir: &Path) {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else { return };
    let aside = parent.join(format!(".latest-{}", std::process::id()));
    let linked = std::os::unix::fs::symlink(name, &aside).and_then(|()| std::fs::rename(&aside, parent.join("latest")));
    if let Err(error) = linked {
        tracing::warn!(%error, "results/latest was not updated");
    }
}
