//! `histograms.hlog` read back.

use super::ReportError;
use super::writer::HLOG;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogHistogram, IntervalLogIterator, LogEntry};
use load_metrics::{Measure, Operation, Resolution};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A line: the times of one operation, one measure, in the second (or minute) that ends at `end_s`.
pub(super) struct HistogramLine {
    pub(super) end_s: u64,
    pub(super) operation: Operation,
    pub(super) measure: Measure,
    /// In ticks of the operation's resolution.
    pub(super) histogram: Histogram<u64>,
}

/// Why a line cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineFault {
    /// As a run leaves its last line that was killed.
    #[error("{0}")]
    NoLine(String),
    #[error("{0}")]
    NoHistogram(String),
}

/// The lines in their order; what another version measures is passed over. Behind a fault there may be no more.
pub(super) fn lines(log: &[u8]) -> impl Iterator<Item = Result<HistogramLine, LineFault>> {
    let mut deserializer = Deserializer::new();
    let mut bytes = Vec::new();
    entries(log).filter_map(move |entry| {
        let line = match entry {
            Ok(line) => line,
            Err(error) => return Some(Err(error)),
        };
        let (operation, measure) = key_of(line.tag()?.as_str())?;
        bytes.clear();
        let decoded = STANDARD.decode_vec(line.encoded_histogram(), &mut bytes).map_err(|error| error.to_string());
        let read = decoded.and_then(|()| deserializer.deserialize(&mut &bytes[..]).map_err(|error| error.to_string()));
        let whole = |histogram| HistogramLine { end_s: end_of(&line), operation, measure, histogram };
        Some(read.map(whole).map_err(LineFault::NoHistogram))
    })
}

/// Seconds at which the lines of a log end.
pub(super) fn ends(log: &[u8]) -> BTreeSet<u64> {
    entries(log).map_while(Result::ok).map(|line| end_of(&line)).collect()
}

fn entries(log: &[u8]) -> impl Iterator<Item = Result<IntervalLogHistogram<'_>, LineFault>> {
    IntervalLogIterator::new(log).filter_map(|entry| match entry {
        Ok(LogEntry::Interval(line)) => Some(Ok(line)),
        Ok(_) => None,
        Err(error) => Some(Err(LineFault::NoLine(format!("{error:?}")))),
    })
}

fn end_of(line: &IntervalLogHistogram<'_>) -> u64 {
    (line.start_timestamp() + line.duration()).as_secs_f64().round() as u64
}

/// `start_next.response`; `None` for what another version measures.
fn key_of(tag: &str) -> Option<(Operation, Measure)> {
    let (operation, measure) = tag.split_once('.')?;
    let measure = [Measure::Service, Measure::Response].into_iter().find(|known| known.as_str() == measure)?;
    Some((operation.parse().ok()?, measure))
}

/// The service times of one operation over a whole run.
pub struct ServiceTimes {
    histogram: Histogram<u64>,
    tick: Duration,
}

impl ServiceTimes {
    /// The time that this share of the samples, from 0 to 1, is not above.
    #[must_use]
    pub fn at(&self, share: f64) -> Duration {
        let ticks = self.histogram.value_at_quantile(share);
        self.tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

/// Reads the service times of all operations of a run back, also of one that was killed.
///
/// # Errors
/// When the folder has no log of histograms, or not one that can be read.
pub fn service_times(dir: &Path) -> Result<BTreeMap<Operation, ServiceTimes>, ReportError> {
    let path = dir.join(HLOG);
    let log = fs::read(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
    let damaged = |why: String| ReportError::Damaged { path: path.clone(), why };
    let mut times: BTreeMap<Operation, ServiceTimes> = BTreeMap::new();
    for line in lines(&log) {
        let HistogramLine { operation, measure, histogram, .. } = match line {
            Ok(line) => line,
            Err(LineFault::NoLine(_)) => continue,
            Err(LineFault::NoHistogram(why)) => return Err(damaged(why)),
        };
        if measure == Measure::Service {
            let resolution = Resolution::of(operation, false);
            let known = times
                .entry(operation)
                .or_insert_with(|| ServiceTimes { histogram: resolution.histogram(), tick: resolution.tick() });
            known.histogram.add(&histogram).map_err(|error| damaged(error.to_string()))?;
        }
    }
    Ok(times)
}
