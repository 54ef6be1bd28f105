//! The life of a run: phases, rollouts, seconds, and when it is over. Everything that happens once a second or less often happens
//! here, on the main thread.

use super::assembly::Assembly;
use super::child::{ChildEvent, GONE_GRACE};
use super::denials::DenialsError;
use super::fleet::{Fleet, FleetError};
use super::jobs::rollouts::{Begun, Called, CreateError, Rollouts};
use super::led::{Following, KeptSecond};
use super::measure::{LoadBegins, Measured, Measuring};
use super::progress::Progress;
use super::sources::Sources;
use super::targets::{ControlPlane, LocalEndpoint};
use super::ui::Ui;
use super::wait::sleep_until;
use crate::exposition::Exposition;
use crate::ledger::LedgerError;
use crate::report::{ReportError, ResultsWriter, RolloutTotals};
use crate::roster::Roster;
use crate::scenario::plan::{EndWhen, EventKind, Plan};
use crate::stop::StopRequests;
use crate::verdict;
use crate::workload::events::{self, EventSchedule, Step};
use host::clock;
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use load_metrics::Phase;
use load_metrics::{Collector, Interval, Operation, SecondInput, ShardSecond, Snapshot};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use thing_transport::shard::Order;

/// How often phases are looked at between seconds.
const TICK: Duration = Duration::from_millis(50);
/// How long work under way may go on when a run is interrupted.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// From the order to close to the last interval of the last shard.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// When not one thing could connect for this long, nobody will.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(30);
/// At the limit, what the service had queued longer ago than this, with its thing not at work on it, is lost.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(30);

/// A run that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConductError {
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("{0}")]
    Denials(#[from] DenialsError),
    #[error("{0}")]
    Fleet(#[from] FleetError),
    #[error("create job {0}")]
    CreateJob(#[from] CreateError),
    #[error("go on: the endpoint ended unexpectedly ({0}); see endpoint.log in the results")]
    EndpointGone(String),
    #[error("reach the endpoint: not one of {things} things could connect in {seconds} s; {example}")]
    Unreachable { things: u64, seconds: u64, example: String },
}

/// How a run that was carried out came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As the scenario wants it.
    Complete,
    /// `end.limit` was reached first.
    Limit,
    Interrupted,
}

/// A run that was carried out.
pub(super) struct Ended {
    pub ending: Ending,
    /// How things stood at the end; `None` where the end came before the first second.
    pub last: Option<Arc<Snapshot>>,
    /// Jobs of the plan that were not created by then.
    pub uncreated: Vec<JobId>,
    /// The jobs of its forecast, where there is one.
    pub predicted: Vec<RolloutTotals>,
    /// Of a run that is one step of a search.
    pub measured: Option<Measured>,
}

/// What the conductor needs.
pub(super) struct Conductor<'a> {
    pub plan: &'a Plan,
    pub roster: &'a Roster,
    /// That this process drives.
    pub things: u64,
    pub origin: Mono,
    pub fleet: Fleet,
    pub shards: usize,
    pub local: Option<&'a mut LocalEndpoint>,
    /// Where the rollouts are created.
    pub control: Option<&'a ControlPlane>,
    pub collector: Collector,
    pub writer: &'a mut ResultsWriter,
    pub ui: &'a Ui,
    /// Who serves the metrics, where somebody does.
    pub exposition: Option<&'a Exposition>,
    /// Jobs that were begun since the last second.
    pub begun: Vec<(JobId, Mono)>,
    /// The event for which the endpoint is away.
    pub restarting: Option<usize>,
    /// Of a run that is one step of a search.
    pub measuring: Option<Measuring>,
    /// Planned first connects, from the origin, where those are measured.
    pub starts: Vec<Duration>,
    /// Whoever leads, where somebody does.
    pub following: Option<Following>,
    pub stop: &'a mut StopRequests,
}

