//! `histograms.hlog`: the seconds of every histogram as an HdrHistogram interval log, V2 with deflate.

use super::ReportError;
use super::column::Appender;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use host::clock;
use load_metrics::{Resolution, Snapshot};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const UNITS: &str =
    "values are microseconds; of notify_next, notify_next_at_least, first_notification and execution they are milliseconds";

pub(super) struct IntervalLog {
    out: Appender,
    serializer: V2DeflateSerializer,
    /// One of each resolution, empty: they are large, and there are many lines.
    scratch: Vec<(Resolution, Histogram<u64>)>,
    is_begun: bool,
    /// Where the origin is on the wall clock, since the epoch; `None`: it is of this host's clock, and near.
    origin: Option<Duration>,
}

impl IntervalLog {
    pub(super) fn create(path: PathBuf) -> Result<Self, ReportError> {
        let (out, serializer) = (Appender::create(path)?, V2DeflateSerializer::new());
        Ok(Self { out, serializer, scratch: Vec::new(), is_begun: false, origin: None })
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
            let histogram = empty_of(&mut self.scratch, times.resolution());
            for (value, count) in times.distribution.buckets() {
                histogram.record_n(*value, *count).expect("a value that was counted is within its bounds");
            }
            let tag = format!("{}.{}", times.operation.as_str(), times.measure.as_str());
            log.write_histogram(histogram, start, span, Tag::new(&tag)).expect("a histogram serializes into memory");
            histogram.reset();
        }
        self.out.append(&lines)
    }
}

fn empty_of(scratch: &mut Vec<(Resolution, Histogram<u64>)>, resolution: Resolution) -> &mut Histogram<u64> {
    let place = scratch.iter().position(|(known, _)| *known == resolution).unwrap_or_else(|| {
        scratch.push((resolution, resolution.histogram()));
        scratch.len() - 1
    });
    &mut scratch[place].1
}
