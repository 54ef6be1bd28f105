//! Writes the results folder while the run goes: after every second everything that is known is on disk.

use super::ReportError;
use super::column::{GrowingFile, replace, to_csv};
use super::manifest::{Manifest, Verdict};
use super::tables::{self, ErrorLine, ExecutionLine, OperationSecond, OperationTotal, RolloutSecond};
use crate::metrics::{Snapshot, TaggedHistogram};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

const HLOG: &str = "histograms.hlog";
const MANIFEST: &str = "run.json";

/// What the things of a run are called, by place.
pub struct ThingNames {
    pub things: Vec<String>,
    /// Name of the cohort of each.
    pub cohorts: Vec<String>,
}

/// The files of one run.
pub struct ResultsWriter {
    dir: PathBuf,
    manifest: Manifest,
    names: &'static ThingNames,
    timeseries: GrowingFile<Snapshot>,
    operations: GrowingFile<OperationSecond>,
    rollouts: GrowingFile<RolloutSecond>,
    executions: GrowingFile<ExecutionLine<'static>>,
    hlog: Hlog,
}

impl ResultsWriter {
    /// Makes the folder with its manifest, RUNNING, and every file with its header.
    ///
    /// # Errors
    /// When the folder holds anything already, or cannot be written.
    pub fn create(dir: &Path, manifest: Manifest, names: ThingNames) -> Result<Self, ReportError> {
        Self::claim(dir)?;
        // Names live as long as the process: rows refer to them from every file.
        let names = Box::leak(Box::new(names));
        let started_ms = crate::clock::epoch_ms();
        let writer = Self {
            dir: dir.into(),
            manifest,
            names,
            timeseries: GrowingFile::create(dir, tables::TIMESERIES, tables::TIMESERIES_COLUMNS)?,
            operations: GrowingFile::create(dir, tables::OPERATIONS, tables::OPERATIONS_COLUMNS)?,
            rollouts: GrowingFile::create(dir, tables::ROLLOUTS, tables::ROLLOUTS_COLUMNS)?,
            executions: GrowingFile::create(dir, tables::EXECUTIONS, tables::EXECUTIONS_COLUMNS)?,
            hlog: Hlog::create(&dir.join(HLOG), started_ms)?,
        };
        writer.rewrite(tables::SUMMARY, &to_csv(tables::SUMMARY_COLUMNS, std::iter::empty()))?;
        writer.rewrite(tables::ERRORS, &to_csv(tables::ERRORS_COLUMNS, std::iter::empty()))?;
        writer.write_manifest()?;
        Ok(writer)
    }

    /// Makes the folder, or takes an empty one.
    ///
    /// # Errors
    /// `NotEmpty` when it holds anything.
    pub fn claim(dir: &Path) -> Result<(), ReportError> {
        fs::create_dir_all(dir).map_err(|source| ReportError::write(dir, source))?;
        let mut entries = fs::read_dir(dir).map_err(|source| ReportError::Read { path: dir.into(), source })?;
        if entries.next().is_some() { Err(ReportError::NotEmpty { path: dir.into() }) } else { Ok(()) }
    }

    /// Appends what a second brought, and rewrites what sums up.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn second(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        self.timeseries.write(snapshot)?;
        for row in &snapshot.second {
            self.operations.write(&OperationSecond { t_s: snapshot.t_s, row: row.clone() })?;
        }
        for row in &snapshot.rollouts {
            self.rollouts.write(&RolloutSecond { t_s: snapshot.t_s, has_service: snapshot.has_service, row: row.clone() })?;
        }
        for execution in &snapshot.closed {
            let place = execution.thing as usize;
            self.executions.write(&ExecutionLine {
                thing: &self.names.things[place],
                cohort: &self.names.cohorts[place],
                origin: snapshot.origin,
                execution: execution.clone(),
            })?;
        }
        self.hlog.write(snapshot.t_s, &snapshot.histograms)?;
        self.timeseries.flush()?;
        self.operations.flush()?;
        self.rollouts.flush()?;
        self.executions.flush()?;
        let totals = snapshot.totals.iter().map(|row| OperationTotal { run_s: snapshot.t_s, row: row.clone() });
        self.rewrite(tables::SUMMARY, &to_csv(tables::SUMMARY_COLUMNS, totals))?;
        let errors =
            snapshot.errors.iter().map(|(key, tally)| ErrorLine { origin: snapshot.origin, key: *key, tally: tally.clone() });
        self.rewrite(tables::ERRORS, &to_csv(tables::ERRORS_COLUMNS, errors))?;
        self.manifest.totals.update(snapshot);
        self.write_manifest()
    }

    /// The last word on the run.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn finish(
        &mut self,
        verdict: Verdict,
        exit_code: u8,
        finished_at: String,
        findings: Vec<String>,
    ) -> Result<(), ReportError> {
        self.manifest.verdict = verdict;
        self.manifest.exit_code = Some(exit_code);
        self.manifest.finished_at = Some(finished_at);
        self.manifest.findings = findings;
        self.write_manifest()
    }

    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn write_manifest(&self) -> Result<(), ReportError> {
        let text = serde_json::to_vec_pretty(&self.manifest).expect("a manifest has string keys and finite numbers");
        self.rewrite(MANIFEST, &text)
    }

    fn rewrite(&self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        replace(&self.dir.join(name), bytes)
    }
}

/// The HdrHistogram log, format V2, written line by line so that it is complete after every second.
///
/// hdrhistogram's own interval log writer borrows its output and its serializer for as long as the log lives; the format is four
/// fields a line.
struct Hlog {
    path: PathBuf,
    out: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl Hlog {
    fn create(path: &Path, started_ms: i64) -> Result<Self, ReportError> {
        let failed = |source| ReportError::write(path, source);
        let mut out = BufWriter::new(File::create_new(path).map_err(failed)?);
        let seconds = started_ms as f64 / 1000.0;
        let header = format!(
            "#[Histogram log format version 1.3]\n#[StartTime: {seconds:.3} (seconds since epoch), microseconds; notify_next and execution: milliseconds]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
        );
        out.write_all(header.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
        Ok(Self { path: path.into(), out, serializer: V2DeflateSerializer::new() })
    }

    fn write(&mut self, t_s: u64, histograms: &[TaggedHistogram]) -> Result<(), ReportError> {
        let start = t_s.saturating_sub(1);
        for TaggedHistogram { tag, histogram } in histograms {
            let mut bytes = Vec::new();
            self.serializer.serialize(histogram, &mut bytes).expect("a histogram serializes into memory");
            let line = format!("Tag={tag},{start}.000,1.000,{:.3},{}\n", histogram.max() as f64, STANDARD.encode(&bytes));
            self.out.write_all(line.as_bytes()).map_err(|source| ReportError::write(&self.path, source))?;
        }
        self.out.flush().map_err(|source| ReportError::write(&self.path, source))
    }
}
