//! Joins what the things saw with the service ledger, execution by execution.
//!
//! An execution is settled, and leaves the book as a row, once both sides have closed it. A side that never will is not waited for:
//! what the service ends on its own (canceled, removed, timed out) while its thing does not work on it settles after a grace, and
//! where the service has no ledger the thing's word is enough. What is left settles at the end of the run, so memory is bounded by the
//! executions that are open. Where only things tell of them, by limits of their own: an endpoint may announce what it likes.

use super::anomaly::{Anomalies, Anomaly, unexcused};
use super::execution::{Execution, NOTIFY_LATE, Told};
use super::progress::{JobTally, RolloutRow};
use crate::execution_stage::StageCounts;
use crate::histogram::{Distribution, Histogram, Resolution};
use crate::{Counts, FaultEvent, Operation, SessionChange, SessionChangeKind, ThingEvent, ThingEventKind};
use iot_jobs::instant::Mono;
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use iot_jobs::{ExecutionStatus, JobId, ThingName};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use thing_faults::FaultSet;

/// Jobs that only things told of; further ones are not followed.
pub(crate) const JOBS_HEARD_MAX: usize = 5_000;
/// Open executions that only things told of, for each thing of the fleet.
pub(crate) const HEARD_MAX_PER_THING: usize = 1_000;
/// The same in all.
pub(crate) const HEARD_MAX: usize = 1_000_000;
/// How long the other side may take to say that an execution ended.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    thing: u32,
    /// Index of its tally.
    job: u32,
    number: i64,
}

/// When a thing was last subscribed, and when it last lost its session.
#[derive(Clone, Copy, Default)]
struct Link {
    up: Mono,
    down: Mono,
}

impl Link {
    /// Whether the session held from `from` to `until`, as far as the last change of each kind can tell.
    fn held(self, from: Mono, until: Mono) -> bool {
        let since_up = self.up <= from;
        if self.down < self.up { since_up || until < self.down } else { since_up && until < self.down }
    }
}

/// A settled execution: a row of `executions.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedExecution {
    /// Place in the fleet, from 0.
    pub thing: u32,
    /// The job it is an execution of.
    pub job: JobId,
    /// Which execution of the job on this thing, from 1 (PROTOCOL 9.3).
    pub execution_number: i64,
    /// As the service tells it.
    pub queued: Option<Mono>,
    /// As the thing saw it.
    pub notified: Option<Mono>,
    /// When it was handed out to the thing.
    pub started: Option<Mono>,
    /// Its end accepted, or found to be gone.
    pub finished: Option<Mono>,
    /// The service's where it tells one; `None` where only the thing was asked and does not know.
    pub status: Option<ExecutionStatus>,
    /// Updates that were accepted, the terminal one included.
    pub updates: u32,
    /// Updates that were refused.
    pub rejections: u32,
    /// Times it was taken up again in a new session.
    pub reconnects: u32,
    /// What should not be, as far as no fault excuses it.
    pub anomalies: Anomalies,
    /// What went wrong on purpose with it, and with its thing's connections until its end.
    pub faults: FaultSet,
}

/// All executions that are not settled yet, and the counts of all that ever were.
pub struct ExecutionBook {
    things: HashMap<ThingName, u32>,
    has_service: bool,
    jobs: Vec<JobTally>,
    job_index: HashMap<JobId, u32>,
    counts: StageCounts,
    open: BTreeMap<Key, Execution>,
    /// Closed by both sides.
    settled: Vec<Key>,
    /// Closed by one side, and when the other is no longer waited for.
    unmatched: VecDeque<(Mono, Key)>,
    /// What settled last on each thing: an echo of it is no new execution.
    last_settled: HashMap<u32, Key>,
    links: HashMap<u32, Link>,
    /// What went wrong on purpose with connections of things, and has its effect whatever they are at.
    faults: HashMap<u32, FaultSet>,
    notify_next: Counts,
    notify_next_times: Histogram,
    anomalies: BTreeMap<Anomaly, u64>,
    /// Jobs that things told of first.
    jobs_heard: usize,
    /// Open executions of which the service has said nothing, and how many there may be.
    heard: usize,
    heard_max: usize,
    /// What things told of executions that are not followed.
    beyond: u64,
}

