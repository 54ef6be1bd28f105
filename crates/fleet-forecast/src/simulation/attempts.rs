//! How things connect, lose their connection, and come back.

use super::thing::{State, Thing, flapping};
use super::{Link, Simulation, SimulationEvent};
use crate::network::Leg;
use crate::observer::{Observer, Reason, SessionEvent, Stage};
use crate::settings::{Cohort, Fleet, OutageKind, Protocol};
use iot_jobs::Subscription;
use iot_jobs::instant::Mono;
use std::collections::VecDeque;
use std::time::Duration;
use thing_agent::Event;
use thing_agent::cut::CutKind;
use thing_faults::Fault;

/// How many connects may be in progress at once, and who waits.
pub(super) struct Gates {
    /// The fleet's, then those of cohorts that have one of their own.
    gates: Vec<Gate>,
    /// By cohort.
    of_cohort: Vec<usize>,
}

struct Gate {
    free: u32,
    waiting: VecDeque<u32>,
}

impl Gates {
    pub(super) fn new(fleet: &Fleet) -> Self {
        let gate = |free| Gate { free, waiting: VecDeque::new() };
        let mut gates = vec![gate(fleet.connects_in_progress)];
        let mut of_cohort = Vec::new();
        for cohort in &fleet.cohorts {
            of_cohort.push(if cohort.connects_in_progress.is_some() { gates.len() } else { 0 });
            gates.extend(cohort.connects_in_progress.map(gate));
        }
        Self { gates, of_cohort }
    }

    fn of(&mut self, cohort: u16) -> &mut Gate {
        &mut self.gates[self.of_cohort[usize::from(cohort)]]
    }

    /// Whether there is a place at once.
    fn enter(&mut self, cohort: u16, place: u32) -> bool {
        let gate = self.of(cohort);
        if gate.free == 0 {
            gate.waiting.push_back(place);
            return false;
        }
        gate.free -= 1;
        true
    }

    /// Who has the place next.
    fn leave(&mut self, cohort: u16) -> Option<u32> {
        let gate = self.of(cohort);
        let next = gate.waiting.pop_front();
        gate.free += u32::from(next.is_none());
        next
    }
}

impl<O: Observer> Simulation<O> {
    pub(super) fn cohort(&self, place: u32) -> &Cohort {
        &self.settings.fleet.cohorts[usize::from(self.settings.fleet.cohort_of[place as usize])]
    }

    fn index(&self, place: u32) -> u64 {
        self.settings.fleet.first_index + u64::from(place)
    }

    /// A stage that began at `started` ends now.
    fn stage(&mut self, place: u32, stage: Stage, started: Mono, failure: Option<Reason>) {
        let at = self.now;
        self.tell(place, SessionEvent::Stage { stage, started, at, failure });
    }

    /// TCP and TLS were done with, of which nobody had to be told before.
    fn secured(&mut self, place: u32) -> Mono {
        let thing = &self.things[place as usize];
        let (started, dialled, secured) = (thing.started, thing.dialled, thing.secured);
        self.tell(place, SessionEvent::Stage { stage: Stage::Tcp, started, at: dialled, failure: None });
        self.tell(place, SessionEvent::Stage { stage: Stage::Tls, started: dialled, at: secured, failure: None });
        secured
    }

    /// The thing is to connect.
    pub(super) fn attempt(&mut self, place: u32) {
        let cohort = self.settings.fleet.cohort_of[place as usize];
        if self.gates.enter(cohort, place) {
            self.begin(place, false);
        } else {
            self.things[place as usize].state = State::Waiting;
        }
    }

