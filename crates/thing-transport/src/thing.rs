//! One thing's life: wait for its arrival, connect, hold the session, and after a loss wait and connect again.

use super::connect::{connect, secure};
use super::credentials::Credentials;
use super::cut::Cuts;
use super::download::FileSettings;
use super::endpoint::Endpoint;
use super::error::{Failure, Stage};
use super::faults::ThingFaults;
use super::gates::Gates;
use super::http::HttpSession;
use super::mqtt::{Kept, MqttSettings};
use super::session::{End, Scratch, Session, tell_unacknowledged};
use super::{Observer, SessionEvent, twin};
use crate::Pacer;
use bytes::BytesMut;
use host::clock;
use iot_jobs::ThingName;
use iot_jobs::instant::Mono;
use rustls::ClientConfig;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use thing_agent::backoff::{Backoff, Comeback};
use thing_agent::telemetry::Telemetry;
use thing_agent::{Event, JobsAgent};
use thing_faults::Fault;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, SemaphorePermit};

/// An orderly DISCONNECT is not waited for longer than this.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// What the run wants from its things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    Run,
    /// No new work; what is under way goes on.
    Drain,
    /// Disconnect and end.
    Close,
}

/// Who a thing is, here and there.
#[derive(Clone, Debug)]
pub struct ThingId {
    pub name: ThingName,
    /// Place in the fleet, from 0.
    pub position: u32,
    /// Place in the shard, from 0: its slot in the pacer.
    pub slot: usize,
    pub cohort: u16,
    /// Place among the run's transports.
    pub transport: u8,
}

/// How a thing connects and stays connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    pub seed: u64,
    pub protocol: Protocol,
    pub connect_timeout: Duration,
    pub reconnect: Backoff,
}

/// What a thing speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Mqtt(MqttSettings),
    /// Over TLS; with the deadline of every answer.
    Http {
        answer_timeout: Duration,
    },
}

/// What the things of a shard share. Everything here belongs to the shard's thread.
pub struct ShardContext<O> {
    /// In the order of the run's transports.
    pub endpoints: Vec<Endpoint>,
    pub pacer: Rc<Pacer>,
    /// Connects in progress at once.
    pub gates: Gates,
    pub scratch: RefCell<Scratch>,
    pub order: Cell<Order>,
    pub cuts: Cuts,
    pub observer: O,
    /// How the things of each cohort fetch files, where they do.
    pub files: Vec<Option<Arc<FileSettings>>>,
    /// Things that still live.
    pub alive: Cell<usize>,
    /// Told when the last of them has ended.
    pub all_ended: Notify,
}

impl<O> ShardContext<O> {
    /// Where a thing connects to.
    #[must_use]
    pub fn endpoint(&self, thing: &ThingId) -> &Endpoint {
        &self.endpoints[usize::from(thing.transport)]
    }

    fn is_closing(&self) -> bool {
        self.order.get() == Order::Close
    }
}

/// A thing before it lives.
pub struct Thing {
    pub id: ThingId,
    /// Number for random streams: its index in names, not its place in a shard.
    pub index: u64,
    pub agent: JobsAgent,
    /// Nothing where it has none to send.
    pub telemetry: Option<Box<Telemetry>>,
    /// A persistent session, while there is no connection.
    pub session: Option<Box<KeptSession>>,
    /// Absent where it signs instead.
    pub credentials: Option<Credentials>,
    pub settings: Arc<SessionSettings>,
    pub arrival: Mono,
    /// What goes wrong on purpose with its connections, where anything does.
    pub faults: Option<Box<ThingFaults>>,
}

/// What a thing knows of a persistent session that has lost its connection.
pub struct KeptSession {
    /// Whether the endpoint had granted every subscription.
    is_subscribed: bool,
    mqtt: Kept,
}

/// One attempt to connect: what the plan wanted, and what came of it.
struct Attempt<'a> {
    intended: Mono,
    started: Mono,
    lost: Option<Mono>,
    /// Given back once the attempt has succeeded or failed.
    permit: Option<SemaphorePermit<'a>>,
    subscribed: Option<Mono>,
    /// Every stage has succeeded: what fails now is told by none.
    has_stages_behind: bool,
}

