//! Things, service and network, and the time they share.

use crate::bugs::Bug;
use crate::oracle::Oracle;
use iot_jobs::instant::{Mono, Now};
use iot_jobs::{
    Answer, CancelJob, ClientToken, CreateJob, Describe, ErrorCode, ExecutionStatus, JobDocument, JobId, JobRef, JobTarget,
    Notification, Rejection, Reply, Request, RequestBody, RequestKind, Subscription, ThingName,
};
use jobs_engine::engine::{Engine, EngineConfig};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sim_units::distribution::Distribution;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use thing_agent::backoff::{Backoff, BackoffPolicy};
use thing_agent::behavior::{Behavior, OutcomeShares};
use thing_agent::workflow::{Poll, Workflow};
use thing_agent::{AgentSettings, AnswerOutcome, Event, ExecutionKey, Fetched, JobsAgent, Transmit};
use thing_faults::{Fault, FaultProbability, FaultSpec, Row, TABLE};

const START: Mono = Mono(1_000_000_000_000);
/// Until then the network is bad, sessions are lost, and people interfere.
const TROUBLE: Duration = Duration::from_secs(60);
/// After that much peace everything must have ended.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// More steps than any story has: somebody runs in circles.
const STEPS_MAX: u32 = 30_000;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A connection of a thing, as both sides see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down { until: Mono },
    Up { epoch: u64, is_granted: bool },
}

/// Whom the service tells what.
#[derive(Clone, Copy, Debug, Default)]
struct WantedNotifications {
    /// `notify-next`
    next: bool,
    /// `notify`
    list: bool,
}

struct Thing {
    name: ThingName,
    agent: JobsAgent,
    link: Link,
    /// What the service has granted of this session.
    notification_interest: WantedNotifications,
    /// Of a thing whose session outlives its connections.
    kept: Option<Kept>,
    /// With [`Bug::NoRetry`]: it has given up.
    is_stuck: bool,
    last_token: Option<ClientToken>,
}

/// What both sides keep of a session while there is no connection.
#[derive(Default)]
struct Kept {
    is_granted: bool,
    notification_interest: WantedNotifications,
    /// Requests that the thing sends again, since nothing says that they arrived.
    unacknowledged: Vec<Request>,
    /// Notifications that the service delivers later.
    stored: Vec<Notification>,
}

/// What is under way.
#[derive(Clone, Debug)]
enum Flight {
    Subscribe { filters: &'static [Subscription] },
    Suback { count: usize },
    Request(Request),
    Reply(RequestKind, Reply),
    Note(Notification),
    File(Fetched),
}

/// What people and chance do to the fleet.
#[derive(Clone, Debug)]
enum Deed {
    Create(Box<CreateJob>),
    Cancel(JobId, CancelJob),
    Delete(usize, JobId),
    Disconnect { thing: usize, lasts: Duration },
}

/// How bad the network is.
struct Weather {
    drop: f64,
    duplicate: f64,
    /// Requests that the service is too busy for.
    throttle: f64,
    delay_max: Duration,
}

pub(crate) struct World {
    rng: ChaCha8Rng,
    now: Mono,
    engine: Engine,
    things: Vec<Thing>,
    weather: Weather,
    air: BTreeMap<(Mono, u64), (usize, u64, Flight)>,
    deeds: BTreeMap<(Mono, u64), Deed>,
    number: u64,
    epoch: u64,
    oracle: Oracle,
    bug: Option<Bug>,
    tells: bool,
    /// What happened, in words, where somebody listens.
    pub(crate) story: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, tells: bool) -> Self {
        Self::with(seed, bug, tells, &[])
    }

    /// Things that fail on purpose, too.
    pub(crate) fn flaky(seed: u64, tells: bool) -> Self {
        Self::with(seed, None, tells, &faults())
    }

