//! What a simulation tells, as a run would tell it: the same samples by the same code.

use crate::roster::CohortIndex;
use crate::samples::Gauges;
use crate::samples::Samples;
use fleet_forecast::{Observer, Published, Reason, SessionEvent, Stage};
use iot_jobs::instant::Mono;
use iot_jobs::ledger::LedgerRow;
use iot_jobs::{JobId, RequestKind, ThingName};
use load_metrics::Recorder;
use std::io;
use std::sync::Arc;
use thing_agent::Event;
use thing_transport::error::{Failure, Stage as TransportStage, refusal};
use thing_transport::mqtt::{Content, Published as TransportPublished};
use thing_transport::{PublishEnd, SessionEvent as TransportEvent, ThingId};

/// Feeds a recorder, and keeps what the collector wants to know besides.
pub(super) struct Recording {
    samples: Samples,
    names: Arc<[ThingName]>,
    cohort_of: Vec<CohortIndex>,
    /// By cohort.
    transport_of: Vec<u8>,
    pub(super) news: News,
}

/// What happened since it was asked last.
#[derive(Default)]
pub(super) struct News {
    pub(super) ledger: Vec<LedgerRow>,
    pub(super) jobs: Vec<(JobId, u64, Mono)>,
    pub(super) endpoint_back: Vec<(usize, Mono)>,
    pub(super) are_connected: bool,
}

impl Recording {
    pub(super) fn new(
        recorder: Recorder,
        names: Arc<[ThingName]>,
        cohort_of: Vec<CohortIndex>,
        transport_of: Vec<u8>,
        has_events: bool,
    ) -> Self {
        let samples = Samples::new(recorder, Arc::new(Gauges::default()), true, has_events);
        Self { samples, names, cohort_of, transport_of, news: News::default() }
    }

    pub(super) fn recorder(&mut self) -> &mut Recorder {
        &mut self.samples.recorder
    }

    fn id(&self, thing: u32) -> ThingId {
        let (position, slot) = (thing, thing as usize);
        let cohort = self.cohort_of[slot];
        let transport = self.transport_of[usize::from(cohort)];
        ThingId { name: self.names[slot].clone(), client_id: None, position, slot, cohort, transport }
    }

    fn published(&mut self, thing: &ThingId, published: Published) {
        let Published { is_telemetry, intended, sent, acknowledged_after } = published;
        let content = if is_telemetry { Content::Telemetry } else { Content::Request(RequestKind::Update) };
        let publish = TransportPublished { content, intended, sent };
        let is_acknowledged = acknowledged_after.is_some();
        self.samples.session(thing, TransportEvent::PublishSent { publish, is_acknowledged });
        if let Some(after) = acknowledged_after {
            let (at, end) = (sent + after, PublishEnd::Acknowledged);
            self.samples.session(thing, TransportEvent::PublishEnded { publish, at, end });
        }
    }
}

impl Observer for Recording {
    fn agent(&mut self, thing: u32, event: Event) {
        self.samples.agent(&self.id(thing), event);
    }

    fn session(&mut self, thing: u32, event: SessionEvent) {
        let id = self.id(thing);
        let failure;
        let told = match event {
            // Nobody wakes late in virtual time: who is blocked waits for others.
            SessionEvent::ConnectStarted { intended, is_blocked } => {
                TransportEvent::ConnectStarted { intended, woke: intended, is_blocked }
            }
            SessionEvent::Stage { stage, started, at, failure: reason } => {
                let stage = transport_stage(stage);
                self.samples.session(&id, TransportEvent::StageStarted(stage));
                failure = reason.map(in_transport);
                TransportEvent::StageEnded { stage, started, at, failure: failure.as_ref() }
            }
            SessionEvent::Connected { intended, started, at, lost } => TransportEvent::Connected { intended, started, at, lost },
            SessionEvent::ConnectFailed { intended, started, at, reason } => {
                failure = Some(in_transport(reason));
                let failure = failure.as_ref().expect("it was just made");
                TransportEvent::ConnectFailed { intended, started, at, failure, is_late: false }
            }
            SessionEvent::Lost { at, reason } => {
                failure = Some(in_transport(reason));
                TransportEvent::Lost { at, failure: failure.as_ref().expect("it was just made") }
            }
            SessionEvent::Closed { at } => TransportEvent::Closed { at },
            SessionEvent::MessageOut => TransportEvent::MessageOut { topic: "", payload: &[] },
            SessionEvent::MessageIn => TransportEvent::MessageIn { topic: "", payload: &[] },
            SessionEvent::Published(published) => return self.published(&id, published),
            SessionEvent::Fault { fault, at } => TransportEvent::Fault { fault, at },
            SessionEvent::Fetched { started, at, bytes } => {
                self.samples.session(&id, TransportEvent::DownloadStarted);
                TransportEvent::DownloadEnded { started, at, bytes, failure: None }
            }
            SessionEvent::TelemetryLost { count } => TransportEvent::TelemetryLost { count },
        };
        self.samples.session(&id, told);
    }

    fn committed(&mut self, row: LedgerRow) {
        self.news.ledger.push(row);
    }

    fn job_created(&mut self, job: &JobId, targets: u64, at: Mono) {
        self.news.jobs.push((job.clone(), targets, at));
    }

    fn endpoint_back(&mut self, event: u16, at: Mono) {
        self.news.endpoint_back.push((event.into(), at));
    }

    fn all_connected(&mut self, _at: Mono) {
        self.news.are_connected = true;
    }
}

fn transport_stage(stage: Stage) -> TransportStage {
    match stage {
        Stage::Tcp => TransportStage::Tcp,
        Stage::Tls => TransportStage::Tls,
        Stage::Mqtt => TransportStage::Mqtt,
        Stage::Subscribe => TransportStage::Subscribe,
    }
}

fn in_transport(reason: Reason) -> Failure {
    match reason {
        Reason::OverQuota => Failure::Refused(refusal::SERVER_UNAVAILABLE),
        Reason::SubscriptionRefused => Failure::SubscriptionRefused(refusal::SUBACK_FAILURE),
        Reason::Timeout(stage) => Failure::Timeout(transport_stage(stage).as_str()),
        Reason::ConnectionRefused => Failure::Io(io::ErrorKind::ConnectionRefused.into()),
        Reason::Outage => Failure::Outage,
        Reason::Certificate => {
            Failure::Io(io::Error::other(rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired)))
        }
        Reason::Closed => Failure::Closed,
        Reason::Cut(event) => Failure::Cut { event },
        Reason::OnPurpose(fault) => Failure::OnPurpose { fault, away: None },
    }
}

/// Whoever wants to know nothing.
pub(super) struct NullObserver;

impl Observer for NullObserver {
    fn agent(&mut self, _thing: u32, _event: Event) {}
    fn session(&mut self, _thing: u32, _event: SessionEvent) {}
    fn committed(&mut self, _row: LedgerRow) {}
    fn job_created(&mut self, _job: &JobId, _targets: u64, _at: Mono) {}
    fn endpoint_back(&mut self, _event: u16, _at: Mono) {}
    fn all_connected(&mut self, _at: Mono) {}
}
