//! The engine as the doors share it: one lock around the pure calls, the ledger in commit order, one timer.

use super::delays::Delays;
use super::engine::{Engine, EngineConfig};
use super::faults::{FaultSettings, Faults};
use super::message::Message;
use super::request_log::{Answered, RequestLog, RequestLogError};
use super::sessions::Sessions;
use crate::clock;
use crate::instant::Now;
use crate::jobs::{Notification, Reply, Request, ThingName};
use crate::ledger::{LedgerError, LedgerWriter};
use crate::wire::payload;
use crate::wire::topic::{Topic, TopicKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    ledger: Option<LedgerWriter>,
}

impl Service {
    pub(super) fn new(config: EngineConfig, faults: FaultSettings, delays: Delays, files: Files) -> Self {
        Self {
            core: Mutex::new(Core { engine: Engine::new(config), ledger: files.ledger }),
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
        let mut core = self.lock();
        let deadline = core.engine.poll_timeout();
        let result = call(&mut core.engine, clock::now());
        let is_earlier = match (core.engine.poll_timeout(), deadline) {
            (Some((new, _)), Some((old, _))) => new < old,
            (new, old) => new.is_some() && old.is_none(),
        };
        if let Err(error) = core.write_ledger() {
            self.fail(&error);
        }
        while let Some((thing, notification)) = core.engine.poll_notification() {
            self.sessions.push(&thing, &Arc::new(message(&thing, &notification)));
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

fn message(thing: &ThingName, notification: &Notification) -> Message {
    let kind = match notification {
        Notification::Changed { .. } => TopicKind::Notify,
        Notification::NextChanged { .. } => TopicKind::NotifyNext,
    };
    let topic = Topic { thing: thing.as_str(), kind };
    Message::of_service(topic.to_string(), payload::encode_notification(notification))
}