    fn with(seed: u64, bug: Option<Bug>, tells: bool, faults: &[FaultSpec]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = rng.random_range(1..=4usize);
        let names: Vec<ThingName> = (0..count).map(|n| ThingName::new(&format!("t-{n}")).expect("a valid name")).collect();
        let mut engine = Engine::new(EngineConfig::new(Duration::from_secs(rng.random_range(5..=60))));
        names.iter().for_each(|name| engine.create_thing(name));
        // Of its own, so that the other draws of a seed are what they were.
        let mut persistent = ChaCha8Rng::seed_from_u64(!seed);
        let things = names.iter().enumerate().map(|(n, name)| Thing {
            name: name.clone(),
            agent: JobsAgent::new(Arc::new(settings(&mut rng, seed, faults)), n as u64, START),
            link: Link::Down { until: START + ms(rng.random_range(0..2_000)) },
            notification_interest: WantedNotifications::default(),
            kept: persistent.random_bool(0.25).then(Kept::default),
            is_stuck: false,
            last_token: None,
        });
        let things: Vec<Thing> = things.collect();
        let weather = Weather {
            drop: [0.0, 0.02, 0.1, 0.3][rng.random_range(0..4)],
            duplicate: [0.0, 0.05, 0.3][rng.random_range(0..3)],
            throttle: [0.0, 0.0, 0.1][rng.random_range(0..3)],
            delay_max: [ms(5), ms(400), ms(3_000), ms(9_000)][rng.random_range(0..4)],
        };
        let mut world = Self {
            oracle: Oracle::new(&names),
            rng,
            now: START,
            engine,
            things,
            weather,
            air: BTreeMap::new(),
            deeds: BTreeMap::new(),
            number: 0,
            epoch: 0,
            bug,
            tells,
            story: Vec::new(),
        };
        world.plan();
        world
    }

    /// Jobs, and what will be done to them and to the sessions.
    fn plan(&mut self) {
        let trouble = TROUBLE.as_millis() as u64;
        for n in 0..self.rng.random_range(1..=3) {
            let job = JobId::new(&format!("j-{n}")).expect("a valid job id");
            let created = START + ms(self.rng.random_range(0..trouble / 2));
            let targets = self.things.iter().map(|thing| JobTarget::Thing(thing.name.clone())).collect();
            let per_minute = [None, Some(30), Some(300)][self.rng.random_range(0..3)];
            let timeout = [None, None, Some(1), Some(3)][self.rng.random_range(0..4)];
            let mut create = CreateJob::new(job.clone(), targets, JobDocument::from_valid_json("{}"));
            create.config.rollout.maximum_per_minute = per_minute;
            create.config.in_progress_timeout_minutes = timeout;
            self.deed(created, Deed::Create(Box::new(create)));
            let later = |rng: &mut ChaCha8Rng| created + ms(rng.random_range(0..trouble / 2));
            if self.rng.random_bool(0.2) {
                let (at, force) = (later(&mut self.rng), self.rng.random_bool(0.5));
                self.deed(at, Deed::Cancel(job.clone(), CancelJob { force, ..CancelJob::default() }));
            }
            if self.rng.random_bool(0.1) {
                let (at, thing) = (later(&mut self.rng), self.rng.random_range(0..self.things.len()));
                self.deed(at, Deed::Delete(thing, job));
            }
        }
        for thing in 0..self.things.len() {
            for _ in 0..self.rng.random_range(0..=4) {
                let at = START + ms(self.rng.random_range(0..trouble));
                let lasts = ms(self.rng.random_range(1..8_000));
                self.deed(at, Deed::Disconnect { thing, lasts });
            }
        }
    }

    fn deed(&mut self, at: Mono, deed: Deed) {
        self.number += 1;
        self.deeds.insert((at, self.number), deed);
    }

    fn clock(&self) -> Now {
        Now { mono: self.now, epoch_ms: 1_772_000_000_000 + self.now.since(START).as_millis() as i64 }
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.tells {
            let line = format!("{:>9.3} s  {}", self.now.since(START).as_secs_f64(), what());
            println!("{line}");
            self.story.push(line);
        }
    }

