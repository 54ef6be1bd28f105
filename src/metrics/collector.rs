//! Merges the seconds of all shards, and the service's ledger, into snapshots.

use super::executions::{ClosedExecution, ExecutionBook, StateCounts};
use super::recorder::{ErrorKey, ErrorTally, Interval, ScopeLayout, Series, new_lateness};
use super::sample::{Operation, Outcome, Sample, Scope};
use super::snapshot::{Latency, OperationRow, ProcessUsage, RolloutRow, ScopeName, Snapshot, TaggedHistogram, units_per_ms};
use super::{Anomaly, Recorder};
use crate::instant::Mono;
use crate::jobs::{JobId, ThingName};
use crate::ledger::LedgerRow;
use crate::schedule::Phase;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Shares of a job whose times are kept.
const MILESTONES: [f64; 3] = [0.5, 0.9, 0.99];

/// What the collector must know of the run.
pub struct CollectorSettings {
    pub origin: Mono,
    /// In the order of their places.
    pub things: Vec<ThingName>,
    pub cohorts: Vec<String>,
    pub transports: Vec<String>,
    /// Whether the service's ledger will be fed in.
    pub has_service: bool,
}

/// Everything about one second.
pub struct SecondInput {
    /// Whole seconds from the origin to its beginning.
    pub second: u64,
    pub phase: Phase,
    /// One a shard; a shard that lost it has none.
    pub intervals: Vec<Interval>,
    pub intervals_lost: u64,
    pub ledger: Vec<LedgerRow>,
    pub generator: ProcessUsage,
    pub endpoint: Option<ProcessUsage>,
}

struct Rollout {
    targets: u64,
    created: Mono,
    seconds_to: [Option<f64>; 3],
}

pub struct Collector {
    origin: Mono,
    things: u64,
    layout: ScopeLayout,
    scopes: Vec<ScopeName>,
    totals: Vec<Series>,
    lateness: Histogram<u64>,
    book: ExecutionBook,
    rollouts: BTreeMap<JobId, Rollout>,
    errors: BTreeMap<ErrorKey, ErrorTally>,
    anomalies: BTreeMap<Anomaly, u64>,
    messages_in: u64,
    messages_out: u64,
    intervals_lost: u64,
}

impl Collector {
    #[must_use]
    pub fn new(settings: CollectorSettings) -> Self {
        let layout = ScopeLayout { cohorts: settings.cohorts.len(), transports: settings.transports.len() };
        let cohorts = settings.cohorts.iter().map(|name| ScopeName::Cohort(name.as_str().into()));
        let transports = settings.transports.iter().map(|name| ScopeName::Transport(name.as_str().into()));
        Self {
            origin: settings.origin,
            things: settings.things.len() as u64,
            layout,
            scopes: std::iter::once(ScopeName::All).chain(cohorts).chain(transports).collect(),
            totals: std::iter::repeat_with(Series::default).take(Operation::COUNT * layout.count()).collect(),
            lateness: new_lateness(),
            book: ExecutionBook::new(settings.things, settings.has_service),
            rollouts: BTreeMap::new(),
            errors: BTreeMap::new(),
            anomalies: BTreeMap::new(),
            messages_in: 0,
            messages_out: 0,
            intervals_lost: 0,
        }
    }

    /// A job was created for this many things.
    pub fn job_created(&mut self, job: &JobId, targets: u64, created: Mono) {
        self.rollouts.insert(job.clone(), Rollout { targets, created, seconds_to: [None; 3] });
    }

    /// Takes one second in, and says how things stand after it.
    pub fn second(&mut self, input: SecondInput) -> Arc<Snapshot> {
        let end = self.origin + Duration::from_secs(input.second + 1);
        for interval in &input.intervals {
            interval.sessions_lost.iter().for_each(|thing| self.book.session_lost(*thing));
            interval.thing_events.iter().for_each(|event| self.book.thing_event(event));
        }
        input.ledger.iter().for_each(|row| self.book.ledger_row(row));
        let closed = self.book.close_finished(end);
        self.snapshot(input, closed, end)
    }