impl Conductor<'_> {
    /// Conducts the run to its end; the files are complete whatever the end is.
    ///
    /// # Errors
    /// When the run could not be carried out.
    pub(super) async fn conduct(mut self) -> Result<Ended, ConductError> {
        let mut assembly = Assembly::new(self.shards);
        let mut sources = Sources::new(self.local.as_deref());
        let mut progress = Progress {
            phase: Phase::Connect,
            phases: Phase::Connect.into(),
            connected_at: None,
            busy_at: self.origin,
            last: None,
            uncreated: Vec::new(),
        };
        self.load_begins(LoadBegins::AtOnce, self.origin);
        let outcome = self.run(&mut assembly, &mut sources, &mut progress).await;
        let closed = self.close(&mut assembly, &mut sources, &mut progress, outcome.as_ref().ok().copied()).await;
        let ending = outcome?;
        closed?;
        let nobody_came = ending != Ending::Interrupted && self.has_nobody();
        self.fleet.join()?;
        if nobody_came {
            return Err(unreachable(self.things, &progress, clock::mono().since(self.origin)));
        }
        let starts = self.starts.iter().map(Duration::as_secs_f64);
        let measured = self.measuring.map(|measuring| measuring.finish(starts));
        Ok(Ended { ending, last: progress.last, uncreated: progress.uncreated, predicted: Vec::new(), measured })
    }

    /// A load that begins so begins now, where one is measured.
    fn load_begins(&mut self, begins: LoadBegins, now: Mono) {
        let second = now.since(self.origin).as_secs();
        if let Some(seconds) = self.measuring.as_mut().and_then(|measuring| measuring.begin(begins, second)) {
            self.collector.measure(seconds);
        }
    }

    async fn run(
        &mut self,
        assembly: &mut Assembly,
        sources: &mut Sources,
        progress: &mut Progress,
    ) -> Result<Ending, ConductError> {
        let mut tick = tokio::time::interval(TICK);
        let mut endpoint_gone: Option<(Mono, String)> = None;
        let mut draining: Option<(Mono, Ending)> = None;
        let mut timetable = EventSchedule::new(&self.plan.events, self.origin);
        let mut rollouts = Rollouts::new(self.plan, self.origin, self.control.cloned());
        loop {
            // Who drains creates nothing more, and without an endpoint nobody can.
            let due = rollouts.next().filter(|_| draining.is_none() && endpoint_gone.is_none() && self.has_control());
            tokio::select! {
                Some(interval) = self.fleet.intervals.recv() => {
                    assembly.take(interval);
                    while let Some((second, intervals)) = assembly.poll() {
                        self.second_over(second, intervals, assembly, sources, progress)?;
                        if let Some(snapshot) = progress.last.as_ref().filter(|_| self.has_control()) {
                            rollouts.look(&snapshot.rollouts, clock::mono());
                        }
                    }
                }
                called = rollouts.called() => {
                    if let Called::Created { job, targets } = called? {
                        self.ui.tell(&format!("job {job} created for {targets} things"));
                    }
                }
                () = self.stop.next() => match draining {
                    None => {
                        draining = Some(self.drain(progress, Ending::Interrupted));
                        self.cancel_queued();
                        self.ui.tell("interrupted: no new work, draining; press again to stop now");
                    }
                    Some(_) => return Ok(Ending::Interrupted),
                },
                news = news(self.local.as_deref_mut()), if endpoint_gone.is_none() && self.local.is_some() => match news {
                    ChildEvent::Back => self.endpoint_back(sources),
                    ChildEvent::Ended(status) => {
                        self.ui.tell(&format!("the endpoint ended unexpectedly ({status})"));
                        endpoint_gone = Some((clock::mono(), status));
                    }
                },
                () = sleep_until(timetable.next()) => {
                    while let Some(step) = timetable.poll(clock::mono()) {
                        // A run that drains is left alone.
                        if draining.is_none() || matches!(step, Step::End(_)) {
                            self.step(step);
                        }
                    }
                }
                () = sleep_until(due) => {}
                _ = tick.tick() => {}
            }
            let now = clock::mono();
            if let Some((since, status)) = &endpoint_gone
                && now >= *since + GONE_GRACE
            {
                return Err(ConductError::EndpointGone(status.clone()));
            }
            if let Some((until, ending)) = draining {
                let is_drained = if ending == Ending::Interrupted { self.nobody_works() } else { progress.open_requests() == 0 };
                if now >= until || is_drained {
                    return Ok(ending);
                }
                continue;
            }
            if endpoint_gone.is_none() {
                self.advance(progress, &mut rollouts, now);
            }
            if let Some(ending) = self.ending(progress, &rollouts, now)? {
                progress.uncreated = rollouts.uncreated();
                // The next step is not to find the endpoint at work on what this one has left; an endpoint of the run's own ends with it.
                if self.measuring.is_some() && self.local.is_none() && ending == Ending::Complete {
                    draining = Some(self.drain(progress, ending));
                    continue;
                }
                return Ok(ending);
            }
        }
    }

    /// No new work from now on; until when what is under way may go on.
    fn drain(&self, progress: &mut Progress, ending: Ending) -> (Mono, Ending) {
        progress.enter(Phase::Drain);
        self.fleet.order(Order::Drain);
        (clock::mono() + DRAIN_LIMIT, ending)
    }

    /// In an account, jobs do not end with the run.
    fn cancel_queued(&self) {
        if let Some(cleanup) = self.control.and_then(|control| control.cleanup.clone()) {
            tokio::spawn(async move { cleanup.cancel_queued().await });
        }
    }

    fn step(&mut self, step: Step) {
        let (Step::Begin(n) | Step::End(n)) = step;
        let event = &self.plan.events[n];
        if let Some(local) = self.local.as_deref_mut() {
            match (&event.kind, step) {
                (EventKind::EndpointFreeze { .. }, step) => local.child.freeze(matches!(step, Step::Begin(_))),
                (EventKind::EndpointRestart { lasts }, Step::Begin(_)) => {
                    self.restarting = Some(n);
                    local.child.restart(self.origin + event.at + *lasts);
                }
                // The shards know when to cut their things off.
                _ => {}
            }
        }
        if let Some(words) = events::in_words(self.plan, self.roster, step) {
            self.ui.tell(&words);
        }
    }

    /// The endpoint is ready again, as another process.
    fn endpoint_back(&mut self, sources: &mut Sources) {
        let (Some(local), Some(event)) = (self.local.as_deref(), self.restarting.take()) else { return };
        let ready = &local.child.ready;
        sources.follow_endpoint(ready.pid);
        self.collector.event_over(event, clock::mono());
        self.ui.tell(&events::back_again(self.plan, event, ready.pid));
    }

    /// Phases and jobs that are due.
    fn advance(&mut self, progress: &mut Progress, rollouts: &mut Rollouts<'_>, now: Mono) {
        let ever_connected = self.fleet.gauges.ever_connected.load(Ordering::Relaxed);
        if progress.connected_at.is_none() && ever_connected == self.things {
            progress.connected_at = Some(now);
            if self.following.is_none() {
                rollouts.connected(now);
            }
            self.load_begins(LoadBegins::Connected, now);
            if progress.phase == Phase::Connect {
                progress.enter(Phase::Steady);
            }
        }
        if let Some(following) = &mut self.following {
            if following.connected.try_recv().is_ok() {
                rollouts.connected(now);
            }
            following.is_met |= following.met.try_recv().is_ok();
        }
        while self.has_control()
            && let Some(Begun { job, targets }) = rollouts.poll(now)
        {
            self.collector.job_created(&job, targets, now);
            self.begun.push((job, now));
            progress.enter(Phase::Rollout);
            progress.busy_at = now;
            self.load_begins(LoadBegins::Rollout, now);
        }
    }

    fn ending(&self, progress: &Progress, rollouts: &Rollouts<'_>, now: Mono) -> Result<Option<Ending>, ConductError> {
        let elapsed = now.since(self.origin);
        let connect_timeout = self.plan.cohorts.iter().map(|cohort| cohort.session.connect_timeout).max().unwrap_or_default();
        if elapsed >= UNREACHABLE_AFTER.max(connect_timeout) && self.has_nobody() {
            return Err(unreachable(self.things, progress, elapsed));
        }
        let is_over = match self.plan.end.when {
            _ if let Some(measuring) = &self.measuring => measuring.is_over(),
            EndWhen::Duration(duration) => elapsed >= duration,
            EndWhen::Idle(idle) => {
                progress.connected_at.is_some()
                    && self.events_are_done(progress)
                    && rollouts.are_created()
                    && now.since(progress.busy_at) >= idle
                    && self.nobody_works()
            }
            EndWhen::ExecutionsDone { expect } => {
                let are_done = match expect {
                    // Of all slices together.
                    Some(_) if let Some(following) = &self.following => following.is_met,
                    Some(expect) => progress.last.as_ref().is_some_and(|snapshot| snapshot.executions.terminal() >= expect),
                    None => rollouts.are_over(),
                };
                are_done && self.events_are_done(progress) && self.nobody_works()
            }
        };
        Ok(match is_over {
            true => Some(Ending::Complete),
            false => (elapsed >= self.plan.end.limit).then_some(Ending::Limit),
        })
    }

    /// Whether not one thing was ever connected.
    fn has_nobody(&self) -> bool {
        self.fleet.gauges.ever_connected.load(Ordering::Relaxed) == 0
    }

    /// Whether there is somebody to take calls of the control plane: not while the endpoint restarts.
    fn has_control(&self) -> bool {
        self.local.as_ref().is_none_or(|local| local.child.is_up())
    }

    /// Whether every event is over and everybody is back from it.
    fn events_are_done(&self, progress: &Progress) -> bool {
        let are_done = |snapshot: &Arc<Snapshot>| snapshot.events.iter().all(|event| event.is_done);
        self.plan.events.is_empty() || progress.last.as_ref().is_some_and(are_done)
    }

    fn nobody_works(&self) -> bool {
        self.fleet.gauges.working.load(Ordering::Relaxed) == 0
    }

    fn second_over(
        &mut self,
        second: u64,
        mut intervals: Vec<Interval>,
        assembly: &mut Assembly,
        sources: &mut Sources,
        progress: &mut Progress,
    ) -> Result<(), ConductError> {
        let (generator, endpoint) = sources.usage();
        sources.add_denials(&mut intervals)?;
        // A shard that has ended has nothing more to say.
        let expected = if progress.phase == Phase::Done { 0 } else { self.shards };
        let input = SecondInput {
            second,
            span_s: 1,
            phase: progress.phase,
            phases: progress.take_phases(),
            intervals_lost: assembly.take_lost() + expected.saturating_sub(intervals.len()) as u64,
            intervals,
            ledger: sources.rows()?,
            generator: Some(generator),
            endpoint,
        };
        let begun = std::mem::take(&mut self.begun);
        self.keep(&input, begun)?;
        let snapshot = self.collector.second(input);
        let before = progress.last.as_ref().map_or(&[][..], |last| &last.events);
        events::back_since(before, &snapshot.events).for_each(|words| self.ui.tell(&words));
        self.show(&snapshot, progress)
    }

    /// What the collector takes in, for the other shards' to be merged with.
    fn keep(&mut self, input: &SecondInput, begun: Vec<(JobId, Mono)>) -> Result<(), ReportError> {
        let record = self.writer.shard_second(&ShardSecond::of(input, self.origin, begun))?;
        if let Some((following, record)) = self.following.as_ref().zip(record) {
            // What nobody takes is in the folder.
            let _ = following.seconds.try_send(KeptSecond { second: input.second, record });
        }
        Ok(())
    }

    fn show(&mut self, snapshot: &Arc<Snapshot>, progress: &mut Progress) -> Result<(), ConductError> {
        self.writer.second(snapshot)?;
        self.ui.second(snapshot);
        if let Some(exposition) = self.exposition {
            exposition.second(snapshot, verdict::so_far(snapshot, self.writer.findings()));
        }
        if let Some(measuring) = &mut self.measuring {
            measuring.take(snapshot);
        }
        // Telemetry goes on for ever, and is no sign of work.
        let telemetry = snapshot.of_second(Operation::Telemetry).map_or(0, |row| row.counts.started);
        let sent = snapshot.messages_out_per_s.saturating_sub(telemetry);
        if snapshot.messages_in_per_s + sent + snapshot.connects_per_s > 0 {
            progress.busy_at = clock::mono();
        }
        progress.last = Some(Arc::clone(snapshot));
        Ok(())
    }

    /// What it has committed is in its ledger then, to the last row.
    async fn stop_endpoint(&mut self) {
        let Some(local) = self.local.as_deref_mut() else { return };
        // Its end says nothing about the run; a kill follows when it does not heed the request.
        if let Err(error) = local.child.stop().await {
            tracing::warn!(%error, "the endpoint");
        }
    }

    /// Closes the sessions and takes in what the shards still have to say.
    async fn close(
        &mut self,
        assembly: &mut Assembly,
        sources: &mut Sources,
        progress: &mut Progress,
        ending: Option<Ending>,
    ) -> Result<(), ConductError> {
        self.fleet.order(Order::Close);
        let over = clock::mono().since(self.origin).as_secs();
        let deadline = clock::mono() + CLOSE_LIMIT;
        while !assembly.is_over() {
            let wait = deadline.since(clock::mono());
            match tokio::time::timeout(wait, self.fleet.intervals.recv()).await {
                Ok(Some(interval)) => assembly.take(interval),
                Ok(None) | Err(_) => break,
            }
        }
        let usage = sources.usage();
        self.stop_endpoint().await;
        let mut last = (assembly.next(), Vec::new());
        while let Some(second) = assembly.drain() {
            let (number, intervals) = std::mem::replace(&mut last, second);
            if !intervals.is_empty() {
                // A second that was over by then, and comes late, is one of the run.
                if number >= over {
                    progress.enter(Phase::Done);
                }
                self.second_over(number, intervals, assembly, sources, progress)?;
            }
        }
        progress.enter(Phase::Done);
        let (generator, endpoint) = usage;
        sources.add_denials(&mut last.1)?;
        let input = SecondInput {
            second: last.0,
            span_s: 1,
            phase: progress.phase,
            phases: progress.take_phases(),
            intervals_lost: assembly.take_lost(),
            intervals: last.1,
            ledger: sources.rows()?,
            generator: Some(generator),
            endpoint,
        };
        let lost_after = (ending == Some(Ending::Limit)).then_some(LOST_AFTER);
        let begun = std::mem::take(&mut self.begun);
        self.keep(&input, begun)?;
        let snapshot = self.collector.finish(input, lost_after);
        self.show(&snapshot, progress)
    }
}

/// With the error that was seen most.
fn unreachable(things: u64, progress: &Progress, elapsed: Duration) -> ConductError {
    let errors = progress.last.iter().flat_map(|snapshot| &snapshot.errors);
    let most = errors.filter(|(key, _)| key.operation.is_connecting()).max_by_key(|(_, tally)| tally.count);
    let example = most.map_or_else(|| "no error was seen".into(), |(_, tally)| tally.example.clone());
    ConductError::Unreachable { things, seconds: elapsed.as_secs(), example }
}

async fn news(local: Option<&mut LocalEndpoint>) -> ChildEvent {
    match local {
        Some(local) => local.child.news().await,
        None => std::future::pending().await,
    }
}
