//! What the things of a shard tell, as samples and ledger events: the one file that knows both languages.

mod metering;

use host::clock;
use iot_jobs::RequestKind;
use iot_jobs::instant::{EpochSeconds, Mono};
use load_metrics::{ClockOffset, ErrorKind, FaultEvent, Operation, Outcome, Recorder, Sample, Scope, ThingEvent, ThingEventKind};
use metering::Meter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thing_agent::{AnswerOutcome, Event, ExecutionKey};
use thing_faults::Fault;
use thing_transport::error::{Failure, Stage};
use thing_transport::mqtt::{Content, Published};
use thing_transport::{Explained, MessageKind, PublishEnd, SessionEvent, ThingId};

/// What the conductor must know sooner than the next interval. Touched once per connection or execution, never per message.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Things that were connected at least once.
    pub ever_connected: AtomicU64,
    /// Things with an execution under way.
    pub working: AtomicU64,
}

/// A shard's recorder, and what is needed to feed it.
pub(crate) struct Samples {
    pub(crate) recorder: Recorder,
    gauges: Arc<Gauges>,
    meter: Meter,
    /// Whether attempts that come to nothing are told one by one.
    has_events: bool,
    /// Where the service shows no ledger: its clock, as its answers tell it.
    service_clock: Option<ClockOffset>,
}

impl Samples {
    pub(crate) fn new(recorder: Recorder, gauges: Arc<Gauges>, has_ledger: bool, has_events: bool) -> Self {
        let service_clock = (!has_ledger).then(ClockOffset::default);
        Self { recorder, gauges, meter: Meter::default(), has_events, service_clock }
    }

