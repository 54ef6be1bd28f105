//! What goes wrong on purpose with one thing at work: drawn here, committed by the agent.

use super::agent::AgentSettings;
use super::event::{ExecutionKey, Transmit};
use iot_jobs::instant::Mono;
use rand::Rng;
use rand_distr::{Distribution as _, Exp};
use sim_units::seed::{self, Purpose};
use std::time::Duration;
use thing_faults::{Fault, FaultInjection, FaultProbability, FaultSpec, Per, Unit};

/// The draws of one thing. Things whose behaviors have no faults have none.
#[derive(Debug)]
pub(super) struct Faults {
    seed: u64,
    thing: u64,
    origin: Mono,
    clocks: Vec<Clock>,
    /// Sessions so far.
    sessions: u64,
    /// In this session it did not subscribe to `notify-next`, and asks again this soon.
    pub(super) asks_again: Option<Duration>,
    course: Option<FaultPlan>,
    /// What is sent right behind what was sent last.
    pub(super) behind: Option<Transmit>,
    /// Number of the open request, where it was sent in a form that cannot be accepted.
    pub(super) corrupted: Option<u32>,
}

/// What becomes of the execution at work.
#[derive(Debug)]
struct FaultPlan {
    key: ExecutionKey,
    /// Instead of which update the thing crashes, and how long it is gone.
    crash: Option<(u32, Duration)>,
    /// From which update on it is silent.
    stall: Option<u32>,
    has_stalled: bool,
    reports_after_end: bool,
    /// The thing has crashed, and remembers nothing.
    is_forgotten: bool,
    /// The update that was struck last: one is struck once, however often it is sent.
    struck: Option<u32>,
}

/// What becomes of an update that is due.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum InjectedFault {
    Crash(Duration),
    /// Nothing is sent any more. `is_new` the first time.
    Stall {
        is_new: bool,
    },
    /// It is sent in another way.
    Slip(FaultSpec),
}

/// Arrivals of a fault that has a rate.
#[derive(Debug)]
struct Clock {
    fault: Fault,
    per_s: f64,
    next: Mono,
    arrivals: u64,
    /// What the last arrival struck.
    struck: Option<Unit>,
}

impl Faults {
    pub(super) fn new(settings: &AgentSettings, thing: u64, origin: Mono) -> Option<Box<Self>> {
        let behaviors = std::iter::once(&settings.behavior).chain(settings.behavior_of_job.values());
        let is_ours = |spec: &FaultSpec| spec.fault.is_of_work() || spec.fault == Fault::NoNotifyNext;
        let has_faults = behaviors.flat_map(|behavior| &behavior.faults).any(is_ours);
        has_faults.then(|| {
            Box::new(Self {
                seed: settings.seed,
                thing,
                origin,
                clocks: Vec::new(),
                sessions: 0,
                asks_again: None,
                course: None,
                behind: None,
                corrupted: None,
            })
        })
    }

    /// A session begins. Says whether it will do without `notify-next`.
    pub(super) fn begin_session(&mut self, specs: &[FaultSpec]) -> bool {
        let number = self.sessions;
        self.sessions += 1;
        self.behind = None;
        self.asks_again = specs.iter().find(|spec| spec.fault == Fault::NoNotifyNext).and_then(|spec| {
            let unit = if spec.per == Per::Session { Unit::session(number) } else { Unit::THING };
            Some(spec.draw(self.seed, self.thing, unit)?.time(spec.time(0)))
        });
        self.asks_again.is_some()
    }

    /// Work on an execution begins: `updates` in all.
    pub(super) fn begin_work(&mut self, specs: &[FaultSpec], key: &ExecutionKey, updates: u32, now: Mono) {
        if self.course.as_ref().is_some_and(|course| course.key == *key) {
            return;
        }
        let mut course = FaultPlan {
            key: key.clone(),
            crash: None,
            stall: None,
            has_stalled: false,
            reports_after_end: false,
            is_forgotten: false,
            struck: None,
        };
        for spec in specs {
            match spec.fault {
                Fault::CrashInProgress => {
                    course.crash =
                        self.strikes(spec, key, 0, now).map(|mut strike| (strike.moment(updates), strike.time(spec.time(0))));
                }
                Fault::Stall => course.stall = self.strikes(spec, key, 0, now).map(|mut strike| strike.moment(updates)),
                Fault::UpdateAfterTerminal => course.reports_after_end = self.strikes(spec, key, 0, now).is_some(),
                _ => {}
            }
        }
        self.course = Some(course);
    }