impl Thing {
    /// Lives until the run orders it to close.
    pub async fn live<O: Observer + 'static>(mut self: Box<Self>, shard: Rc<ShardContext<O>>) {
        self.sessions(&shard).await;
        self.end(&shard);
        shard.alive.set(shard.alive.get() - 1);
        if shard.alive.get() == 0 {
            shard.all_ended.notify_one();
        }
    }

    /// What a thing that is away will not send any more.
    fn end<O: Observer>(&mut self, shard: &ShardContext<O>) {
        if let Some(session) = self.session.take() {
            session.mqtt.unacknowledged().for_each(|publish| tell_unacknowledged(shard, &self.id, publish, true));
        }
        let count = self.telemetry.as_mut().map_or(0, |telemetry| telemetry.lose_until(clock::mono()));
        if count > 0 {
            shard.observer.session(&self.id, SessionEvent::TelemetryLost { count });
        }
    }

    async fn sessions<O: Observer + 'static>(&mut self, shard: &Rc<ShardContext<O>>) {
        let tls = shard.endpoint(&self.id).config(self.credentials.as_ref());
        let mut intended = self.arrival;
        let mut comeback = Comeback::default();
        let mut lost = None;
        loop {
            shard.pacer.sleep_until(self.id.slot, intended, || shard.is_closing()).await;
            let woke = clock::mono();
            let is_blocked = shard.gates.of(self.id.cohort).available_permits() == 0;
            let Some(mut attempt) = pass_gate(shard, self.id.cohort, intended, lost).await else { return };
            if let Some(until) = shard.cuts.away(self.id.slot, attempt.started) {
                intended = until + self.wait(&mut comeback);
                continue;
            }
            shard.cuts.begin(self.id.slot);
            shard.observer.session(&self.id, SessionEvent::ConnectStarted { intended, woke, is_blocked });
            let shown = self.certificate(shard, &tls);
            // In boxes of their own: each is as large as its protocol needs.
            let end = match self.settings.protocol {
                Protocol::Mqtt(mqtt) => Box::pin(self.mqtt(shard, shown, &mut attempt, mqtt)).await,
                Protocol::Http { answer_timeout } => Box::pin(self.http(shard, shown, &mut attempt, answer_timeout)).await,
            };
            let now = clock::mono();
            let away = end.away();
            match (end, attempt.subscribed) {
                (End::Ordered, subscribed) => {
                    if subscribed.is_some() {
                        shard.observer.session(&self.id, SessionEvent::Closed);
                    }
                    return;
                }
                (End::Failed(failure), Some(since)) => {
                    shard.observer.session(&self.id, SessionEvent::Lost { at: now, failure: &failure });
                    // Nobody misses a connection before it is needed.
                    let is_missed = !matches!(failure, Failure::ClosedIdle { .. });
                    lost = Some(if is_missed { now } else { now + away.unwrap_or_default() });
                    comeback.lost(now.since(since));
                }
                (End::Failed(failure), None) => {
                    let Attempt { intended, started, has_stages_behind: is_late, .. } = attempt;
                    let event = SessionEvent::ConnectFailed { intended, started, at: now, failure: &failure, is_late };
                    shard.observer.session(&self.id, event);
                }
            }
            intended = match shard.cuts.returns_at_once(self.id.slot) {
                true => now,
                false => {
                    let from = shard.cuts.away(self.id.slot, now).unwrap_or(now);
                    from + away.unwrap_or_else(|| self.wait(&mut comeback))
                }
            };
        }
    }

    /// By the policy of its cohort.
    fn wait(&self, comeback: &mut Comeback) -> Duration {
        let SessionSettings { seed, reconnect, .. } = &*self.settings;
        comeback.wait(reconnect, *seed, self.index)
    }

    /// What the next attempt shows: the thing's own certificate, unless that is to have expired.
    fn certificate<O: Observer>(&mut self, shard: &ShardContext<O>, own: &Arc<ClientConfig>) -> Arc<ClientConfig> {
        let Some(expired) = self.faults.as_mut().and_then(|faults| faults.expired()) else { return Arc::clone(own) };
        shard.observer.session(&self.id, SessionEvent::Fault { fault: Fault::ExpiredCertificate, at: clock::mono() });
        expired.config(&shard.endpoint(&self.id).tls)
    }

    async fn mqtt<O: Observer + 'static>(
        &mut self,
        shard: &Rc<ShardContext<O>>,
        tls: Arc<ClientConfig>,
        attempt: &mut Attempt<'_>,
        settings: MqttSettings,
    ) -> End {
        let connect_timeout = self.settings.connect_timeout;
        let deadline = attempt.started + connect_timeout;
        let cut = Some(self.id.slot);
        let dialled = Box::pin(connect(shard, Arc::clone(&tls), &self.id, &settings, deadline, cut)).await;
        let mut connection = match dialled {
            Ok(connection) => connection,
            Err(failure) => return End::Failed(failure),
        };
        let faults = self.faults.as_mut().and_then(|faults| {
            if let Some(other) = faults.twin() {
                let other = twin::live(other, Rc::clone(shard), self.id.clone(), tls, settings, connect_timeout);
                tokio::task::spawn_local(other);
            }
            faults.begin_session(clock::mono())
        });
        let id = &self.id;
        let is_present = connection.ack.session_present;
        let telemetry = self.telemetry.as_deref_mut();
        let mut session = Session::new(shard, id, &mut self.agent, telemetry, &mut connection, &settings, faults);
        let mut is_subscribed = false;
        if let Some(kept) = self.session.take() {
            if is_present {
                is_subscribed = kept.is_subscribed;
                session.resume(kept.mqtt);
            } else {
                kept.mqtt.unacknowledged().for_each(|publish| tell_unacknowledged(shard, id, publish, false));
            }
        }
        if !is_subscribed {
            shard.observer.session(id, SessionEvent::StageStarted(Stage::Subscribe));
        }
        let end = session.run(is_subscribed, |event, refusal| attempt.follow(event, refusal, id, &shard.observer)).await;
        let kept = session.into_kept(&end);
        self.disconnected(shard, attempt);
        if matches!(end, End::Failed(Failure::Cut { .. })) {
            // A reset: no farewell, and no port of ours that lingers. Without it the connection is closed all the same.
            let _ = connection.tcp().set_zero_linger();
        }
        let is_subscribed = attempt.subscribed.is_some();
        self.session = kept.map(|mqtt| Box::new(KeptSession { is_subscribed, mqtt }));
        if matches!(end, End::Ordered) {
            let mut bye = BytesMut::new();
            settings.version.write_disconnect(&mut bye);
            let farewell = async {
                connection.stream.write_all(&bye).await?;
                connection.stream.shutdown().await
            };
            // Whether the peer hears it changes nothing for a thing that is leaving.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, farewell).await;
        }
        end
    }

    async fn http<O: Observer>(
        &mut self,
        shard: &Rc<ShardContext<O>>,
        tls: Arc<ClientConfig>,
        attempt: &mut Attempt<'_>,
        answer_timeout: Duration,
    ) -> End {
        let deadline = attempt.started + self.settings.connect_timeout;
        let stream = match Box::pin(secure(shard, tls, &self.id, deadline, self.id.slot)).await {
            Ok(stream) => stream,
            Err(failure) => return End::Failed(failure),
        };
        // What is not certain yet is no reason to keep others waiting.
        attempt.permit = None;
        attempt.has_stages_behind = true;
        let id = &self.id;
        let mut session = match Box::pin(HttpSession::new(shard, id, &mut self.agent, stream, answer_timeout)).await {
            Ok(session) => session,
            Err(failure) => return End::Failed(failure),
        };
        let end = session.run(|event| attempt.follow(event, None, id, &shard.observer)).await;
        // The time is for an orderly end as it is over MQTT.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, Box::pin(session.close(&end))).await;
        // Without a connection, and with nothing under way on it, a thing that polls is as it was.
        if !matches!(end, End::Failed(Failure::ClosedIdle { .. })) {
            self.disconnected(shard, attempt);
        }
        end
    }

    /// Lets the agent tell what it has to, now that it has no session.
    fn disconnected<O: Observer>(&mut self, shard: &ShardContext<O>, attempt: &mut Attempt<'_>) {
        self.agent.handle_disconnected(clock::mono());
        while let Some(event) = self.agent.poll_event() {
            attempt.follow(&event, None, &self.id, &shard.observer);
            shard.observer.agent(&self.id, event);
        }
    }
}

