//! What one shard has seen, second by second: owned, unlocked, without allocation per sample.

use super::sample::{Operation, Outcome, Sample, Scope, ThingEvent};
use crate::instant::Mono;
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Different errors that are told apart in one second; more are counted as `other`.
const ERRORS_MAX: usize = 64;
/// Histograms of operations: 1 us to 1 h.
const MICROS_MAX: u64 = 3_600_000_000;
/// Of operations that may last days: 1 ms to 30 days.
const MILLIS_MAX: u64 = 30 * 24 * 3_600_000;

/// How often something happened; `open` is what was started and has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub started: u64,
    pub ok: u64,
    pub rejected: u64,
    pub timeout: u64,
    pub error: u64,
    /// Arrivals nobody was free to take.
    pub lost_arrivals: u64,
    /// Answers that came after they had been given up.
    pub late_answers: u64,
}

impl Counts {
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.ok + self.rejected + self.timeout + self.error
    }

    pub fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.ok += other.ok;
        self.rejected += other.rejected;
        self.timeout += other.timeout;
        self.error += other.error;
        self.lost_arrivals += other.lost_arrivals;
        self.late_answers += other.late_answers;
    }
}

/// Service and response times of one operation in one scope.
#[derive(Clone, Debug)]
pub struct Times {
    pub service: Histogram<u64>,
    /// Absent where it is no different thing.
    pub response: Option<Histogram<u64>>,
    /// Values beyond the range, recorded at its end.
    pub saturated: u64,
}

impl Times {
    fn new(operation: Operation, scoped: bool) -> Self {
        let (high, digits) = (if operation.is_long() { MILLIS_MAX } else { MICROS_MAX }, if scoped { 2 } else { 3 });
        let make = || Histogram::new_with_bounds(1, high, digits).expect("the bounds and digits are constants that fit");
        Self { service: make(), response: operation.has_response().then(make), saturated: 0 }
    }

    fn record(&mut self, operation: Operation, service: Duration, response: Duration) {
        let unit = |time: Duration| {
            let value = if operation.is_long() { time.as_millis() } else { time.as_micros() };
            u64::try_from(value).unwrap_or(u64::MAX).max(1)
        };
        let mut record = |histogram: &mut Histogram<u64>, time| {
            let value = unit(time);
            self.saturated += u64::from(value > histogram.high());
            histogram.saturating_record(value);
        };
        record(&mut self.service, service);
        if let Some(histogram) = &mut self.response {
            record(histogram, response);
        }
    }

    /// # Panics
    /// When the other is of another operation or scope.
    pub fn add(&mut self, other: &Self) {
        self.service.add(&other.service).expect("histograms of one series have the same bounds");
        if let (Some(mine), Some(theirs)) = (&mut self.response, &other.response) {
            mine.add(theirs).expect("histograms of one series have the same bounds");
        }
        self.saturated += other.saturated;
    }
}

/// Counters and times of one operation in one scope.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pub counts: Counts,
    /// Absent until something has ended.
    pub times: Option<Box<Times>>,
}

impl Series {
    fn finish(&mut self, sample: &Sample, scoped: bool) {
        match sample.outcome {
            Outcome::Ok => self.counts.ok += 1,
            Outcome::Rejected => self.counts.rejected += 1,
            Outcome::Timeout => self.counts.timeout += 1,
            Outcome::Error => self.counts.error += 1,
        }
        // What broke on the way says nothing about how long an answer takes; a timeout counts at its age.
        if sample.outcome != Outcome::Error {
            let times = self.times.get_or_insert_with(|| Box::new(Times::new(sample.operation, scoped)));
            times.record(sample.operation, sample.service(), sample.response());
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        match (&mut self.times, &other.times) {
            (Some(mine), Some(theirs)) => mine.add(theirs),
            (None, Some(theirs)) => self.times = Some(theirs.clone()),
            (_, None) => {}
        }
    }
}

/// What an error is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorKey {
    pub operation: Operation,
    pub kind: &'static str,
    pub code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorTally {
    pub count: u64,
    pub first: Mono,
    pub last: Mono,
    pub example: String,
}

/// One second of one shard.
#[derive(Debug)]
pub struct Interval {
    /// Whole seconds from the origin to its beginning.
    pub second: u64,
    /// By operation, then by scope: all, cohorts, transports.
    pub series: Vec<Series>,
    pub lateness: Option<Histogram<u64>>,
    pub messages_in: u64,
    pub messages_out: u64,
    /// Things that became connected.
    pub connects: u64,
    /// Things connected at its end.
    pub connected: i64,
    pub errors: BTreeMap<ErrorKey, ErrorTally>,
    pub thing_events: Vec<ThingEvent>,
    /// Things that lost a session, by place.
    pub sessions_lost: Vec<u32>,
}

/// How many scopes there are, and where each one's series stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScopeLayout {
    pub(super) cohorts: usize,
    pub(super) transports: usize,
}

