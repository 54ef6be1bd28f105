//! What is made of a run that was led: one results folder of those of its slices, as `fleetsim merge` makes it, and the last word on it.

use super::LeadError;
use crate::exit;
use crate::merge::{LeaderNotes, WORKERS_FOLDER, replace_folder};
use crate::report::{self, Manifest, ResultsWriter, ShardClock, Verdict};
use crate::run::ui::Ui;
use crate::timestamp::rfc3339;
use crate::verdict::End;
use load_metrics::Finding;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A run that began.
pub(super) struct Conducted {
    /// How it came to its end, where its slices do not tell.
    pub end: Result<Option<End>, LeadError>,
    pub findings: Vec<Finding>,
    pub clocks: BTreeMap<u32, ShardClock>,
    /// Those of its slices.
    pub folders: Vec<PathBuf>,
}

/// The last word.
pub(super) struct Concluded {
    pub manifest: Manifest,
    pub code: u8,
    /// What failed, in words.
    pub failures: Vec<String>,
}

/// Makes the results of a run that was led, and says how it went.
pub(super) async fn conclude(conducted: Result<Conducted, LeadError>, mut writer: ResultsWriter, ui: &Ui) -> Concluded {
    let Conducted { end, findings, clocks, folders } = match conducted {
        Ok(conducted) => conducted,
        Err(error) => return never_begun(&mut writer, &error),
    };
    let (end, failure) = match end {
        Ok(Some(End::Failed(why))) => (Some(End::Failed(why.clone())), Some(format!("failed to {why}"))),
        Ok(end) => (end, None),
        Err(LeadError::Interrupted) => (Some(End::Interrupted), None),
        Err(LeadError::Usage(why) | LeadError::Failed(why)) => (Some(End::Failed(why.clone())), Some(format!("failed to {why}"))),
    };
    ui.tell("making one result of all slices");
    let (dir, so_far) = (writer.dir().to_owned(), writer.manifest().clone());
    drop(writer);
    let notes = LeaderNotes { findings, end, clocks };
    let out = dir.clone();
    let merged = tokio::task::spawn_blocking(move || replace_folder(&out, &folders, &notes, |_| false)).await;
    let merged = merged.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
    let mut failures: Vec<String> = failure.into_iter().collect();
    let loaded = merged.map_err(|error| error.to_string()).and_then(|code| {
        let manifest = report::load_manifest(&dir).map_err(|error| error.to_string())?;
        Ok((code, manifest))
    });
    match loaded {
        Ok((code, manifest)) => Concluded { manifest, code, failures },
        Err(why) => {
            failures.insert(0, format!("failed to {why}; the folders of the slices are in {}", dir.join(WORKERS_FOLDER).display()));
            Concluded { manifest: so_far, code: exit::ERROR, failures }
        }
    }
}

/// The last word on a run that did not begin.
pub(super) fn never_begun(writer: &mut ResultsWriter, error: &LeadError) -> Concluded {
    let (verdict, code, why) = match error {
        LeadError::Interrupted => (Verdict::Interrupted, exit::INTERRUPTED, None),
        LeadError::Usage(why) => (Verdict::Error, exit::USAGE, Some(why)),
        LeadError::Failed(why) => (Verdict::Error, exit::ERROR, Some(why)),
    };
    let mut failures: Vec<String> = why.map(|why| format!("failed to {why}")).into_iter().collect();
    let findings = failures.clone();
    if let Err(error) = writer.finish(verdict, code, rfc3339(), findings, None) {
        failures.insert(0, format!("failed to {error}"));
    }
    Concluded { manifest: writer.manifest().clone(), code, failures }
}
