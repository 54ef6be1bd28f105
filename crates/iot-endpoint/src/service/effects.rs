//! What follows from calls of the service: ledger rows, notifications and events. They are handed over as values under the service's
//! lock, in the order of commitment, and written, encoded and routed in that order under a lock of their own.

use super::Service;
use crate::broker::message::Message;
use crate::documents::{self, Origin};
use crate::ledger::{LedgerError, LedgerWriter};
use iot_jobs::instant::{EpochSeconds, Now};
use iot_jobs::ledger::LedgerRow;
use iot_jobs::wire::execution;
use iot_jobs::wire::payload;
use iot_jobs::wire::topic::{Topic, TopicKind};
use iot_jobs::{JobEvent, NamespaceId, Notification};
use jobs_engine::engine::{Engine, Notified};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What follows from a call.
enum Effect {
    Row(LedgerRow),
    Notification { told: Notified, origin: Option<Origin> },
    Event { event: JobEvent, at: EpochSeconds },
}

/// Where effects are handed over; the service's lock has it.
pub(super) struct EffectSender {
    sender: Sender<Effect>,
    has_ledger: bool,
}

/// Where they leave.
pub(super) struct EffectReceiver {
    inner: Mutex<Inner>,
    /// Beside the lock: others deliver while rows are being written.
    ledger: Option<LedgerWriter>,
}

struct Inner {
    receiver: Receiver<Effect>,
    /// Events told so far.
    events: u64,
}

pub(super) fn new(ledger: Option<LedgerWriter>) -> (EffectSender, EffectReceiver) {
    let (sender, receiver) = mpsc::channel();
    let effect_sender = EffectSender { sender, has_ledger: ledger.is_some() };
    (effect_sender, EffectReceiver { inner: Mutex::new(Inner { receiver, events: 0 }), ledger })
}

impl EffectSender {
    /// Takes over what follows from a call of `now`. Says whether there is anything to deliver.
    pub(super) fn take_effects(&self, engine: &mut Engine, now: Now) -> bool {
        let mut has_effects = false;
        let mut hand_over = |effect| {
            // The receiver lives as long as the service does.
            let _ = self.sender.send(effect);
            has_effects = true;
        };
        while let Some(row) = engine.poll_change() {
            if self.has_ledger {
                hand_over(Effect::Row(row));
            }
        }
        while let Some(told) = engine.poll_notification() {
            let origin = match &told.notification {
                Notification::NextChanged { execution: Some(execution), .. } => Origin::of_execution(engine, execution, now),
                _ => None,
            };
            hand_over(Effect::Notification { told, origin });
        }
        while let Some(event) = engine.poll_event() {
            hand_over(Effect::Event { event, at: now.epoch_seconds() });
        }
        has_effects
    }
}

impl EffectReceiver {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the ledger rows of all calls that have returned are in the file.
    pub(super) fn flush(&self) -> Result<(), LedgerError> {
        self.ledger.as_ref().map_or(Ok(()), LedgerWriter::flush)
    }
}

impl Service {
    /// Delivers all effects that were handed over. Whoever has handed some over calls this, so that they are delivered when it
    /// returns, by itself or by whoever came before.
    pub(super) fn deliver(&self) {
        let mut inner = self.effect_receiver.lock();
        while let Ok(effect) = inner.receiver.try_recv() {
            match effect {
                Effect::Row(row) => {
                    if let Some(Err(error)) = self.effect_receiver.ledger.as_ref().map(|ledger| ledger.write(&row)) {
                        self.files.fail(&error);
                    }
                }
                Effect::Notification { told, origin } => self.notify(told, origin),
                Effect::Event { event, at } => {
                    inner.events += 1;
                    let (topic, payload) = execution::encode_event(&event, inner.events, at);
                    self.sessions.route(topic, payload);
                }
            }
        }
    }
}

impl Service {
    /// Sends a notification, at once or, where its document has to be filled, from the thread that does such things.
    fn notify(&self, mut told: Notified, origin: Option<Origin>) {
        let filling = origin.zip(self.objects.get());
        if filling.is_none() && !self.rendering.has(&told.thing) {
            self.shape.notify(&told.thing, Arc::new(message(&told)), &self.sessions);
            return;
        }
        let filling = filling.map(|(origin, objects)| (origin, Arc::clone(objects)));
        let (name, shape, sessions) = (told.thing.clone(), Arc::clone(&self.shape), Arc::clone(&self.sessions));
        self.rendering.add(&name, move || {
            if let (Some((origin, objects)), Some(document)) = (filling, documents::of_notification(&mut told.notification)) {
                documents::fill(&objects, &told.thing, document, &origin);
            }
            shape.notify(&told.thing, Arc::new(message(&told)), &sessions);
        });
    }
}

fn message(told: &Notified) -> Message {
    let kind = match told.notification {
        Notification::Changed { .. } => TopicKind::Notify,
        Notification::NextChanged { .. } => TopicKind::NotifyNext,
    };
    let topic = Topic { thing: told.thing.as_str(), namespace: told.namespace.as_ref().map(NamespaceId::as_str), kind };
    Message::of_service(topic.to_string(), payload::encode_notification(&told.notification))
}