    /// What becomes of the update that is due, the `update`th of the execution.
    pub(super) fn at_update(&mut self, specs: &[FaultSpec], update: u32, now: Mono) -> Option<InjectedFault> {
        let course = self.course.as_mut()?;
        if let Some((at, away)) = course.crash
            && update >= at
        {
            course.crash = None;
            course.is_forgotten = true;
            return Some(InjectedFault::Crash(away));
        }
        if course.stall.is_some_and(|at| update >= at) {
            return Some(InjectedFault::Stall { is_new: !std::mem::replace(&mut course.has_stalled, true) });
        }
        if course.struck == Some(update) {
            return None;
        }
        let key = course.key.clone();
        let of_updates = specs.iter().filter(|spec| spec.fault.is_of_updates());
        let slip = of_updates.filter_map(|spec| self.strikes(spec, &key, update, now).map(|_| spec.clone())).next()?;
        self.course.as_mut()?.struck = Some(update);
        Some(InjectedFault::Slip(slip))
    }

    /// Whether the thing has forgotten how far it was with its execution; it will not say so again.
    pub(super) fn take_forgotten(&mut self) -> bool {
        self.course.as_mut().is_some_and(|course| std::mem::take(&mut course.is_forgotten))
    }

    /// Whether it will report once more, though the end was accepted; it will not say so again.
    pub(super) fn take_report_after_end(&mut self) -> bool {
        self.course.as_mut().is_some_and(|course| std::mem::take(&mut course.reports_after_end))
    }

    /// The execution of the last plan.
    pub(super) fn execution(&self) -> Option<&ExecutionKey> {
        self.course.as_ref().map(|course| &course.key)
    }

    fn strikes(&mut self, spec: &FaultSpec, key: &ExecutionKey, update: u32, now: Mono) -> Option<FaultInjection> {
        let unit = match spec.per {
            Per::Update => Unit::update(&key.job, key.number, update),
            Per::Execution => Unit::execution(&key.job, key.number),
            Per::Thing | Per::Session => Unit::THING,
        };
        let (seed, thing) = (self.seed, self.thing);
        let strike = match spec.probability {
            FaultProbability::Share(_) => spec.draw(seed, thing, unit),
            FaultProbability::Rate(per_s) => {
                let is_struck = self.clock(spec.fault, per_s).strikes(seed, thing, unit, now);
                is_struck.then(|| spec.strike(seed, thing, unit))
            }
        };
        // Within a thing that is struck, every execution draws its own moment.
        let execution = Unit::execution(&key.job, key.number);
        strike.map(|strike| if spec.per == Per::Thing { spec.strike(seed, thing, execution) } else { strike })
    }

    fn clock(&mut self, fault: Fault, per_s: f64) -> &mut Clock {
        let known = self.clocks.iter().position(|clock| clock.fault == fault && clock.per_s.to_bits() == per_s.to_bits());
        let place = known.unwrap_or_else(|| {
            let mut clock = Clock { fault, per_s, next: self.origin, arrivals: 0, struck: None };
            clock.advance(self.seed, self.thing, self.origin);
            self.clocks.push(clock);
            self.clocks.len() - 1
        });
        &mut self.clocks[place]
    }
}

impl Clock {
    fn strikes(&mut self, seed: u64, thing: u64, unit: Unit, now: Mono) -> bool {
        if self.struck == Some(unit) {
            return true;
        }
        if now < self.next {
            return false;
        }
        // What arrived while there was nothing to strike strikes once; a Poisson process does not remember.
        self.advance(seed, thing, now);
        self.struck = Some(unit);
        true
    }

    fn advance(&mut self, seed: u64, thing: u64, from: Mono) {
        let stream = seed::digest(self.fault.key()).wrapping_add(self.arrivals);
        let mut rng = seed::rng(seed, thing, Purpose::FaultRate, stream);
        self.next = from + gap(self.per_s, &mut rng);
        self.arrivals += 1;
    }
}

fn gap(per_s: f64, rng: &mut impl Rng) -> Duration {
    /// Longer than any run.
    const NEVER: Duration = Duration::from_secs(3650 * 24 * 3600);
    let seconds = Exp::new(per_s).map_or(f64::INFINITY, |gaps| gaps.sample(rng));
    Duration::try_from_secs_f64(seconds).unwrap_or(NEVER).min(NEVER)
}
