//! All sessions: who is connected and how to reach it, which of two with the same client id is the right one, who hears which topic,
//! and what is kept for clients that are away.

mod delivery;
mod subscribers;

pub(super) use delivery::{Delayed, Delivery, LateAnswer};

use super::broker::budget::Budget;
use super::broker::message::{Message, Will};
use super::broker::packet::Version;
use super::broker::retained::Retained;
use super::broker::stored::{Drawn, Stored};
use super::broker::subscriptions::{Subscriptions, WantedNotifications};
use super::identity::{ClientId, Identity};
use iot_jobs::ThingName;
use iot_jobs::instant::Mono;
use jobs_engine::engine::NamespaceInterest;
use jobs_engine::registry::CertificateId;
use rmqtt_codec::types::QoS;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use subscribers::Subscribers;
use tokio::sync::{Notify, mpsc};

/// Deliveries that may wait for a session's task. A session that is further behind is slow, and is disconnected.
const DELIVERIES_WAITING_MAX: usize = 64;

/// Bytes of messages that wait for one session (inferred: AWS limits their rate).
const WAITING_BYTES_PER_SESSION_MAX: usize = 8 * 1024 * 1024;
/// The same for all sessions.
const WAITING_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes that may wait for any session whatever waits for others.
const WAITING_BYTES_SHARE: usize = 64 * 1024;

/// Which of the connections of one client id this is: the newest wins.
pub(super) type Epoch = u64;

/// Why a session's task was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    TakenOver,
    Slow,
    /// Its certificate is worth nothing any more, or the thing was deleted.
    NotAuthorized,
    Stopping,
}

/// A connection that has begun.
pub(super) struct Begun {
    pub(super) epoch: Epoch,
    pub(super) deliveries: mpsc::Receiver<Delivery>,
    pub(super) later: mpsc::WeakSender<Delivery>,
    /// Subscriptions of the session that goes on.
    pub(super) resumed: Option<Subscriptions>,
    /// Messages for it are kept until they are acknowledged.
    pub(super) is_stored: bool,
}

/// A connection that has begun, and what that changes for others.
pub(super) struct Begins {
    pub(super) begun: Begun,
    /// What the session before has left, when it ended with this.
    pub(super) will: Option<Box<Will>>,
    /// Things of which others hear than before.
    pub(super) concerned: Vec<ThingName>,
}

/// What became of a session when its connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Another connection has taken its place.
    Superseded,
    /// It waits for its client.
    Kept,
    /// Nobody hears of these things by it any more.
    Gone(Vec<ThingName>),
}

/// Sessions whose time is over, and wills whose time has come.
#[derive(Default)]
pub(super) struct Expired {
    /// Things of which others hear than before.
    pub(super) concerned: Vec<ThingName>,
    pub(super) wills: Vec<(ClientId, Box<Will>)>,
}

pub(super) struct Sessions {
    inner: Mutex<Inner>,
    /// For messages that are stored, or wait for their clients to acknowledge others.
    budget: Arc<Budget>,
    /// An earlier deadline may have appeared.
    deadline: Notify,
}

impl Default for Sessions {
    fn default() -> Self {
        let budget = Budget::new(WAITING_BYTES_PER_SESSION_MAX, WAITING_BYTES_MAX, WAITING_BYTES_SHARE);
        Self { inner: Mutex::default(), budget, deadline: Notify::new() }
    }
}

#[derive(Default)]
struct Inner {
    epoch: Epoch,
    is_stopping: bool,
    by_client: HashMap<ClientId, Entry>,
    subscribers: Subscribers,
    retained: Retained,
    /// Of sessions whose clients are away.
    deadlines: BTreeSet<(Mono, ClientId)>,
    slow: u64,
    dropped: u64,
}

struct Entry {
    epoch: Epoch,
    /// The connection with which the session itself began.
    born: Epoch,
    link: Link,
    stored: Option<Box<Stored>>,
    /// Which thing the client is, where it is one.
    thing: Option<ThingName>,
    /// What it showed; absent: a signature.
    certificate: Option<CertificateId>,
    /// What it wants to hear of the thing whose name is its id.
    own: WantedNotifications,
    /// And of which of its namespaces.
    own_namespaces: Box<[NamespaceInterest]>,
}

