//! `histograms.hlog`: the seconds of every histogram as an HdrHistogram interval log, V2 with deflate.

use super::ReportError;
use super::column::Appender;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use host::clock;
use load_metrics::{Measure, Operation, Resolution, Snapshot};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use strum::VariantArray as _;

const UNITS: &str =
    "values are microseconds; of notify_next, notify_next_at_least, first_notification and execution they are milliseconds";

pub(super) struct IntervalLog {
    out: Appender,
    serializer: V2DeflateSerializer,
    is_begun: bool,
    /// Where the origin is on the wall clock, since the epoch; `None`: it is of this host's clock, and near.
    origin: Option<Duration>,
}

impl IntervalLog {
    pub(super) fn create(path: PathBuf) -> Result<Self, ReportError> {
        Ok(Self { out: Appender::create(path)?, serializer: V2DeflateSerializer::new(), is_begun: false, origin: None })
    }

    /// The origin was at this time since the epoch.
    pub(super) fn set_origin(&mut self, since_epoch: Duration) {
        self.origin = Some(since_epoch);
    }

    /// One line for each histogram with values, tagged `OPERATION.service` or `OPERATION.response`; time stamps count from the origin,
    /// whose place on the wall clock is the log's start time.
    pub(super) fn second(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        let mut lines = Vec::new();
        let mut builder = IntervalLogWriterBuilder::new();
        if !self.is_begun {
            let now = || Duration::from_millis(clock::epoch_ms().unsigned_abs());
            let origin = self.origin.unwrap_or_else(|| now().saturating_sub(clock::mono().since(snapshot.origin)));
            let origin = SystemTime::UNIX_EPOCH + origin;
            builder.add_comment("[Histogram log format version 1.3]").add_comment(UNITS).with_start_time(origin);
            builder.with_base_time(origin);
            self.is_begun = true;
        }
        let mut log = builder.begin_log_with(&mut lines, &mut self.serializer).expect("memory takes every line");
        let span = Duration::from_secs(snapshot.span_s);
        let start = Duration::from_secs(snapshot.t_s).saturating_sub(span);
        for times in snapshot.fleet_times() {
            let mut histogram = times.resolution().histogram();
            for (value, count) in times.distribution.buckets() {
                histogram.record_n(*value, *count).expect("a value that was counted is within its bounds");
            }
            let tag = format!("{}.{}", times.operation.as_str(), times.measure.as_str());
            log.write_histogram(&histogram, start, span, Tag::new(&tag)).expect("a histogram serializes into memory");
        }
        self.out.append(&lines)
    }
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

/// Reads the service times of all operations of a run back.
///
/// # Errors
/// When the folder has no log of histograms, or not one that can be read.
pub fn service_times(dir: &Path) -> Result<BTreeMap<Operation, ServiceTimes>, ReportError> {
    let path = dir.join(super::writer::HLOG);
    let text = fs::read(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
    let damaged = |why: String| ReportError::Damaged { path: path.clone(), why };
    let mut deserializer = Deserializer::new();
    let mut times: BTreeMap<Operation, ServiceTimes> = BTreeMap::new();
    for entry in IntervalLogIterator::new(&text) {
        // What a run that was killed left of its last line is no histogram.
        let Ok(LogEntry::Interval(interval)) = entry else { continue };
        let tag = interval.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
        let of_tag = |operation: &&Operation| tag == format!("{}.{}", operation.as_str(), Measure::Service.as_str());
        let Some(operation) = Operation::VARIANTS.iter().find(of_tag) else { continue };
        let bytes = BASE64.decode(interval.encoded_histogram()).map_err(|error| damaged(error.to_string()))?;
        let part: Histogram<u64> = deserializer.deserialize(&mut &bytes[..]).map_err(|error| damaged(error.to_string()))?;
        let resolution = Resolution::of(*operation, false);
        let known =
            times.entry(*operation).or_insert_with(|| ServiceTimes { histogram: resolution.histogram(), tick: resolution.tick() });
        known.histogram.add(&part).map_err(|error| damaged(error.to_string()))?;
    }
    Ok(times)
}