    fn begin(&mut self, place: u32, is_blocked: bool) {
        let now = self.now;
        self.things[place as usize].is_in_gate = true;
        if let Some(until) = self.cuts.away(place as usize, now) {
            self.leave_gate(place);
            self.come_back(place, until, None);
            return;
        }
        self.cuts.begin(place as usize);
        let thing = &mut self.things[place as usize];
        thing.epoch = thing.epoch.wrapping_add(1);
        (thing.state, thing.started) = (State::Connecting, now);
        let link = Link { thing: place, epoch: thing.epoch };
        let intended = thing.intended;
        let is_expired = thing.expired > 0;
        thing.expired = thing.expired.saturating_sub(1);
        self.tell(place, SessionEvent::ConnectStarted { intended, is_blocked });
        if self.cuts.is_unreachable(place as usize, now) {
            self.stage(place, Stage::Tcp, now, Some(Reason::Outage));
            return self.fail_attempt(link, Reason::Outage);
        }
        if self.outages.kind(now) == Some(OutageKind::Restart) {
            self.stage(place, Stage::Tcp, now, Some(Reason::ConnectionRefused));
            return self.fail_attempt(link, Reason::ConnectionRefused);
        }
        let dialled = now + self.delays.draw(Leg::Tcp);
        // The handshake of TLS needs the endpoint, too.
        let secured = self.delays.secured(self.outages.answers_at(dialled));
        let thing = &mut self.things[place as usize];
        (thing.dialled, thing.secured) = (dialled, secured);
        if is_expired {
            self.tell(place, SessionEvent::Fault { fault: Fault::ExpiredCertificate, at: now });
            self.agenda.add(secured, SimulationEvent::Fail { link, reason: Reason::Certificate });
            return;
        }
        if secured.since(now) > self.cohort(place).connect_timeout {
            let deadline = now + self.cohort(place).connect_timeout;
            self.agenda.add(deadline, SimulationEvent::Fail { link, reason: Reason::Timeout(Stage::Tls) });
            return;
        }
        match self.cohort(place).protocol {
            Protocol::Http => self.agenda.add(secured, SimulationEvent::Accepted { link, is_present: false }),
            Protocol::Mqtt { .. } => {
                let whole = self.delays.draw(Leg::Mqtt);
                self.agenda.add(secured + whole / 2, SimulationEvent::Connect { link, back: whole - whole / 2 });
            }
        }
    }

    /// CONNECT has come.
    pub(super) fn reach_connect(&mut self, link: Link, back: Duration) {
        if !self.is_current(link) {
            return;
        }
        let answers_at = self.outages.answers_at(self.now);
        if answers_at > self.now {
            return self.agenda.add(answers_at, SimulationEvent::Connect { link, back });
        }
        let is_clean = self.cohort(link.thing).protocol.is_clean();
        let thing = &mut self.things[link.thing as usize];
        match self.service.connect(link.thing, &mut thing.connects, is_clean, self.now) {
            Some((connection, is_present)) => {
                thing.connection = Some(Box::new(connection));
                if let Some(lifetime) = self.service.lifetime(link.thing) {
                    self.agenda.add(self.now + lifetime, SimulationEvent::Drop { link, reason: Reason::Closed });
                }
                self.agenda.add(self.now + back, SimulationEvent::Accepted { link, is_present });
            }
            None => self.agenda.add(self.now + back, SimulationEvent::Fail { link, reason: Reason::OverQuota }),
        }
    }

    /// CONNACK; over HTTP the end of the handshake.
    pub(super) fn accepted(&mut self, link: Link, is_present: bool) {
        if !self.is_current(link) {
            return;
        }
        let (place, now) = (link.thing, self.now);
        let protocol = self.cohort(place).protocol;
        let secured = self.secured(place);
        if protocol != Protocol::Http {
            self.stage(place, Stage::Mqtt, secured, None);
            self.flap(link);
        }
        let stored = if is_present { self.service.take_stored(place) } else { Vec::new() };
        let thing = &mut self.things[place as usize];
        thing.state = State::Joined;
        thing.heard_at = now;
        if is_present || protocol == Protocol::Http || !thing.agent.subscribes() {
            thing.agent.handle_resumed(now);
        } else {
            thing.agent.handle_connected();
        }
        for notification in stored {
            self.notify(place, notification);
        }
        self.drive(place);
    }

