//! One thing's life: wait for its arrival, connect, hold the session, and after a loss wait and connect again.

use crate::connect::{connect, secure};
use crate::credentials::Credentials;
use crate::driver::Driver;
use crate::duplicate_client;
use crate::error::{Failure, Stage};
use crate::faults::ThingFaults;
use crate::mqtt::{MqttSettings, SessionState};
use crate::observer::{Observer, SessionEvent};
use crate::shard::{Member, ShardContext};
use crate::thing_id::ThingId;
use crate::wire::End;
use crate::wire::https::HttpsWire;
use crate::wire::mqtt::{MqttWire, emit_session_lost};
use bytes::BytesMut;
use host::clock;
use iot_jobs::instant::Mono;
use rustls::ClientConfig;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use thing_agent::backoff::{Backoff, ReconnectBackoff};
use thing_agent::telemetry::Telemetry;
use thing_agent::{AnswerOutcome, Event, JobsAgent, SubscribeFailure};
use thing_faults::Fault;
use tokio::io::AsyncWriteExt;
use tokio::sync::SemaphorePermit;

/// An orderly DISCONNECT is not waited for longer than this.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// How a thing connects and stays connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Of the waits before it connects again.
    pub seed: u64,
    /// What it speaks.
    pub protocol: Protocol,
    /// From the gate to CONNACK, or over HTTP to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// Waits before it connects again.
    pub reconnect: Backoff,
}

/// What a thing speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT, over TLS or, where it signs, a WebSocket.
    Mqtt(MqttSettings),
    /// Over TLS; with the deadline of every answer.
    Http {
        /// Deadline of every answer.
        answer_timeout: Duration,
    },
}

/// A thing before it lives.
pub struct Thing {
    /// Who it is.
    pub id: ThingId,
    /// Number for random streams: its index in names, not its place in a shard.
    pub index: u64,
    /// What it does.
    pub agent: JobsAgent,
    /// Nothing where it has none to send.
    pub telemetry: Option<Box<Telemetry>>,
    /// A persistent session, while there is no connection.
    pub session: Option<Box<DisconnectedSession>>,
    /// Absent where it signs instead.
    pub credentials: Option<Credentials>,
    /// How it connects.
    pub settings: Arc<SessionSettings>,
    /// When it connects first.
    pub arrival: Mono,
    /// What goes wrong on purpose with its connections, where anything does.
    pub faults: Option<Box<ThingFaults>>,
}

/// What a thing knows of a persistent session that has lost its connection.
pub struct DisconnectedSession {
    /// Whether the endpoint had granted every subscription.
    is_subscribed: bool,
    mqtt: SessionState,
}

/// One attempt to connect: what the plan wanted, and what came of it.
struct Attempt<'a> {
    intended: Mono,
    started: Mono,
    lost: Option<Mono>,
    /// Given back once the attempt has succeeded or failed.
    permit: Option<SemaphorePermit<'a>>,
    progress: Progress,
}