impl ExecutionBook {
    /// `things` in the order of their places. With `has_service` the service's rows will come; without, the things' word stands.
    #[must_use]
    pub fn new(things: impl IntoIterator<Item = ThingName>, has_service: bool) -> Self {
        let things: HashMap<ThingName, u32> = things.into_iter().zip(0..).collect();
        Self {
            heard_max: (HEARD_MAX_PER_THING * things.len()).min(HEARD_MAX),
            things,
            has_service,
            jobs: Vec::new(),
            job_index: HashMap::new(),
            counts: StageCounts::new(has_service),
            open: BTreeMap::new(),
            settled: Vec::new(),
            unmatched: VecDeque::new(),
            last_settled: HashMap::new(),
            links: HashMap::new(),
            faults: HashMap::new(),
            notify_next: Counts::default(),
            notify_next_times: Histogram::new(Resolution::of(Operation::NotifyNext, false)),
            anomalies: BTreeMap::new(),
            jobs_heard: 0,
            heard: 0,
            beyond: 0,
        }
    }

    /// A job was created for this many things.
    pub fn job_created(&mut self, job: &JobId, targets: u64, at: Mono) {
        let job = self.job(job);
        self.jobs[job as usize].created(targets, at);
    }

    // ---------------------------------------------------------------------------------------------------- what was seen

    /// In the order of their instants, between the things' events.
    pub fn session_changed(&mut self, change: &SessionChange) {
        let link = self.links.entry(change.thing).or_default();
        match change.kind {
            SessionChangeKind::Up { .. } => link.up = change.at,
            SessionChangeKind::Down { .. } => link.down = change.at,
            SessionChangeKind::Failed { .. } => {}
        }
    }

    /// A thing was struck by a fault, at this execution or whatever it is at.
    pub fn fault_struck(&mut self, event: &FaultEvent) {
        let Some((job, number)) = &event.execution else {
            self.faults.entry(event.thing).or_default().insert(event.fault);
            return;
        };
        let Some(job) = self.job_index.get(job).copied() else { return };
        let key = Key { thing: event.thing, job, number: *number };
        if let Some(execution) = self.open.get_mut(&key) {
            execution.faults.insert(event.fault);
        }
    }

    /// In the order of their instants.
    pub fn thing_event(&mut self, event: &ThingEvent) {
        let Some(job) = self.job_heard(&event.job) else {
            self.beyond += 1;
            return;
        };
        let key = Key { thing: event.thing, job, number: event.execution_number };
        if self.is_echo(key) {
            match event.kind {
                ThingEventKind::Started => self.record_anomaly(Anomaly::DuplicateStart),
                ThingEventKind::Finished(_) => self.record_anomaly(Anomaly::TerminalTwice),
                _ => {}
            }
            return;
        }
        if self.heard >= self.heard_max && !self.open.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        self.change(key, event.at, |execution| execution.thing_event(event));
    }

    /// In the order of the ledger. Rows of things that are not part of the fleet are ignored.
    pub fn ledger_row(&mut self, row: &LedgerRow) {
        let Some(thing) = self.things.get(&row.thing).copied() else { return };
        let key = Key { thing, job: self.job(&row.job), number: row.execution_number };
        if self.is_echo(key) {
            if row.event == LedgerEvent::Terminal {
                self.record_anomaly(Anomaly::TerminalTwice);
            }
            return;
        }
        if row.event == LedgerEvent::Head {
            let was_untold = self.open.get(&key).is_some_and(|execution| execution.unnotified_head.is_some());
            self.notify_next.error += u64::from(was_untold);
            self.notify_next.started += u64::from(row.subscribed);
        }
        self.change(key, row.at, |execution| execution.service_row(row));
    }

    /// A job that a thing tells of; `None` where too many were new already.
    fn job_heard(&mut self, job: &JobId) -> Option<u32> {
        if !self.job_index.contains_key(job) {
            if self.jobs_heard == JOBS_HEARD_MAX {
                return None;
            }
            self.jobs_heard += 1;
        }
        Some(self.job(job))
    }

    fn job(&mut self, job: &JobId) -> u32 {
        if let Some(index) = self.job_index.get(job) {
            return *index;
        }
        let index = u32::try_from(self.jobs.len()).expect("memory ends before the numbers of jobs");
        self.jobs.push(JobTally::new(job.clone(), self.has_service));
        self.job_index.insert(job.clone(), index);
        index
    }

    fn is_echo(&self, key: Key) -> bool {
        self.last_settled.get(&key.thing) == Some(&key) && !self.open.contains_key(&key)
    }