impl ScopeLayout {
    /// Scopes in all: `all`, then cohorts, then transports.
    #[must_use]
    pub(super) fn count(self) -> usize {
        1 + self.cohorts + self.transports
    }

    /// Place of the series of `operation` in scope number `scope`.
    #[must_use]
    pub(super) fn place(self, operation: Operation, scope: usize) -> usize {
        operation as usize * self.count() + scope
    }

    fn scopes(self, scope: Scope) -> [usize; 3] {
        [0, 1 + usize::from(scope.cohort), 1 + self.cohorts + usize::from(scope.transport)]
    }
}

/// The recorder of one shard.
#[derive(Debug)]
pub struct Recorder {
    layout: ScopeLayout,
    /// End of the running interval.
    border: Mono,
    running: Interval,
    done: VecDeque<Interval>,
}

impl Recorder {
    /// Seconds are cut at whole seconds after `origin`.
    #[must_use]
    pub fn new(origin: Mono, cohorts: usize, transports: usize) -> Self {
        let layout = ScopeLayout { cohorts, transports };
        Self { layout, border: origin + SECOND, running: empty(layout, 0, 0), done: VecDeque::new() }
    }

    pub fn start(&mut self, operation: Operation, scope: Scope) {
        self.each_series(operation, scope, |series, _| series.counts.started += 1);
    }

    /// Belongs to the second in which it finished.
    pub fn finish(&mut self, sample: &Sample) {
        self.advance(sample.finished);
        self.each_series(sample.operation, sample.scope, |series, scoped| series.finish(sample, scoped));
    }

    pub fn late_answer(&mut self, operation: Operation, scope: Scope) {
        self.each_series(operation, scope, |series, _| series.counts.late_answers += 1);
    }

    pub fn lost_arrival(&mut self, operation: Operation, scope: Scope) {
        self.each_series(operation, scope, |series, _| series.counts.lost_arrivals += 1);
    }

    /// From runnable to written: the generator's own delay.
    pub fn lateness(&mut self, delay: Duration) {
        let histogram = self.running.lateness.get_or_insert_with(new_lateness);
        histogram.saturating_record(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    pub fn message_in(&mut self) {
        self.running.messages_in += 1;
    }

    pub fn message_out(&mut self) {
        self.running.messages_out += 1;
    }

    pub fn connected(&mut self) {
        self.running.connected += 1;
        self.running.connects += 1;
    }

    pub fn disconnected(&mut self) {
        self.running.connected -= 1;
    }

    pub fn session_lost(&mut self, thing: u32) {
        self.running.sessions_lost.push(thing);
    }

    /// Counts an error; the text of an example is made only for the first of its kind in a second.
    pub fn error(
        &mut self,
        operation: Operation,
        kind: &'static str,
        code: &'static str,
        at: Mono,
        example: impl FnOnce() -> String,
    ) {
        let errors = &mut self.running.errors;
        let mut key = ErrorKey { operation, kind, code };
        if errors.len() >= ERRORS_MAX && !errors.contains_key(&key) {
            key = ErrorKey { operation, kind: "other", code: "other" };
        }
        let tally = errors.entry(key).or_insert_with(|| ErrorTally { count: 0, first: at, last: at, example: example() });
        tally.count += 1;
        tally.last = at;
    }

    pub fn thing_event(&mut self, event: ThingEvent) {
        self.running.thing_events.push(event);
    }

    /// Closes every second that has ended at `now`.
    pub fn advance(&mut self, now: Mono) {
        while now >= self.border {
            let next = empty(self.layout, self.running.second + 1, self.running.connected);
            self.done.push_back(std::mem::replace(&mut self.running, next));
            self.border += SECOND;
        }
    }

    /// Seconds that have ended, oldest first.
    pub fn poll_interval(&mut self) -> Option<Interval> {
        self.done.pop_front()
    }

    /// Ends recording: what is left, the last second incomplete.
    pub fn finish_run(&mut self, now: Mono) -> Vec<Interval> {
        self.advance(now);
        let last = empty(self.layout, self.running.second + 1, self.running.connected);
        self.done.push_back(std::mem::replace(&mut self.running, last));
        self.done.drain(..).collect()
    }

    fn each_series(&mut self, operation: Operation, scope: Scope, mut apply: impl FnMut(&mut Series, bool)) {
        let scopes = self.layout.scopes(scope);
        let wanted = if operation.is_scoped() { &scopes[..] } else { &scopes[..1] };
        for scope in wanted {
            apply(&mut self.running.series[self.layout.place(operation, *scope)], *scope > 0);
        }
    }
}

pub(super) fn new_lateness() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROS_MAX, 3).expect("the bounds and digits are constants that fit")
}