    fn flap(&mut self, link: Link) {
        let (seed, index) = (self.settings.seed, self.index(link.thing));
        let thing = &mut self.things[link.thing as usize];
        let session = thing.sessions;
        thing.sessions += 1;
        if let Some(holds) = flapping(&self.cohort(link.thing).faults, seed, index, session) {
            self.agenda.add(self.now + holds, SimulationEvent::Drop { link, reason: Reason::OnPurpose(Fault::Flapping) });
        }
    }

    pub(super) fn subscribe(&mut self, link: Link, filters: &'static [Subscription]) {
        let whole = self.delays.draw(Leg::Subscribe);
        self.agenda.add(self.now + whole / 2, SimulationEvent::Subscribe { link, filters, back: whole - whole / 2 });
    }

    /// SUBSCRIBE has come.
    pub(super) fn reach_subscribe(&mut self, link: Link, filters: &'static [Subscription], back: Duration) {
        if !self.is_current(link) {
            return;
        }
        let answers_at = self.outages.answers_at(self.now);
        if answers_at > self.now {
            return self.agenda.add(answers_at, SimulationEvent::Subscribe { link, filters, back });
        }
        let granted = self.service.subscribe(link.thing, filters, self.now);
        self.agenda.add(self.now + back, SimulationEvent::Suback { link, granted, of: filters.len() });
    }

    pub(super) fn suback(&mut self, link: Link, granted: usize, of: usize) {
        if self.is_current(link) {
            let now = self.now;
            self.things[link.thing as usize].agent.handle_suback((0..of).map(|filter| filter < granted), now);
            self.drive(link.thing);
        }
    }

    /// What the agent tells of its session.
    pub(super) fn follow_session(&mut self, place: u32, event: &Event) {
        match *event {
            Event::Subscribed { sent, .. } => {
                self.stage(place, Stage::Subscribe, sent, None);
                self.succeed(place);
            }
            Event::Resumed { .. } => self.succeed(place),
            Event::SubscribeFailed { sent, why, .. } => {
                let reason = match why {
                    thing_agent::SubscribeFailure::Refused => Reason::SubscriptionRefused,
                    thing_agent::SubscribeFailure::Timeout => Reason::Timeout(Stage::Subscribe),
                    thing_agent::SubscribeFailure::SessionLost => Reason::Closed,
                };
                self.stage(place, Stage::Subscribe, sent, Some(reason));
            }
            _ => {}
        }
    }

    fn succeed(&mut self, place: u32) {
        self.leave_gate(place);
        let at = self.now;
        let thing = &mut self.things[place as usize];
        thing.state = State::Up { since: at };
        let (intended, started, lost) = (thing.intended, thing.started, thing.lost.take());
        self.tell(place, SessionEvent::Connected { intended, started, at, lost });
        self.busy_at = at;
        if std::mem::take(&mut self.things[place as usize].is_cut) {
            self.away -= 1;
        }
        if lost.is_some() {
            return;
        }
        self.ever_connected += 1;
        if self.ever_connected == self.things.len() {
            self.observer.all_connected(at);
            self.all_connected();
        }
    }

    fn leave_gate(&mut self, place: u32) {
        if std::mem::take(&mut self.things[place as usize].is_in_gate) {
            let cohort = self.settings.fleet.cohort_of[place as usize];
            if let Some(next) = self.gates.leave(cohort) {
                self.begin(next, true);
            }
        }
    }

    /// The attempt comes to nothing.
    pub(super) fn fail_attempt(&mut self, link: Link, reason: Reason) {
        if !self.is_current(link) {
            return;
        }
        let place = link.thing;
        let Thing { started, dialled, .. } = self.things[place as usize];
        match reason {
            Reason::OverQuota => {
                let secured = self.secured(place);
                self.stage(place, Stage::Mqtt, secured, Some(reason));
            }
            Reason::Certificate | Reason::Timeout(Stage::Tls) => {
                self.tell(place, SessionEvent::Stage { stage: Stage::Tcp, started, at: dialled, failure: None });
                self.stage(place, Stage::Tls, dialled, Some(reason));
            }
            _ => {}
        }
        self.lose(place, reason, None);
    }