/// Waits for a place among the connects in progress; `None` when the run closes first.
async fn pass_gate<O>(shard: &ShardContext<O>, cohort: u16, intended: Mono, lost: Option<Mono>) -> Option<Attempt<'_>> {
    if shard.is_closing() {
        return None;
    }
    // The gate is closed when the run closes.
    let permit = shard.gates.of(cohort).acquire().await.ok()?;
    (!shard.is_closing()).then(|| Attempt {
        intended,
        started: clock::mono(),
        lost,
        permit: Some(permit),
        subscribed: None,
        has_stages_behind: false,
    })
}

impl Attempt<'_> {
    /// The last stage of connecting is the agent's: it subscribes, unless its session went on.
    fn follow(&mut self, event: &Event, refusal: Option<&'static str>, thing: &ThingId, observer: &impl Observer) {
        match *event {
            Event::Subscribed { sent, at } => {
                observer.session(thing, SessionEvent::StageEnded { stage: Stage::Subscribe, started: sent, at, failure: None });
                self.succeed(at, thing, observer);
            }
            Event::Resumed { at } => self.succeed(at, thing, observer),
            Event::SubscribeFailed { sent, at, why } => {
                let failure = Failure::of_subscribing(why, refusal);
                observer.session(
                    thing,
                    SessionEvent::StageEnded { stage: Stage::Subscribe, started: sent, at, failure: Some(&failure) },
                );
            }
            _ => {}
        }
    }

    fn succeed(&mut self, at: Mono, thing: &ThingId, observer: &impl Observer) {
        self.permit = None;
        self.subscribed = Some(at);
        let Self { intended, started, lost, .. } = *self;
        observer.session(thing, SessionEvent::Connected { intended, started, at, lost });
    }
}
