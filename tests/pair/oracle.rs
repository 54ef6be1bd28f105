//! What must hold at every step, judged by what can be seen from outside.

use iot_jobs::instant::Mono;
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use iot_jobs::{ExecutionStatus, JobId, Notification, Request, ThingName};
use load_metrics::{Anomaly, ExecutionBook, SessionChange, SessionChangeKind, ThingEvent, ThingEventKind};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;
use thing_agent::{Event, ExecutionKey};

/// What a network that loses messages makes of notifications is nobody's fault.
const EXCUSED: [Anomaly; 2] = [Anomaly::MissingNotify, Anomaly::LateNotify];

type Execution = (ThingName, String, i64);

#[derive(Default)]
struct Seen {
    status: Option<ExecutionStatus>,
    version: i64,
}

pub(crate) struct Oracle {
    book: ExecutionBook,
    executions: BTreeMap<Execution, Seen>,
    tokens: Vec<HashSet<String>>,
    /// Requests that left and were not answered, timed out, or lost with their session.
    open: Vec<i64>,
    heads: Vec<Option<ExecutionKey>>,
    pending: Vec<BTreeSet<(JobId, i64)>>,
    pub(crate) violation: Option<String>,
}

impl Oracle {
    pub(crate) fn new(things: &[ThingName]) -> Self {
        Self {
            book: ExecutionBook::new(things.iter().cloned(), true),
            executions: BTreeMap::new(),
            tokens: vec![HashSet::new(); things.len()],
            open: vec![0; things.len()],
            heads: vec![None; things.len()],
            pending: vec![BTreeSet::new(); things.len()],
            violation: None,
        }
    }

    fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    // ------------------------------------------------------------------------------------------------------- the things

    pub(crate) fn request(&mut self, thing: usize, request: &Request, is_subscribed: bool) {
        self.must(is_subscribed, || format!("thing {thing} asked before its subscriptions were granted"));
        let token = request.client_token.as_ref().map(|token| token.0.to_string());
        self.must(token.is_some(), || format!("thing {thing} asked without a token"));
        let is_new = token.is_none_or(|token| self.tokens[thing].insert(token));
        self.must(is_new, || format!("thing {thing} used a token twice"));
        self.open[thing] += 1;
        let open = self.open[thing];
        self.must(open == 1, || format!("thing {thing} has {open} requests open"));
    }

    pub(crate) fn event(&mut self, thing: usize, event: Event, now: Mono) {
        let mut tell = |execution: ExecutionKey, at, kind| {
            let (thing, execution_number) = (thing as u32, execution.number);
            self.book.thing_event(&ThingEvent { thing, job: execution.job, execution_number, at, kind });
        };
        match event {
            Event::Subscribed { at, .. } | Event::Resumed { at } => {
                let kind = SessionChangeKind::Up { intended: at };
                self.book.session_changed(&SessionChange { thing: thing as u32, at, kind });
            }
            Event::Answered { .. } => {
                self.open[thing] -= 1;
                let open = self.open[thing];
                self.must(open == 0, || format!("thing {thing} was answered more often than it asked: {open}"));
            }
            Event::Notified { execution, at, .. } => tell(execution, at, ThingEventKind::Notified),
            Event::Started { execution, at, resumed: true } => tell(execution, at, ThingEventKind::Reconnected),
            Event::Started { execution, at, resumed: false } => tell(execution, at, ThingEventKind::Started),
            Event::Updated { execution, at } => tell(execution, at, ThingEventKind::Updated),
            Event::UpdateRefused { execution, at, .. } => tell(execution, at, ThingEventKind::Refused),
            Event::Finished { execution, at, status, .. } => tell(execution, at, ThingEventKind::Finished(status)),
            Event::Gone { execution, at, .. } => tell(execution, at, ThingEventKind::Gone),
            Event::Sent { sent, .. } => self.must(sent == now, || "a request left at another time than now".into()),
            Event::SubscribeFailed { .. }
            | Event::LateAnswer { .. }
            | Event::Fault { .. }
            | Event::LostArrivals { .. }
            | Event::FirstNotification { .. } => {}
        }
    }

