//! What the things of a shard tell, as samples and ledger events: the one file that knows both languages.

use crate::inspect::{Cards, What};
use host::clock;
use iot_jobs::RequestKind;
use iot_jobs::instant::{EpochSeconds, Mono};
use load_metrics::{ClockOffset, FaultEvent, Operation, Outcome, Recorder, Sample, Scope, ThingEvent, ThingEventKind};
use std::cell::{RefCell, RefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thing_agent::{AnswerOutcome, Event, ExecutionKey};
use thing_faults::Fault;
use thing_transport::download::FileFailure;
use thing_transport::error::{Failure, Stage};
use thing_transport::mqtt::{Content, Published};
use thing_transport::thing::ThingId;
use thing_transport::{Explained, Observer, PublishEnd, SessionEvent};

/// What the conductor must know sooner than the next interval. Touched once per connection or execution, never per message.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Things that were connected at least once.
    pub ever_connected: AtomicU64,
    /// Things with an execution under way.
    pub working: AtomicU64,
}

/// Feeds a shard's recorder, and the cards of its things where somebody may look at them.
pub(super) struct ShardObserver {
    recorder: RefCell<Recorder>,
    gauges: Arc<Gauges>,
    cards: RefCell<Option<Cards>>,
    /// Whether attempts that come to nothing are told one by one.
    has_events: bool,
    /// Where the service shows no ledger: its clock, as its answers tell it.
    service_clock: RefCell<Option<ClockOffset>>,
}

impl ShardObserver {
    #[must_use]
    pub(super) fn new(recorder: Recorder, gauges: Arc<Gauges>, cards: Option<Cards>, has_ledger: bool, has_events: bool) -> Self {
        let service_clock = RefCell::new((!has_ledger).then(ClockOffset::default));
        Self { recorder: RefCell::new(recorder), gauges, cards: RefCell::new(cards), has_events, service_clock }
    }

    /// The cards, between two events.
    pub(super) fn cards(&self) -> Option<RefMut<'_, Cards>> {
        RefMut::filter_map(self.cards.borrow_mut(), Option::as_mut).ok()
    }

    /// The cards, when nothing will happen any more.
    pub(super) fn take_cards(&self) -> Option<Cards> {
        self.cards.take()
    }

    /// A thing is done with an execution it has known `since`.
    fn end_execution(&self, recorder: &mut Recorder, scope: Scope, outcome: Outcome, since: Mono, at: Mono) {
        self.gauges.working.fetch_sub(1, Ordering::Relaxed);
        recorder.finish(&Sample { operation: Operation::Execution, scope, outcome, intended: since, sent: since, finished: at });
    }

    /// Both bounds of how long the news took, where only whole seconds of the service tell of it.
    fn measure_notification(&self, recorder: &mut Recorder, scope: Scope, queued_at: EpochSeconds, at: Mono) {
        let service_clock = self.service_clock.borrow();
        let Some((least, most)) = service_clock.as_ref().and_then(|clock| clock.delay(queued_at, epoch_ms(at))) else { return };
        span(recorder, Operation::NotifyNextAtLeast, scope, at - least, at);
        span(recorder, Operation::NotifyNext, scope, at - most, at);
    }

    /// The recorder, between two events.
    pub(super) fn with_recorder<T>(&self, use_it: impl FnOnce(&mut Recorder) -> T) -> T {
        use_it(&mut self.recorder.borrow_mut())
    }
}

/// The same instant on the wall clock, as it stands now.
fn epoch_ms(at: Mono) -> i64 {
    let now = clock::now();
    now.epoch_ms - now.mono.since(at).as_millis() as i64
}

/// What is known when it is over: begun and ended well.
fn span(recorder: &mut Recorder, operation: Operation, scope: Scope, since: Mono, at: Mono) {
    recorder.start(operation, scope);
    recorder.finish(&Sample { operation, scope, outcome: Outcome::Ok, intended: since, sent: since, finished: at });
}

fn scope(thing: &ThingId) -> Scope {
    Scope { cohort: thing.cohort, transport: thing.transport }
}

fn stage_operation(stage: Stage) -> Operation {
    match stage {
        Stage::Tcp => Operation::ConnectTcp,
        Stage::Tls => Operation::ConnectTls,
        Stage::Mqtt => Operation::ConnectMqtt,
        Stage::Subscribe => Operation::Subscribe,
    }
}

