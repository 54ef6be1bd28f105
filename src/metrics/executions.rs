//! The ledger of the things joined with the service's: what became of every execution, as each side tells it.

use super::sample::{ThingEvent, ThingEventKind};
use crate::instant::Mono;
use crate::jobs::{ExecutionStatus, JobId, ThingName};
use crate::ledger::{LedgerEvent, LedgerRow};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How long the other side of an execution that one side has closed is waited for.
const GRACE: Duration = Duration::from_secs(2);
/// A notification that took longer is late.
const LATE_AFTER: Duration = Duration::from_secs(1);

/// What should never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// Queued at the service, never finished, not explained.
    Lost,
    /// Handed out again as if it were new.
    DuplicateStart,
    /// Never announced, although the thing was subscribed throughout.
    MissingNotify,
    /// Announced over 1 s after the head changed, while subscribed.
    LateNotify,
    TerminalTwice,
    /// Thing and service disagree about the end.
    StatusDiffers,
}

impl Anomaly {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::DuplicateStart => "duplicate_start",
            Self::MissingNotify => "missing_notify",
            Self::LateNotify => "late_notify",
            Self::TerminalTwice => "terminal_twice",
            Self::StatusDiffers => "status_differs",
        }
    }

    /// Whether the two ledgers contradict each other, rather than somebody having been slow.
    #[must_use]
    pub fn is_difference(self) -> bool {
        self != Self::LateNotify
    }
}

/// Executions by where they stand; every one is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// Queued at the service and not announced to the thing yet.
    pub queued: u64,
    /// Announced and not started.
    pub notified: u64,
    pub in_progress: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub rejected: u64,
    pub timed_out: u64,
    pub canceled: u64,
    pub removed: u64,
}

impl StateCounts {
    #[must_use]
    pub fn open(&self) -> u64 {
        self.queued + self.notified + self.in_progress
    }

    #[must_use]
    pub fn terminal(&self) -> u64 {
        self.succeeded + self.failed + self.rejected + self.timed_out + self.canceled + self.removed
    }

    #[must_use]
    pub fn all(&self) -> u64 {
        self.open() + self.terminal()
    }

    fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Queued => &mut self.queued,
            State::Notified => &mut self.notified,
            State::Status(ExecutionStatus::Queued) => &mut self.queued,
            State::Status(ExecutionStatus::InProgress) => &mut self.in_progress,
            State::Status(ExecutionStatus::Succeeded) => &mut self.succeeded,
            State::Status(ExecutionStatus::Failed) => &mut self.failed,
            State::Status(ExecutionStatus::Rejected) => &mut self.rejected,
            State::Status(ExecutionStatus::TimedOut) => &mut self.timed_out,
            State::Status(ExecutionStatus::Canceled) => &mut self.canceled,
            State::Status(ExecutionStatus::Removed) => &mut self.removed,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Queued,
    Notified,
    Status(ExecutionStatus),
}

/// A row of `executions.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedExecution {
    pub thing: u32,
    pub job: JobId,
    pub execution_number: i64,
    /// As the service tells it.
    pub queued: Option<Mono>,
    /// As the thing saw it.
    pub notified: Option<Mono>,
    pub started: Option<Mono>,
    pub finished: Option<Mono>,
    /// The service's where it tells one.
    pub status: Option<ExecutionStatus>,
    pub updates: u32,
    pub rejections: u32,
    pub reconnects: u32,
    pub anomaly: Option<Anomaly>,
}

type Key = (u32, u32, i64);

#[derive(Default)]
struct Entry {
    // What the thing says.
    notified: Option<Mono>,
    started: Option<Mono>,
    finished: Option<(Mono, ExecutionStatus)>,
    gone: Option<Mono>,
    starts: u32,
    ends: u32,
    updates: u32,
    rejections: u32,
    reconnects: u32,
    // What the service says.
    queued: Option<Mono>,
    status: Option<ExecutionStatus>,
    terminal: Option<Mono>,
    terminals: u32,
    /// The head changed to it while the thing was subscribed, and the notification has not been seen.
    head: Option<Mono>,
    heard: Option<Mono>,
    announced_to_subscriber: bool,
    late: bool,
}

impl Entry {
    fn state(&self) -> Option<State> {
        let by_thing = || match (self.finished, self.gone, self.started, self.notified) {
            (Some((_, status)), ..) => Some(State::Status(status)),
            // Without the service's word nobody knows why it is gone.
            (None, Some(_), ..) => Some(State::Status(ExecutionStatus::Removed)),
            (None, None, Some(_), _) => Some(State::Status(ExecutionStatus::InProgress)),
            (None, None, None, Some(_)) => Some(State::Notified),
            _ => None,
        };
        match self.status {
            Some(ExecutionStatus::Queued) if self.notified.is_some() => Some(State::Notified),
            Some(ExecutionStatus::Queued) => Some(State::Queued),
            Some(status) => Some(State::Status(status)),
            None => by_thing(),
        }
    }

