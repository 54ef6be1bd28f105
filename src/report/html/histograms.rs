//! Latencies of the whole fleet from `histograms.hlog`: for every span of time, and over the run. Seconds become spans by merging their
//! histograms; a percentile is never averaged.

use super::timeline::{Line, Timeline};
use crate::report::hlog_reader::{self, HistogramLine};
use crate::report::manifest::Percentiles;
use crate::report::sheet::Notes;
use crate::report::writer::HLOG;
use hdrhistogram::Histogram;
use load_metrics::{Measure, Operation, Resolution};
use std::collections::BTreeMap;

/// The times of one operation, one measure.
pub(super) struct Times {
    resolution: Resolution,
    fine: Vec<Option<Percentiles>>,
    coarse: Vec<Option<Percentiles>>,
    total: Histogram<u64>,
}

/// By operation and measure, in the order of every table.
pub(super) type AllTimes = BTreeMap<(Operation, Measure), Times>;

/// Histograms of the span that is being gathered.
struct Open {
    place: usize,
    histogram: Histogram<u64>,
}

/// Gathers lines, which come in the order of time, into spans, those into the rows of a table, and those into the whole.
struct Gathering {
    times: Times,
    fine: Option<Open>,
    coarse: Option<Open>,
}

/// Reads a log as far as it is whole.
pub(super) fn read(log: &[u8], timeline: &Timeline, notes: &mut Notes) -> AllTimes {
    let mut gathered: BTreeMap<(Operation, Measure), Gathering> = BTreeMap::new();
    for line in hlog_reader::lines(log) {
        let added = line.map_err(|fault| fault.to_string()).and_then(|HistogramLine { end_s, operation, measure, histogram }| {
            let Some(place) = timeline.fine.place(end_s) else { return Ok(()) };
            let gathering = gathered.entry((operation, measure)).or_insert_with(|| Gathering::new(operation, timeline));
            gathering.add(timeline, place, histogram)
        });
        if let Err(error) = added {
            notes.push(format!("{HLOG} is damaged, and what stands before that is shown: {error}"));
            break;
        }
    }
    let mut all = AllTimes::new();
    for (key, gathering) in gathered {
        match gathering.finish(timeline) {
            Ok(times) => drop(all.insert(key, times)),
            Err(error) => notes.push(format!("{HLOG}: what it has of {} is left out: {error}", key.0)),
        }
    }
    all
}

impl Open {
    /// Into the span that is open, or as the first of the next.
    fn merge(open: &mut Option<Self>, place: usize, histogram: Histogram<u64>) -> Result<(), String> {
        match open {
            Some(open) => open.histogram.add(histogram).map_err(|error| error.to_string()),
            None => {
                *open = Some(Self { place, histogram });
                Ok(())
            }
        }
    }
}

impl Gathering {
    fn new(operation: Operation, timeline: &Timeline) -> Self {
        let resolution = Resolution::of(operation, false);
        let times = Times {
            resolution,
            fine: vec![None; timeline.fine.len()],
            coarse: vec![None; timeline.coarse.len()],
            total: resolution.histogram(),
        };
        Self { times, fine: None, coarse: None }
    }

    fn add(&mut self, timeline: &Timeline, place: usize, histogram: Histogram<u64>) -> Result<(), String> {
        if self.fine.as_ref().is_some_and(|open| open.place != place) {
            self.close_fine(timeline)?;
        }
        Open::merge(&mut self.fine, place, histogram)
    }

    fn close_fine(&mut self, timeline: &Timeline) -> Result<(), String> {
        let Some(open) = self.fine.take() else { return Ok(()) };
        self.times.fine[open.place] = self.times.percentiles(&open.histogram);
        let end = timeline.fine.ends().nth(open.place).unwrap_or_default() as u64;
        let place = timeline.coarse.place(end).unwrap_or_default();
        if self.coarse.as_ref().is_some_and(|known| known.place != place) {
            self.close_coarse()?;
        }
        Open::merge(&mut self.coarse, place, open.histogram)
    }

    fn close_coarse(&mut self) -> Result<(), String> {
        let Some(open) = self.coarse.take() else { return Ok(()) };
        self.times.coarse[open.place] = self.times.percentiles(&open.histogram);
        self.times.total.add(&open.histogram).map_err(|error| error.to_string())
    }

    fn finish(mut self, timeline: &Timeline) -> Result<Times, String> {
        self.close_fine(timeline)?;
        self.close_coarse()?;
        Ok(self.times)
    }
}

impl Times {
    fn percentiles(&self, histogram: &Histogram<u64>) -> Option<Percentiles> {
        let at = |quantile| self.resolution.ms(histogram.value_at_quantile(quantile) as f64);
        let (p50, p90, p99, max) = (at(0.5), at(0.9), at(0.99), at(1.0));
        (!histogram.is_empty()).then_some(Percentiles { p50, p90, p99, max })
    }