    // --------------------------------------------------------------------------------------------------------- the course

    /// Safety at every step, then liveness.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let healed = START + TROUBLE;
        for _ in 0..STEPS_MAX {
            let Some(next) = self.next_instant() else { break };
            if next > healed + PATIENCE {
                break;
            }
            self.now = self.now.max(next);
            self.step();
            if let Some(violation) = self.oracle.violation.take() {
                return Err(violation);
            }
            let is_over = self.now > healed && self.deeds.is_empty() && self.air.is_empty();
            if is_over && self.oracle.open_executions().is_empty() && !self.things.iter().any(|t| t.agent.is_working()) {
                self.oracle.settle(self.now);
                return self.oracle.violation.take().map_or(Ok(()), Err);
            }
        }
        let working: Vec<usize> = (0..self.things.len()).filter(|n| self.things[*n].agent.is_working()).collect();
        let open = self.oracle.open_executions();
        Err(format!("long after the network has healed, open are {open:?}, and at work are things {working:?}"))
    }

    fn next_instant(&self) -> Option<Mono> {
        let of_thing = |thing: &Thing| match thing.link {
            Link::Down { until } => Some(until),
            Link::Up { .. } if thing.is_stuck => None,
            Link::Up { .. } => thing.agent.poll_timeout().map(|(at, _)| at),
        };
        let things = self.things.iter().filter_map(of_thing);
        let air = self.air.keys().next().map(|(at, _)| *at);
        let deed = self.deeds.keys().next().map(|(at, _)| *at);
        things.chain(air).chain(deed).chain(self.engine.poll_timeout().map(|(at, _)| at)).min()
    }

    fn step(&mut self) {
        if self.engine.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
            self.engine_call(Engine::handle_timeout);
        }
        while let Some(entry) = self.deeds.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let deed = entry.remove();
            self.tell(|| format!("{deed:?}"));
            self.act(deed);
        }
        if let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (thing, epoch, flight) = entry.remove();
            self.land(thing, epoch, flight);
        }
        for thing in 0..self.things.len() {
            match self.things[thing].link {
                Link::Down { until } if until <= self.now => self.connect(thing),
                Link::Down { .. } => {}
                Link::Up { .. } => self.drive(thing),
            }
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            // A job that exists no more, or has ended, may refuse: that is an answer too.
            Deed::Create(create) => drop(self.engine_call(|engine, now| engine.create_job(*create, now))),
            Deed::Cancel(job, cancel) => drop(self.engine_call(|engine, now| engine.cancel_job(&job, cancel, now))),
            Deed::Delete(thing, job) => {
                let name = self.things[thing].name.clone();
                drop(self.engine_call(|engine, now| engine.delete_execution(&name, &job, 1, true, now)));
            }
            Deed::Disconnect { thing, lasts } => self.disconnect(thing, lasts),
        }
    }

    // ------------------------------------------------------------------------------------------------------- the sessions

    fn connect(&mut self, thing: usize) {
        self.epoch += 1;
        self.things[thing].link = Link::Up { epoch: self.epoch, is_granted: false };
        self.things[thing].is_stuck = false;
        self.tell(|| format!("thing {thing} connects"));
        match self.things[thing].kept.as_mut().filter(|kept| kept.is_granted) {
            Some(kept) => {
                let Kept { notification_interest, unacknowledged, stored, .. } = std::mem::take(kept);
                self.things[thing].notification_interest = notification_interest;
                self.resume(thing, unacknowledged, stored);
            }
            None => self.things[thing].agent.handle_connected(),
        }
        self.drive(thing);
    }

    /// The session goes on: what was not acknowledged is sent again, and what was stored is delivered, old as it may be.
    fn resume(&mut self, thing: usize, again: Vec<Request>, stored: Vec<Notification>) {
        let epoch = self.epoch;
        self.tell(|| format!("thing {thing} resumes its session, with {} requests and {} messages", again.len(), stored.len()));
        self.things[thing].link = Link::Up { epoch, is_granted: true };
        let name = self.things[thing].name.clone();
        self.engine_call(|engine, _| engine.handle_presence(&name, true));
        self.things[thing].agent.handle_resumed(self.now);
        again.into_iter().for_each(|request| self.send(thing, epoch, Flight::Request(request)));
        stored.into_iter().for_each(|note| self.send(thing, epoch, Flight::Note(note)));
    }

    fn disconnect(&mut self, thing: usize, lasts: Duration) {
        let Link::Up { epoch, is_granted } = self.things[thing].link else { return };
        self.things[thing].link = Link::Down { until: self.now + lasts };
        let notification_interest = std::mem::take(&mut self.things[thing].notification_interest);
        self.oracle.session_lost(thing, self.now);
        // What the service has not read yet it may still read; what it answers goes nowhere.
        let is_read = self.rng.random_bool(0.5);
        let is_kept = is_granted && self.keep(thing, epoch, notification_interest);
        self.air.retain(|_, (to, of, flight)| !(*to == thing && *of == epoch) || (is_read && matches!(flight, Flight::Request(_))));
        let name = self.things[thing].name.clone();
        if is_kept {
            self.engine_call(|engine, _| engine.handle_presence(&name, false));
        } else {
            self.engine_call(|engine, _| engine.handle_subscription(&name, false, false));
        }
        self.things[thing].agent.handle_disconnected(self.now);
        self.collect(thing);
    }

    /// Says whether the session goes on without its connection.
    fn keep(&mut self, thing: usize, epoch: u64, notification_interest: WantedNotifications) -> bool {
        let Some(kept) = &mut self.things[thing].kept else { return false };
        (kept.is_granted, kept.notification_interest) = (true, notification_interest);
        for (to, of, flight) in self.air.values() {
            if let Flight::Note(note) = flight
                && (*to, *of) == (thing, epoch)
            {
                kept.stored.push(note.clone());
            }
        }
        if self.rng.random_bool(0.5) {
            kept.unacknowledged.clear();
        }
        true
    }

    /// Lets an agent do what it wants to do now.
    fn drive(&mut self, thing: usize) {
        let Link::Up { epoch, .. } = self.things[thing].link else { return };
        if self.things[thing].is_stuck {
            return;
        }
        self.things[thing].agent.handle_timeout(self.now);
        self.collect(thing);
        if self.things[thing].is_stuck {
            return;
        }
        while let Some(transmit) = self.things[thing].agent.poll_transmit(self.now) {
            self.tell(|| format!("thing {thing} sends {transmit:?}"));
            match transmit {
                Transmit::Subscribe(filters) => {
                    self.send(thing, epoch, Flight::Subscribe { filters });
                    if self.bug == Some(Bug::IgnoredSuback) {
                        self.things[thing].agent.handle_suback(filters.iter().map(|_| true), self.now);
                    }
                }
                // A second copy of a request is sent as it is; nobody waits for its answer.
                Transmit::Publish(request) if request.client_token == self.things[thing].last_token => {
                    self.send(thing, epoch, Flight::Request(request));
                }
                Transmit::Publish(request) => self.publish(thing, epoch, request),
                Transmit::Fetch { .. } => self.fetch(thing, epoch),
                Transmit::Faulty(request, fault) => self.refuse(thing, epoch, &request, fault),
                Transmit::Flood(_) => {}
                Transmit::Crash { away } => {
                    self.disconnect(thing, away);
                    return;
                }
                Transmit::Disconnect(_) => {
                    self.disconnect(thing, ms(500));
                    return;
                }
            }
            self.collect(thing);
        }
        self.collect(thing);
    }

    fn publish(&mut self, thing: usize, epoch: u64, mut request: Request) {
        self.things[thing].last_token.clone_from(&request.client_token);
        if self.bug == Some(Bug::ReusedToken) {
            request.client_token = Some(ClientToken("token".into()));
        }
        let is_granted = matches!(self.things[thing].link, Link::Up { is_granted: true, .. });
        self.oracle.request(thing, &request, is_granted);
        let ends = matches!(&request.body, RequestBody::Update(update) if update.status.is_terminal());
        if self.bug == Some(Bug::DoubleTerminalUpdate) && ends {
            let again = Request { client_token: Some(ClientToken("again".into())), body: request.body.clone() };
            self.oracle.request(thing, &again, is_granted);
            self.send(thing, epoch, Flight::Request(again));
        }
        if let Some(kept) = &mut self.things[thing].kept {
            kept.unacknowledged = vec![request.clone()];
        }
        self.send(thing, epoch, Flight::Request(request));
    }

    /// Another connection, of which nothing is lost but with its session.
    fn fetch(&mut self, thing: usize, epoch: u64) {
        let bad = Fetched::Bad { status: ExecutionStatus::Failed, reason: "damaged".into() };
        let ends = [Fetched::Good, Fetched::Good, Fetched::Nothing, bad];
        let end = ends[self.rng.random_range(0..ends.len())].clone();
        let lasts = ms([1, 500, 20_000][self.rng.random_range(0..3)]);
        self.number += 1;
        self.air.insert((self.now + lasts, self.number), (thing, epoch, Flight::File(end)));
    }

    /// What the listeners in front of the engine do with a request that is none.
    fn refuse(&mut self, thing: usize, epoch: u64, request: &Request, fault: Fault) {
        let is_granted = matches!(self.things[thing].link, Link::Up { is_granted: true, .. });
        self.oracle.request(thing, request, is_granted);
        self.things[thing].last_token.clone_from(&request.client_token);
        let (code, client_token) = match fault {
            Fault::BadJson => (ErrorCode::InvalidJson, None),
            Fault::WrongTopic => (ErrorCode::InvalidTopic, None),
            Fault::ForeignTopic => return self.disconnect(thing, ms(500)),
            _ => (ErrorCode::InvalidRequest, request.client_token.clone()),
        };
        let timestamp = Some(self.clock().epoch_seconds());
        let reply = Reply { client_token, timestamp, result: Err(Rejection::new(code, "on purpose")) };
        self.send(thing, epoch, Flight::Reply(RequestKind::Update, reply));
    }

    fn collect(&mut self, thing: usize) {
        while let Some(event) = self.things[thing].agent.poll_event() {
            self.tell(|| format!("thing {thing} tells {event:?}"));
            let gave_up = matches!(event, Event::Answered { outcome: AnswerOutcome::Timeout, .. });
            self.things[thing].is_stuck |= gave_up && self.bug == Some(Bug::NoRetry);
            self.oracle.event(thing, event, self.now);
        }
    }

    // -------------------------------------------------------------------------------------------------------- the network

    fn send(&mut self, thing: usize, epoch: u64, flight: Flight) {
        let is_bad = self.now < START + TROUBLE;
        // A SUBSCRIBE or its SUBACK that is lost is lost with its connection.
        let is_fragile = !matches!(flight, Flight::Subscribe { .. } | Flight::Suback { .. });
        if is_bad && is_fragile && self.rng.random_bool(self.weather.drop) {
            self.tell(|| format!("lost: {flight:?}"));
            return;
        }
        let copies = if is_bad && is_fragile && self.rng.random_bool(self.weather.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let most = if is_bad { self.weather.delay_max.as_micros() as u64 } else { 5_000 };
            let delay = Duration::from_micros(self.rng.random_range(100..=most.max(101)));
            self.number += 1;
            self.air.insert((self.now + delay, self.number), (thing, epoch, flight.clone()));
        }
    }

    fn land(&mut self, thing: usize, epoch: u64, flight: Flight) {
        let is_current = matches!(self.things[thing].link, Link::Up { epoch: current, .. } if current == epoch);
        match flight {
            Flight::Request(request) => self.serve(thing, epoch, &request),
            _ if !is_current => {}
            Flight::Subscribe { filters } => {
                let notification_interest = WantedNotifications {
                    next: filters.contains(&Subscription::NotifyNext),
                    list: filters.contains(&Subscription::Notify),
                };
                self.things[thing].notification_interest = notification_interest;
                let name = self.things[thing].name.clone();
                self.engine_call(|engine, _| {
                    engine.handle_subscription(&name, notification_interest.list, notification_interest.next);
                });
                self.send(thing, epoch, Flight::Suback { count: filters.len() });
            }
            Flight::Suback { count } => {
                self.things[thing].link = Link::Up { epoch, is_granted: true };
                self.things[thing].agent.handle_suback((0..count).map(|_| true), self.now);
                self.drive(thing);
            }
            Flight::Reply(kind, mut reply) => {
                match (self.bug, &mut reply.result) {
                    (Some(Bug::ReusedToken), _) => reply.client_token.clone_from(&self.things[thing].last_token),
                    (Some(Bug::BlindToItsList), Ok(Answer::Pending(jobs))) => jobs.in_progress.clear(),
                    (Some(Bug::BlindToVersions), Ok(Answer::Described(Some(execution)))) => execution.version_number = 1,
                    _ => {}
                }
                self.tell(|| format!("thing {thing} hears {reply:?}"));
                self.things[thing].agent.handle_reply(kind, reply, self.now);
                self.drive(thing);
            }
            Flight::File(fetched) => {
                self.tell(|| format!("thing {thing} has its file: {fetched:?}"));
                self.things[thing].agent.handle_fetched(fetched, self.now);
                self.drive(thing);
            }
            Flight::Note(note) => {
                self.tell(|| format!("thing {thing} hears {note:?}"));
                self.things[thing].agent.handle_notification(&note, self.now);
                self.drive(thing);
            }
        }
    }

    // -------------------------------------------------------------------------------------------------------- the service

    fn serve(&mut self, thing: usize, epoch: u64, request: &Request) {
        let name = self.things[thing].name.clone();
        let is_throttled = self.now < START + TROUBLE && self.rng.random_bool(self.weather.throttle);
        let reply = if is_throttled {
            let result = Err(Rejection::new(ErrorCode::RequestThrottled, "Rate exceeded"));
            Reply { client_token: request.client_token.clone(), timestamp: Some(self.clock().epoch_seconds()), result }
        } else {
            self.engine_call(|engine, now| engine.handle_request(&name, request, now))
        };
        if matches!(self.things[thing].link, Link::Up { epoch: current, .. } if current == epoch) {
            self.send(thing, epoch, Flight::Reply(request.body.kind(), reply));
        }
    }

    /// One call, all that follows from it, and whether that was right.
    fn engine_call<T>(&mut self, call: impl FnOnce(&mut Engine, Now) -> T) -> T {
        let now = self.clock();
        let result = call(&mut self.engine, now);
        while let Some(row) = self.engine.poll_change() {
            self.tell(|| format!("service: {} {} {} v{} {}", row.event.as_str(), row.thing, row.job, row.version, row.status));
            self.oracle.row(&row);
        }
        let mut notes: Vec<(ThingName, Notification)> =
            std::iter::from_fn(|| self.engine.poll_notification()).map(|told| (told.thing, told.notification)).collect();
        if self.bug == Some(Bug::LostHeadChange) && self.rng.random_bool(0.1) {
            notes.retain(|(_, note)| !matches!(note, Notification::NextChanged { .. }));
        }
        if self.bug == Some(Bug::LostListChange) && self.rng.random_bool(0.1) {
            notes.retain(|(_, note)| !matches!(note, Notification::Changed { .. }));
        }
        for thing in 0..self.things.len() {
            let name = self.things[thing].name.clone();
            let told: Vec<&Notification> = notes.iter().filter(|(to, _)| *to == name).map(|(_, note)| note).collect();
            let head = head(&mut self.engine, &name, now);
            self.oracle.head(thing, head, self.things[thing].notification_interest.next, &told);
            let pending = pending(&mut self.engine, &name, now);
            self.oracle.pending(thing, pending, self.things[thing].notification_interest.list, &told);
            let told: Vec<Notification> = told.into_iter().cloned().collect();
            match (self.things[thing].link, &mut self.things[thing].kept) {
                (Link::Up { epoch, .. }, _) => told.into_iter().for_each(|note| self.send(thing, epoch, Flight::Note(note))),
                (Link::Down { .. }, Some(kept)) if kept.is_granted => kept.stored.extend(told),
                (Link::Down { .. }, _) => {}
            }
        }
        result
    }
}