enum Link {
    Up(mpsc::Sender<Delivery>),
    Dismissed(CloseReason),
    Away,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection begins. One with the same client id loses its link, which ends it (PROTOCOL 13.2). The session before goes on
    /// unless `clean` is wanted or the version is another one; then it has ended, and left a will.
    pub(super) fn begin(&self, identity: &Identity, version: Version, clean: bool, expiry: Duration) -> Begins {
        let client = &identity.client_id;
        let (sender, deliveries) = mpsc::channel(DELIVERIES_WAITING_MAX);
        let later = sender.downgrade();
        let mut inner = self.lock();
        inner.epoch += 1;
        let epoch = inner.epoch;
        let before = inner.by_client.remove(client);
        let before = before.and_then(|entry| entry.stored.map(|stored| (entry.born, stored, (entry.own, entry.own_namespaces))));
        if let Some(at) = before.as_ref().and_then(|(_, stored, _)| stored.deadline()) {
            inner.deadlines.remove(&(at, client.clone()));
        }
        let mut begun = Begun { epoch, deliveries, later, resumed: None, is_stored: false };
        let (mut will, mut concerned) = (None, Vec::new());
        let (born, stored, (own, own_namespaces)) = match before {
            Some((born, mut stored, own)) if !clean && stored.version == version => {
                stored.resume();
                begun.resumed = Some(stored.subscriptions.clone());
                (born, Some(stored), own)
            }
            before => {
                will = before.and_then(|(_, mut stored, _)| stored.will.take()).map(|(_, will)| will);
                concerned = inner.subscribers.remove(client);
                let stored = (!expiry.is_zero()).then(|| Box::new(Stored::new(version, &self.budget)));
                (epoch, stored, Default::default())
            }
        };
        begun.is_stored = stored.is_some();
        let link = if inner.is_stopping { Link::Dismissed(CloseReason::Stopping) } else { Link::Up(sender) };
        let (thing, certificate) = (identity.thing.clone(), identity.certificate);
        let entry = Entry { epoch, born, link, stored, thing, certificate, own, own_namespaces };
        inner.by_client.insert(client.clone(), entry);
        concerned.extend(client.thing());
        Begins { begun, will, concerned }
    }

    /// A connection has ended: what becomes of its session, and the will that is to be published now. A will with a delay waits as
    /// long as the session does, at most.
    pub(super) fn end(
        &self,
        client: &ClientId,
        epoch: Epoch,
        expiry: Duration,
        will: Option<Box<Will>>,
        now: Mono,
    ) -> (After, Option<Box<Will>>) {
        let mut inner = self.lock();
        let Some(entry) = inner.by_client.get_mut(client).filter(|entry| entry.epoch == epoch) else {
            let goes_on = inner.by_client.get(client).is_some_and(|entry| entry.born <= epoch);
            return (After::Superseded, will.filter(|will| will.delay.is_zero() || !goes_on));
        };
        let Some(stored) = entry.stored.as_mut().filter(|_| !expiry.is_zero()) else {
            let concerned = inner.forget(client);
            return (After::Gone(concerned), will);
        };
        entry.link = Link::Away;
        stored.expires = Some(now + expiry);
        let (waits, published) = match will {
            Some(will) if !will.delay.is_zero() => (Some((now + will.delay.min(expiry), will)), None),
            will => (None, will),
        };
        stored.will = waits;
        if let Some(at) = stored.deadline() {
            inner.deadlines.insert((at, client.clone()));
            self.deadline.notify_one();
        }
        (After::Kept, published)
    }

    /// What messages that wait are counted by.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Why the task of a session was told to end.
    pub(super) fn close_reason(&self, client: &ClientId, epoch: Epoch) -> CloseReason {
        match self.lock().by_client.get(client) {
            Some(Entry { epoch: current, link: Link::Dismissed(close_reason), .. }) if *current == epoch => *close_reason,
            _ => CloseReason::TakenOver,
        }
    }

