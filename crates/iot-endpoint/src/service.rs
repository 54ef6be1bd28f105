//! The engine as the doors share it: one lock around the pure calls, the ledger in commit order, one timer.

use super::broker::message::Message;
use super::objects::Objects;
use super::request_log::{Answered, RequestLog, RequestLogError};
use super::sessions::Sessions;
use super::shape::{Shape, ShapeSettings};
use super::state::{Opened, State, StateError, Table, Writes};
use crate::ledger::{LedgerError, LedgerWriter};
use host::clock;
use iot_jobs::instant::Now;
use iot_jobs::wire::execution;
use iot_jobs::wire::payload::{self, Refusal};
use iot_jobs::wire::topic::{Topic, TopicKind};
use iot_jobs::{ClientToken, Notification, Rejection, Reply, Request, ThingName};
use jobs_engine::engine::{Engine, EngineConfig};
use jobs_engine::registry::{self, CertificateId, Registry};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Rows reach their files at least this often.
const FLUSH: Duration = Duration::from_millis(100);
/// How long a change may take to reach the disk.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// The timer never sleeps longer than this, whatever the engine says.
const TIMER_SLEEP_MAX: Duration = Duration::from_secs(60);

pub(super) struct Service {
    core: Mutex<Core>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) shape: Shape,
    /// From when the doors have their addresses.
    pub(super) objects: OnceLock<Objects>,
    requests: Option<RequestLog>,
    state: Option<State>,
    /// An earlier deadline may have appeared.
    timer: Notify,
    /// Why the service cannot go on.
    failure: watch::Sender<Option<String>>,
}

/// What the service writes.
#[derive(Default)]
pub(super) struct Files {
    pub(super) ledger: Option<LedgerWriter>,
    pub(super) requests: Option<RequestLog>,
    pub(super) state: Option<Opened>,
}