    /// The connection is gone, if it is still the same.
    pub(super) fn drop_connection(&mut self, link: Link, reason: Reason) {
        if self.is_current(link) {
            self.lose(link.thing, reason, None);
        }
    }

    /// The connection, or the attempt to make one, is over; the thing stays away for a while, or by its policy.
    pub(super) fn lose(&mut self, place: u32, reason: Reason, away: Option<Duration>) {
        let now = self.now;
        self.disconnect(place);
        let thing = &mut self.things[place as usize];
        let (state, intended, started) = (std::mem::replace(&mut thing.state, State::Down), thing.intended, thing.started);
        thing.agent.handle_disconnected(now);
        self.tell_agent(place);
        match state {
            State::Up { since } => {
                self.tell(place, SessionEvent::Lost { at: now, reason });
                let is_restart = self.outages.kind(now) == Some(OutageKind::Restart);
                let thing = &mut self.things[place as usize];
                thing.lost = Some(now);
                thing.comeback.lost(now.since(since));
                thing.is_cut = is_restart || matches!(reason, Reason::Cut(_));
                self.away += usize::from(thing.is_cut);
            }
            _ => self.tell(place, SessionEvent::ConnectFailed { intended, started, at: now, reason }),
        }
        self.leave_gate(place);
        match self.cuts.returns_at_once(place as usize) {
            true => self.come_back(place, now, Some(Duration::ZERO)),
            false => {
                let from = self.cuts.away(place as usize, now).unwrap_or(now);
                self.come_back(place, from, away);
            }
        }
    }

    /// The endpoint sees the connection no more, and nothing that belongs to it counts any more.
    fn disconnect(&mut self, place: u32) {
        let is_clean = self.cohort(place).protocol.is_clean();
        let thing = &mut self.things[place as usize];
        thing.epoch = thing.epoch.wrapping_add(1);
        if let Some(connection) = thing.connection.take() {
            self.service.disconnect(place, &connection, is_clean, self.now);
        }
    }

    /// Plans the next attempt.
    fn come_back(&mut self, place: u32, from: Mono, after: Option<Duration>) {
        let index = self.index(place);
        let (seed, reconnect) = (self.settings.seed, self.cohort(place).reconnect);
        let thing = &mut self.things[place as usize];
        thing.state = State::Down;
        thing.intended = from + after.unwrap_or_else(|| thing.comeback.wait(&reconnect, seed, index));
        let at = thing.intended;
        self.agenda.add(at, SimulationEvent::Attempt(place));
    }

    /// The cut of this number strikes its things.
    pub(super) fn cut(&mut self, number: usize) {
        let cut = self.settings.cuts[number].clone();
        for place in &cut.things {
            self.cuts.strike(*place as usize, &cut);
            let thing = &self.things[*place as usize];
            let has_connection = matches!(thing.state, State::Connecting | State::Joined | State::Up { .. });
            let is_cut = has_connection && (thing.is_joined() || cut.kind != CutKind::AtOnce);
            if is_cut {
                self.lose(*place, Reason::Cut(cut.event), None);
            }
        }
    }

    /// The simulation ends.
    pub(super) fn close_session(&mut self, place: u32) {
        let was_up = matches!(self.things[place as usize].state, State::Up { .. });
        self.disconnect(place);
        if was_up {
            self.tell(place, SessionEvent::Closed { at: self.now });
        }
        let now = self.now;
        let thing = &mut self.things[place as usize];
        let count = if was_up { 0 } else { thing.telemetry.as_mut().map_or(0, |telemetry| telemetry.lose_until(now)) };
        if count > 0 {
            self.tell(place, SessionEvent::TelemetryLost { count });
        }
    }
}
