//! The engine as the doors share it: one lock around the pure calls, the ledger in commit order, one timer.

use super::delays::Delays;
use super::engine::{Engine, EngineConfig};
use super::faults::{FaultSettings, Faults};
use super::registry::{CertificateId, Registry};
use super::request_log::{Answered, RequestLog, RequestLogError};
use super::sessions::{Push, Sessions};
use crate::clock;
use crate::instant::Now;
use crate::jobs::{Notification, Reply, Request, ThingName};
use crate::ledger::{LedgerError, LedgerWriter};
use crate::wire::payload;
use crate::wire::topic::{Topic, TopicKind};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Rows reach their files at least this often.
const FLUSH: Duration = Duration::from_millis(100);
/// The timer never sleeps longer than this, whatever the engine says.
const TIMER_SLEEP_MAX: Duration = Duration::from_secs(60);

pub(super) struct Service {
    core: Mutex<Core>,
    pub(super) sessions: Sessions,
    pub(super) faults: Faults,
    pub(super) delays: Delays,
    requests: Option<RequestLog>,
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
}

/// Why a file cannot be written any more.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("{0}")]
    Requests(#[from] RequestLogError),
}

struct Core {
    engine: Engine,
    registry: Registry,
    /// With which certificate of the registry things have come in last.
    principals: BTreeMap<ThingName, CertificateId>,
    ledger: Option<LedgerWriter>,
}

impl Service {
    pub(super) fn new(config: EngineConfig, faults: FaultSettings, delays: Delays, files: Files) -> Self {
        let registry = Registry::new(config.minute);
        let core = Core { engine: Engine::new(config), registry, principals: BTreeMap::new(), ledger: files.ledger };
        Self {
            core: Mutex::new(core),
            sessions: Sessions::default(),
            faults: Faults::new(faults),
            delays,
            requests: files.requests,
            timer: Notify::new(),
            failure: watch::channel(None).0,
        }
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
        self.call_core(|core, now| {
            let result = call(&mut core.registry, &mut core.engine, now);
            // Nobody keeps the registry yet.
            while core.registry.poll_dirty().is_some() {}
            result
        })
    }

    pub(super) fn with_principals<T>(&self, call: impl FnOnce(&mut BTreeMap<ThingName, CertificateId>, &Registry) -> T) -> T {
        let core = &mut *self.lock();
        call(&mut core.principals, &core.registry)
    }

    fn call_core<T>(&self, call: impl FnOnce(&mut Core, Now) -> T) -> T {
        let mut core = self.lock();
        let deadline = core.engine.poll_timeout();
        let result = call(&mut core, clock::now());
        let is_earlier = match (core.engine.poll_timeout(), deadline) {
            (Some((new, _)), Some((old, _))) => new < old,
            (new, old) => new.is_some() && old.is_none(),
        };
        if let Err(error) = core.write_ledger() {
            self.fail(&error);
        }
        while let Some((thing, notification)) = core.engine.poll_notification() {
            self.sessions.push(&thing, push(&thing, &notification));
        }
        drop(core);
        if is_earlier {
            self.timer.notify_one();
        }
        result
    }

    pub(super) fn request(&self, thing: &ThingName, request: &Request) -> Reply {
        self.call(|engine, now| engine.handle_request(thing, request, now))
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
                () = tokio::time::sleep(wait) => self.call(super::engine::Engine::handle_timeout),
                () = self.timer.notified() => {}
            }
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

fn push(thing: &ThingName, notification: &Notification) -> Push {
    let kind = match notification {
        Notification::Changed { .. } => TopicKind::Notify,
        Notification::NextChanged { .. } => TopicKind::NotifyNext,
    };
    let topic = Topic { thing: thing.as_str(), kind };
    Push { topic: topic.to_string().into(), payload: payload::encode_notification(notification).into() }
}
