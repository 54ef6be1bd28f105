//! Messages: requests and their answers, notifications, files, telemetry.

use super::thing::State;
use super::{Answered, File, InFlight, Link, Simulation, SimulationEvent};
use crate::network::Leg;
use crate::observer::{Observer, Published, Reason, SessionEvent, Stage};
use crate::service::Disposition;
use crate::settings::Protocol;
use iot_jobs::instant::Mono;
use iot_jobs::limits::metered_units;
use iot_jobs::{Answer, ErrorCode, JobExecution, JobId, Notification, Rejection, Reply, Request, RequestKind};
use std::time::Duration;
use thing_agent::{Event, Fetched, SubscribeFailure, Transmit};
use thing_faults::Fault;

/// Topic and payload of a message of jobs, without its document (inferred from those that a run sends).
const MESSAGE_BYTES: usize = 300;
/// A message of a flood.
const FLOOD_BYTES: usize = 64;

impl<O: Observer> Simulation<O> {
    fn link(&self, place: u32) -> Link {
        Link { thing: place, epoch: self.things[place as usize].epoch }
    }

    /// The thing wanted to be woken; other wakes of it are stale.
    pub(super) fn wake(&mut self, place: u32) {
        let thing = &mut self.things[place as usize];
        if thing.armed == self.now {
            thing.armed = Mono::FAR_FUTURE;
            if thing.is_joined() {
                self.drive(place);
            }
        }
    }

    /// Lets a thing do what it wants to do now.
    pub(super) fn drive(&mut self, place: u32) {
        let now = self.now;
        self.things[place as usize].agent.handle_timeout(now);
        self.tell_agent(place);
        while self.things[place as usize].is_joined() {
            let Some(transmit) = self.things[place as usize].agent.poll_transmit(now) else { break };
            self.transmit(place, transmit);
            self.tell_agent(place);
        }
        self.send_telemetry(place);
        self.arm(place);
    }

    /// Messages that arrive at one instant are one read of the thing: it looks at all of them before it says anything.
    fn drive_after_all_of_now(&mut self, place: u32) {
        let now = self.now;
        if self.agenda.peek() == Some(now) {
            self.things[place as usize].armed = now;
            self.agenda.add(now, SimulationEvent::Wake(place));
        } else {
            self.drive(place);
        }
    }

    fn arm(&mut self, place: u32) {
        let now = self.now;
        let thing = &mut self.things[place as usize];
        if !thing.is_joined() {
            return;
        }
        if let Some(at) = thing.wants_waking().map(|at| at.max(now)).filter(|at| *at < thing.armed) {
            thing.armed = at;
            self.agenda.add(at, SimulationEvent::Wake(place));
        }
    }

    /// Passes on what the agent has to tell.
    pub(super) fn tell_agent(&mut self, place: u32) {
        while let Some(event) = self.things[place as usize].agent.poll_event() {
            match &event {
                Event::Started { resumed: false, .. } => self.working += 1,
                Event::Finished { .. } | Event::Gone { .. } => self.working = self.working.saturating_sub(1),
                _ => self.follow_session(place, &event),
            }
            self.observer.agent(place, event);
        }
    }

    fn transmit(&mut self, place: u32, transmit: Transmit) {
        match transmit {
            Transmit::Subscribe(filters) => self.subscribe(self.link(place), filters),
            Transmit::Publish(request) => self.send(place, request, None),
            Transmit::Fetch { job, .. } => self.fetch(place, &job),
            Transmit::Faulty(_, Fault::ForeignTopic) => {
                let whole = self.delays.draw(Leg::Update);
                self.agenda.add(self.now + whole, SimulationEvent::Drop { link: self.link(place), reason: Reason::Closed });
            }
            Transmit::Faulty(mut request, fault) => {
                let code = match fault {
                    Fault::BadJson => ErrorCode::InvalidJson,
                    Fault::WrongTopic => ErrorCode::InvalidTopic,
                    _ => ErrorCode::InvalidRequest,
                };
                if code != ErrorCode::InvalidRequest {
                    request.client_token = None;
                }
                self.send(place, request, Some(Rejection::new(code, "wrong on purpose")));
            }
            Transmit::Flood(count) => self.flood(place, count),
            Transmit::Crash { away } => self.lose(place, Reason::OnPurpose(Fault::CrashInProgress), Some(away)),
            Transmit::Disconnect(why) => {
                let reason = match why {
                    SubscribeFailure::Timeout => Reason::Timeout(Stage::Subscribe),
                    SubscribeFailure::Refused | SubscribeFailure::SessionLost => Reason::SubscriptionRefused,
                };
                self.lose(place, reason, None);
            }
        }
    }