fn empty(layout: ScopeLayout, second: u64, connected: i64) -> Interval {
    Interval {
        second,
        series: std::iter::repeat_with(Series::default).take(Operation::COUNT * layout.count()).collect(),
        lateness: None,
        messages_in: 0,
        messages_out: 0,
        connects: 0,
        connected,
        errors: BTreeMap::new(),
        thing_events: Vec::new(),
        sessions_lost: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Mono = Mono(5_000_000_000);

    fn at(ms: u64) -> Mono {
        ORIGIN + Duration::from_millis(ms)
    }

    fn sample(finished: u64, outcome: Outcome) -> Sample {
        let scope = Scope { cohort: 1, transport: 0 };
        let (intended, sent) = (at(finished - 30), at(finished - 10));
        Sample { operation: Operation::StartNext, scope, outcome, intended, sent, finished: at(finished) }
    }

    #[test]
    fn seconds_are_cut_by_finish_time() {
        let mut recorder = Recorder::new(ORIGIN, 2, 1);
        for ms in [999, 1000, 2999, 3000] {
            recorder.finish(&sample(ms, Outcome::Ok));
        }
        let ok: Vec<(u64, u64)> = std::iter::from_fn(|| recorder.poll_interval())
            .chain(recorder_last(&mut Recorder::new(ORIGIN, 2, 1)))
            .map(|interval| {
                (
                    interval.second,
                    interval.series[ScopeLayout { cohorts: 2, transports: 1 }.place(Operation::StartNext, 0)].counts.ok,
                )
            })
            .collect();
        assert_eq!(ok, [(0, 1), (1, 1), (2, 1), (0, 0)]);
    }

    fn recorder_last(recorder: &mut Recorder) -> Vec<Interval> {
        recorder.finish_run(ORIGIN)
    }

    #[test]
    fn a_scoped_operation_is_counted_for_all_its_cohort_and_its_transport() {
        let layout = ScopeLayout { cohorts: 2, transports: 1 };
        let mut recorder = Recorder::new(ORIGIN, 2, 1);
        recorder.start(Operation::StartNext, Scope { cohort: 1, transport: 0 });
        recorder.finish(&sample(100, Outcome::Ok));
        let interval = recorder.finish_run(at(100)).remove(0);
        let counts = |scope| interval.series[layout.place(Operation::StartNext, scope)].counts.ok;
        assert_eq!([counts(0), counts(1), counts(2), counts(3)], [1, 0, 1, 1]);
        let times = interval.series[layout.place(Operation::StartNext, 0)].times.as_ref().unwrap();
        assert_eq!((times.service.max(), times.response.as_ref().unwrap().max()), (10_007, 30_015), "3 digits");
    }

    #[test]
    fn what_is_too_long_is_counted_as_saturated() {
        let mut recorder = Recorder::new(ORIGIN, 1, 1);
        let day = ORIGIN + Duration::from_secs(86_400);
        recorder.finish(&Sample { intended: ORIGIN, sent: ORIGIN, finished: day, ..sample(100, Outcome::Ok) });
        let last = recorder.finish_run(day).pop().unwrap();
        assert_eq!(
            last.series[ScopeLayout { cohorts: 1, transports: 1 }.place(Operation::StartNext, 0)].times.as_ref().unwrap().saturated,
            2
        );
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        const CODES: [&str; 70] = {
            let mut codes = [""; 70];
            let all = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
            let mut n = 0;
            while n < 70 {
                codes[n] = all.split_at(n + 1).0;
                n += 1;
            }
            codes
        };
        let mut recorder = Recorder::new(ORIGIN, 1, 1);
        for code in CODES {
            recorder.error(Operation::Connect, "tcp", code, ORIGIN, String::new);
        }
        let interval = recorder.finish_run(ORIGIN).remove(0);
        assert_eq!(interval.errors.len(), ERRORS_MAX + 1);
        assert_eq!(interval.errors.values().map(|tally| tally.count).sum::<u64>(), 70);
    }
}
