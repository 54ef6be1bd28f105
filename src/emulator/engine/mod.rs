//! The jobs service as a pure machine: typed requests, control-plane calls and time in; answers, notifications, ledger rows and
//! deadlines out. MQTT, HTTPS and the control plane are doors to this one engine.
//!
//! Every change of an execution goes through one place (`change`), which compares a thing's pending list before and after and
//! tells what follows: `notify` when the set changed, `notify-next` when its head changed (spec section 7.2), rows of the ledger,
//! timers, counters of the job.

mod change;
mod control;
mod requests;
mod store;

use crate::instant::{Mono, Now};
use crate::jobs::{ExecutionStatus, Notification, ThingName};
use crate::ledger::LedgerRow;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use store::{Execution, ExecutionId, JobKey, Store, ThingKey};

/// Settings of the service itself.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Length of a minute for every minute-unit: timers and roll-out rates.
    pub minute: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The next execution of the job is to be queued.
    RollOut(JobKey),
    /// The execution times out.
    Expire(ThingKey, ExecutionId),
}

/// The service. Order of use: any `handle_*` or control-plane call; then `poll_notification` and `poll_change` until `None`; then
/// wait until [`Self::poll_timeout`] or until something arrives.
pub struct Engine {
    config: EngineConfig,
    store: Store,
    timers: BTreeSet<(Mono, Timer)>,
    notifications: VecDeque<(ThingName, Notification)>,
    changes: VecDeque<LedgerRow>,
}

impl Engine {
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self { config, store: Store::default(), timers: BTreeSet::new(), notifications: VecDeque::new(), changes: VecDeque::new() }
    }

    /// Whether a thing's client is connected: while it is away notifications are for later, and the ledger says that nobody hears.
    pub fn handle_presence(&mut self, thing: &ThingName, is_connected: bool) {
        if let Some(key) = self.store.thing_keys.get(thing) {
            self.store.things[*key as usize].is_away = !is_connected;
        }
    }

    /// What a thing's session is subscribed to; nobody is notified in vain, and the ledger says who could hear.
    pub fn handle_subscription(&mut self, thing: &ThingName, notify: bool, notify_next: bool) {
        if let Some(key) = self.store.thing_keys.get(thing) {
            let thing = &mut self.store.things[*key as usize];
            thing.subscribed_notify = notify;
            thing.subscribed_notify_next = notify_next;
        }
    }

    /// Time has reached [`Self::poll_timeout`]; harmless at any other time.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now.mono) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::RollOut(job) => self.roll_out(job, now),
                Timer::Expire(thing, id) => self.move_to(thing, id, ExecutionStatus::TimedOut, now),
            }
        }
    }

    /// The next deadline, and its name.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        self.timers.first().map(|(at, timer)| match timer {
            Timer::RollOut(_) => (*at, "roll-out"),
            Timer::Expire(..) => (*at, "execution timeout"),
        })
    }

    pub fn poll_notification(&mut self) -> Option<(ThingName, Notification)> {
        self.notifications.pop_front()
    }

    /// Rows of the ledger, in the order of commitment.
    pub fn poll_change(&mut self) -> Option<LedgerRow> {
        self.changes.pop_front()
    }

    /// Queues what is due of a job's executions, and sets the timer for the rest.
    fn roll_out(&mut self, key: JobKey, now: Now) {
        loop {
            let job = &mut self.store.jobs[key as usize];
            let Some(&thing) = job.targets.get(job.rolled_out) else { break };
            let due = job.due(job.rolled_out, self.config.minute);
            if due > now.mono {
                self.timers.insert((due, Timer::RollOut(key)));
                break;
            }
            job.rolled_out += 1;
            self.queue(thing, key, now);
        }
    }

    fn queue(&mut self, thing: ThingKey, job: JobKey, now: Now) {
        let number = self.store.things[thing as usize].find(job, None).map_or(1, |latest| latest.number + 1);
        let sequence = self.store.sequence;
        self.store.sequence += 1;
        let id = ExecutionId { job, number };
        self.change(thing, id, now, |state| {
            state.executions.insert(id, Execution::queued(now, sequence));
            state.pending.push(id);
        });
    }

    /// A move by the service: counts as a change, and is legal by the table (the caller picks only executions for which it is).
    fn move_to(&mut self, thing: ThingKey, id: ExecutionId, status: ExecutionStatus, now: Now) {
        self.change(thing, id, now, |state| {
            if let Some(execution) = state.executions.get_mut(&id).filter(|execution| execution.status.may_become(status)) {
                execution.status = status;
                execution.version += 1;
                execution.updated_ms = now.epoch_ms;
            }
        });
    }
}