    /// When the thing was done with it.
    fn thing_end(&self) -> Option<Mono> {
        self.finished.map(|(at, _)| at).or(self.gone)
    }

    fn anomaly(&self, has_service: bool, undisturbed: bool) -> Option<Anomaly> {
        if self.starts > 1 {
            return Some(Anomaly::DuplicateStart);
        }
        if self.terminals > 1 || self.ends > 1 {
            return Some(Anomaly::TerminalTwice);
        }
        if has_service
            && let Some((_, status)) = self.finished
            && self.status != Some(status)
        {
            return Some(Anomaly::StatusDiffers);
        }
        if self.announced_to_subscriber && self.notified.is_none() && undisturbed {
            return Some(Anomaly::MissingNotify);
        }
        self.late.then_some(Anomaly::LateNotify)
    }
}

/// Joins events of the things and rows of the service, by (thing, job, execution number). Holds open executions only.
pub struct ExecutionBook {
    things: HashMap<ThingName, u32>,
    jobs: Vec<JobId>,
    job_places: BTreeMap<JobId, u32>,
    open: HashMap<Key, Entry>,
    counts: Vec<StateCounts>,
    has_service: bool,
    /// Things that lost a session: what they did not hear is explained.
    disturbed: HashSet<u32>,
    notify_times: Vec<Duration>,
}

impl ExecutionBook {
    /// `things` in the order of their places. With `has_service` the service's rows say how executions stand.
    #[must_use]
    pub fn new(things: impl IntoIterator<Item = ThingName>, has_service: bool) -> Self {
        Self {
            things: things.into_iter().zip(0..).collect(),
            jobs: Vec::new(),
            job_places: BTreeMap::new(),
            open: HashMap::new(),
            counts: Vec::new(),
            has_service,
            disturbed: HashSet::new(),
            notify_times: Vec::new(),
        }
    }

    pub fn session_lost(&mut self, thing: u32) {
        self.disturbed.insert(thing);
    }

    pub fn thing_event(&mut self, event: &ThingEvent) {
        let key = (event.thing, self.job(&event.job), event.execution_number);
        let at = event.at;
        self.change(key, |entry| match event.kind {
            ThingEventKind::Notified => {
                entry.notified.get_or_insert(at);
                entry.heard = Some(at);
            }
            ThingEventKind::Started => {
                entry.starts += 1;
                entry.started.get_or_insert(at);
            }
            ThingEventKind::Updated => entry.updates += 1,
            ThingEventKind::Refused => entry.rejections += 1,
            ThingEventKind::Reconnected => entry.reconnects += 1,
            ThingEventKind::Finished(status) => {
                entry.ends += 1;
                entry.updates += 1;
                entry.finished.get_or_insert((at, status));
            }
            ThingEventKind::Gone => entry.gone = Some(at),
        });
    }

    /// Rows about things of another fleet are not ours.
    pub fn ledger_row(&mut self, row: &LedgerRow) {
        let Some(thing) = self.things.get(&row.thing).copied() else { return };
        let key = (thing, self.job(&row.job), row.execution_number);
        self.change(key, |entry| match row.event {
            LedgerEvent::Queued => {
                entry.queued = Some(row.at);
                entry.status = Some(row.status);
            }
            LedgerEvent::Head => {
                entry.head = row.subscribed.then_some(row.at);
                entry.announced_to_subscriber |= row.subscribed;
            }
            LedgerEvent::Published => {}
            LedgerEvent::Answered => entry.status = Some(row.status),
            LedgerEvent::Terminal => {
                entry.terminals += 1;
                entry.terminal.get_or_insert(row.at);
                entry.status = Some(row.status);
            }
        });
    }

    /// Executions that both sides have closed, or one side a while ago.
    pub fn close_finished(&mut self, now: Mono) -> Vec<ClosedExecution> {
        let has_service = self.has_service;
        let is_over = |entry: &Entry| match (entry.terminal, entry.thing_end()) {
            (Some(_), Some(_)) => true,
            (Some(at), None) => now.since(at) >= GRACE,
            (None, Some(_)) => !has_service,
            (None, None) => false,
        };
        self.take(is_over, None)
    }

    /// The rest, at the end of a run. `lost_after`: a run that gave up at its limit calls lost what the service has queued for
    /// longer than this while its thing was not at work on it.
    pub fn close_all(&mut self, now: Mono, lost_after: Option<Duration>) -> Vec<ClosedExecution> {
        self.take(|_| true, lost_after.map(|age| now - age))
    }