    /// Takes in what a session tells.
    pub(crate) fn session(&mut self, thing: &ThingId, event: SessionEvent<'_>) {
        let scope = scope(thing);
        let recorder = &mut self.recorder;
        recorder.metered(self.meter.session(thing.slot, &event));
        match event {
            SessionEvent::ConnectStarted { intended, woke, is_blocked } => {
                recorder.start(Operation::Connect, scope);
                recorder.departed(intended, woke);
                if is_blocked {
                    recorder.blocked(Operation::Connect, scope);
                }
            }
            SessionEvent::StageStarted(stage) => recorder.start(stage_operation(stage), scope),
            SessionEvent::StageEnded { stage, started, at, failure } => self.stage_ended(thing, stage, started, at, failure),
            SessionEvent::Connected { intended, started, at, lost } => self.connected(thing, intended, started, at, lost),
            SessionEvent::ConnectFailed { intended, started, at, failure, is_late } => {
                let sample = Sample {
                    operation: Operation::Connect,
                    scope,
                    outcome: failure_outcome(failure),
                    intended,
                    sent: started,
                    finished: at,
                };
                self.connect_failed(thing, &sample, failure, is_late);
            }
            SessionEvent::Lost { at, failure } => self.lost(thing, at, failure),
            SessionEvent::Closed { .. } => recorder.closed(),
            SessionEvent::MessageOut { .. } | SessionEvent::PublishRepeated { .. } => recorder.message_out(),
            SessionEvent::MessageIn { .. } => recorder.message_in(),
            SessionEvent::Unreadable { message, at, is_used, why } => {
                let (operation, code) = match message {
                    MessageKind::Answer(kind) => (request_operation(kind), if is_used { "part" } else { "payload" }),
                    MessageKind::Notification => (Operation::NotifyNext, if is_used { "part" } else { "payload" }),
                    MessageKind::Unasked => (Operation::Subscribe, "unasked"),
                };
                recorder.error(operation, ErrorKind::Unreadable, code, at, || format!("{}: {why}", thing.name));
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
            SessionEvent::PublishEnded { publish, at, end } => self.publish_ended(thing, publish, at, end),
            SessionEvent::DownloadStarted => recorder.start(Operation::Download, scope),
            SessionEvent::DownloadEnded { started, at, failure, .. } => {
                let outcome = failure.map_or(Outcome::Ok, |failure| unsuccessful(failure.is_timeout(), failure.is_refusal()));
                self.finish(Operation::Download, scope, outcome, started, at);
                if let Some(failure) = failure {
                    let example = || format!("{}: {failure}", thing.name);
                    self.recorder.error(Operation::Download, ErrorKind::File, failure.code(), at, example);
                }
            }
            SessionEvent::TelemetryLost { count } => recorder.lost_arrivals(Operation::Telemetry, scope, count),
        }
    }

    fn stage_ended(&mut self, thing: &ThingId, stage: Stage, started: Mono, at: Mono, failure: Option<&Failure>) {
        let operation = stage_operation(stage);
        self.finish(operation, scope(thing), failure.map_or(Outcome::Ok, failure_outcome), started, at);
        if let Some(failure) = failure {
            let example = || format!("{}: {}", thing.name, Explained { stage, failure });
            self.recorder.error(operation, stage_kind(stage), failure.code(), at, example);
        }
    }

    fn connected(&mut self, thing: &ThingId, intended: Mono, started: Mono, at: Mono, lost: Option<Mono>) {
        let (operation, scope, outcome) = (Operation::Connect, scope(thing), Outcome::Ok);
        self.recorder.finish(&Sample { operation, scope, outcome, intended, sent: started, finished: at });
        match lost {
            Some(lost) => self.span(Operation::Reconnect, scope, lost, at),
            None => _ = self.gauges.ever_connected.fetch_add(1, Ordering::Relaxed),
        }
        self.recorder.connected(thing.position, intended, at);
    }

    fn connect_failed(&mut self, thing: &ThingId, sample: &Sample, failure: &Failure, is_late: bool) {
        self.recorder.finish(sample);
        if is_late {
            let example = || format!("{}: {}", thing.name, Explained { stage: Stage::Tls, failure });
            self.recorder.error(Operation::Connect, ErrorKind::Refused, failure.code(), sample.finished, example);
        }
        if self.has_events {
            self.recorder.connect_failed(thing.position, sample.intended, sample.finished);
        }
    }

    fn lost(&mut self, thing: &ThingId, at: Mono, failure: &Failure) {
        let by = match failure {
            Failure::Cut { event } => Some(*event),
            _ => None,
        };
        self.recorder.session_lost(thing.position, at, by);
        self.recorder.error(Operation::Connect, ErrorKind::Lost, failure.code(), at, || format!("{}: {failure}", thing.name));
    }

    fn publish_ended(&mut self, thing: &ThingId, publish: Published, at: Mono, end: PublishEnd) {
        let Published { intended, sent, .. } = publish;
        let operation = publish_operation(publish.content);
        let mut error = |kind, code| self.recorder.error(operation, kind, code, at, || thing.name.to_string());
        let outcome = match end {
            PublishEnd::Acknowledged => Outcome::Ok,
            PublishEnd::Refused(code) => {
                error(ErrorKind::Puback, code);
                Outcome::Rejected
            }
            PublishEnd::TooLarge => {
                error(ErrorKind::Publish, "packet_too_large");
                Outcome::Error
            }
            PublishEnd::Timeout => Outcome::Timeout,
            PublishEnd::SessionLost => Outcome::Error,
        };
        self.recorder.finish(&Sample { operation, scope: scope(thing), outcome, intended, sent, finished: at });
    }

    /// Takes in what an agent tells.
    pub(crate) fn agent(&mut self, thing: &ThingId, event: Event) {
        let scope = scope(thing);
        let recorder = &mut self.recorder;
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
            Event::FirstNotification { since, at } => self.span(Operation::FirstNotification, scope, since, at),
            Event::Answered { kind, intended, sent, at, outcome, timestamp } => {
                if let Some(timestamp) = timestamp {
                    self.service_told(sent, at, timestamp);
                }
                let operation = request_operation(kind);
                let outcome = self.answer_outcome(thing, operation, at, outcome);
                self.recorder.finish(&Sample { operation, scope, outcome, intended, sent, finished: at });
            }
            Event::LateAnswer { kind } => recorder.late_answer(request_operation(kind), scope),
            Event::Fault { fault, execution, at } => {
                let execution = execution.map(|key| (key.job, key.number));
                let event = FaultEvent { thing: thing.position, fault, execution };
                recorder.fault(fault_operation(fault), event, at, || thing.name.to_string());
            }
            Event::Notified { execution, at, queued_at } => {
                if let Some(queued_at) = queued_at {
                    self.measure_notification(scope, queued_at, at);
                }
                self.ledger(thing, execution, at, ThingEventKind::Notified);
            }
            Event::Started { execution, at, resumed: true } => self.ledger(thing, execution, at, ThingEventKind::Reconnected),
            Event::Started { execution, at, resumed: false } => {
                self.gauges.working.fetch_add(1, Ordering::Relaxed);
                recorder.start(Operation::Execution, scope);
                self.ledger(thing, execution, at, ThingEventKind::Started);
            }
            Event::Updated { execution, at } => self.ledger(thing, execution, at, ThingEventKind::Updated),
            Event::UpdateRefused { execution, at, .. } => self.ledger(thing, execution, at, ThingEventKind::Refused),
            Event::Finished { execution, since, at, status } => {
                self.end_execution(scope, Outcome::Ok, since, at);
                self.ledger(thing, execution, at, ThingEventKind::Finished(status));
            }
            Event::Gone { execution, since, at } => {
                self.end_execution(scope, Outcome::Error, since, at);
                self.ledger(thing, execution, at, ThingEventKind::Gone);
            }
        }
    }