/// How far an attempt has come.
#[derive(Clone, Copy)]
enum Progress {
    /// Its stages tell what fails.
    Connecting,
    /// Since then, without an answer.
    Subscribing(Mono),
    /// Every stage has succeeded, but the other side may still refuse: no stage tells that.
    Unconfirmed,
    /// Since then.
    Up(Mono),
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
        self.session = None;
        let count = self.telemetry.as_mut().map_or(0, |telemetry| telemetry.lose_until(clock::mono()));
        if count > 0 {
            self.of(shard).emit(SessionEvent::TelemetryLost { count });
        }
    }

    async fn sessions<O: Observer + 'static>(&mut self, shard: &Rc<ShardContext<O>>) {
        let tls = self.of(shard).endpoint().config(self.credentials.as_ref());
        let mut intended = self.arrival;
        let mut comeback = ReconnectBackoff::default();
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
            self.of(shard).emit(SessionEvent::ConnectStarted { intended, woke, is_blocked });
            let shown = self.certificate(shard, &tls);
            // In boxes of their own: each is as large as its protocol needs.
            let end = match self.settings.protocol {
                Protocol::Mqtt(mqtt) => Box::pin(self.mqtt(shard, shown, &mut attempt, mqtt)).await,
                Protocol::Http { answer_timeout } => Box::pin(self.http(shard, shown, &mut attempt, answer_timeout)).await,
            };
            let now = clock::mono();
            let away = end.away();
            match (end, attempt.progress) {
                (End::Ordered, progress) => {
                    if matches!(progress, Progress::Up(_)) {
                        self.of(shard).emit(SessionEvent::Closed { at: now });
                    }
                    return;
                }
                (End::Failed(failure), Progress::Up(since)) => {
                    self.of(shard).emit(SessionEvent::Lost { at: now, failure: &failure });
                    // Nobody misses a connection before it is needed.
                    let is_missed = !matches!(failure, Failure::ClosedIdle { .. });
                    lost = Some(if is_missed { now } else { now + away.unwrap_or_default() });
                    comeback.lost(now.since(since));
                }
                (End::Failed(failure), progress) => {
                    let Attempt { intended, started, .. } = attempt;
                    let is_late = matches!(progress, Progress::Unconfirmed);
                    let event = SessionEvent::ConnectFailed { intended, started, at: now, failure: &failure, is_late };
                    self.of(shard).emit(event);
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

    /// The thing as a member of its shard.
    fn of<'a, O>(&'a self, shard: &'a ShardContext<O>) -> Member<'a, O> {
        Member { shard, id: &self.id }
    }

    /// By the policy of its cohort.
    fn wait(&self, comeback: &mut ReconnectBackoff) -> Duration {
        let SessionSettings { seed, reconnect, .. } = &*self.settings;
        comeback.wait(reconnect, *seed, self.index)
    }

    /// What the next attempt shows: the thing's own certificate, unless that is to have expired.
    fn certificate<O: Observer>(&mut self, shard: &ShardContext<O>, own: &Arc<ClientConfig>) -> Arc<ClientConfig> {
        let thing = Member { shard, id: &self.id };
        let Some(expired) = self.faults.as_mut().and_then(|faults| faults.expired()) else { return Arc::clone(own) };
        thing.emit(SessionEvent::Fault { fault: Fault::ExpiredCertificate, at: clock::mono() });
        expired.config(&thing.endpoint().tls)
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
        let dialled = Box::pin(connect(self.of(shard), Arc::clone(&tls), &settings, deadline, Some(self.id.slot))).await;
        let mut connection = match dialled {
            Ok(connection) => connection,
            Err(failure) => return End::Failed(failure),
        };
        let faults = self.faults.as_mut().and_then(|faults| {
            if let Some(other) = faults.duplicate_client() {
                let other = duplicate_client::live(other, Rc::clone(shard), self.id.clone(), tls, settings, connect_timeout);
                tokio::task::spawn_local(other);
            }
            faults.begin_session(clock::mono())
        });
        let kept = self.session.take();
        let (is_present, telemetry) = (connection.ack.session_present, self.telemetry.as_deref_mut());
        let wire = MqttWire::new(&mut connection, &settings, telemetry, faults);
        let thing = Member { shard, id: &self.id };
        let mut driver = begin(thing, &mut self.agent, wire, kept, is_present, &mut attempt.progress);
        let mut end = driver.run(|event, refusal, thing| attempt.follow(event, refusal, thing)).await;
        let kept = driver.into_wire().conclude(&mut end, Member { shard, id: &self.id });
        self.disconnected(shard, attempt, &end);
        if matches!(end, End::Failed(Failure::Cut { .. })) {
            // A reset: no farewell, and no port of ours that lingers. Without it the connection is closed all the same.
            let _ = connection.tcp().set_zero_linger();
        }
        let is_subscribed = matches!(attempt.progress, Progress::Up(_));
        self.session = kept.map(|mqtt| Box::new(DisconnectedSession { is_subscribed, mqtt }));
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
        let stream = match Box::pin(secure(self.of(shard), tls, deadline, self.id.slot)).await {
            Ok(stream) => stream,
            Err(failure) => return End::Failed(failure),
        };
        // What is not certain yet is no reason to keep others waiting.
        attempt.permit = None;
        attempt.progress = Progress::Unconfirmed;
        let mut driver = match Box::pin(HttpsWire::new(self.of(shard), stream, answer_timeout)).await {
            Ok(wire) => {
                self.agent.handle_resumed(clock::mono());
                Driver::new(Member { shard, id: &self.id }, &mut self.agent, wire)
            }
            Err(failure) => return End::Failed(failure),
        };
        let end = driver.run(|event, refusal, thing| attempt.follow(event, refusal, thing)).await;
        // The time is for an orderly end as it is over MQTT.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, Box::pin(driver.into_wire().close(&end))).await;
        // Without a connection, and with nothing under way on it, a thing that polls is as it was.
        if !matches!(end, End::Failed(Failure::ClosedIdle { .. })) {
            self.disconnected(shard, attempt, &end);
        }
        end
    }

    /// Lets the agent emit what it has to, now that it has no session. A request that is under way when the run itself ends the session
    /// has not failed: it stays open.
    fn disconnected<O: Observer>(&mut self, shard: &ShardContext<O>, attempt: &mut Attempt<'_>, end: &End) {
        self.agent.handle_disconnected(clock::mono());
        let is_over = matches!(end, End::Ordered);
        while let Some(event) = self.agent.poll_event() {
            if is_over && matches!(event, Event::Answered { outcome: AnswerOutcome::SessionLost, .. }) {
                continue;
            }
            attempt.follow(&event, None, Member { shard, id: &self.id });
            shard.observer.agent(&self.id, event);
        }
        if let (Progress::Subscribing(started), End::Failed(failure)) = (attempt.progress, end) {
            let (stage, at) = (Stage::Subscribe, clock::mono());
            self.of(shard).emit(SessionEvent::StageEnded { stage, started, at, failure: Some(failure) });
        }
    }
}

/// A session over MQTT begins, or goes on where the endpoint still has it: what was `kept` of it, and whether that `is_present`.
fn begin<'a, O: Observer>(
    thing: Member<'a, O>,
    agent: &'a mut JobsAgent,
    mut wire: MqttWire<'a>,
    kept: Option<Box<DisconnectedSession>>,
    is_present: bool,
    progress: &mut Progress,
) -> Driver<'a, O, MqttWire<'a>> {
    let mut is_subscribed = !agent.subscribes();
    if let Some(kept) = kept {
        if is_present {
            is_subscribed |= kept.is_subscribed;
            wire.resume(kept.mqtt, thing);
        } else {
            kept.mqtt.unacknowledged().for_each(|publish| emit_session_lost(thing, publish));
        }
    }
    if !is_subscribed {
        thing.emit(SessionEvent::StageStarted(Stage::Subscribe));
        *progress = Progress::Subscribing(clock::mono());
    }
    wire.begin_faults(thing);
    if is_subscribed {
        agent.handle_resumed(clock::mono());
    } else {
        agent.handle_connected();
    }
    Driver::new(thing, agent, wire)
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
        progress: Progress::Connecting,
    })
}