    fn take(&mut self, which: impl Fn(&Entry) -> bool, lost_before: Option<Mono>) -> Vec<ClosedExecution> {
        let mut keys: Vec<Key> = self.open.iter().filter(|(_, entry)| which(entry)).map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.into_iter()
            .filter_map(|key| {
                let entry = self.open.remove(&key)?;
                let is_lost = lost_before.is_some_and(|before| {
                    let at_work = entry.started.is_some() && entry.thing_end().is_none();
                    entry.terminal.is_none() && !at_work && entry.queued.is_some_and(|at| at < before)
                });
                let undisturbed = !self.disturbed.contains(&key.0);
                let anomaly = if is_lost { Some(Anomaly::Lost) } else { entry.anomaly(self.has_service, undisturbed) };
                Some(ClosedExecution {
                    thing: key.0,
                    job: self.jobs[key.1 as usize].clone(),
                    execution_number: key.2,
                    queued: entry.queued,
                    notified: entry.notified,
                    started: entry.started,
                    finished: entry.thing_end(),
                    status: entry.status.or(entry.finished.map(|(_, status)| status)),
                    updates: entry.updates,
                    rejections: entry.rejections,
                    reconnects: entry.reconnects,
                    anomaly,
                })
            })
            .collect()
    }

    /// From a change of the head to the thing that saw it; each change once.
    pub fn take_notify_times(&mut self) -> Vec<Duration> {
        std::mem::take(&mut self.notify_times)
    }

    /// Jobs in the order in which they were first heard of, with their executions by state.
    pub fn jobs(&self) -> impl Iterator<Item = (&JobId, &StateCounts)> {
        self.jobs.iter().zip(&self.counts)
    }

    #[must_use]
    pub fn has_service(&self) -> bool {
        self.has_service
    }

    fn job(&mut self, job: &JobId) -> u32 {
        if let Some(place) = self.job_places.get(job) {
            return *place;
        }
        let place = self.jobs.len() as u32;
        self.jobs.push(job.clone());
        self.counts.push(StateCounts::default());
        self.job_places.insert(job.clone(), place);
        place
    }