    fn answer_outcome(&mut self, thing: &ThingId, operation: Operation, at: Mono, outcome: AnswerOutcome) -> Outcome {
        let mut error = |kind, code| self.recorder.error(operation, kind, code, at, || thing.name.to_string());
        match outcome {
            AnswerOutcome::Accepted => Outcome::Ok,
            AnswerOutcome::Refused(code) => {
                error(ErrorKind::Rejected, code.as_str());
                Outcome::Rejected
            }
            AnswerOutcome::NotTaken => {
                error(ErrorKind::Rejected, "not_taken");
                Outcome::Rejected
            }
            AnswerOutcome::Timeout => {
                error(ErrorKind::Timeout, "no_answer");
                Outcome::Timeout
            }
            // The session tells what could not be read.
            AnswerOutcome::Unreadable | AnswerOutcome::SessionLost => Outcome::Error,
        }
    }

    fn ledger(&mut self, thing: &ThingId, execution: ExecutionKey, at: Mono, kind: ThingEventKind) {
        let ExecutionKey { job, number: execution_number } = execution;
        self.recorder.thing_event(ThingEvent { thing: thing.position, job, execution_number, at, kind });
    }

    /// A thing is done with an execution it has known `since`.
    fn end_execution(&mut self, scope: Scope, outcome: Outcome, since: Mono, at: Mono) {
        self.gauges.working.fetch_sub(1, Ordering::Relaxed);
        self.finish(Operation::Execution, scope, outcome, since, at);
    }

    /// An answer of the service has its time.
    fn service_told(&mut self, sent: Mono, at: Mono, timestamp: EpochSeconds) {
        if let Some(service_clock) = &mut self.service_clock {
            service_clock.answer(epoch_ms(sent), epoch_ms(at), timestamp);
        }
    }

    /// Both bounds of how long the news took, where only whole seconds of the service tell of it.
    fn measure_notification(&mut self, scope: Scope, queued_at: EpochSeconds, at: Mono) {
        let Some((least, most)) = self.service_clock.as_ref().and_then(|clock| clock.delay(queued_at, epoch_ms(at))) else {
            return;
        };
        self.span(Operation::NotifyNextAtLeast, scope, at - least, at);
        self.span(Operation::NotifyNext, scope, at - most, at);
    }

    /// Ended, of what was sent when it was meant to.
    fn finish(&mut self, operation: Operation, scope: Scope, outcome: Outcome, since: Mono, at: Mono) {
        self.recorder.finish(&Sample { operation, scope, outcome, intended: since, sent: since, finished: at });
    }

    /// What is known when it is over: begun and ended well.
    fn span(&mut self, operation: Operation, scope: Scope, since: Mono, at: Mono) {
        self.recorder.start(operation, scope);
        self.finish(operation, scope, Outcome::Ok, since, at);
    }
}

/// The same instant on the wall clock, as it stands now.
fn epoch_ms(at: Mono) -> i64 {
    let now = clock::now();
    now.epoch_ms - now.mono.since(at).as_millis() as i64
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

fn stage_kind(stage: Stage) -> ErrorKind {
    match stage {
        Stage::Tcp => ErrorKind::Tcp,
        Stage::Tls => ErrorKind::Tls,
        Stage::Mqtt => ErrorKind::Connack,
        Stage::Subscribe => ErrorKind::Suback,
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
        Content::Request(_) => Operation::Puback,
        Content::Telemetry => Operation::Telemetry,
    }
}

fn failure_outcome(failure: &Failure) -> Outcome {
    unsuccessful(failure.is_timeout(), failure.is_refusal())
}

fn unsuccessful(is_timeout: bool, is_refusal: bool) -> Outcome {
    match (is_timeout, is_refusal) {
        (true, _) => Outcome::Timeout,
        (false, true) => Outcome::Rejected,
        (false, false) => Outcome::Error,
    }
}