    /// The last word: what is still open is closed as it is.
    pub fn finish(&mut self, input: SecondInput, lost_after: Option<Duration>) -> Arc<Snapshot> {
        let end = self.origin + Duration::from_secs(input.second + 1);
        for interval in &input.intervals {
            interval.thing_events.iter().for_each(|event| self.book.thing_event(event));
        }
        input.ledger.iter().for_each(|row| self.book.ledger_row(row));
        let closed = self.book.close_all(end, lost_after);
        self.snapshot(input, closed, end)
    }

    fn snapshot(&mut self, input: SecondInput, closed: Vec<ClosedExecution>, end: Mono) -> Arc<Snapshot> {
        let mut second: Vec<Series> = std::iter::repeat_with(Series::default).take(self.totals.len()).collect();
        let mut lateness = new_lateness();
        let (mut messages_in, mut messages_out, mut connects, mut connected) = (0, 0, 0, 0);
        let notify_series = self.notify_series();
        for interval in &input.intervals {
            second.iter_mut().zip(&interval.series).for_each(|(sum, part)| sum.add(part));
            if let Some(part) = &interval.lateness {
                lateness.add(part).expect("histograms of lateness have the same bounds");
            }
            messages_in += interval.messages_in;
            messages_out += interval.messages_out;
            connects += interval.connects;
            connected += interval.connected;
            self.take_errors(&interval.errors);
        }
        second.iter_mut().zip(&notify_series).for_each(|(sum, part)| sum.add(part));
        self.totals.iter_mut().zip(&second).for_each(|(sum, part)| sum.add(part));
        self.lateness.add(&lateness).expect("histograms of lateness have the same bounds");
        self.messages_in += messages_in;
        self.messages_out += messages_out;
        self.intervals_lost += input.intervals_lost;
        for anomaly in closed.iter().filter_map(|execution| execution.anomaly) {
            *self.anomalies.entry(anomaly).or_default() += 1;
        }
        let rollouts = self.rollouts(end);
        Arc::new(Snapshot {
            t_s: input.second + 1,
            origin: self.origin,
            phase: input.phase,
            things: self.things,
            connected: u64::try_from(connected).unwrap_or(0),
            connects_per_s: connects,
            messages_in_per_s: messages_in,
            messages_out_per_s: messages_out,
            messages_in: self.messages_in,
            messages_out: self.messages_out,
            executions: sum(rollouts.iter().map(|rollout| &rollout.counts)),
            has_service: self.book.has_service(),
            rollouts,
            second: self.rows(&second),
            totals: self.rows(&self.totals),
            lateness: Latency::of(&lateness, 1000.0),
            lateness_total: Latency::of(&self.lateness, 1000.0),
            generator: input.generator,
            endpoint: input.endpoint,
            errors: self.errors.clone(),
            closed,
            anomalies: self.anomalies.clone(),
            histograms: self.tagged(second),
            intervals_lost: self.intervals_lost,
            saturated: self.totals.iter().filter_map(|series| series.times.as_ref()).map(|times| times.saturated).sum(),
        })
    }

    /// `notify_next` is measured by the join of the two ledgers, not by a shard.
    fn notify_series(&mut self) -> Vec<Series> {
        let mut recorder = Recorder::new(Mono(0), self.layout.cohorts, self.layout.transports);
        for time in self.book.take_notify_times() {
            recorder.start(Operation::NotifyNext, Scope::default());
            let sample = Sample {
                operation: Operation::NotifyNext,
                scope: Scope::default(),
                outcome: Outcome::Ok,
                intended: Mono(0),
                sent: Mono(0),
                finished: Mono(0) + time,
            };
            recorder.finish(&sample);
        }
        let mut series: Vec<Series> = std::iter::repeat_with(Series::default).take(self.totals.len()).collect();
        for interval in recorder.finish_run(Mono(0)) {
            series.iter_mut().zip(&interval.series).for_each(|(sum, part)| sum.add(part));
        }
        series
    }