    fn record_anomaly(&mut self, anomaly: Anomaly) {
        *self.anomalies.entry(anomaly).or_default() += 1;
    }

    /// Applies what happened at `at`, and all that follows from it.
    fn change(&mut self, key: Key, at: Mono, apply: impl FnOnce(&mut Execution) -> Option<Told>) {
        let was_heard = self.open.get(&key).is_some_and(|execution| execution.service.is_none());
        let execution = self.open.entry(key).or_default();
        let before = execution.stage();
        let was_closed = (execution.thing_end.is_some(), execution.is_ended_at_service());
        let told = apply(execution);
        let after = execution.stage();
        self.heard = self.heard + usize::from(execution.service.is_none()) - usize::from(was_heard);
        let closed = (execution.thing_end.is_some(), execution.is_ended_at_service());
        let ended_well = execution.thing_end.is_some_and(|end| end.status.is_some());
        if before != after {
            self.counts.change(before, after);
            self.jobs[key.job as usize].change(key.number, before, after, at);
        }
        if let Some(told) = told {
            self.measure_notification(key, told);
        }
        if closed == was_closed {
            return;
        }
        match closed {
            (true, true) => self.settled.push(key),
            (true, false) if !self.has_service && ended_well => self.settled.push(key),
            (true, false) if self.has_service => {}
            (true, false) | (false, true) => self.unmatched.push_back((at + GRACE, key)),
            (false, false) => {}
        }
    }

    /// Measured, unless the thing was not subscribed all the while.
    fn measure_notification(&mut self, key: Key, told: Told) {
        if !self.was_subscribed(key.thing, told.head, told.at) {
            self.notify_next.error += 1;
            return;
        }
        let delay = told.at.since(told.head);
        self.notify_next.ok += 1;
        self.notify_next_times.record(delay);
        if delay > NOTIFY_LATE
            && let Some(execution) = self.open.get_mut(&key)
        {
            execution.anomalies.insert(Anomaly::LateNotify);
        }
    }

    /// A thing of which nothing was told counts as subscribed: then the service's word stands.
    fn was_subscribed(&self, thing: u32, from: Mono, until: Mono) -> bool {
        self.links.get(&thing).is_none_or(|link| link.held(from, until))
    }

    // ---------------------------------------------------------------------------------------------------------- settling

    /// Executions that settled until `now`, in the order in which they ended.
    pub fn close_settled(&mut self, now: Mono) -> Vec<ClosedExecution> {
        let mut keys = std::mem::take(&mut self.settled);
        while let Some((_, key)) = self.unmatched.pop_front_if(|(until, _)| *until <= now) {
            let is_settled = |execution: &Execution| {
                execution.thing_end.is_some() || (execution.is_ended_at_service() && !execution.is_being_worked_on())
            };
            if self.open.get(&key).is_some_and(is_settled) {
                keys.push(key);
            }
        }
        self.close(keys, now)
    }

    /// Everything that is left, at the end of the run. `lost_after`: a run that gave up at its limit calls lost what has been the next
    /// of its subscribed thing for longer than this, while the thing was not at work on it.
    pub fn close_all(&mut self, now: Mono, lost_after: Option<Duration>) -> Vec<ClosedExecution> {
        let is_lost = |(key, execution): &(&Key, &Execution)| self.is_lost(**key, execution, now, lost_after);
        let lost: Vec<Key> = self.open.iter().filter(is_lost).map(|(key, _)| *key).collect();
        for key in lost {
            if let Some(execution) = self.open.get_mut(&key) {
                execution.anomalies.insert(Anomaly::Lost);
            }
        }
        let keys = self.open.keys().copied().collect();
        self.close(keys, now)
    }

    fn close(&mut self, keys: Vec<Key>, now: Mono) -> Vec<ClosedExecution> {
        let mut closed: Vec<(Mono, ClosedExecution)> = Vec::with_capacity(keys.len());
        for key in keys {
            // It may have settled twice over: by both sides, and by its grace.
            let Some(execution) = self.open.remove(&key) else { continue };
            self.heard -= usize::from(execution.service.is_none());
            self.last_settled.insert(key.thing, key);
            let ended_at = execution.ended_at().unwrap_or(now);
            closed.push((ended_at, self.settle(key, execution, now)));
        }
        closed.sort_by_key(|(ended_at, row)| (*ended_at, row.thing));
        closed.into_iter().map(|(_, row)| row).collect()
    }