/// Why the service cannot begin, or its files cannot be written any more.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("{0}")]
    Requests(#[from] RequestLogError),
    #[error("{0}")]
    State(#[from] StateError),
    #[error("start the thread for what happens later: {0}")]
    Thread(#[source] io::Error),
}

struct Core {
    engine: Engine,
    registry: Registry,
    /// With which certificate of the registry things have come in last.
    principals: BTreeMap<ThingName, CertificateId>,
    ledger: Option<LedgerWriter>,
    /// Events told so far.
    events: u64,
}

impl Service {
    /// What stands in the state is read back first.
    pub(super) fn new(config: EngineConfig, shape: &ShapeSettings, files: Files) -> Result<Self, FileError> {
        let failure = watch::channel(None).0;
        let config = EngineConfig { keeps_records: files.state.is_some(), ..config };
        let mut registry = Registry::new(config.minute);
        let mut engine = Engine::new(config);
        let state = match files.state {
            Some(opened) => {
                engine.restore(opened.read(Table::ENGINE)?, clock::now());
                for (key, record) in opened.read::<registry::Key, registry::Record>(Table::REGISTRY)? {
                    registry.restore(key, record);
                }
                Some(opened.start(failure.clone())?)
            }
            None => None,
        };
        let sessions = Arc::new(Sessions::default());
        Ok(Self {
            core: Mutex::new(Core { engine, registry, principals: BTreeMap::new(), ledger: files.ledger, events: 0 }),
            shape: Shape::new(shape, &sessions).map_err(FileError::Thread)?,
            sessions,
            objects: OnceLock::new(),
            requests: files.requests,
            state,
            timer: Notify::new(),
            failure,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call of the engine, and all that follows from it: ledger rows and notifications leave in the order of commitment.
    pub(super) fn call<T>(&self, call: impl FnOnce(&mut Engine, Now) -> T) -> T {
        self.call_core(|core, now| call(&mut core.engine, now))
    }

    /// One call of the registry, with the engine that knows who is in which group.
    pub(super) fn call_registry<T>(&self, call: impl FnOnce(&mut Registry, &mut Engine, Now) -> T) -> T {
        self.call_core(|core, now| call(&mut core.registry, &mut core.engine, now))
    }

    /// With which certificates things have come in, and what they are worth.
    pub(super) fn with_principals<T>(&self, call: impl FnOnce(&mut BTreeMap<ThingName, CertificateId>, &Registry) -> T) -> T {
        let core = &mut *self.lock();
        call(&mut core.principals, &core.registry)
    }

    fn call_core<T>(&self, call: impl FnOnce(&mut Core, Now) -> T) -> T {
        let mut core = self.lock();
        let deadline = core.engine.poll_timeout();
        let now = clock::now();
        let result = call(&mut core, now);
        let is_earlier = match (core.engine.poll_timeout(), deadline) {
            (Some((new, _)), Some((old, _))) => new < old,
            (new, old) => new.is_some() && old.is_none(),
        };
        if let Err(error) = core.write_ledger() {
            self.fail(&error);
        }
        // Handed over before anybody hears of it, so that whoever is about to tell of it waits for the right commit.
        core.write_records(self.state.as_ref(), now);
        while let Some((thing, mut notification)) = core.engine.poll_notification() {
            if let Notification::NextChanged { execution: Some(execution), .. } = &mut notification {
                self.fill_execution(&core.engine, &thing, execution, now);
            }
            self.shape.notify(&thing, Arc::new(message(&thing, &notification)), &self.sessions);
        }
        while let Some(event) = core.engine.poll_event() {
            core.events += 1;
            let (topic, payload) = execution::encode_event(&event, core.events, now.epoch_seconds());
            self.sessions.route(topic, payload);
        }
        drop(core);
        if is_earlier {
            self.timer.notify_one();
        }
        result
    }

    /// The reply to what a thing sent, whatever way it came in: refused as what it is, refused on purpose, or the engine's.
    pub(super) fn reply(&self, thing: &ThingName, parsed: Result<Request, Refusal>, injected: Option<Rejection>) -> Reply {
        match (parsed, injected) {
            (Ok(request), None) => self.request(thing, &request),
            (Ok(request), Some(rejection)) => refused(request.client_token, rejection),
            (Err(refusal), _) => refused(refusal.client_token, refusal.rejection),
        }
    }

    fn request(&self, thing: &ThingName, request: &Request) -> Reply {
        self.call(|engine, now| {
            let mut reply = engine.handle_request(thing, request, now);
            self.fill_reply(engine, thing, request, &mut reply, now);
            reply
        })
    }

    /// Whether requests are to be remembered until their answers have left.
    pub(super) fn logs_requests(&self) -> bool {
        self.requests.is_some()
    }

    /// The answers of these requests have left.
    pub(super) fn log_requests(&self, thing: &ThingName, answered: &[Answered]) {
        if let Some(log) = &self.requests
            && let Err(error) = log.write(thing, answered, clock::mono())
        {
            self.fail(&error);
        }
    }

    /// Runs the engine's timers and flushes the ledger; never ends.
    pub(super) async fn run_timers(&self) {
        loop {
            let deadline = self.lock().engine.poll_timeout();
            let wait = deadline.map_or(TIMER_SLEEP_MAX, |(at, _)| at.since(clock::mono()).min(TIMER_SLEEP_MAX));
            tokio::select! {
                () = tokio::time::sleep(wait) => self.call(jobs_engine::engine::Engine::handle_timeout),
                () = self.timer.notified() => {}
            }
        }
    }

    /// Ends the sessions whose clients stay away, and publishes wills that have waited long enough; never ends.
    pub(super) async fn run_sessions(&self) {
        loop {
            let wait = self.sessions.poll_timeout().map_or(TIMER_SLEEP_MAX, |at| at.since(clock::mono()).min(TIMER_SLEEP_MAX));
            tokio::select! {
                () = tokio::time::sleep(wait) => self.lapse_sessions(),
                () = self.sessions.deadline_changed() => {}
            }
        }
    }

    fn lapse_sessions(&self) {
        let now = clock::mono();
        let wills = self.call(|engine, _| {
            let lapsed = self.sessions.lapse(now);
            lapsed.ended.iter().for_each(|thing| engine.handle_subscription(thing, false, false));
            lapsed.wills
        });
        for (thing, will) in wills {
            self.sessions.publish(will.into_message(now), Some(&thing));
        }
    }

    /// Keeps the files close behind; never ends.
    pub(super) async fn run_files(&self) {
        loop {
            tokio::time::sleep(FLUSH).await;
            if let Err(error) = self.flush() {
                self.fail(&error);
            }
        }
    }

    pub(super) fn flush(&self) -> Result<(), FileError> {
        if let Some(ledger) = &mut self.lock().ledger {
            ledger.flush()?;
        }
        if let Some(requests) = &self.requests {
            requests.flush()?;
        }
        Ok(())
    }

    /// Whoever tells of a change waits for this first: that all changes so far are on disk, at once where nothing is kept. Says
    /// whether they are.
    pub(super) async fn durable(&self) -> bool {
        match &self.state {
            // In a box: connections that never wait are not to carry the room for it.
            Some(state) if !state.is_committed() => {
                Box::pin(tokio::time::timeout(COMMIT_TIMEOUT, state.committed())).await.unwrap_or(false)
            }
            _ => true,
        }
    }

    /// The last change was made.
    pub(super) fn close(&self) {
        if let Some(state) = &self.state {
            state.close();
        }
    }

    fn fail(&self, error: &impl std::error::Error) {
        self.failure.send_replace(Some(error.to_string()));
    }

    /// Completes when the service cannot go on, with the reason.
    pub(super) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_default()
    }
}

impl Core {
    fn write_ledger(&mut self) -> Result<(), LedgerError> {
        while let Some(row) = self.engine.poll_change() {
            if let Some(ledger) = &mut self.ledger {
                ledger.write(&row)?;
            }
        }
        Ok(())
    }
}

impl Core {
    fn write_records(&mut self, state: Option<&State>, now: Now) {
        let Some(state) = state else {
            self.registry.forget_dirty();
            return;
        };
        let mut writes = Writes::default();
        while let Some((key, record)) = self.engine.poll_record(now) {
            writes.push(Table::ENGINE, &key, record.as_ref());
        }
        while let Some((key, record)) = self.registry.poll_dirty() {
            writes.push(Table::REGISTRY, &key, record.as_ref());
        }
        if !writes.is_empty() {
            state.write(writes);
        }
    }
}

/// A reply that the engine is not asked for.
pub(super) fn refused(client_token: Option<ClientToken>, rejection: Rejection) -> Reply {
    Reply { client_token, timestamp: Some(clock::now().epoch_seconds()), result: Err(rejection) }
}

fn message(thing: &ThingName, notification: &Notification) -> Message {
    let kind = match notification {
        Notification::Changed { .. } => TopicKind::Notify,
        Notification::NextChanged { .. } => TopicKind::NotifyNext,
    };
    let topic = Topic { thing: thing.as_str(), kind };
    Message::of_service(topic.to_string(), payload::encode_notification(notification))
}
