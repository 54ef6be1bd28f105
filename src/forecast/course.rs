//! A simulation in steps: each gives the snapshot that a run would have after it.

use super::ForecastError;
use super::observe::{News, Recording};
use crate::roster::Roster;
use crate::scenario::plan::Plan;
use crate::workload::agents::place_of_transport;
use crate::workload::events;
use fleet_forecast::{Demand, Progress, Settings, Simulation};
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use load_metrics::{Collector, CollectorSettings, Interval, Phase, PhaseSet, Recorder, SecondInput, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// Seconds of the first five minutes are told one by one: who waits for a forecast of a day wants its hours.
const NARROW_S: u64 = 300;
/// After that they are told by minutes.
const WIDE_S: u64 = 60;
/// At the limit, what is longer than this within reach of its thing and not taken up is lost; as in a run.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// How it came to its end.
pub(super) enum Ended {
    Complete { uncreated: Vec<JobId> },
    Limit { uncreated: Vec<JobId> },
    Interrupted,
}

pub(super) struct Course {
    simulation: Simulation<Recording>,
    collector: Collector,
    origin: Mono,
    /// Seconds that are over.
    told_s: u64,
    phase: Phase,
    phases: PhaseSet,
    is_interrupted: bool,
    last: Option<Arc<Snapshot>>,
}

impl Course {
    pub(super) fn new(plan: &Plan, roster: &Roster, settings: Settings) -> Self {
        let origin = settings.origin.mono;
        let transports = plan.transports();
        let recorder = Recorder::new(origin, plan.cohorts.len(), transports.len());
        let transport_of = plan.cohorts.iter().map(|cohort| place_of_transport(&transports, cohort)).collect();
        let names = Arc::clone(&settings.fleet.names);
        let recording = Recording::new(recorder, names, roster.cohorts().to_vec(), transport_of, !plan.events.is_empty());
        Self {
            collector: Collector::new(CollectorSettings {
                origin,
                things: roster.names().to_vec(),
                cohorts: plan.cohorts.iter().map(|cohort| cohort.name.clone()).collect(),
                transports: transports.into_iter().map(|transport| transport.as_str().into()).collect(),
                has_service: true,
                thresholds: plan.thresholds.clone(),
                events: events::planned(plan, origin, true),
                cores: 1,
            }),
            simulation: Simulation::new(settings, recording),
            origin,
            told_s: 0,
            phase: Phase::Connect,
            phases: Phase::Connect.into(),
            is_interrupted: false,
            last: None,
        }
    }

    /// The next step is the last.
    pub(super) fn interrupt(&mut self) {
        self.is_interrupted = true;
    }

    pub(super) fn last(&self) -> Option<&Snapshot> {
        self.last.as_deref()
    }

    pub(super) fn demand(&self) -> &Demand {
        self.simulation.demand()
    }

    /// One step further; says how it ended, once it has.
    ///
    /// # Errors
    /// When a job is refused.
    pub(super) fn next(&mut self) -> Result<(Arc<Snapshot>, Option<Ended>), ForecastError> {
        if self.told_s == NARROW_S {
            self.simulation.observer().recorder().widen(WIDE_S);
        }
        let span_s = if self.told_s < NARROW_S { 1 } else { WIDE_S };
        let border = self.origin + Duration::from_secs(self.told_s + span_s);
        // What happens at the border belongs to the next step.
        let progress = self.simulation.run_until(Mono(border.0 - 1))?;
        let ended = match progress {
            _ if self.is_interrupted => Some(Ended::Interrupted),
            Progress::Running => None,
            Progress::Complete => Some(Ended::Complete { uncreated: self.simulation.uncreated() }),
            Progress::Limit => Some(Ended::Limit { uncreated: self.simulation.uncreated() }),
        };
        let snapshot = if ended.is_some() { self.finish(&ended) } else { self.step(border, span_s) };
        self.last = Some(Arc::clone(&snapshot));
        Ok((snapshot, ended))
    }

    fn step(&mut self, border: Mono, span_s: u64) -> Arc<Snapshot> {
        let recorder = self.simulation.observer().recorder();
        recorder.advance(border);
        let intervals: Vec<Interval> = recorder.poll_interval().into_iter().collect();
        self.told_s += span_s;
        let input = self.input(self.told_s - 1, span_s, intervals);
        as_forecast(self.collector.second(input))
    }

    fn finish(&mut self, ended: &Option<Ended>) -> Arc<Snapshot> {
        self.simulation.close();
        let now = self.simulation.now();
        let intervals = self.simulation.observer().recorder().finish_run(now);
        self.enter(Phase::Done);
        let second = now.since(self.origin).as_secs().max(self.told_s);
        let span_s = (second + 1 - self.told_s).max(1);
        let lost_after = matches!(ended, Some(Ended::Limit { .. })).then_some(LOST_AFTER);
        let input = self.input(second, span_s, intervals);
        as_forecast(self.collector.finish(input, lost_after))
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.phases |= phase;
    }

    fn input(&mut self, second: u64, span_s: u64, intervals: Vec<Interval>) -> SecondInput {
        let News { ledger, jobs, endpoint_back, are_connected } = std::mem::take(&mut self.simulation.observer().news);
        if are_connected && self.phase == Phase::Connect {
            self.enter(Phase::Steady);
        }
        for (job, targets, at) in jobs {
            self.collector.job_created(&job, targets, at);
            if self.phase != Phase::Done {
                self.enter(Phase::Rollout);
            }
        }
        endpoint_back.into_iter().for_each(|(event, at)| self.collector.event_over(event, at));
        let phases = std::mem::replace(&mut self.phases, self.phase.into());
        let (phase, intervals_lost) = (self.phase, 0);
        SecondInput { second, span_s, phase, phases, intervals, intervals_lost, ledger, generator: None, endpoint: None }
    }
}

/// Virtual time is never late: that is no figure.
fn as_forecast(mut snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
    if let Some(snapshot) = Arc::get_mut(&mut snapshot) {
        snapshot.lateness = None;
        snapshot.lateness_total = None;
    }
    snapshot
}