    fn settle(&mut self, key: Key, mut execution: Execution, now: Mono) -> ClosedExecution {
        if self.settle_notification(key, &execution, now) && execution.notified.is_none() {
            execution.anomalies.insert(Anomaly::MissingNotify);
        }
        let service_status = execution.service.map(|view| view.status);
        let thing_status = execution.thing_end.and_then(|end| end.status);
        if execution.is_ended_at_service() && thing_status.is_some() && thing_status != service_status {
            execution.anomalies.insert(Anomaly::StatusDiffers);
        }
        let faults = execution.faults | self.faults.get(&key.thing).copied().unwrap_or_default();
        let anomalies = unexcused(execution.anomalies, faults);
        for anomaly in anomalies.iter() {
            self.record_anomaly(anomaly);
        }
        ClosedExecution {
            thing: key.thing,
            job: self.jobs[key.job as usize].job.clone(),
            execution_number: key.number,
            queued: execution.queued,
            notified: execution.notified,
            started: execution.started,
            finished: execution.thing_end.map(|end| end.at),
            status: execution.status(),
            updates: execution.updates,
            rejections: execution.rejections,
            reconnects: execution.reconnects,
            anomalies,
            faults,
        }
    }

    /// Settles a head change that was never told: whether it should have been by now.
    fn settle_notification(&mut self, key: Key, execution: &Execution, now: Mono) -> bool {
        let Some(head) = execution.unnotified_head else { return false };
        let is_missing = self.was_subscribed(key.thing, head, now) && now.since(head) > NOTIFY_LATE;
        *(if is_missing { &mut self.notify_next.timeout } else { &mut self.notify_next.error }) += 1;
        is_missing
    }

    /// Open at the service at the end, and its thing, though within reach, is done with it, was never told, or lets it lie.
    fn is_lost(&self, key: Key, execution: &Execution, now: Mono, lost_after: Option<Duration>) -> bool {
        let is_open = execution.service.is_some() && !execution.is_ended_at_service();
        if !is_open || execution.is_being_worked_on() {
            return false;
        }
        if let Some(end) = execution.thing_end {
            return now.since(end.at) > GRACE;
        }
        let patience = if execution.unnotified_head.is_some() { Some(NOTIFY_LATE) } else { lost_after };
        match (execution.head, patience) {
            (Some(head), Some(patience)) => now.since(head) > patience && self.was_subscribed(key.thing, head, now),
            _ => false,
        }
    }

    // ------------------------------------------------------------------------------------------------------------ figures

    /// Executions of all jobs.
    #[must_use]
    pub fn counts(&self) -> StageCounts {
        self.counts
    }

    /// Every job so far, in the order in which they were first heard of.
    pub fn rollouts(&mut self) -> Vec<RolloutRow> {
        self.jobs.iter_mut().map(JobTally::row).collect()
    }

    /// How often each anomaly was found.
    #[must_use]
    pub fn anomalies(&self) -> &BTreeMap<Anomaly, u64> {
        &self.anomalies
    }