/// What the engine would hand out next: asked, and nothing is changed by that.
fn head(engine: &mut Engine, thing: &ThingName, now: Now) -> Option<ExecutionKey> {
    let describe = Describe { job: JobRef::Next, execution_number: None, include_job_document: false };
    let request = Request { client_token: None, body: RequestBody::Describe(describe) };
    match engine.handle_request(thing, &request, now).result {
        Ok(Answer::Described(execution)) => execution.map(|e| ExecutionKey { job: e.job_id, number: e.execution_number }),
        other => panic!("$next is always described, not {other:?}"),
    }
}

/// What the engine shows as pending, by job and number: asked, and nothing is changed by that.
fn pending(engine: &mut Engine, thing: &ThingName, now: Now) -> BTreeSet<(JobId, i64)> {
    let request = Request { client_token: None, body: RequestBody::GetPending };
    match engine.handle_request(thing, &request, now).result {
        Ok(Answer::Pending(jobs)) => {
            jobs.in_progress.into_iter().chain(jobs.queued).map(|summary| (summary.job_id, summary.execution_number)).collect()
        }
        other => panic!("the list is always given, not {other:?}"),
    }
}

/// All that a thing at work can do wrong without ending in silence.
fn faults() -> Vec<FaultSpec> {
    let is_told = |row: &&Row| row.fault == Fault::NoNotifyNext || (row.fault.is_of_work() && row.fault != Fault::Stall);
    let spec = |row: &Row| {
        let settings = row.parameters.iter().map(|parameter| parameter.default).collect();
        FaultSpec { fault: row.fault, probability: FaultProbability::Share(0.1), per: row.per[0], settings }
    };
    TABLE.iter().filter(is_told).map(spec).collect()
}

fn settings(rng: &mut ChaCha8Rng, seed: u64, faults: &[FaultSpec]) -> AgentSettings {
    let poll = Poll { every: ms(rng.random_range(2_000..10_000)), jitter: 0.2 };
    let workflows = [Workflow::StartNext, Workflow::DescribeUpdate, Workflow::List, Workflow::Poll(poll)];
    AgentSettings {
        namespace: None,
        seed,
        workflow: workflows[rng.random_range(0..workflows.len())],
        behavior: Behavior {
            reaction: Distribution::Uniform(Duration::ZERO, ms(1_000)),
            updates: rng.random_range(0..4),
            step: Distribution::Exp(ms([50, 1_000, 6_000][rng.random_range(0..3)])),
            outcome: OutcomeShares { succeeded: 0.6, failed: 0.2, rejected: 0.2 },
            faults: faults.to_vec(),
        },
        behavior_of_job: BTreeMap::new(),
        answer_timeout: ms(4_000),
        retry: Backoff { policy: BackoffPolicy::FullJitter, base: ms(500), cap: ms(5_000) },
        ask_again: Duration::from_secs(90),
        fetches: rng.random_bool(0.25),
    }
}