    pub(crate) fn session_lost(&mut self, thing: usize, at: Mono) {
        let kind = SessionChangeKind::Down { by: None };
        self.book.session_changed(&SessionChange { thing: thing as u32, at, kind });
    }

    // ------------------------------------------------------------------------------------------------------ the service

    pub(crate) fn row(&mut self, row: &LedgerRow) {
        self.book.ledger_row(row);
        let key = (row.thing.clone(), row.job.to_string(), row.execution_number);
        let seen = self.executions.entry(key).or_default();
        let (before, version) = (seen.status, seen.version);
        (seen.status, seen.version) = (Some(row.status), row.version);
        let is_new = before.is_none();
        // The row that says that it ended follows the one that says who ended it.
        let is_same = before == Some(row.status) && version == row.version;
        let is_report = before == Some(ExecutionStatus::InProgress) && row.status == ExecutionStatus::InProgress;
        let is_legal = before.is_some_and(|before| before.may_become(row.status));
        let is_next = row.version == version + 1 || row.status == ExecutionStatus::Removed;
        let told =
            format!("{} {} {}: {before:?} v{version} -> {} v{}", row.thing, row.job, row.event.as_str(), row.status, row.version);
        match row.event {
            LedgerEvent::Queued => self.must(is_new && row.version == 1, || format!("queued twice: {told}")),
            LedgerEvent::Head | LedgerEvent::Published => {}
            LedgerEvent::Answered | LedgerEvent::Terminal => {
                self.must(is_same || ((is_legal || is_report) && is_next), || format!("illegal move: {told}"));
            }
        }
    }

    /// After every call of the engine: what it would hand out next, and what it told the thing.
    pub(crate) fn head(&mut self, thing: usize, head: Option<ExecutionKey>, is_subscribed: bool, told: &[&Notification]) {
        if self.heads[thing] == head {
            return;
        }
        let names_it = |note: &&&Notification| match note {
            Notification::NextChanged { execution, .. } => {
                execution.as_ref().map(|e| ExecutionKey { job: e.job_id.clone(), number: e.execution_number }) == head
            }
            Notification::Changed { .. } => false,
        };
        let is_told = told.iter().any(|note| names_it(&note));
        self.must(!is_subscribed || is_told, || format!("thing {thing} was not told of its new head {head:?}"));
        self.heads[thing] = head;
    }

    /// The same of its pending list, which in these worlds is never longer than what is shown of it.
    pub(crate) fn pending(&mut self, thing: usize, pending: BTreeSet<(JobId, i64)>, is_subscribed: bool, told: &[&Notification]) {
        if self.pending[thing] == pending {
            return;
        }
        let is_it = |note: &&Notification| match note {
            Notification::Changed { jobs, .. } => {
                let listed = jobs.in_progress.iter().chain(&jobs.queued);
                listed.map(|summary| (summary.job_id.clone(), summary.execution_number)).collect::<BTreeSet<_>>() == pending
            }
            Notification::NextChanged { .. } => false,
        };
        let is_told = told.iter().any(is_it);
        self.must(!is_subscribed || is_told, || format!("thing {thing} was not told of its new list {pending:?}"));
        self.pending[thing] = pending;
    }

    // ----------------------------------------------------------------------------------------------------------- the end

    /// Executions that the service has not seen the end of.
    pub(crate) fn open_executions(&self) -> Vec<String> {
        let is_open = |seen: &Seen| seen.status.is_some_and(|status| !status.is_terminal());
        let open = self.executions.iter().filter(|(_, seen)| is_open(seen));
        open.map(|((thing, job, number), seen)| format!("{thing} {job} #{number} {:?}", seen.status)).collect()
    }

    pub(crate) fn settle(&mut self, now: Mono) {
        self.book.close_settled(now + Duration::from_secs(3_600));
        self.book.close_all(now + Duration::from_secs(3_600), Some(Duration::from_secs(30)));
        let found: BTreeSet<&str> =
            self.book.anomalies().keys().filter(|anomaly| !EXCUSED.contains(anomaly)).map(|anomaly| anomaly.as_str()).collect();
        let found: Vec<&str> = found.into_iter().collect();
        self.must(found.is_empty(), || format!("the ledgers disagree: {}", found.join(", ")));
    }
}