    /// What a session is subscribed to from now on. Returns the things of which others hear than before; a session that was taken over
    /// has nothing to say any more.
    pub(super) fn set_subscriptions(&self, client: &ClientId, epoch: Epoch, subscriptions: &Subscriptions) -> Vec<ThingName> {
        let mut inner = self.lock();
        let Some(entry) = inner.current(client, epoch) else { return Vec::new() };
        if let Some(stored) = &mut entry.stored {
            stored.subscriptions = subscriptions.clone();
        }
        entry.own = subscriptions.notification_interest(client.as_str());
        entry.own_namespaces = subscriptions.namespace_interest(client.as_str()).into();
        let mut concerned = inner.subscribers.set(client, subscriptions);
        concerned.extend(client.thing());
        concerned
    }

    /// What sessions want to hear of a thing that they name.
    pub(super) fn interest(&self, thing: &ThingName) -> WantedNotifications {
        let inner = self.lock();
        let own = inner.by_client.get(thing.as_str()).map(|entry| entry.own).unwrap_or_default();
        own.or(inner.subscribers.interest(thing))
    }

    /// The namespaces of which sessions want to hear for a thing that they name.
    pub(super) fn namespace_interest(&self, thing: &ThingName) -> Vec<NamespaceInterest> {
        let inner = self.lock();
        let mut interest = inner.subscribers.namespace_interest(thing);
        interest.extend(inner.by_client.get(thing.as_str()).into_iter().flat_map(|entry| entry.own_namespaces.iter().cloned()));
        interest
    }

    /// What sessions want to hear of every thing.
    pub(super) fn observed(&self) -> (WantedNotifications, Vec<NamespaceInterest>) {
        self.lock().subscribers.observed()
    }

    /// Sends a thing's notification to whoever may have subscribed to it, never waiting for anybody: a session that does not keep up is
    /// disconnected.
    pub(super) fn notify(&self, thing: &ThingName, message: &Arc<Message>) {
        let mut inner = self.lock();
        inner.push(thing.as_str(), message);
        for client in inner.subscribers.of_thing(thing) {
            inner.push(client.as_str(), message);
        }
    }

    /// A message of the service for whoever subscribed to its topic.
    pub(super) fn route(&self, topic: String, payload: Vec<u8>) {
        self.publish(Message::of_service(topic, payload), None);
    }

    /// Routes a message by MQTT's rules, and keeps it when it is to be retained. One for which there is no room then reaches nobody (inferred
    /// from AWS, which throttles such messages while an account has as many retained ones as it may). Says whether it was routed.
    pub(super) fn publish(&self, message: Message, from: Option<&ClientId>) -> bool {
        let message = Arc::new(message);
        let mut inner = self.lock();
        let has_room = !message.retain || inner.retained.set(&message, from);
        if has_room {
            inner.route(&message, from);
        }
        has_room
    }

    /// The message that is kept of a topic.
    pub(super) fn retained(&self, topic: &str, now: Mono) -> Option<Arc<Message>> {
        self.lock().retained.get(topic, now)
    }

    /// The next message stored for a session, which is unacknowledged under `id` from now on.
    pub(super) fn draw(&self, client: &ClientId, epoch: Epoch, id: NonZeroU16, now: Mono) -> Option<Drawn> {
        self.lock().current(client, epoch)?.stored.as_mut()?.draw(id, now)
    }

    /// A stored message has arrived.
    pub(super) fn acknowledge(&self, client: &ClientId, epoch: Epoch, id: NonZeroU16) {
        if let Some(stored) = self.lock().current(client, epoch).and_then(|entry| entry.stored.as_mut()) {
            stored.acknowledge(id);
        }
    }

