//! How the endpoint is shaped: quotas and faults as the listeners ask for them, and what waits because of them. It stands around the engine,
//! and knows no rule of jobs.

use super::broker::message::Message;
use super::delays::Delays;
use super::sessions::{Delivery, Sessions};
use super::supervision::Failures;
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::{ErrorCode, Rejection, RequestKind, ThingName};
use jobs_engine::faults::{Fault, FaultSettings, Faults, message};
use jobs_engine::quotas::Quotas;
use jobs_engine::quotas::{ConnectQuota, Meters};
use jobs_engine::server_queue::ServerQueue;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::WeakSender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

/// What stands around the engine.
#[derive(Clone, Debug)]
pub(super) struct ShapeSettings {
    pub(super) quotas: Quotas,
    pub(super) faults: FaultSettings,
}

/// What keeping somebody waiting takes.
const WAKE_BYTES: usize = 128;

/// What leaves later.
enum Late {
    /// For one session, and nobody else once that has ended: its own request, or the answer to it.
    Own(WeakSender<Delivery>, Delivery),
    /// For whatever session the thing has then.
    Notification(ThingName, Arc<Message>),
    /// Whoever waits goes on, if somebody still does.
    Wake(oneshot::Sender<()>),
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It is handled, or refused, at once or later.
    Handle { due: Option<Mono>, refusal: Option<Rejection> },
    /// It is acknowledged, and never heard of again.
    Drop,
}

pub(super) struct Shape {
    meters: Meters,
    /// What goes wrong by seed: a listener asks where it takes hold.
    pub(super) faults: Faults,
    server: Option<Mutex<ServerQueue>>,
    late: Delays<Late>,
}

/// One connection, counted while it lasts.
pub(super) struct Connected<'a>(&'a Meters);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.disconnect();
    }
}

impl Shape {
    /// # Errors
    /// When the host gives no thread.
    pub(super) fn new(settings: &ShapeSettings, sessions: &Arc<Sessions>, failures: &Failures) -> io::Result<Self> {
        let sessions = Arc::clone(sessions);
        Ok(Self {
            meters: Meters::new(settings.quotas.clone()),
            server: settings.faults.plan.server.map(|server| Mutex::new(ServerQueue::new(server.workers))),
            faults: Faults::new(settings.faults.clone()),
            late: Delays::start(failures, move |late| hand_over(late, &sessions))?,
        })
    }

    // ------------------------------------------------------------------------------------------------------- connections

    /// A CONNECT has come; who is let in is counted until `Connected` is dropped.
    pub(super) fn connect(&self, client_id: &str) -> Result<Connected<'_>, ConnectQuota> {
        self.meters.connect(client_id, clock::mono()).map(|()| Connected(&self.meters))
    }

    /// What is left of the account's quotas.
    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// When the server ends the connection that begins now; never, unless it is told to, and never that of a client that is no thing.
    pub(super) fn end_of_life(&self, thing: Option<&ThingName>) -> Mono {
        thing.and_then(|thing| self.faults.lifetime(thing)).map_or(Mono::FAR_FUTURE, |lifetime| clock::mono() + lifetime)
    }

    // ---------------------------------------------------------------------------------------------------------- messages

    /// What becomes of a request of `thing` that came at `received`; `kind` is absent where no operation has its topic. What the
    /// front refuses never waits in the server's queue.
    pub(super) fn request(&self, thing: &ThingName, kind: Option<RequestKind>, received: Mono) -> Disposition {
        let Fault { is_dropped, refusal, service, latency } = self.faults.request(thing);
        let is_throttled = kind.is_some_and(|kind| !self.meters.request(kind, received));
        if is_dropped {
            return Disposition::Drop;
        }
        let throttled = || Rejection::new(ErrorCode::RequestThrottled, message(ErrorCode::RequestThrottled));
        let refusal = if is_throttled { Some(throttled()) } else { refusal };
        let departure = match (&self.server, service) {
            (Some(queue), Some(service)) if refusal.is_none() => {
                Some(queue.lock().unwrap_or_else(PoisonError::into_inner).enter(received, service))
            }
            _ => None,
        };
        let due = match (departure, latency) {
            (departure, Some(latency)) => Some(departure.unwrap_or(received) + latency),
            (departure, None) => departure,
        };
        Disposition::Handle { due, refusal }
    }

    /// Completes at `due`. Says whether there was room to wait.
    pub(super) async fn wait(&self, due: Mono) -> bool {
        let (wake, woken) = oneshot::channel();
        self.late.add(due, WAKE_BYTES, Late::Wake(wake));
        woken.await.is_ok()
    }

    fn emitted(&self) {
        if self.meters.counts_messages() {
            self.meters.emitted(clock::mono());
        }
    }

    /// Hands a request, or its answer, back to its session at `due`.
    pub(super) fn later(&self, due: Mono, to: &WeakSender<Delivery>, what: Delivery) {
        self.late.add(due, what.bytes(), Late::Own(to.clone(), what));
    }

    /// An answer is about to leave: when, if it is to be late.
    pub(super) fn answer(&self, thing: &ThingName) -> Option<Mono> {
        self.emitted();
        self.faults.answer(thing, clock::mono)
    }

    /// A notification leaves for the sessions, at once or late.
    pub(super) fn notify(&self, thing: &ThingName, message: Arc<Message>, sessions: &Sessions) {
        self.emitted();
        match self.faults.notification(thing, clock::mono) {
            Some(due) => self.late.add(due, message.bytes(), Late::Notification(thing.clone(), message)),
            None => sessions.notify(thing, &message),
        }
    }

    // ------------------------------------------------------------------------------------------------------ control plane

    /// Whether the account may make one more call of an operation of the jobs control plane.
    pub(super) fn admits_jobs_call(&self, operation: &'static str) -> bool {
        self.meters.control_plane(operation, clock::mono())
    }

    /// Whether the account may make one more call of another operation of the control plane.
    pub(super) fn admits_registry_call(&self, operation: &'static str) -> bool {
        self.meters.registry(operation, clock::mono())
    }

    /// Requests and messages that were dropped since too many waited.
    pub(super) fn dropped(&self) -> u64 {
        self.late.dropped()
    }
}

/// What a session cannot take yet is tried again, unless the session has ended.
fn hand_over(late: Late, sessions: &Sessions) -> Option<Late> {
    match late {
        Late::Own(to, what) => match to.upgrade()?.try_send(what) {
            Err(TrySendError::Full(what)) => Some(Late::Own(to, what)),
            Ok(()) | Err(TrySendError::Closed(_)) => None,
        },
        Late::Notification(thing, message) => {
            sessions.notify(&thing, &message);
            None
        }
        Late::Wake(wake) => {
            // Nobody waits any more where a client went away.
            let _ = wake.send(());
            None
        }
    }
}
