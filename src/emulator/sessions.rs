//! The sessions that are connected: how to reach them, and which of two with the same client id is the right one.

use super::filter;
use crate::instant::Mono;
use crate::jobs::{Rejection, ThingName};
use rmqtt_codec::types::Publish;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Messages that may wait for a session's task. A session that is further behind is slow, and is disconnected.
const DELIVERIES_WAITING_MAX: usize = 64;

/// A message the service sends unasked.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) topic: Box<str>,
    pub(super) payload: Box<[u8]>,
}

/// What reaches the task of a session.
#[derive(Debug)]
pub(super) enum Delivery {
    Message(Push),
    /// A request of its own, when it has waited long enough.
    Request(Box<Delayed>),
}

/// A request that waited, and what is to become of it.
#[derive(Debug)]
pub(super) struct Delayed {
    pub(super) publish: Publish,
    pub(super) received: Mono,
    pub(super) refusal: Option<Rejection>,
}

/// Which of the sessions of one client id this is: the newest wins.
pub(super) type Epoch = u64;

#[derive(Default)]
pub(super) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    epoch: Epoch,
    by_thing: HashMap<ThingName, Handle>,
    /// Filters outside `$aws`, of the few sessions that have any.
    ordinary: BTreeMap<ThingName, Vec<Box<str>>>,
    slow: u64,
}

struct Handle {
    epoch: Epoch,
    deliveries: mpsc::Sender<Delivery>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session begins. One with the same client id loses its handle, which ends it (spec section 13.2).
    pub(super) fn begin(&self, thing: &ThingName) -> (Epoch, mpsc::Receiver<Delivery>, mpsc::WeakSender<Delivery>) {
        let (deliveries, receiver) = mpsc::channel(DELIVERIES_WAITING_MAX);
        let later = deliveries.downgrade();
        let mut inner = self.lock();
        inner.epoch += 1;
        let epoch = inner.epoch;
        inner.by_thing.insert(thing.clone(), Handle { epoch, deliveries });
        inner.ordinary.remove(thing);
        (epoch, receiver, later)
    }

    /// A session has ended. Says whether no other has taken its place.
    pub(super) fn end(&self, thing: &ThingName, epoch: Epoch) -> bool {
        let mut inner = self.lock();
        let is_last = inner.by_thing.get(thing).is_none_or(|handle| handle.epoch == epoch);
        if is_last {
            inner.by_thing.remove(thing);
            inner.ordinary.remove(thing);
        }
        is_last
    }

    pub(super) fn is_current(&self, thing: &ThingName, epoch: Epoch) -> bool {
        self.lock().by_thing.get(thing).is_some_and(|handle| handle.epoch == epoch)
    }

    pub(super) fn set_ordinary_filters(&self, thing: &ThingName, filters: Vec<Box<str>>) {
        let mut inner = self.lock();
        if filters.is_empty() {
            inner.ordinary.remove(thing);
        } else {
            inner.ordinary.insert(thing.clone(), filters);
        }
    }

    /// Sends to one session, never waiting for it: one that does not keep up is disconnected.
    pub(super) fn push(&self, thing: &ThingName, push: Push) {
        self.lock().push(thing, push);
    }

    /// Routes an ordinary message by MQTT's rules.
    pub(super) fn route(&self, topic: &str, payload: &[u8]) {
        let mut inner = self.lock();
        let takers: Vec<ThingName> = inner
            .ordinary
            .iter()
            .filter(|(_, filters)| filters.iter().any(|filter| filter::matches(filter, topic)))
            .map(|(thing, _)| thing.clone())
            .collect();
        for thing in takers {
            inner.push(&thing, Push { topic: topic.into(), payload: payload.into() });
        }
    }

    /// Ends the session of one thing, if it has one.
    pub(super) fn close(&self, thing: &ThingName) {
        self.lock().by_thing.remove(thing);
    }

    /// Ends every session.
    pub(super) fn close_all(&self) {
        self.lock().by_thing.clear();
    }

    /// Sessions that were disconnected since they did not keep up.
    pub(super) fn slow(&self) -> u64 {
        self.lock().slow
    }
}

impl Inner {
    fn push(&mut self, thing: &ThingName, push: Push) {
        let Some(handle) = self.by_thing.get(thing) else { return };
        match handle.deliveries.try_send(Delivery::Message(push)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.slow += 1;
                self.by_thing.remove(thing);
                tracing::warn!(%thing, "disconnected: it does not take its messages");
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.by_thing.remove(thing);
            }
        }
    }
}
