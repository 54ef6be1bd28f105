//! The results folder and everything that is said about a run: files, lines, the summary. Reads snapshots, decides nothing.

mod audit;
mod capacity;
mod column;
mod dictionary;
mod faults_page;
mod forecast_totals;
mod hlog;
mod html;
mod intervals;
pub mod json;
mod load_plot;
mod manifest;
pub mod plain;
mod record;
mod tables;
mod text;
mod widen;
mod writer;

pub use audit::{AuditTotals, Difference, SERVICE_LEDGER, audit};
pub use capacity::{CapacityEnd, CapacityFolder, CapacityRecord, CapacityRow, PlotNotes, Question};
pub use dictionary::dictionary;
pub use faults_page::faults_page;
pub use forecast_totals::{BilledTotals, ForecastTotals, QuotaTotals};
pub use hlog::{ServiceTimes, service_times};
pub use intervals::{INTERVALS, IntervalsError, IntervalsReader};
pub use manifest::{
    EventTotals, Manifest, MergedShard, Mode, PredictedRollout, RolloutTotals, ShardTotals, ThresholdTotals, Totals, Verdict,
};
pub use record::{RunRecord, is_going_on, load, read_manifest};
pub use text::summary;
pub(crate) use text::{finish, table};
pub use writer::{ResultsWriter, SCENARIO};

use std::io;
use std::path::{Path, PathBuf};

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
}

impl ReportError {
    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}
