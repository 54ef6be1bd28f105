//! The folder of a search for the highest load that still meets the thresholds: its steps, its result, and the runs below it.

use super::column::{replace, to_csv};
use super::load_plot::{LoadPlot, svg};
use super::manifest::Verdict;
use super::{ReportError, ResultsWriter, tables};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

const RECORD: &str = "capacity.json";
const PLOT: &str = "capacity.svg";
const STEPS: &str = "steps";

/// One step: a row of `capacity.csv`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CapacityRow {
    /// From 1.
    pub step: u32,
    /// In the unit of the load.
    pub offered: f64,
    /// `None` where it is not known how much of the load came about.
    pub achieved: Option<f64>,
    pub verdict: Verdict,
    pub failed_threshold: Option<String>,
    pub response_ms_p50: Option<f64>,
    pub response_ms_p90: Option<f64>,
    pub response_ms_p99: Option<f64>,
    pub error_share: Option<f64>,
    pub generator_cpu_share: f64,
    pub endpoint_cpu_share: Option<f64>,
    pub rss_bytes: u64,
    pub endpoint_rss_bytes: Option<u64>,
    /// The value that makes the load, as `--set` takes it.
    pub setting: String,
    /// Why it did not pass, in words.
    pub reason: Option<String>,
}

/// What a search asks: two searches with the same question can be one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Question {
    /// SHA-256 of the resolved scenario as TOML, in hex.
    pub scenario_sha256: String,
    /// The path that is varied.
    pub vary: String,
    pub from: f64,
    pub to: Option<f64>,
    pub confirm: u32,
    pub step_s: u64,
    pub warm_up_s: u64,
}

impl Question {
    /// What of it is another one in `other`, in words.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let hash = |question: &Self| question.scenario_sha256.chars().take(12).collect::<String>();
        let to = |question: &Self| question.to.map_or_else(|| "open".to_owned(), |to| to.to_string());
        let parts = [
            ("the scenario (as resolved)", hash(self), hash(other)),
            ("--vary", self.vary.clone(), other.vary.clone()),
            ("--from", self.from.to_string(), other.from.to_string()),
            ("--to", to(self), to(other)),
            ("--confirm", self.confirm.to_string(), other.confirm.to_string()),
            ("--step", format!("{}s", self.step_s), format!("{}s", other.step_s)),
            ("--warm-up", format!("{}s", self.warm_up_s), format!("{}s", other.warm_up_s)),
        ];
        let differing = parts.into_iter().filter(|(_, mine, others)| mine != others);
        differing.map(|(what, mine, others)| format!("{what}: it was {mine}, now it is {others}")).collect()
    }
}

/// How a search came to its end, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityEnd {
    Running,
    /// A load that holds and one that does not, close to each other.
    Knee,
    /// A load that holds; no higher one was, or could be, offered.
    LowerBound,
    NothingPasses,
    /// The generator is the limit, and nothing passed before.
    GeneratorBound,
    OutOfTime,
    Interrupted,
    /// A step could not be carried out.
    Error,
}

/// `capacity.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CapacityRecord {
    pub name: String,
    /// `capacity`.
    pub mode: String,
    pub result: CapacityEnd,
    pub exit_code: Option<u8>,
    /// The result in a sentence.
    pub text: String,
    /// The highest load that holds.
    pub holds: Option<f64>,
    /// The value that makes it, as `--set` takes it.
    pub setting: Option<String>,
    /// The lowest load that does not hold.
    pub fails: Option<f64>,
    /// Trials at the load that holds, those that passed, and the 95 % interval of the share that would.
    pub trials: u32,
    pub passes: u32,
    pub pass_share_low: Option<f64>,
    pub pass_share_high: Option<f64>,
    /// What breaks first, in words.
    pub breaks_first: Option<String>,
    /// Of all loads here.
    pub unit: String,
    /// Whose times and errors the steps show.
    pub operation: String,
    pub steps: usize,
    pub seed: u64,
    pub version: String,
    pub started_at: String,
    pub finished_at: Option<String>,
    pub question: Question,
    /// With every default filled in.
    pub scenario: serde_json::Value,
}

/// What the plot shows besides the steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlotNotes {
    /// In milliseconds, where a threshold is about the p99 of the operation shown.
    pub limit_ms: Option<f64>,
}

/// The folder itself.
pub struct CapacityFolder {
    dir: PathBuf,
    notes: PlotNotes,
}

impl CapacityFolder {
    /// Makes the folder, or takes an empty one.
    ///
    /// # Errors
    /// `NotEmpty` when it holds anything, and when it cannot be written.
    pub fn create(dir: &Path, notes: PlotNotes) -> Result<Self, ReportError> {
        ResultsWriter::claim(dir)?;
        Ok(Self { dir: dir.into(), notes })
    }

    /// Opens a folder that a search has left; with what is in it.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(dir: &Path, notes: PlotNotes) -> Result<(Self, CapacityRecord, Vec<CapacityRow>), ReportError> {
        let path = dir.join(RECORD);
        let text = fs::read(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
        let damaged = |path: &Path, why: String| ReportError::Damaged { path: path.into(), why };
        let record = serde_json::from_slice(&text).map_err(|error| damaged(&path, error.to_string()))?;
        let path = dir.join(tables::CAPACITY);
        let rows = csv::Reader::from_path(&path).and_then(|mut reader| reader.deserialize().collect());
        let rows = rows.map_err(|error| damaged(&path, error.to_string()))?;
        Ok((Self { dir: dir.into(), notes }, record, rows))
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the run of a step goes. What an unfinished one has left there is moved aside.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn step_dir(&self, step: u32) -> Result<PathBuf, ReportError> {
        let steps = self.dir.join(STEPS);
        let dir = steps.join(format!("{step:02}"));
        if dir.exists() {
            let aside = (1..).map(|n| steps.join(format!("{step:02}-unfinished-{n}"))).find(|aside| !aside.exists());
            let aside = aside.expect("there is a number that is free");
            fs::rename(&dir, &aside).map_err(|source| ReportError::write(&aside, source))?;
        }
        Ok(dir)
    }

    /// Writes all that is known.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&self, record: &CapacityRecord, rows: &[CapacityRow]) -> Result<(), ReportError> {
        let text = serde_json::to_vec_pretty(record).expect("a record has string keys and finite numbers");
        replace(&self.dir.join(RECORD), &text)?;
        replace(&self.dir.join(tables::CAPACITY), &to_csv(&tables::capacity_columns(), rows.iter().cloned()))?;
        let plot = LoadPlot { record, rows, limit_ms: self.notes.limit_ms };
        match svg(&plot) {
            Some(svg) => replace(&self.dir.join(PLOT), svg.as_bytes()),
            None => Ok(()),
        }
    }
}