fn request_operation(kind: RequestKind) -> Operation {
    match kind {
        RequestKind::GetPending => Operation::GetPending,
        RequestKind::StartNext => Operation::StartNext,
        RequestKind::Describe => Operation::Describe,
        RequestKind::Update => Operation::Update,
    }
}

/// What a fault strikes.
fn fault_operation(fault: Fault) -> Operation {
    match (fault.is_of_updates(), fault.is_of_work()) {
        (true, _) => Operation::Update,
        (false, true) => Operation::Execution,
        (false, false) => Operation::Connect,
    }
}

fn publish_operation(content: Content) -> Operation {
    match content {
        Content::Request => Operation::Puback,
        Content::Telemetry => Operation::Telemetry,
    }
}

fn failure_outcome(failure: &Failure) -> Outcome {
    unsuccessful(failure.is_timeout(), failure.is_refusal())
}

fn download_outcome(failure: &FileFailure) -> Outcome {
    unsuccessful(failure.is_timeout(), failure.is_refusal())
}

fn unsuccessful(is_timeout: bool, is_refusal: bool) -> Outcome {
    match (is_timeout, is_refusal) {
        (true, _) => Outcome::Timeout,
        (false, true) => Outcome::Rejected,
        (false, false) => Outcome::Error,
    }
}

impl Observer for ShardObserver {
    fn session(&self, thing: &ThingId, event: SessionEvent<'_>) {
        if let Some(mut cards) = self.cards() {
            note_session(&mut cards, thing.slot, &event);
        }
        let mut recorder = self.recorder.borrow_mut();
        let scope = scope(thing);
        let mut finish = |operation, outcome, intended, sent, finished| {
            recorder.finish(&Sample { operation, scope, outcome, intended, sent, finished });
        };
        match event {
            SessionEvent::ConnectStarted { intended, woke, is_blocked } => {
                recorder.start(Operation::Connect, scope);
                recorder.departed(intended, woke);
                if is_blocked {
                    recorder.blocked(Operation::Connect, scope);
                }
            }
            SessionEvent::StageStarted(stage) => recorder.start(stage_operation(stage), scope),
            SessionEvent::StageEnded { stage, started, at, failure } => {
                let operation = stage_operation(stage);
                finish(operation, failure.map_or(Outcome::Ok, failure_outcome), started, started, at);
                if let Some(failure) = failure {
                    recorder.error(operation, stage.as_str(), failure.code(), at, || {
                        format!("{}: {}", thing.name, Explained { stage, failure })
                    });
                }
            }
            SessionEvent::Connected { intended, started, at, lost } => {
                finish(Operation::Connect, Outcome::Ok, intended, started, at);
                match lost {
                    Some(lost) => span(&mut recorder, Operation::Reconnect, scope, lost, at),
                    None => {
                        self.gauges.ever_connected.fetch_add(1, Ordering::Relaxed);
                    }
                }
                recorder.connected(thing.position, intended, at);
            }
            SessionEvent::ConnectFailed { intended, started, at, failure, is_late } => {
                finish(Operation::Connect, failure_outcome(failure), intended, started, at);
                if is_late {
                    recorder.error(Operation::Connect, "refused", failure.code(), at, || {
                        format!("{}: {}", thing.name, Explained { stage: Stage::Tls, failure })
                    });
                }
                if self.has_events {
                    recorder.connect_failed(thing.position, intended, at);
                }
            }
            SessionEvent::Lost { at, failure } => {
                let by = match failure {
                    Failure::Cut { event } => Some(*event),
                    _ => None,
                };
                recorder.session_lost(thing.position, at, by);
                recorder.error(Operation::Connect, "lost", failure.code(), at, || format!("{}: {failure}", thing.name));
            }
            SessionEvent::Closed => recorder.closed(),
            SessionEvent::MessageOut { .. } => recorder.message_out(),
            SessionEvent::MessageIn { .. } => recorder.message_in(),
            SessionEvent::Unreadable { at, why } => {
                recorder.error(Operation::NotifyNext, "unreadable", "payload", at, || format!("{}: {why}", thing.name));
            }
            SessionEvent::Fault { fault, at } => {
                let event = FaultEvent { thing: thing.position, fault, execution: None };
                recorder.fault(Operation::Connect, event, at, || thing.name.to_string());
            }
            SessionEvent::PublishSent { publish, is_acknowledged } => {
                let operation = publish_operation(publish.content);
                if publish.content == Content::Telemetry {
                    recorder.departed(publish.intended, publish.sent);
                }
                if is_acknowledged {
                    recorder.start(operation, scope);
                } else {
                    recorder.done(operation, scope, publish.sent);
                }
            }
            SessionEvent::PublishRepeated => recorder.message_out(),
            SessionEvent::PublishEnded { publish, at, end } => {
                let operation = publish_operation(publish.content);
                let outcome = match end {
                    PublishEnd::Acknowledged => Outcome::Ok,
                    PublishEnd::Refused(code) => {
                        recorder.error(operation, "puback", code, at, || thing.name.to_string());
                        Outcome::Rejected
                    }
                    PublishEnd::TooLarge => {
                        recorder.error(operation, "publish", "packet_too_large", at, || thing.name.to_string());
                        Outcome::Error
                    }
                    PublishEnd::Timeout => Outcome::Timeout,
                    PublishEnd::SessionLost => Outcome::Error,
                };
                let Published { intended, sent, .. } = publish;
                recorder.finish(&Sample { operation, scope, outcome, intended, sent, finished: at });
            }
            SessionEvent::DownloadStarted => recorder.start(Operation::Download, scope),
            SessionEvent::DownloadEnded { started, at, failure, .. } => {
                finish(Operation::Download, failure.map_or(Outcome::Ok, download_outcome), started, started, at);
                if let Some(failure) = failure {
                    recorder.error(Operation::Download, "file", failure.code(), at, || format!("{}: {failure}", thing.name));
                }
            }
            SessionEvent::TelemetryLost { count } => recorder.lost_arrivals(Operation::Telemetry, scope, count),
        }
    }

