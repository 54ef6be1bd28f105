//! `run --repeat`: the same run several times, each with a fresh endpoint and a folder of its own.

use super::error::RunError;
use super::options::RunOptions;
use super::ui::say;
use super::{conducted, refused, run_once};
use crate::exit;
use crate::report::{ReportError, ResultsWriter};
use crate::results_folder;
use crate::stop::StopRequests;
use std::path::{Path, PathBuf};

/// Runs the plan so many times, one after the other, into `1`, `2` and so on of the results folder; returns the first exit code that
/// applies to any of them. The seed stays the same: what differs between the runs is the noise of machine and endpoint. A run that could
/// not be carried out, or was interrupted, is the last.
#[must_use]
pub fn run_series(options: RunOptions, repeat: u32) -> u8 {
    match place(&options) {
        Ok(dir) => conducted(conduct(options, repeat, &dir)),
        Err(error) => refused(&error.into()),
    }
}

/// The folder of them all, empty.
fn place(options: &RunOptions) -> Result<PathBuf, ReportError> {
    match &options.out {
        Some(dir) => ResultsWriter::claim(dir).map(|()| dir.clone()),
        None => results_folder::claim_default(&format!("{}-", options.plan.name)),
    }
}

async fn conduct(options: RunOptions, repeat: u32, dir: &Path) -> u8 {
    // Between two runs nobody else would hear of it.
    let mut stop = match StopRequests::listen(None) {
        Ok(stop) => stop,
        Err(error) => return refused(&RunError::Signals(error)),
    };
    let RunOptions { plan, out, certs, ui, shards, jobs_afterwards, outlets, .. } = options;
    let mut codes = Vec::new();
    for number in 1..=repeat {
        let title = format!("run {number} of {repeat}");
        if stop.is_asked().await {
            say(&format!("fleetsim: interrupted before {title}"));
            codes.push(exit::INTERRUPTED);
            break;
        }
        let of_run = dir.join(number.to_string());
        if ui.has_lines() {
            say(&format!("{title}: {}", of_run.display()));
        }
        let of_run_options = RunOptions {
            plan: plan.clone(),
            out: Some(of_run.clone()),
            certs: certs.clone(),
            ui,
            shards,
            title: Some(title),
            shard: None,
            led: None,
            step: None,
            jobs_afterwards,
            outlets: outlets.clone(),
        };
        let code = run_once(of_run_options).await;
        if out.is_none() {
            results_folder::point_latest(&of_run);
        }
        codes.push(code);
        if ![exit::PASS, exit::FAIL, exit::INVALID].contains(&code) {
            break;
        }
    }
    exit::first(&codes)
}