    // ----------------------------------------------------------------------------------------------------------- requests

    fn send(&mut self, place: u32, request: Request, refusal: Option<Rejection>) {
        self.busy_at = self.now;
        self.tell(place, SessionEvent::MessageOut);
        let whole = self.delays.draw(leg_of(request.body.kind()));
        let in_flight =
            InFlight { link: self.link(place), request, sent: self.now, back: whole - whole / 2, bytes: MESSAGE_BYTES, refusal };
        self.agenda.add(self.now + whole / 2, SimulationEvent::Request(Box::new(in_flight)));
    }

    /// A request has come. What belongs to a connection that is no more is lost with it.
    pub(super) fn reach_request(&mut self, mut in_flight: Box<InFlight>) {
        let link = in_flight.link;
        if !self.is_current(link) {
            return;
        }
        let answers_at = self.outages.answers_at(self.now);
        if answers_at > self.now {
            return self.agenda.add(answers_at, SimulationEvent::Request(in_flight));
        }
        if self.cohort(link.thing).protocol == Protocol::Http {
            self.service.meter.billed().http += metered_units(in_flight.bytes);
        } else if let Some(connection) = self.things[link.thing as usize].connection.as_deref_mut() {
            let Some(rest) = self.service.meter.inbound(connection, in_flight.bytes, self.now) else { return };
            in_flight.back += rest;
        }
        let Disposition::Handle { due, refusal } = self.service.admit(link.thing, &in_flight.request, self.now) else { return };
        let refusal = in_flight.refusal.take().or(refusal);
        if due > self.now {
            self.agenda.add(due, SimulationEvent::Serve(Box::new((*in_flight, refusal))));
        } else {
            self.serve(*in_flight, refusal);
        }
    }

    /// Its turn has come.
    pub(super) fn serve(&mut self, in_flight: InFlight, refusal: Option<Rejection>) {
        let InFlight { link, request, sent, back, .. } = in_flight;
        if !self.is_current(link) {
            return;
        }
        let kind = request.body.kind();
        let reply = self.service.reply(link.thing, &request, refusal, self.now);
        // The answer goes straight to the asking connection: what else follows comes behind it.
        self.answer(link, kind, reply, (sent, back));
        self.follow();
    }

    fn answer(&mut self, link: Link, kind: RequestKind, reply: Reply, (sent, back): (Mono, Duration)) {
        let bytes = MESSAGE_BYTES + document_bytes(&reply);
        let mut at = self.now + back;
        if self.cohort(link.thing).protocol == Protocol::Http {
            self.service.meter.billed().http += metered_units(bytes);
        } else {
            at = self.service.answer_leaves(link.thing, self.now) + back;
            let Some(connection) = self.things[link.thing as usize].connection.as_deref_mut() else { return };
            let Some(rest) = self.service.meter.outbound(connection, bytes, self.now) else { return };
            at = self.in_order(link.thing, at + rest);
        }
        let acknowledged_after = self.delays.draw(Leg::Puback);
        self.agenda.add(at, SimulationEvent::Reply(Box::new(Answered { link, kind, reply, sent, acknowledged_after })));
    }

    /// Messages to a thing do not overtake each other.
    fn in_order(&mut self, place: u32, at: Mono) -> Mono {
        let heard_at = &mut self.things[place as usize].heard_at;
        *heard_at = at.max(*heard_at);
        *heard_at
    }

    pub(super) fn reach_reply(&mut self, answered: Answered) {
        let Answered { link, kind, reply, sent, acknowledged_after } = answered;
        if !self.is_current(link) {
            return;
        }
        let (place, now) = (link.thing, self.now);
        self.busy_at = now;
        self.tell(place, SessionEvent::MessageIn);
        if self.cohort(place).protocol != Protocol::Http {
            let acknowledged_after = Some(acknowledged_after.min(now.since(sent)));
            self.tell(place, SessionEvent::Published(Published { is_telemetry: false, intended: sent, sent, acknowledged_after }));
        }
        self.things[place as usize].agent.handle_reply(kind, reply, now);
        self.drive_after_all_of_now(place);
    }

    // ------------------------------------------------------------------------------------------------------ notifications

    /// The service has news for a thing that is connected.
    pub(super) fn notify(&mut self, place: u32, notification: Notification) {
        let leaves = self.service.notification_leaves(place, self.now);
        let bytes = MESSAGE_BYTES + notified_bytes(&notification);
        let link = self.link(place);
        let Some(connection) = self.things[place as usize].connection.as_deref_mut() else { return };
        let Some(rest) = self.service.meter.outbound(connection, bytes, self.now) else { return };
        let at = leaves + rest + self.delays.draw(Leg::Notification);
        let at = if leaves > self.now { at } else { self.in_order(place, at) };
        self.agenda.add(at, SimulationEvent::Notification(Box::new((link, notification))));
    }