    fn take_errors(&mut self, errors: &BTreeMap<ErrorKey, ErrorTally>) {
        for (key, tally) in errors {
            match self.errors.get_mut(key) {
                Some(known) => {
                    known.count += tally.count;
                    known.first = known.first.min(tally.first);
                    known.last = known.last.max(tally.last);
                }
                None => {
                    self.errors.insert(*key, tally.clone());
                }
            }
        }
    }

    fn rollouts(&mut self, end: Mono) -> Vec<RolloutRow> {
        let mut rows = Vec::new();
        for (job, counts) in self.book.jobs() {
            let rollout = self.rollouts.get_mut(job);
            let mut row = RolloutRow { job: job.clone(), targets: None, counts: *counts, seconds_to: [None; 3] };
            if let Some(rollout) = rollout {
                row.targets = Some(rollout.targets);
                let done = row.done_share().unwrap_or(0.0);
                for (reached, share) in rollout.seconds_to.iter_mut().zip(MILESTONES) {
                    if reached.is_none() && done >= share {
                        *reached = Some(end.since(rollout.created).as_secs_f64());
                    }
                }
                row.seconds_to = rollout.seconds_to;
            }
            rows.push(row);
        }
        rows
    }

    fn each(&self) -> impl Iterator<Item = (usize, Operation, &ScopeName)> {
        let layout = self.layout;
        Operation::ALL.into_iter().flat_map(move |operation| {
            self.scopes.iter().enumerate().map(move |(n, scope)| (layout.place(operation, n), operation, scope))
        })
    }

    /// Rows of everything that was ever started; `open` comes from the totals.
    fn rows(&self, series: &[Series]) -> Vec<OperationRow> {
        self.each()
            .filter(|(place, ..)| self.totals[*place].counts.started > 0)
            .map(|(place, operation, scope)| {
                let total = &self.totals[place].counts;
                let times = series[place].times.as_ref();
                let per_ms = units_per_ms(operation);
                OperationRow {
                    scope: scope.clone(),
                    operation,
                    counts: series[place].counts,
                    open: total.started.saturating_sub(total.finished()),
                    service: times.and_then(|times| Latency::of(&times.service, per_ms)),
                    response: times.and_then(|times| Latency::of(times.response.as_ref()?, per_ms)),
                }
            })
            .collect()
    }

    fn tagged(&self, series: Vec<Series>) -> Vec<TaggedHistogram> {
        let wanted: Vec<(usize, Operation)> =
            self.each().filter(|(.., scope)| **scope == ScopeName::All).map(|(place, operation, _)| (place, operation)).collect();
        let mut series: Vec<Option<Series>> = series.into_iter().map(Some).collect();
        let mut tagged = Vec::new();
        for (place, operation) in wanted {
            let Some(times) = series[place].take().and_then(|series| series.times) else { continue };
            tagged.push(TaggedHistogram { tag: format!("{}.service", operation.as_str()), histogram: times.service });
            if let Some(histogram) = times.response {
                tagged.push(TaggedHistogram { tag: format!("{}.response", operation.as_str()), histogram });
            }
        }
        tagged
    }
}

fn sum<'a>(counts: impl Iterator<Item = &'a StateCounts>) -> StateCounts {
    counts.fold(StateCounts::default(), |sum, part| StateCounts {
        queued: sum.queued + part.queued,
        notified: sum.notified + part.notified,
        in_progress: sum.in_progress + part.in_progress,
        succeeded: sum.succeeded + part.succeeded,
        failed: sum.failed + part.failed,
        rejected: sum.rejected + part.rejected,
        timed_out: sum.timed_out + part.timed_out,
        canceled: sum.canceled + part.canceled,
        removed: sum.removed + part.removed,
    })
}
