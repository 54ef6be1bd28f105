//! The results folder and everything that is said about a run: files, lines, the summary. Reads snapshots, decides nothing.

mod capacity;
mod check;
mod ci;
mod column;
mod dictionary;
mod differences;
mod endpoint_seconds;
mod faults_page;
mod forecast_totals;
mod grid;
mod hlog;
mod hlog_reader;
mod html;
mod intervals;
pub mod json;
mod load_plot;
mod manifest;
mod next;
pub mod plain;
mod reconciliation;
mod record;
mod seconds;
mod shard_rows;
mod shard_totals;
mod sheet;
mod tables;
mod text;
mod widen;
mod writer;

pub use capacity::{CapacityEnd, CapacityFolder, CapacityRecord, CapacityRow, PlotNotes, Question};
pub use check::{Check, CheckOutcome, CheckSubject};
pub use ci::CiFiles;
pub(crate) use column::replace;
pub use dictionary::dictionary;
pub(crate) use differences::{KeyDifference, differences};
pub(crate) use endpoint_seconds::{ENDPOINT_SECONDS, EndpointSecond, EndpointSecondsTail, EndpointSecondsWriter};
pub use faults_page::faults_page;
pub use forecast_totals::{ForecastTotals, QuotaTotals};
pub(crate) use grid::{finish, table};
pub use hlog_reader::{ServiceTimes, service_times};
pub(crate) use html::{Document, table as html_table};
pub use intervals::{INTERVALS, IntervalsError, IntervalsReader};
pub(crate) use intervals::{IntervalsWriter, decode_record};
pub use manifest::{EventTotals, Manifest, Mode, PredictedRollout, RolloutTotals, ThresholdTotals, Totals, Verdict};
pub use reconciliation::{DECISIONS, Difference, ReconciliationTotals, SERVICE_LEDGER, reconcile};
pub use record::{RunRecord, is_going_on, load, load_manifest};
pub use seconds::{RunSeconds, Second, SecondCounts, SecondTimes, load_seconds};
pub use shard_totals::{Busy, MergedShard, ShardClock, ShardMeasured, ShardTotals};
pub use text::summary;
pub(crate) use writer::MANIFEST;
pub use writer::{ResultsWriter, SCENARIO};

use std::io;
use std::path::{Path, PathBuf};

/// How the endpoint that a run has started was shaped, and what it wrote to stderr.
pub(crate) const ENDPOINT_CONFIG: &str = "endpoint.toml";
pub(crate) const ENDPOINT_LOG: &str = "endpoint.log";
/// Below a run's folder: the results folder of its own forecast.
pub const FORECAST_FOLDER: &str = "forecast";

/// Why results cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("use {path} for results: it is not empty; name a new or empty folder with --out")]
    NotEmpty { path: PathBuf },
    #[error("read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("read {path}: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error("{0}")]
    Stdout(io::Error),
}

impl ReportError {
    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}