    fn agent(&self, thing: &ThingId, event: Event) {
        if let Some(mut cards) = self.cards() {
            note_agent(&mut cards, thing.slot, &event);
        }
        let mut recorder = self.recorder.borrow_mut();
        let scope = scope(thing);
        let ledger = |recorder: &mut Recorder, execution: ExecutionKey, at: Mono, kind| {
            recorder.thing_event(ThingEvent {
                thing: thing.position,
                job: execution.job,
                execution_number: execution.number,
                at,
                kind,
            });
        };
        match event {
            // The session tells these, with what it knows besides.
            Event::Subscribed { .. } | Event::SubscribeFailed { .. } | Event::Resumed { .. } => {}
            Event::Sent { kind, intended, runnable, sent } => {
                recorder.start(request_operation(kind), scope);
                recorder.departed(runnable, sent);
                if runnable > intended {
                    recorder.blocked(request_operation(kind), scope);
                }
            }
            Event::LostArrivals { kind, count } => recorder.lost_arrivals(request_operation(kind), scope, count),
            Event::FirstNotification { since, at } => span(&mut recorder, Operation::FirstNotification, scope, since, at),
            Event::Answered { kind, intended, sent, at, outcome, timestamp } => {
                if let (Some(service_clock), Some(timestamp)) = (self.service_clock.borrow_mut().as_mut(), timestamp) {
                    service_clock.answer(epoch_ms(sent), epoch_ms(at), timestamp);
                }
                let operation = request_operation(kind);
                let outcome = match outcome {
                    AnswerOutcome::Accepted => Outcome::Ok,
                    AnswerOutcome::Refused(code) => {
                        recorder.error(operation, "rejected", code.as_str(), at, || thing.name.to_string());
                        Outcome::Rejected
                    }
                    AnswerOutcome::NotTaken => {
                        recorder.error(operation, "rejected", "not_taken", at, || thing.name.to_string());
                        Outcome::Rejected
                    }
                    AnswerOutcome::Timeout => {
                        recorder.error(operation, "timeout", "no_answer", at, || thing.name.to_string());
                        Outcome::Timeout
                    }
                    AnswerOutcome::SessionLost => Outcome::Error,
                };
                recorder.finish(&Sample { operation, scope, outcome, intended, sent, finished: at });
            }
            Event::LateAnswer { kind } => recorder.late_answer(request_operation(kind), scope),
            Event::Fault { fault, execution, at } => {
                let execution = execution.map(|key| (key.job, key.number));
                recorder.fault(fault_operation(fault), FaultEvent { thing: thing.position, fault, execution }, at, || {
                    thing.name.to_string()
                });
            }
            Event::Notified { execution, at, queued_at } => {
                if let Some(queued_at) = queued_at {
                    self.measure_notification(&mut recorder, scope, queued_at, at);
                }
                ledger(&mut recorder, execution, at, ThingEventKind::Notified);
            }
            Event::Started { execution, at, resumed: true } => ledger(&mut recorder, execution, at, ThingEventKind::Reconnected),
            Event::Started { execution, at, resumed: false } => {
                self.gauges.working.fetch_add(1, Ordering::Relaxed);
                recorder.start(Operation::Execution, scope);
                ledger(&mut recorder, execution, at, ThingEventKind::Started);
            }
            Event::Updated { execution, at } => ledger(&mut recorder, execution, at, ThingEventKind::Updated),
            Event::UpdateRefused { execution, at, .. } => ledger(&mut recorder, execution, at, ThingEventKind::Refused),
            Event::Finished { execution, since, at, status } => {
                self.end_execution(&mut recorder, scope, Outcome::Ok, since, at);
                ledger(&mut recorder, execution, at, ThingEventKind::Finished(status));
            }
            Event::Gone { execution, since, at } => {
                self.end_execution(&mut recorder, scope, Outcome::Error, since, at);
                ledger(&mut recorder, execution, at, ThingEventKind::Gone);
            }
        }
    }
}