    pub(super) fn count(&self) -> u64 {
        self.total.len()
    }

    /// Over the run.
    pub(super) fn whole(&self) -> Option<Percentiles> {
        self.percentiles(&self.total)
    }

    /// The time that this share of all did not exceed, in milliseconds; `None` where so few cannot tell.
    pub(super) fn at(&self, quantile: f64) -> Option<f64> {
        let is_known = !self.total.is_empty() && (1.0 - quantile) * self.count() as f64 >= 1.0 - 1e-9;
        is_known.then(|| self.resolution.ms(self.total.value_at_quantile(quantile) as f64))
    }

    /// One percentile over time, in milliseconds.
    pub(super) fn line(&self, pick: impl Fn(&Percentiles) -> f64) -> Line {
        let picked = |spans: &[Option<Percentiles>]| spans.iter().map(|span| span.as_ref().map(&pick)).collect();
        Line { fine: picked(&self.fine), coarse: picked(&self.coarse) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::hlog_reader::ends;
    use hdrhistogram::serialization::V2DeflateSerializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
    use std::collections::BTreeSet;
    use std::time::Duration;

    /// A log of so many seconds, each with nine quick answers and one of 1.5 ms, every tenth second of 900 ms.
    fn log(seconds: u64) -> Vec<u8> {
        let (mut out, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
        let builder = IntervalLogWriterBuilder::new();
        let mut log = builder.begin_log_with(&mut out, &mut serializer).unwrap();
        for second in 0..seconds {
            let mut histogram = Resolution::SHORT.histogram();
            histogram.record_n(1_000 + second, 9).unwrap();
            histogram.record(if second % 10 == 0 { 900_000 } else { 1_500 }).unwrap();
            log.write_histogram(&histogram, Duration::from_secs(second), Duration::from_secs(1), Tag::new("update.service"))
                .unwrap();
        }
        out
    }

    #[test]
    fn spans_have_the_percentiles_of_all_their_answers() {
        let log = log(500);
        let timeline = Timeline::new(&ends(&log));
        let mut notes = Notes::new();
        let all = read(&log, &timeline, &mut notes);
        assert!(notes.is_empty() && all.len() == 1, "{notes:?}");
        let times = &all[&(Operation::Update, Measure::Service)];
        assert_eq!((timeline.fine.len(), times.count()), (250, 5_000), "two seconds a span");
        // Seconds 0 and 1: 18 quick answers, one of 1.5 ms, one of 900 ms. A mean of their percentiles would have a p90 of 1.001 ms,
        // and a p99 of 450 ms.
        let first = times.fine[0].unwrap();
        assert!(
            (first.p50 - 1.0).abs() < 0.002 && (first.p90 - 1.001).abs() < 0.002 && (first.p99 - 900.0).abs() < 1.0,
            "{first:?}"
        );
        let second = times.fine[1].unwrap();
        assert!((second.max - 1.5).abs() < 0.01, "no slow one: {second:?}");
        assert!(times.coarse.iter().all(|row| (row.unwrap().max - 900.0).abs() < 1.0 && row.unwrap().p50 < 1.5));
        assert!((times.whole().unwrap().max - 900.0).abs() < 1.0 && times.at(0.9).unwrap() < 2.0);
        assert_eq!(times.at(0.999_99), None, "5,000 answers do not tell one in 100,000");
    }

    #[test]
    fn what_stands_before_a_torn_line_counts() {
        let whole = log(4);
        let timeline = Timeline::new(&ends(&whole));
        let damaged = |log: &[u8]| {
            let mut notes = Notes::new();
            let count = read(log, &timeline, &mut notes)[&(Operation::Update, Measure::Service)].count();
            assert!(notes.len() == 1 && notes[0].contains("histograms.hlog is damaged"), "{notes:?}");
            count
        };
        assert_eq!(damaged(&whole[..whole.len() - 30]), 30);
        let place = whole.windows(8).rposition(|text| text == b"HISTFAAA").unwrap();
        let mut bad = whole.clone();
        bad[place] = b'!';
        assert_eq!(damaged(&bad), 30);
    }

    #[test]
    fn what_another_version_measures_is_passed_over() {
        let mut notes = Notes::new();
        let log = String::from_utf8(log(2)).unwrap().replacen("update.service", "unheard.service", 1);
        let all = read(log.as_bytes(), &Timeline::new(&(1..=2).collect()), &mut notes);
        assert_eq!((all[&(Operation::Update, Measure::Service)].count(), notes.len()), (10, 0));
        assert!(read(b"", &Timeline::new(&BTreeSet::new()), &mut notes).is_empty());
    }
}
