//! The engine and the registry as the listeners share them: one lock, and nothing is done under it that can be done after it.
//!
//! A call's ledger rows, notifications and events leave as values, in the order of commitment ([`effects`]).

mod effects;
mod files;
mod presence;
mod rendering;
mod timers;

pub(super) use files::{FileError, Files};

use super::authority::Authority;
use super::documents::{self, Origin};
use super::objects::Objects;
use super::refusals::Refusals;
use super::sessions::Sessions;
use super::shape::{Shape, ShapeSettings};
use super::supervision::Failures;
use effects::{EffectReceiver, EffectSender};
use files::OpenFiles;
use host::clock;
use iot_jobs::instant::Now;
use iot_jobs::wire::payload::Refusal;
use iot_jobs::{ClientToken, ErrorCode, NamespaceId, Rejection, Reply, Request, ThingName};
use jobs_engine::engine::{Engine, EngineConfig};
use jobs_engine::registry::Registry;
use rendering::Rendering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Notify, oneshot};

pub(super) struct Service {
    core: Mutex<Core>,
    effect_receiver: EffectReceiver,
    files: OpenFiles,
    pub(super) sessions: Arc<Sessions>,
    pub(super) shape: Arc<Shape>,
    pub(super) authority: Authority,
    rendering: Rendering,
    /// From when the listeners have their addresses.
    pub(super) objects: OnceLock<Arc<Objects>>,
    /// Who was not let in, for the log.
    pub(super) refusals: Refusals,
    /// An earlier deadline may have appeared.
    timer: Notify,
}

struct Core {
    engine: Engine,
    registry: Registry,
    effect_sender: EffectSender,
}

impl Service {
    /// What stands in the state is read back first.
    pub(super) fn new(config: EngineConfig, shape: &ShapeSettings, authority: Authority, files: Files) -> Result<Self, FileError> {
        let config = EngineConfig { keeps_records: files.state.is_some(), ..config };
        let mut registry = Registry::new(config.minute);
        registry.limit_templates(shape.quotas.job_templates);
        let mut engine = Engine::new(config);
        let Files { ledger, requests, decisions, state } = files;
        if let Some(opened) = &state {
            files::restore(opened, &mut engine, &mut registry)?;
        }
        let (effect_sender, effect_receiver) = effects::new(ledger);
        let sessions = Arc::new(Sessions::default());
        let failures = Failures::default();
        Ok(Self {
            core: Mutex::new(Core { engine, registry, effect_sender }),
            effect_receiver,
            files: OpenFiles::new(requests, decisions, state, failures.clone())?,
            shape: Arc::new(Shape::new(shape, &sessions, &failures).map_err(FileError::Thread)?),
            rendering: Rendering::start(&failures).map_err(FileError::Thread)?,
            sessions,
            authority,
            objects: OnceLock::new(),
            refusals: Refusals::default(),
            timer: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(|poisoned| {
            self.files.fail(&"a call has panicked during a change, which is a bug in fleetsim");
            PoisonError::into_inner(poisoned)
        })
    }

    /// One call of the engine. When it returns, all that follows from it is in the ledger and on its way to the sessions.
    pub(super) fn call<T>(&self, call: impl FnOnce(&mut Engine, Now) -> T) -> T {
        self.call_core(|core, now| call(&mut core.engine, now))
    }

    /// One call of the registry, with the engine that knows who is in which group.
    pub(super) fn call_registry<T>(&self, call: impl FnOnce(&mut Registry, &mut Engine, Now) -> T) -> T {
        self.call_core(|core, now| call(&mut core.registry, &mut core.engine, now))
    }

    /// What registry and engine know now.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Registry, &Engine) -> T) -> T {
        let core = self.lock();
        read(&core.registry, &core.engine)
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
        // Handed over before anybody hears of it, so that whoever is about to tell of it waits for the right commit.
        let Core { engine, registry, effect_sender, .. } = &mut *core;
        self.files.write_records(engine, registry, now);
        let has_effects = effect_sender.take_effects(engine, now);
        drop(core);
        if has_effects {
            self.deliver();
        }
        if is_earlier {
            self.timer.notify_one();
        }
        result
    }

    /// The reply to what a thing sent, whatever way it came in: refused as what it is, refused on purpose, or the engine's.
    pub(super) fn reply(&self, thing: &ThingName, asked: Asked<'_>, injected: Option<Rejection>) -> Outcome {
        match (asked.parsed, injected) {
            (Ok(request), None) => self.request(thing, asked.namespace, &request),
            (Ok(request), Some(rejection)) => Outcome::Reply(refused(request.client_token, rejection)),
            (Err(refusal), _) => Outcome::Reply(refused(refusal.client_token, refusal.rejection)),
        }
    }

    fn request(&self, thing: &ThingName, namespace: Option<&str>, request: &Request) -> Outcome {
        let namespace = match namespace.map(NamespaceId::new).transpose() {
            Ok(namespace) => namespace,
            Err(error) => {
                let rejection = Rejection::new(ErrorCode::InvalidRequest, error.to_string());
                return Outcome::Reply(refused(request.client_token.clone(), rejection));
            }
        };
        let (reply, origin) = self.call(|engine, now| {
            let reply = engine.handle_request_in(namespace.as_ref(), thing, request, now);
            let origin = Origin::of_reply(engine, thing, request, &reply, now);
            (reply, origin)
        });
        match origin.zip(self.objects.get()) {
            None => Outcome::Reply(reply),
            Some((origin, objects)) => Outcome::Unfilled(Unfilled { reply, origin, objects: Arc::clone(objects) }),
        }
    }

    /// Fills the document of a reply beside the calls, and then hands it to `then`; when too many wait, it is dropped, and counted.
    pub(super) fn fill(&self, thing: &ThingName, unfilled: Unfilled, then: impl FnOnce(Reply) + Send + 'static) {
        let Unfilled { mut reply, origin, objects } = unfilled;
        let name = thing.clone();
        self.rendering.add(thing, move || {
            if let Some(document) = documents::of_reply(&mut reply) {
                documents::fill(&objects, &name, document, &origin);
            }
            then(reply);
        });
    }

    /// The reply with its document filled; `None` when too many wait.
    pub(super) async fn filled(&self, thing: &ThingName, outcome: Outcome) -> Option<Reply> {
        match outcome {
            Outcome::Reply(reply) => Some(reply),
            Outcome::Unfilled(unfilled) => {
                let (sender, filled) = oneshot::channel();
                // Nobody waits any more where a client went away.
                self.fill(thing, unfilled, |reply| drop(sender.send(reply)));
                filled.await.ok()
            }
        }
    }

    /// Messages with documents that were dropped since too many waited.
    pub(super) fn unrendered(&self) -> u64 {
        self.rendering.dropped()
    }
}

/// What a thing sent.
pub(super) struct Asked<'a> {
    /// Of whose jobs, as found in the topic; absent: of those without a namespace.
    pub(super) namespace: Option<&'a str>,
    /// The request itself, or why it is none.
    pub(super) parsed: Result<Request, Refusal>,
}

/// What came of a request.
pub(super) enum Outcome {
    Reply(Reply),
    /// The document in the reply has placeholders.
    Unfilled(Unfilled),
}

/// A reply that cannot leave yet.
pub(super) struct Unfilled {
    reply: Reply,
    origin: Origin,
    objects: Arc<Objects>,
}

/// A reply that the engine is not asked for.
pub(super) fn refused(client_token: Option<ClientToken>, rejection: Rejection) -> Reply {
    Reply { client_token, timestamp: Some(clock::now().epoch_seconds()), result: Err(rejection) }
}

#[cfg(test)]
mod tests;