    /// What is due of sessions whose clients are away.
    pub(super) fn lapse(&self, now: Mono) -> Expired {
        let mut inner = self.lock();
        let mut lapsed = Expired::default();
        while inner.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, client)) = inner.deadlines.pop_first() else { break };
            let Some(stored) = inner.by_client.get_mut(&client).and_then(|entry| entry.stored.as_mut()) else { continue };
            if let Some((_, will)) = stored.will.take_if(|(at, _)| *at <= now) {
                lapsed.wills.push((client.clone(), will));
            }
            match stored.deadline() {
                Some(at) if at > now => {
                    inner.deadlines.insert((at, client));
                }
                _ => {
                    let concerned = inner.forget(&client);
                    lapsed.concerned.extend(concerned);
                }
            }
        }
        lapsed
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.lock().deadlines.first().map(|(at, _)| *at)
    }

    /// Completes when [`Self::poll_timeout`] may be earlier than it was.
    pub(super) async fn deadline_changed(&self) {
        self.deadline.notified().await;
    }

    /// Ends the connections of clients that showed a certificate, where `is_meant`: which thing the client is, and what it showed.
    pub(super) fn dismiss(&self, is_meant: impl Fn(Option<&ThingName>, CertificateId) -> bool) {
        for (client, entry) in &mut self.lock().by_client {
            let is_meant = entry.certificate.is_some_and(|certificate| is_meant(entry.thing.as_ref(), certificate));
            if is_meant && matches!(entry.link, Link::Up(_)) {
                tracing::info!(%client, "its certificate is no longer valid: the session ends");
                entry.link = Link::Dismissed(CloseReason::NotAuthorized);
            }
        }
    }

    /// Ends the sessions of a thing that is no more, and what is kept for them.
    pub(super) fn expel(&self, thing: &ThingName) {
        let mut inner = self.lock();
        let is_meant = |(_, entry): &(&ClientId, &Entry)| entry.thing.as_ref() == Some(thing);
        let clients: Vec<ClientId> = inner.by_client.iter().filter(is_meant).map(|(client, _)| client.clone()).collect();
        for client in clients {
            inner.expel(&client);
        }
    }

    /// Ends every connection.
    pub(super) fn close_all(&self) {
        let mut inner = self.lock();
        inner.is_stopping = true;
        inner.by_client.values_mut().for_each(|entry| entry.link = Link::Dismissed(CloseReason::Stopping));
    }

    /// Sessions that were disconnected since they did not keep up.
    pub(super) fn slow(&self) -> u64 {
        self.lock().slow
    }

    /// Messages for clients that were away, for which there was no room.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

impl Inner {
    fn current(&mut self, client: &ClientId, epoch: Epoch) -> Option<&mut Entry> {
        self.by_client.get_mut(client).filter(|entry| entry.epoch == epoch)
    }

    /// Returns the things of which others hear than before.
    fn forget(&mut self, client: &ClientId) -> Vec<ThingName> {
        self.by_client.remove(client);
        let mut concerned = self.subscribers.remove(client);
        concerned.extend(client.thing());
        concerned
    }

    fn expel(&mut self, client: &ClientId) {
        let Some(entry) = self.by_client.get_mut(client) else { return };
        let deadline = entry.stored.take().and_then(|stored| stored.deadline());
        match entry.link {
            // Its task finds nothing stored, so that it leaves nothing behind.
            Link::Up(_) => entry.link = Link::Dismissed(CloseReason::NotAuthorized),
            Link::Dismissed(_) => {}
            Link::Away => drop(self.by_client.remove(client)),
        }
        self.subscribers.remove(client);
        if let Some(at) = deadline {
            self.deadlines.remove(&(at, client.clone()));
        }
    }

    fn push(&mut self, client: &str, message: &Arc<Message>) {
        let Some(entry) = self.by_client.get_mut(client) else { return };
        let delivery = match &mut entry.stored {
            None => Delivery::Message(Arc::clone(message)),
            Some(stored) => match stored.qos(message) {
                None => return,
                Some(QoS::AtMostOnce) => Delivery::Message(Arc::clone(message)),
                Some(_) if stored.enqueue(Arc::clone(message)) => Delivery::Stored,
                Some(_) => {
                    self.dropped += 1;
                    return;
                }
            },
        };
        let Link::Up(deliveries) = &entry.link else { return };
        match deliveries.try_send(delivery) {
            // Whoever has that much to do will look at what is stored, too.
            Ok(()) | Err(mpsc::error::TrySendError::Full(Delivery::Stored)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.slow += 1;
                entry.link = Link::Dismissed(CloseReason::Slow);
                tracing::warn!(client, "disconnected: it does not take its messages");
            }
            // Its task is about to say that it has ended.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// To each session that matches one copy; of those who share a subscription, to one.
    fn route(&mut self, message: &Arc<Message>, from: Option<&ClientId>) {
        let by_client = &self.by_client;
        let is_up = |client: &ClientId| by_client.get(client).is_some_and(|entry| matches!(entry.link, Link::Up(_)));
        for client in self.subscribers.takers(message, from, is_up) {
            self.push(client.as_str(), message);
        }
    }
}