    /// What things told of executions beyond those that are followed.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Head changes of subscribed things, told and not told, and how long that took, since the last call.
    pub fn take_notify_next(&mut self) -> (Counts, Distribution) {
        (std::mem::take(&mut self.notify_next), self.notify_next_times.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExecutionStage;
    use ExecutionStatus::{Canceled, Failed, InProgress, Queued, Succeeded};
    use LedgerEvent::{Answered, Head, Published, Terminal};
    use ThingEventKind::{Finished, Gone, Notified, Reconnected, Refused, Started, Updated};

    const ORIGIN: Mono = Mono(1_000_000_000);

    fn at(ms: u64) -> Mono {
        ORIGIN + Duration::from_millis(ms)
    }

    fn things() -> [ThingName; 3] {
        ["t-0", "t-1", "t-2"].map(|name| ThingName::new(name).unwrap())
    }

    /// A book whose story is told in milliseconds from the origin, about job `j`.
    struct Story(ExecutionBook);

    impl Story {
        fn new() -> Self {
            Self(ExecutionBook::new(things(), true))
        }

        fn without_service() -> Self {
            Self(ExecutionBook::new(things(), false))
        }

        fn thing(&mut self, ms: u64, thing: u32, kind: ThingEventKind) -> &mut Self {
            let job = JobId::new("j").unwrap();
            self.0.thing_event(&ThingEvent { thing, job, execution_number: 1, at: at(ms), kind });
            self
        }

        fn service(&mut self, ms: u64, thing: &str, status: ExecutionStatus, event: LedgerEvent) -> &mut Self {
            self.row(ms, thing, status, event, true)
        }

        fn row(&mut self, ms: u64, thing: &str, status: ExecutionStatus, event: LedgerEvent, subscribed: bool) -> &mut Self {
            let (thing, job) = (ThingName::new(thing).unwrap(), JobId::new("j").unwrap());
            self.0.ledger_row(&LedgerRow { at: at(ms), thing, job, execution_number: 1, version: 1, status, event, subscribed });
            self
        }

        fn queued(&mut self, ms: u64, thing: &str) -> &mut Self {
            self.service(ms, thing, Queued, LedgerEvent::Queued)
                .service(ms, thing, Queued, Head)
                .service(ms, thing, Queued, Published)
        }

        fn succeeded(&mut self, ms: u64, thing: &str) -> &mut Self {
            self.service(ms, thing, Succeeded, Answered).service(ms, thing, Succeeded, Terminal)
        }

        fn settled(&mut self, ms: u64) -> Vec<ClosedExecution> {
            self.0.close_settled(at(ms))
        }

        fn end(&mut self, ms: u64) -> Vec<ClosedExecution> {
            self.0.close_all(at(ms), None)
        }
    }

    fn anomaly_of(rows: &[ClosedExecution]) -> String {
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0].anomalies.iter().map(Anomaly::as_str).collect::<Vec<_>>().join(";")
    }

    #[test]
    fn an_execution_is_settled_once_both_sides_have_closed_it() {
        let mut story = Story::new();
        story.queued(100, "t-1").thing(105, 1, Notified);
        assert_eq!(story.0.counts(), StageCounts::of(true, [(ExecutionStage::Notified, 1)]));
        story.service(200, "t-1", InProgress, Answered).thing(210, 1, Started).thing(300, 1, Updated).thing(400, 1, Updated);
        story.thing(450, 1, Refused).thing(470, 1, Reconnected);
        assert_eq!(story.0.counts(), StageCounts::of(true, [(ExecutionStage::InProgress, 1)]));
        story.thing(510, 1, Finished(Succeeded));
        assert_eq!(story.settled(60_000), [], "the service has not said so, and it is asked");
        story.succeeded(500, "t-1");
        let expected = ClosedExecution {
            thing: 1,
            job: JobId::new("j").unwrap(),
            execution_number: 1,
            queued: Some(at(100)),
            notified: Some(at(105)),
            started: Some(at(210)),
            finished: Some(at(510)),
            status: Some(Succeeded),
            updates: 3,
            rejections: 1,
            reconnects: 1,
            anomalies: Anomalies::default(),
            faults: FaultSet::default(),
        };
        assert_eq!(story.settled(1_000), [expected]);
        assert_eq!(story.end(2_000), [], "a row is told once");
        assert_eq!(story.0.counts(), StageCounts::of(true, [(ExecutionStage::Succeeded, 1)]));
    }

    #[test]
    fn a_head_change_is_measured_whichever_side_tells_first() {
        let mut story = Story::new();
        story.queued(100, "t-0").thing(140, 0, Notified);
        story.thing(160, 1, Notified).queued(100, "t-1");
        story.thing(500, 2, Notified);
        let (counts, times) = story.0.take_notify_next();
        assert_eq!((counts.started, counts.ok), (2, 2), "what nobody queued is not measured");
        let latency = times.latency(Resolution::of(Operation::NotifyNext, false)).unwrap();
        assert_eq!((times.count(), latency.p50, latency.max), (2, 40.0, 60.0));
    }

    #[test]
    fn a_head_change_counts_at_most_once() {
        let mut story = Story::new();
        story.queued(100, "t-0").thing(140, 0, Notified).thing(150, 0, Notified);
        assert_eq!(story.0.take_notify_next().0.ok, 1);
        story.service(900, "t-0", InProgress, Head).thing(910, 0, Notified);
        let (counts, _) = story.0.take_notify_next();
        assert_eq!((counts.started, counts.ok), (1, 1), "a second one is measured anew");
    }

    #[test]
    fn a_thing_that_was_not_subscribed_is_no_measurement() {
        let mut story = Story::new();
        story.row(100, "t-0", Queued, LedgerEvent::Queued, false).row(100, "t-0", Queued, Head, false);
        story.thing(5_000, 0, Notified).thing(5_001, 0, Started).thing(5_100, 0, Finished(Succeeded)).succeeded(5_099, "t-0");
        assert_eq!(anomaly_of(&story.settled(6_000)), "");
        assert_eq!(story.0.take_notify_next(), Default::default());
    }

    #[test]
    fn notifications_that_are_late_or_never_come_are_named() {
        let mut story = Story::new();
        story.queued(0, "t-0").thing(1_001, 0, Notified).thing(1_002, 0, Started).thing(1_100, 0, Finished(Succeeded));
        assert_eq!(anomaly_of(&story.succeeded(1_090, "t-0").settled(2_000)), "late_notify");
        story.queued(0, "t-1").thing(900, 1, Started).thing(1_100, 1, Finished(Succeeded));
        assert_eq!(anomaly_of(&story.succeeded(1_090, "t-1").settled(2_000)), "missing_notify");
        let (counts, _) = story.0.take_notify_next();
        assert_eq!((counts.started, counts.ok, counts.timeout, counts.error), (2, 1, 1, 0));
    }

    #[test]
    fn a_session_lost_in_between_excuses_the_notification() {
        let mut story = Story::new();
        let up = SessionChangeKind::Up { intended: at(0) };
        let session = |ms, kind| SessionChange { thing: 0, at: at(ms), kind };
        story.0.session_changed(&session(0, up));
        story.queued(100, "t-0");
        story.0.session_changed(&session(200, SessionChangeKind::Down { by: None }));
        story.0.session_changed(&session(5_000, up));
        story.thing(5_010, 0, Started).thing(5_100, 0, Finished(Succeeded)).succeeded(5_090, "t-0");
        assert_eq!(anomaly_of(&story.settled(6_000)), "");
        let (counts, _) = story.0.take_notify_next();
        assert_eq!((counts.started, counts.error, counts.timeout), (1, 1, 0));
    }

    #[test]
    fn a_session_that_held_until_the_notification_does_not_excuse_it() {
        let link = Link { up: at(200), down: at(100) };
        assert!(link.held(at(10), at(99)) && link.held(at(200), at(300)), "before the loss, and after it");
        assert!(!link.held(at(10), at(150)) && !link.held(at(110), at(150)) && !link.held(at(150), at(300)));
        let link = Link { up: at(100), down: at(200) };
        assert!(link.held(at(100), at(199)));
        assert!(!link.held(at(100), at(201)) && !link.held(at(50), at(60)));
    }

    #[test]
    fn what_ends_twice_or_differently_or_starts_twice_is_named() {
        let mut story = Story::new();
        story.queued(0, "t-0").thing(1, 0, Notified).thing(2, 0, Started).thing(3, 0, Finished(Succeeded));
        story.service(3, "t-0", Failed, Terminal);
        assert_eq!(anomaly_of(&story.settled(9)), "status_differs");
        story.queued(0, "t-1").thing(1, 1, Notified).thing(2, 1, Started).thing(3, 1, Started).thing(4, 1, Finished(Succeeded));
        assert_eq!(anomaly_of(&story.succeeded(3, "t-1").succeeded(4, "t-1").settled(9)), "duplicate_start;terminal_twice");
        let told: Vec<_> = story.0.anomalies().iter().map(|(anomaly, count)| (anomaly.as_str(), *count)).collect();
        assert_eq!(told, [("duplicate_start", 1), ("terminal_twice", 1), ("status_differs", 1)]);
    }

    #[test]
    fn work_taken_up_again_or_given_back_is_no_duplicate() {
        let mut story = Story::new();
        story.queued(0, "t-0").thing(1, 0, Notified).thing(2, 0, Started).thing(3, 0, Reconnected).thing(4, 0, Gone);
        story.thing(5, 0, Started).thing(6, 0, Finished(Succeeded)).succeeded(6, "t-0");
        assert_eq!(anomaly_of(&story.settled(9)), "");
    }

    #[test]
    fn an_echo_of_a_settled_execution_is_no_new_one() {
        let mut story = Story::new();
        story.queued(0, "t-0").thing(1, 0, Notified).thing(2, 0, Started).thing(3, 0, Finished(Succeeded)).succeeded(3, "t-0");
        assert_eq!(story.settled(9).len(), 1);
        story.thing(10, 0, Updated).thing(11, 0, Finished(Succeeded)).thing(12, 0, Gone).succeeded(13, "t-0");
        assert_eq!(story.end(99), []);
        assert_eq!(story.0.counts().all(), 1);
        assert_eq!(story.0.anomalies()[&Anomaly::TerminalTwice], 2, "still told");
    }

    #[test]
    fn what_the_service_cancels_settles_after_a_grace() {
        let mut story = Story::new();
        story.queued(0, "t-0").thing(1, 0, Notified).service(100, "t-0", Canceled, Terminal);
        assert_eq!(story.settled(2_099), []);
        let rows = story.settled(2_100);
        assert_eq!((rows[0].status, rows[0].finished, anomaly_of(&rows).as_str()), (Some(Canceled), None, ""));
    }

    #[test]
    fn a_thing_at_work_on_what_was_canceled_is_waited_for() {
        let mut story = Story::new();
        story.queued(0, "t-0").thing(1, 0, Notified).thing(2, 0, Started).service(100, "t-0", Canceled, Terminal);
        assert_eq!(story.settled(5_000), []);
        let rows = story.thing(8_000, 0, Gone).settled(8_001);
        assert_eq!((rows[0].status, rows[0].finished, anomaly_of(&rows).as_str()), (Some(Canceled), Some(at(8_000)), ""));
    }

    #[test]
    fn an_end_that_its_thing_hears_of_late_is_counted_once() {
        let mut story = Story::new();
        story.queued(0, "t-0").thing(1, 0, Notified).thing(2, 0, Started).succeeded(100, "t-0");
        assert_eq!(story.settled(5_000), [], "the answer was lost with the session; the thing will ask again");
        let rows = story.thing(9_000, 0, Finished(Succeeded)).settled(9_001);
        assert_eq!((rows[0].status, rows[0].finished, anomaly_of(&rows).as_str()), (Some(Succeeded), Some(at(9_000)), ""));
        assert_eq!(story.0.counts(), StageCounts::of(true, [(ExecutionStage::Succeeded, 1)]));
    }

    #[test]
    fn without_a_ledger_the_things_word_is_enough() {
        let mut story = Story::without_service();
        story.thing(1, 0, Notified).thing(2, 0, Started).thing(3, 0, Finished(Failed));
        story.thing(1, 1, Started).thing(3, 1, Gone);
        story.thing(1, 2, Notified);
        let rows = story.settled(10);
        assert_eq!((rows.len(), rows[0].status, rows[0].queued), (1, Some(Failed), None));
        assert_eq!(story.settled(2_002), [], "it may be handed out again");
        assert_eq!(story.settled(2_003)[0].status, None);
        assert_eq!(
            story.0.counts(),
            StageCounts::of(false, [(ExecutionStage::Failed, 1), (ExecutionStage::Removed, 1), (ExecutionStage::Notified, 1)])
        );
        assert_eq!(story.end(3_000)[0].status, Some(Queued));
    }

    #[test]
    fn lost_is_what_is_open_at_the_end_without_a_reason() {
        let mut story = Story::new();
        story.queued(0, "t-0").thing(1, 0, Notified).thing(2, 0, Started).thing(3, 0, Finished(Succeeded));
        story.queued(0, "t-1").thing(1, 1, Notified).thing(2, 1, Started);
        story.service(0, "t-2", Queued, LedgerEvent::Queued);
        let told: Vec<_> = story.end(9_000).iter().map(|row| (row.thing, row.anomalies.to_string(), row.status)).collect();
        let open = |thing, anomaly: &str| (thing, anomaly.to_owned(), Some(Queued));
        assert_eq!(told, [open(0, "lost"), open(1, ""), open(2, "")], "at work, and waiting for its turn, are reasons");
        assert_eq!(anomaly_of(&Story::new().queued(0, "t-0").end(9_000)), "lost;missing_notify");
        assert_eq!(anomaly_of(&Story::new().queued(8_500, "t-0").end(9_000)), "", "it may still be on its way");
    }

    #[test]
    fn rows_of_other_fleets_are_ignored() {
        let mut story = Story::new();
        story.queued(0, "somebody-else");
        assert_eq!(story.0.counts().all(), 0);
        assert_eq!(story.end(9_000), []);
    }

    #[test]
    fn at_the_limit_what_a_thing_within_reach_lets_lie_is_lost() {
        let lost = |tell: fn(&mut Story)| {
            let mut story = Story::new();
            story.queued(0, "t-0").thing(1, 0, Notified);
            tell(&mut story);
            anomaly_of(&story.0.close_all(at(60_000), Some(Duration::from_secs(30))))
        };
        assert_eq!(lost(|_| {}), "lost");
        assert_eq!(lost(|story| _ = story.thing(2, 0, Started)), "", "it is at work");
        assert_eq!(lost(|story| _ = story.service(40_000, "t-0", Queued, Head).thing(40_001, 0, Notified)), "", "not yet");
        let away = |story: &mut Story| {
            let kind = SessionChangeKind::Down { by: None };
            story.0.session_changed(&SessionChange { thing: 0, at: at(50_000), kind });
        };
        assert_eq!(lost(away), "", "it is out of reach");
    }

    #[test]
    fn a_thing_that_tries_again_is_one_target() {
        let mut story = Story::new();
        let job = JobId::new("j").unwrap();
        story.0.job_created(&job, 3, at(0));
        let row = |ms, number, status, event| LedgerRow {
            at: at(ms),
            thing: things()[0].clone(),
            job: job.clone(),
            execution_number: number,
            version: 1,
            status,
            event,
            subscribed: false,
        };
        let mut told = |rows: &[LedgerRow]| {
            rows.iter().for_each(|row| story.0.ledger_row(row));
            let row = story.0.rollouts().remove(0);
            (row.targets, row.done(), row.repeated, row.counts.all())
        };
        let first = [row(1, 1, Queued, LedgerEvent::Queued), row(2, 1, Failed, Terminal), row(2, 2, Queued, LedgerEvent::Queued)];
        assert_eq!(told(&first), (Some(3), 0, 1, 2), "it has failed, and is not done");
        assert_eq!(told(&[row(3, 2, Succeeded, Terminal)]), (Some(3), 1, 1, 2));
        assert_eq!(story.0.rollouts()[0].done_share(), Some(1.0 / 3.0));
    }

    #[test]
    fn milestones_of_a_job_are_told_against_its_targets() {
        let mut story = Story::new();
        story.0.job_created(&JobId::new("j").unwrap(), 4, at(500));
        for (n, thing) in ["t-0", "t-1"].into_iter().enumerate() {
            story.queued(1_000, thing).succeeded(3_000 + 2_000 * n as u64, thing);
        }
        let row = story.0.rollouts().remove(0);
        assert_eq!((row.targets, row.done_share(), row.counts), (Some(4), Some(0.5), story.0.counts()));
        let [to_50, to_90, to_99, to_all] = row.seconds_to;
        assert!((4.5..4.55).contains(&to_50.unwrap()), "{to_50:?}: the second of four, from the creation");
        assert_eq!([to_90, to_99, to_all], [None; 3]);
    }

    fn heard(book: &mut ExecutionBook, thing: u32, job: &str, execution_number: i64) {
        let job = JobId::new(job).unwrap();
        book.thing_event(&ThingEvent { thing, job, execution_number, at: at(1), kind: Notified });
    }

    #[test]
    fn jobs_that_only_things_tell_of_are_followed_up_to_a_number_of_them() {
        let mut book = ExecutionBook::new(things(), false);
        book.job_created(&JobId::new("ours").unwrap(), 3, at(0));
        for n in 0..JOBS_HEARD_MAX + 7 {
            heard(&mut book, n as u32 % 3, &format!("j-{n}"), 1);
        }
        assert_eq!((book.rollouts().len(), book.counts().all(), book.beyond()), (JOBS_HEARD_MAX + 1, 3_000, 2_007));
        heard(&mut book, 0, "ours", 1);
        assert_eq!(book.beyond(), 2_008, "three things, a thousand executions each");
        assert_eq!(book.close_all(at(2), None).len(), 3_000);
        heard(&mut book, 0, "ours", 2);
        assert_eq!((book.beyond(), book.open.len()), (2_008, 1), "there is room again");
    }

    #[test]
    fn what_the_service_tells_of_has_no_limit() {
        let mut story = Story::new();
        let row = |n: i64| LedgerRow {
            at: at(0),
            thing: ThingName::new("t-0").unwrap(),
            job: JobId::new("j").unwrap(),
            execution_number: n,
            version: 1,
            status: Queued,
            event: LedgerEvent::Queued,
            subscribed: true,
        };
        for n in 1..=4_000 {
            heard(&mut story.0, 0, "j", n);
            story.0.ledger_row(&row(n));
        }
        assert_eq!((story.0.open.len(), story.0.heard, story.0.beyond()), (4_000, 0, 0));
    }
}
