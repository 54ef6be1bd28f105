//! One execution that is not settled yet: what its thing and the service have said of it so far.

use super::anomaly::{Anomalies, Anomaly};
use crate::execution_stage::ExecutionStage;
use crate::{ThingEvent, ThingEventKind};
use iot_jobs::ExecutionStatus;
use iot_jobs::instant::Mono;
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use std::time::Duration;
use thing_faults::FaultSet;

/// A notification that takes longer is late, and one that has not come after it is missing.
pub(super) const NOTIFY_LATE: Duration = Duration::from_secs(1);

/// How a thing left an execution.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThingEnd {
    pub(super) at: Mono,
    /// `None`: the service no longer knew it.
    pub(super) status: Option<ExecutionStatus>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceView {
    pub(super) at: Mono,
    pub(super) status: ExecutionStatus,
}

/// A head change and when its thing was told of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) head: Mono,
    pub(super) at: Mono,
}

#[derive(Debug, Default)]
pub(super) struct Execution {
    pub(super) queued: Option<Mono>,
    pub(super) notified: Option<Mono>,
    pub(super) started: Option<Mono>,
    pub(super) thing_end: Option<ThingEnd>,
    pub(super) service: Option<ServiceView>,
    /// When it last became the head of its thing's pending list.
    pub(super) head: Option<Mono>,
    /// The same while its thing was subscribed, and the thing has not said that it knows.
    pub(super) unnotified_head: Option<Mono>,
    /// The thing was told, and no head change has been found for it.
    early_notified: Option<Mono>,
    pub(super) updates: u32,
    pub(super) rejections: u32,
    pub(super) reconnects: u32,
    pub(super) anomalies: Anomalies,
    /// What went wrong with it on purpose.
    pub(super) faults: FaultSet,
}

impl Execution {
    /// How it stands: the service's word where there is one, else the thing's; `None` where the thing alone was asked and does not know.
    pub(super) fn status(&self) -> Option<ExecutionStatus> {
        match (self.service, self.thing_end) {
            (Some(service), _) => Some(service.status),
            (None, Some(end)) => end.status,
            (None, None) if self.started.is_some() => Some(ExecutionStatus::InProgress),
            (None, None) => self.notified.map(|_| ExecutionStatus::Queued),
        }
    }

    /// The same as a stage; `None` before anybody has said where it stands.
    pub(super) fn stage(&self) -> Option<ExecutionStage> {
        let is_known = self.notified.is_some() || self.started.is_some();
        match self.status() {
            Some(ExecutionStatus::Queued) if is_known => Some(ExecutionStage::Notified),
            Some(status) => Some(status.into()),
            None => self.thing_end.map(|_| ExecutionStage::Removed),
        }
    }

    pub(super) fn is_ended_at_service(&self) -> bool {
        self.service.is_some_and(|view| view.status.is_terminal())
    }

    /// When its thing left it, or else the service ended it.
    pub(super) fn ended_at(&self) -> Option<Mono> {
        let by_service = self.service.filter(|view| view.status.is_terminal());
        self.thing_end.map(|end| end.at).or(by_service.map(|view| view.at))
    }

    /// Whether its thing has started it and not left it: it will say how that ends.
    pub(super) fn is_being_worked_on(&self) -> bool {
        self.started.is_some() && self.thing_end.is_none()
    }

    /// What the thing says. Gives the head change that this event tells it of.
    pub(super) fn thing_event(&mut self, event: &ThingEvent) -> Option<Told> {
        match event.kind {
            ThingEventKind::Notified => {
                self.notified.get_or_insert(event.at);
                self.early_notified = Some(event.at);
                return self.match_head();
            }
            ThingEventKind::Started => {
                if self.is_being_worked_on() || self.thing_end.is_some_and(|end| end.status.is_some()) {
                    self.anomalies.insert(Anomaly::DuplicateStart);
                }
                self.started.get_or_insert(event.at);
                // It was gone for a moment only.
                self.thing_end = self.thing_end.filter(|end| end.status.is_some());
            }
            ThingEventKind::Updated => self.updates += 1,
            ThingEventKind::Refused => self.rejections += 1,
            ThingEventKind::Reconnected => self.reconnects += 1,
            ThingEventKind::Finished(status) => {
                self.updates += 1;
                if self.thing_end.is_some_and(|end| end.status.is_some()) {
                    self.anomalies.insert(Anomaly::TerminalTwice);
                } else {
                    self.thing_end = Some(ThingEnd { at: event.at, status: Some(status) });
                }
            }
            ThingEventKind::Gone => {
                self.thing_end.get_or_insert(ThingEnd { at: event.at, status: None });
            }
        }
        None
    }

    /// What the service says. Gives the head change if the thing has been told of it already.
    pub(super) fn service_row(&mut self, row: &LedgerRow) -> Option<Told> {
        if self.is_ended_at_service() {
            if row.event == LedgerEvent::Terminal {
                self.anomalies.insert(Anomaly::TerminalTwice);
            }
            return None;
        }
        match row.event {
            LedgerEvent::Terminal => self.service = Some(ServiceView { at: row.at, status: row.status }),
            // An update that ends it is answered first; it has ended with the row that says so.
            LedgerEvent::Answered if row.status.is_terminal() => {}
            LedgerEvent::Queued | LedgerEvent::Head | LedgerEvent::Published | LedgerEvent::Answered => {
                self.service = Some(ServiceView { at: row.at, status: row.status });
            }
        }
        match row.event {
            LedgerEvent::Queued => {
                self.queued.get_or_insert(row.at);
                None
            }
            LedgerEvent::Head => {
                self.head = Some(row.at);
                self.unnotified_head = row.subscribed.then_some(row.at);
                self.match_head()
            }
            _ => None,
        }
    }

    /// The two may arrive in either order: the ledger is read once a second.
    fn match_head(&mut self) -> Option<Told> {
        let (head, at) = (self.unnotified_head?, self.early_notified?);
        if at < head {
            return None;
        }
        (self.unnotified_head, self.early_notified) = (None, None);
        Some(Told { head, at })
    }
}
