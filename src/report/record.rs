//! A results folder read back, also one whose run was killed.

use super::check::{CheckOutcome, CheckSubject};
use super::ci::CiFiles;
use super::html::write_page;
use super::manifest::{Manifest, Verdict};
use super::reconciliation::{Difference, reconcile};
use super::writer::{HLOG, MANIFEST};
use super::{ReportError, tables, text};
use iot_jobs::instant::Mono;
use std::fs;
use std::path::{Path, PathBuf};

/// What a folder says of its run.
pub struct RunRecord {
    dir: PathBuf,
    manifest: Manifest,
    differences: Vec<Difference>,
    has_ledgers: bool,
}

/// The manifest of a folder as it stands there.
///
/// # Errors
/// When the folder has no manifest that can be read.
pub fn load_manifest(dir: &Path) -> Result<Manifest, ReportError> {
    let path = dir.join(MANIFEST);
    let text = fs::read(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|error| ReportError::Damaged { path, why: error.to_string() })
}

/// Whether a run without a last word still has its process, as far as this host can tell.
#[must_use]
pub fn is_going_on(manifest: &Manifest) -> bool {
    let is_here = || rustix::system::uname().nodename().to_string_lossy() == manifest.host.hostname;
    let process = || procfs::process::Process::new(i32::try_from(manifest.pid).unwrap_or(0));
    manifest.verdict == Verdict::Running && is_here() && process().is_ok_and(|process| process.is_alive())
}

/// # Errors
/// When the folder has no manifest that can be read.
pub fn load(dir: &Path) -> Result<RunRecord, ReportError> {
    let mut manifest = load_manifest(dir)?;
    // What the reconciliation says of the files as they are now replaces what it said at the end of the run.
    let of_run = manifest.findings.len().saturating_sub(std::mem::take(&mut manifest.reconciliation_findings));
    manifest.findings.truncate(of_run);
    for file in tables::all().iter().map(|table| table.file).chain([HLOG]).filter(|file| !dir.join(file).exists()) {
        manifest.findings.push(format!("{file} is missing from the folder"));
    }
    if manifest.verdict == Verdict::Running {
        manifest.findings.push(if is_going_on(&manifest) {
            "the run is still going on; these are its numbers so far".into()
        } else {
            format!(
                "the run never finished: its process ended after second {}; what it had written is complete",
                manifest.totals.run_s
            )
        });
    }
    let (mut differences, mut has_ledgers) = (Vec::new(), true);
    // What is still being written, or was cut short, has no last word to compare.
    if manifest.differences.is_some() {
        let (outcome, told) = match reconcile(dir, Mono(manifest.totals.origin_mono_ns)) {
            Ok(found) => {
                differences = found.unwrap_or_default();
                (
                    CheckOutcome::Fails,
                    differences.iter().map(|difference| format!("the reconciliation found a difference: {difference}")).collect(),
                )
            }
            Err(error) => {
                has_ledgers = false;
                (CheckOutcome::Error, vec![format!("the reconciliation is not possible: failed to {error}")])
            }
        };
        manifest.findings.extend(told.iter().cloned());
        if !told.is_empty() {
            manifest.set_check(CheckSubject::Ledgers, outcome, told);
        }
    }
    Ok(RunRecord { dir: dir.into(), manifest, differences, has_ledgers })
}

impl RunRecord {
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether what is there of the two ledgers can be read.
    #[must_use]
    pub fn has_ledgers(&self) -> bool {
        self.has_ledgers
    }

    /// Between the two ledgers, as their files are now.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Makes the page of the run again, from its files as they are now.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write_page(&self) -> Result<(), ReportError> {
        write_page(&self.dir, &self.manifest)
    }

    /// Writes what continuous integration takes.
    ///
    /// # Errors
    /// When one of the files cannot be written.
    pub fn write_ci(&self, files: &CiFiles) -> Result<(), ReportError> {
        files.write(&self.manifest, &self.dir)
    }

    #[must_use]
    pub fn summary(&self, colour: bool) -> String {
        text::summary(&self.manifest, &self.dir, colour)
    }
}