    fn change(&mut self, key: Key, apply: impl FnOnce(&mut Entry)) {
        let entry = self.open.entry(key).or_default();
        let before = entry.state();
        apply(entry);
        if let (Some(head), Some(heard)) = (entry.head, entry.heard)
            && heard >= head
        {
            entry.late |= heard.since(head) > LATE_AFTER;
            self.notify_times.push(heard.since(head));
            (entry.head, entry.heard) = (None, None);
        }
        let after = entry.state();
        if before != after {
            let counts = &mut self.counts[key.1 as usize];
            if let Some(before) = before {
                *counts.of(before) -= 1;
            }
            if let Some(after) = after {
                *counts.of(after) += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Mono {
        Mono(1_000_000_000 + ms * 1_000_000)
    }

    struct Bench(ExecutionBook);

    impl Bench {
        fn new(has_service: bool) -> Self {
            Self(ExecutionBook::new([ThingName::new("t-0").unwrap(), ThingName::new("t-1").unwrap()], has_service))
        }

        fn thing(&mut self, ms: u64, kind: ThingEventKind) -> &mut Self {
            self.0.thing_event(&ThingEvent { thing: 1, job: JobId::new("fw").unwrap(), execution_number: 1, at: at(ms), kind });
            self
        }

        fn service(&mut self, ms: u64, event: LedgerEvent, status: ExecutionStatus) -> &mut Self {
            self.0.ledger_row(&LedgerRow {
                at: at(ms),
                thing: ThingName::new("t-1").unwrap(),
                job: JobId::new("fw").unwrap(),
                execution_number: 1,
                version: 1,
                status,
                event,
                subscribed: true,
            });
            self
        }

        fn queued(&mut self) -> &mut Self {
            self.service(0, LedgerEvent::Queued, ExecutionStatus::Queued).service(0, LedgerEvent::Head, ExecutionStatus::Queued)
        }

        fn counts(&self) -> StateCounts {
            *self.0.jobs().next().unwrap().1
        }

        fn close(&mut self, ms: u64) -> ClosedExecution {
            let mut closed = self.0.close_finished(at(ms));
            assert_eq!(closed.len(), 1);
            closed.remove(0)
        }
    }

    #[test]
    fn an_ordinary_execution_moves_through_the_funnel_and_closes_without_anomaly() {
        use ExecutionStatus::{InProgress, Succeeded};
        let mut bench = Bench::new(true);
        bench.queued();
        assert_eq!(bench.counts().queued, 1);
        bench.thing(5, ThingEventKind::Notified);
        assert_eq!((bench.counts().queued, bench.counts().notified), (0, 1));
        bench.service(10, LedgerEvent::Answered, InProgress).thing(11, ThingEventKind::Started);
        assert_eq!(bench.counts().in_progress, 1);
        // The thing's word may arrive before the service's row.
        bench.thing(21, ThingEventKind::Finished(Succeeded));
        assert!(bench.0.close_finished(at(22)).is_empty());
        bench.service(20, LedgerEvent::Answered, Succeeded).service(20, LedgerEvent::Terminal, Succeeded);
        assert_eq!(bench.counts(), StateCounts { succeeded: 1, ..StateCounts::default() });
        let row = bench.close(22);
        assert_eq!((row.queued, row.notified, row.started, row.finished), (Some(at(0)), Some(at(5)), Some(at(11)), Some(at(21))));
        assert_eq!((row.status, row.updates, row.anomaly), (Some(Succeeded), 1, None));
        assert_eq!(bench.0.take_notify_times(), [Duration::from_millis(5)]);
    }

    #[test]
    fn what_only_the_service_ends_closes_after_a_while() {
        let mut bench = Bench::new(true);
        bench.queued().thing(1, ThingEventKind::Notified).service(10, LedgerEvent::Terminal, ExecutionStatus::Canceled);
        assert!(bench.0.close_finished(at(1000)).is_empty());
        assert_eq!(bench.close(2010).status, Some(ExecutionStatus::Canceled));
    }

    #[test]
    fn anomalies_are_named() {
        use ExecutionStatus::{Canceled, Succeeded};
        let end = |bench: &mut Bench| {
            bench.thing(20, ThingEventKind::Finished(Succeeded)).service(20, LedgerEvent::Terminal, Succeeded);
            bench.close(30).anomaly
        };
        let mut twice = Bench::new(true);
        twice.queued().thing(1, ThingEventKind::Notified).thing(2, ThingEventKind::Started).thing(3, ThingEventKind::Started);
        assert_eq!(end(&mut twice), Some(Anomaly::DuplicateStart));
        let mut ended_twice = Bench::new(true);
        ended_twice.queued().thing(1, ThingEventKind::Notified).thing(3, ThingEventKind::Finished(Succeeded));
        assert_eq!(end(&mut ended_twice), Some(Anomaly::TerminalTwice));
        let mut unheard = Bench::new(true);
        unheard.queued().thing(2, ThingEventKind::Started);
        assert_eq!(end(&mut unheard), Some(Anomaly::MissingNotify));
        let mut offline = Bench::new(true);
        offline.0.session_lost(1);
        offline.queued().thing(2, ThingEventKind::Started);
        assert_eq!(end(&mut offline), None);
        let mut late = Bench::new(true);
        late.queued().thing(1002, ThingEventKind::Notified);
        assert_eq!(end(&mut late), Some(Anomaly::LateNotify));
        let mut differs = Bench::new(true);
        differs.queued().thing(1, ThingEventKind::Notified).thing(5, ThingEventKind::Finished(Succeeded));
        differs.service(5, LedgerEvent::Terminal, Canceled);
        assert_eq!(differs.close(10).anomaly, Some(Anomaly::StatusDiffers));
    }

    #[test]
    fn what_is_open_at_the_limit_is_lost_unless_its_thing_is_at_work() {
        for (started, anomaly) in [(false, Some(Anomaly::Lost)), (true, None)] {
            let mut bench = Bench::new(true);
            bench.queued().thing(1, ThingEventKind::Notified);
            if started {
                bench.thing(2, ThingEventKind::Started);
            }
            let rows = bench.0.close_all(at(60_000), Some(Duration::from_secs(30)));
            assert_eq!(rows[0].anomaly, anomaly);
        }
    }

    #[test]
    fn without_a_service_the_things_are_believed() {
        let mut bench = Bench::new(false);
        bench.thing(1, ThingEventKind::Notified).thing(2, ThingEventKind::Started);
        assert_eq!(bench.counts().in_progress, 1);
        bench.thing(3, ThingEventKind::Finished(ExecutionStatus::Failed));
        let row = bench.close(4);
        assert_eq!((row.queued, row.status, row.anomaly), (None, Some(ExecutionStatus::Failed), None));
    }

    #[test]
    fn rows_about_other_things_are_ignored() {
        let mut bench = Bench::new(true);
        bench.0.ledger_row(&LedgerRow {
            at: at(0),
            thing: ThingName::new("stranger").unwrap(),
            job: JobId::new("fw").unwrap(),
            execution_number: 1,
            version: 1,
            status: ExecutionStatus::Queued,
            event: LedgerEvent::Queued,
            subscribed: true,
        });
        assert_eq!(bench.0.jobs().count(), 0);
    }
}
