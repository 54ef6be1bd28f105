//! The jobs service as a pure machine: typed requests, control-plane calls and time in; answers, notifications, ledger rows and
//! deadlines out. MQTT, HTTPS and the control plane are ways to this one engine.
//!
//! Every change of an execution goes through one place (`change`), which compares a thing's pending list before and after and
//! tells what follows: `notify` when the set changed, `notify-next` when its head changed (PROTOCOL 7.2), rows of the ledger,
//! timers, counters of the job. What an end leads to (retries, aborts, completion) stands in `life`.

mod change;
mod concurrency;
mod deletion;
mod executions;
mod jobs;
mod life;
mod members;
mod pace;
mod record;
mod requests;
mod sorted_map;
mod store;
mod windows;

pub use executions::ExecutionFilter;
use iot_jobs::instant::{Mono, Now};
use iot_jobs::ledger::LedgerRow;
use iot_jobs::{EventConfig, ExecutionStatus, JobEvent, NamespaceId, Notification, Spread, ThingName, limits};
pub use record::{Record, RecordKey};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use store::{Execution, ExecutionId, JobKey, Store, ThingKey};

/// Settings of the service itself.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Length of a minute for every minute-unit: timers and rollout rates.
    pub minute: Duration,
    /// Where in its minute a job's executions are queued.
    pub spread: Spread,
    /// Executions a minute: of a job that does not say, and of any job at most; `None`: no limit.
    pub rate_per_minute: Option<u32>,
    /// Jobs that are `SCHEDULED` or `IN_PROGRESS`, at most; `None`: no limit.
    pub active_jobs_max: Option<u32>,
    /// Jobs that are rolled out at once, at most; others wait. `None`: no limit.
    pub concurrent_jobs_max: Option<u32>,
    /// Jobs that are `DELETION_IN_PROGRESS`, at most; `None`: no limit.
    pub jobs_in_deletion_max: Option<u32>,
    /// `None`: no limit.
    pub targets_per_job_max: Option<u32>,
    /// Whether to remember what is to be written down ([`Engine::poll_record`]).
    pub keeps_records: bool,
}

impl EngineConfig {
    /// Smooth rollouts as fast as they like, nothing written down.
    #[must_use]
    pub fn new(minute: Duration) -> Self {
        Self {
            minute,
            spread: Spread::Smooth,
            rate_per_minute: None,
            active_jobs_max: None,
            concurrent_jobs_max: None,
            jobs_in_deletion_max: None,
            targets_per_job_max: Some(limits::TARGETS_PER_JOB_MAX),
            keeps_records: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The job's start time.
    Start(JobKey),
    /// A maintenance window of the job opens or closes; at the same instant that comes before its rollout.
    Window(JobKey),
    /// The next execution of the job is to be queued.
    RollOut(JobKey),
    /// The execution times out.
    Expire(ThingKey, ExecutionId),
    /// The job's end time.
    End(JobKey),
    /// More of the job's executions are to be deleted.
    Delete(JobKey),
}

/// A namespace whose notifications a thing's session listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceInterest {
    /// `None`: every namespace, as with a wildcard.
    pub namespace: Option<NamespaceId>,
    /// What is pending.
    pub notify: bool,
    /// What is next.
    pub notify_next: bool,
}

/// A notification, and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// The thing.
    pub thing: ThingName,
    /// Whose jobs it is about; absent: those without a namespace.
    pub namespace: Option<NamespaceId>,
    /// What it is told.
    pub notification: Notification,
}

/// The service. Order of use: any `handle_*` or control-plane call; then `poll_notification`, `poll_event` and `poll_change` until
/// `None`; then wait until [`Self::poll_timeout`] or until something arrives.
pub struct Engine {
    config: EngineConfig,
    store: Store,
    event_config: EventConfig,
    timers: BTreeSet<(Mono, Timer)>,
    notifications: VecDeque<Notified>,
    events: VecDeque<JobEvent>,
    changes: VecDeque<LedgerRow>,
    dirty: BTreeSet<RecordKey>,
}

impl Engine {
    /// A service without things, groups or jobs.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self {
            config,
            store: Store::default(),
            event_config: EventConfig::default(),
            timers: BTreeSet::new(),
            notifications: VecDeque::new(),
            events: VecDeque::new(),
            changes: VecDeque::new(),
            dirty: BTreeSet::new(),
        }
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
            thing.heard = store::Wanted { notify, notify_next };
            thing.heard_namespaces = None;
        }
    }

    /// As [`Self::handle_subscription`], which comes first: what it is subscribed to of jobs with a namespace.
    pub fn handle_namespaces(&mut self, thing: &ThingName, heard: Vec<NamespaceInterest>) {
        if let Some(key) = self.store.thing_keys.get(thing) {
            self.store.things[*key as usize].heard_namespaces = (!heard.is_empty()).then(|| heard.into());
        }
    }

    /// What those are subscribed to who hear of every thing, whether its own client is connected or not.
    pub fn handle_observers(&mut self, notify: bool, notify_next: bool, namespaces: Vec<NamespaceInterest>) {
        self.store.observed = store::WideInterest { wanted: store::Wanted { notify, notify_next }, namespaces };
    }

    /// Time has reached [`Self::poll_timeout`]; harmless at any other time.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now.mono) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Start(job) => self.start_job(job, now),
                Timer::RollOut(job) => self.roll_out(job, now),
                Timer::Expire(thing, id) => self.move_to(thing, id, ExecutionStatus::TimedOut, now),
                Timer::End(job) => self.end_job(job, now),
                Timer::Window(job) => self.turn_window(job, now),
                Timer::Delete(job) => self.delete_more(job, now),
            }
        }
    }

    /// The next deadline, and its name.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        self.timers.first().map(|(at, timer)| match timer {
            Timer::Start(_) => (*at, "start of a job"),
            Timer::RollOut(_) => (*at, "rollout"),
            Timer::Expire(..) => (*at, "execution timeout"),
            Timer::End(_) => (*at, "end of a job"),
            Timer::Window(_) => (*at, "maintenance window"),
            Timer::Delete(_) => (*at, "deletion of a job"),
        })
    }

    /// The next message for a thing on `notify` or `notify-next` (PROTOCOL 7), in the order of the changes.
    pub fn poll_notification(&mut self) -> Option<Notified> {
        self.notifications.pop_front()
    }

    /// What is told on the event topics, where that is enabled.
    pub fn poll_event(&mut self) -> Option<JobEvent> {
        self.events.pop_front()
    }

    /// Rows of the ledger, in the order of commitment.
    pub fn poll_change(&mut self) -> Option<LedgerRow> {
        self.changes.pop_front()
    }

    /// A first execution of a job on a thing, or one more.
    fn queue(&mut self, thing: ThingKey, job: JobKey, now: Now) {
        self.queue_retry(thing, job, store::Retries::default(), now);
    }

    fn queue_retry(&mut self, thing: ThingKey, job: JobKey, retries: store::Retries, now: Now) {
        let number = self.store.things[thing as usize].find(job, None).map_or(1, |latest| latest.number + 1);
        let sequence = self.store.sequence;
        self.store.sequence += 1;
        let id = ExecutionId { job, number };
        self.change(thing, id, now, |state| {
            state.executions.insert(id, Execution::queued(now, sequence, retries));
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

    /// Whether and which events are told.
    #[must_use]
    pub fn event_config(&self) -> EventConfig {
        self.event_config
    }

    /// UpdateEventConfigurations (PROTOCOL 4.1).
    pub fn configure_events(&mut self, config: EventConfig) {
        self.event_config = config;
        self.mark(RecordKey::Events);
    }
}
