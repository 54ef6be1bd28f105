//! What is known of the run, as of one second: the newest snapshot and what was gathered from those before.

use super::history::{History, Slot};
use load_metrics::Phase;
use load_metrics::{Distribution, ErrorKey, ExecutionStage, Measure, Operation, Resolution, RolloutRow, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Rates of what comes in bursts are taken over this many seconds.
pub const RATE_S: u64 = 5;
/// Estimates of what is left look back this far.
const ETA_S: u64 = 15;

/// Everything the panels read.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub snapshot: Option<Arc<Snapshot>>,
    pub history: History,
    /// Phases in the order they were seen, with the second they began in.
    pub phases: Vec<(Phase, u64)>,
    /// The run so far, whole.
    times: BTreeMap<(Operation, Measure), (Resolution, Distribution)>,
    /// Counts of errors in the seconds that rates look back to, the oldest first.
    errors: Vec<BTreeMap<ErrorKey, u64>>,
}

/// What the newest phase is waiting for.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// What is counted.
    pub what: &'static str,
    pub done: u64,
    pub of: u64,
    pub left: Option<Duration>,
}

impl Goal {
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.of == 0 { 1.0 } else { (self.done as f64 / self.of as f64).min(1.0) }
    }
}

impl Model {
    /// Takes one second in.
    pub fn take(&mut self, snapshot: Arc<Snapshot>) {
        self.history.push(Slot::of(&snapshot));
        if self.phases.last().is_none_or(|(phase, _)| *phase != snapshot.phase) {
            self.phases.push((snapshot.phase, snapshot.t_s.saturating_sub(1)));
        }
        for times in snapshot.fleet_times() {
            let known = self.times.entry((times.operation, times.measure));
            known.or_insert_with(|| (times.resolution(), Distribution::default())).1.merge(&times.distribution);
        }
        if self.errors.len() as u64 > RATE_S {
            self.errors.remove(0);
        }
        self.errors.push(snapshot.errors.iter().map(|(key, tally)| (*key, tally.count)).collect());
        self.snapshot = Some(snapshot);
    }

    /// Over the run.
    #[must_use]
    pub fn distribution(&self, operation: Operation, measure: Measure) -> Option<&(Resolution, Distribution)> {
        self.times.get(&(operation, measure))
    }

    /// Errors of this kind per second.
    #[must_use]
    pub fn error_rate(&self, key: &ErrorKey) -> f64 {
        let count = |counts: Option<&BTreeMap<ErrorKey, u64>>| counts.and_then(|counts| counts.get(key)).copied().unwrap_or(0);
        let seconds = self.errors.len().saturating_sub(1);
        if seconds == 0 {
            return count(self.errors.last()) as f64;
        }
        (count(self.errors.last()) - count(self.errors.first())) as f64 / seconds as f64
    }

    /// How fast what `count` gives has grown, per second, over the last `span_s` seconds.
    #[must_use]
    pub fn rate(&self, span_s: u64, count: impl Fn(&Slot) -> u64) -> f64 {
        let (Some(now), Some(then)) = (self.history.ago(0), self.history.ago(span_s)) else { return 0.0 };
        let elapsed = now.t_s - then.t_s;
        if elapsed == 0 {
            return count(now) as f64;
        }
        (count(now) as f64 - count(then) as f64) / elapsed as f64
    }

    /// The operation people look at when they have not chosen one: connecting at first, then the busiest request.
    #[must_use]
    pub fn telling_operation(&self) -> Operation {
        const REQUESTS: [Operation; 4] = [Operation::StartNext, Operation::Update, Operation::Describe, Operation::GetPending];
        let Some(snapshot) = &self.snapshot else { return Operation::Connect };
        if snapshot.phase == Phase::Connect {
            return Operation::Connect;
        }
        let ended = |operation: &Operation| snapshot.of_run(*operation).map_or(0, |row| row.counts.finished());
        REQUESTS.into_iter().max_by_key(ended).filter(|operation| ended(operation) > 0).unwrap_or(Operation::Connect)
    }

    /// What the present phase is waiting for, and how long that will take at the present pace; `duration` is the run's, where it has one.
    #[must_use]
    pub fn goal(&self, duration: Option<Duration>) -> Option<Goal> {
        let snapshot = self.snapshot.as_deref()?;
        let goal = |what, done: u64, of: u64, rate: f64| {
            let missing = of.saturating_sub(done);
            let seconds = missing as f64 / rate;
            let left = (rate > 0.0 && seconds < 1e7).then(|| Duration::from_secs_f64(seconds.ceil()));
            Some(Goal { what, done: done.min(of), of, left: if missing == 0 { Some(Duration::ZERO) } else { left } })
        };
        let terminal = |slot: &Slot| slot.executions.terminal();
        match (snapshot.phase, duration) {
            (Phase::Connect, _) => goal("connected", snapshot.connected, snapshot.things, self.rate(ETA_S, |slot| slot.connected)),
            (Phase::Drain, _) => {
                let done = snapshot.executions.terminal();
                goal(
                    "ended",
                    done,
                    done + snapshot.executions.get(ExecutionStage::InProgress).unwrap_or(0),
                    self.rate(ETA_S, terminal),
                )
            }
            (Phase::Steady | Phase::Rollout | Phase::Done, Some(duration)) => {
                goal("seconds of the run", snapshot.t_s, duration.as_secs(), 1.0)
            }
            (Phase::Rollout | Phase::Done, None) => {
                let of = |row: &RolloutRow| row.targets.map_or_else(|| row.counts.all(), |targets| targets + row.repeated);
                let all = snapshot.rollouts.iter().map(of).sum();
                goal("ended", snapshot.executions.terminal(), all, self.rate(ETA_S, terminal))
            }
            (Phase::Steady, None) => None,
        }
    }
}