impl Attempt<'_> {
    /// The last stage of connecting is the agent's: it subscribes, unless its session went on.
    fn follow<O: Observer>(&mut self, event: &Event, refusal: Option<&'static str>, thing: Member<'_, O>) {
        match *event {
            Event::Subscribed { sent, at } => {
                thing.emit(SessionEvent::StageEnded { stage: Stage::Subscribe, started: sent, at, failure: None });
                self.succeed(at, thing);
            }
            Event::Resumed { at } => self.succeed(at, thing),
            // Who ends the session knows why, and tells it.
            Event::SubscribeFailed { why: SubscribeFailure::SessionLost, .. } => {}
            Event::SubscribeFailed { sent, at, why } => {
                self.progress = Progress::Connecting;
                let failure = Some(&Failure::of_subscribing(why, refusal));
                thing.emit(SessionEvent::StageEnded { stage: Stage::Subscribe, started: sent, at, failure });
            }
            _ => {}
        }
    }

    fn succeed<O: Observer>(&mut self, at: Mono, thing: Member<'_, O>) {
        self.permit = None;
        self.progress = Progress::Up(at);
        let Self { intended, started, lost, .. } = *self;
        thing.emit(SessionEvent::Connected { intended, started, at, lost });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NullObserver;

    impl Observer for NullObserver {
        fn agent(&self, _thing: &ThingId, _event: Event) {}
        fn session(&self, _thing: &ThingId, _event: SessionEvent<'_>) {}
    }

    fn bytes_of_life<A, B, F>(_life: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    fn bytes_of_session<A, B, C, D, E, F>(_session: impl FnOnce(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    /// In bytes.
    #[test]
    fn what_every_thing_of_a_fleet_has_stays_small() {
        let (life, mqtt, http) = (
            bytes_of_life(Thing::live::<NullObserver>),
            bytes_of_session(Thing::mqtt::<NullObserver>),
            bytes_of_session(Thing::http::<NullObserver>),
        );
        assert!(life <= 368 && mqtt <= 856 && http <= 488, "{life}, {mqtt} over MQTT, {http} over HTTPS");
        let dial = bytes_of_session(connect::<NullObserver>);
        assert!(dial <= 1_640, "{dial}: a thing that connects takes it from the heap and fills it");
    }
}