fn note_session(cards: &mut Cards, slot: usize, event: &SessionEvent<'_>) {
    let (at, what) = match *event {
        SessionEvent::ConnectStarted { .. } => (clock::mono(), What::Connecting),
        SessionEvent::Connected { at, .. } => (at, What::Connected),
        SessionEvent::ConnectFailed { at, failure, .. } => (at, What::ConnectFailed(failure.code())),
        SessionEvent::Lost { at, failure } => (at, What::Lost(failure.code())),
        SessionEvent::Closed => (clock::mono(), What::Closed),
        SessionEvent::MessageOut { topic, payload } | SessionEvent::MessageIn { topic, payload } => {
            if cards.is_watched(slot) {
                let is_out = matches!(event, SessionEvent::MessageOut { .. });
                cards.message(slot, clock::mono(), is_out, topic, payload);
            }
            return;
        }
        SessionEvent::Fault { fault, at } => (at, What::Fault(fault)),
        SessionEvent::StageStarted(_)
        | SessionEvent::StageEnded { .. }
        | SessionEvent::Unreadable { .. }
        | SessionEvent::PublishSent { .. }
        | SessionEvent::PublishRepeated
        | SessionEvent::PublishEnded { .. }
        | SessionEvent::DownloadStarted
        | SessionEvent::DownloadEnded { .. }
        | SessionEvent::TelemetryLost { .. } => return,
    };
    cards.note(slot, at, what);
}

fn note_agent(cards: &mut Cards, slot: usize, event: &Event) {
    let (at, what) = match event {
        Event::Sent { kind, sent, .. } => (*sent, What::Asked(*kind)),
        Event::Answered { kind, at, outcome, .. } => {
            let what = match outcome {
                AnswerOutcome::Accepted => What::Accepted(*kind),
                AnswerOutcome::Refused(code) => What::Refused(*kind, *code),
                AnswerOutcome::Timeout => What::NoAnswer(*kind),
                AnswerOutcome::NotTaken | AnswerOutcome::SessionLost => What::Unanswered(*kind),
            };
            (*at, what)
        }
        Event::LateAnswer { kind } => (clock::mono(), What::Late(*kind)),
        Event::Fault { fault, at, .. } => (*at, What::Fault(*fault)),
        Event::Notified { execution, at, .. } => (*at, What::Notified(execution.job.clone(), execution.number)),
        Event::Started { execution, at, .. } => (*at, What::Started(execution.job.clone(), execution.number)),
        Event::Finished { at, status, .. } => (*at, What::Finished(*status)),
        Event::Gone { at, .. } => (*at, What::Gone),
        // The session tells of subscribing, and the answer of what became of an update.
        Event::Subscribed { .. }
        | Event::SubscribeFailed { .. }
        | Event::Resumed { .. }
        | Event::LostArrivals { .. }
        | Event::FirstNotification { .. }
        | Event::Updated { .. }
        | Event::UpdateRefused { .. } => return,
    };
    cards.note(slot, at, what);
}