    pub(super) fn reach_notification(&mut self, link: Link, notification: &Notification) {
        if !self.is_current(link) {
            return;
        }
        let now = self.now;
        self.busy_at = now;
        self.tell(link.thing, SessionEvent::MessageIn);
        self.things[link.thing as usize].agent.handle_notification(notification, now);
        self.drive_after_all_of_now(link.thing);
    }

    // -------------------------------------------------------------------------------------------------------------- files

    fn fetch(&mut self, place: u32, job: &JobId) {
        let now = self.now;
        let verifies = self.cohort(place).verifies_signature;
        let Some(file) = self.jobs.file(job) else {
            self.things[place as usize].agent.handle_fetched(Fetched::Nothing, now);
            return;
        };
        let fault = file.fault.as_ref().filter(|fault| verifies || !fault.needs_verification);
        let fetched = fault.map_or(Fetched::Good, |fault| Fetched::Bad { status: fault.status, reason: fault.reason.clone() });
        let lasts = Duration::from_secs_f64(file.bytes as f64 / file.bytes_per_s.max(1) as f64);
        let bytes = file.bytes;
        let dialled = now + self.delays.draw(Leg::Tcp);
        let asked = self.delays.secured(dialled) + self.delays.draw(Leg::Describe);
        let file = File { link: self.link(place), started: now, bytes, fetched };
        self.agenda.add(asked + lasts, SimulationEvent::File(Box::new(file)));
    }

    pub(super) fn reach_file(&mut self, file: File) {
        let File { link, started, bytes, fetched } = file;
        if !self.is_current(link) {
            return;
        }
        let at = self.now;
        self.tell(link.thing, SessionEvent::Fetched { started, at, bytes });
        self.things[link.thing as usize].agent.handle_fetched(fetched, at);
        self.drive(link.thing);
    }

    // ------------------------------------------------------------------------------------------------ telemetry and floods

    fn send_telemetry(&mut self, place: u32) {
        let now = self.now;
        loop {
            let name = &self.settings.fleet.names[place as usize];
            let thing = &mut self.things[place as usize];
            let State::Up { since } = thing.state else { return };
            let Some(telemetry) = thing.telemetry.as_deref_mut() else { return };
            let mut lost = if since == now { telemetry.lose_until(now) } else { 0 };
            let message = telemetry.poll_transmit(name, now);
            lost += message.as_ref().map_or(0, |message| message.lost);
            if lost > 0 {
                self.observer.session(place, SessionEvent::TelemetryLost { count: lost });
            }
            let Some(message) = message else { return };
            let bytes = message.topic.len() + message.payload.len();
            self.observer.session(place, SessionEvent::MessageOut);
            let acknowledged_after = message.is_acknowledged.then(|| self.delays.draw(Leg::Puback));
            let published = Published { is_telemetry: true, intended: message.intended, sent: now, acknowledged_after };
            self.observer.session(place, SessionEvent::Published(published));
            if let Some(connection) = self.things[place as usize].connection.as_deref_mut() {
                // Whether it is taken changes nothing for the thing.
                let _ = self.service.meter.inbound(connection, bytes, now);
            }
        }
    }

    fn flood(&mut self, place: u32, count: u32) {
        for _ in 0..count {
            self.tell(place, SessionEvent::MessageOut);
            let now = self.now;
            if let Some(connection) = self.things[place as usize].connection.as_deref_mut() {
                let _ = self.service.meter.inbound(connection, FLOOD_BYTES, now);
            }
        }
    }
}

fn leg_of(kind: RequestKind) -> Leg {
    match kind {
        RequestKind::GetPending => Leg::GetPending,
        RequestKind::StartNext => Leg::StartNext,
        RequestKind::Describe => Leg::Describe,
        RequestKind::Update => Leg::Update,
    }
}

fn document_bytes(reply: &Reply) -> usize {
    match &reply.result {
        Ok(Answer::Started(execution) | Answer::Described(execution)) => execution.as_deref().map_or(0, length_of_document),
        _ => 0,
    }
}

fn notified_bytes(notification: &Notification) -> usize {
    match notification {
        Notification::NextChanged { execution, .. } => execution.as_deref().map_or(0, length_of_document),
        Notification::Changed { .. } => 0,
    }
}

fn length_of_document(execution: &JobExecution) -> usize {
    execution.job_document.as_ref().map_or(0, |document| document.as_json().len())
}
