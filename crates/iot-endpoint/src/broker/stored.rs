//! What outlives a connection: a persistent session's subscriptions and its QoS 1 messages (PROTOCOL 13.4).
//!
//! Messages for a persistent session always go through here, whether its client is there or not; its connection only draws from it.
//! So nothing is lost, or has to be handed over, when connections change.

use super::budget::{Budget, Holding};
use super::message::{Message, Will};
use super::packet::Version;
use super::subscriptions::Subscriptions;
use iot_jobs::instant::Mono;
use rmqtt_codec::types::QoS;
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;

/// Messages that wait for one client; further ones are dropped and counted (inferred: AWS limits their rate, not their number).
const QUEUED_MAX: usize = 1_000;

pub(crate) struct Stored {
    /// No session is resumed with another version of MQTT.
    pub(crate) version: Version,
    pub(crate) subscriptions: Subscriptions,
    unacknowledged: Vec<(NonZeroU16, Arc<Message>)>,
    queue: VecDeque<Arc<Message>>,
    /// Bytes of all these.
    holding: Holding,
    /// How many of the queue, from its front, are from before the client came back.
    backlog: usize,
    /// While the client is away: when the session ends.
    pub(crate) expires: Option<Mono>,
    /// While the client is away: a will that waits for it.
    pub(crate) will: Option<(Mono, Box<Will>)>,
}

/// A message on its way out.
pub(crate) struct Drawn {
    pub(crate) message: Arc<Message>,
    /// It is one of those that are delivered slowly.
    pub(crate) is_backlog: bool,
}

impl Stored {
    pub(crate) fn new(version: Version, budget: &Arc<Budget>) -> Self {
        Self {
            version,
            subscriptions: Subscriptions::default(),
            unacknowledged: Vec::new(),
            queue: VecDeque::new(),
            holding: Holding::new(budget),
            backlog: 0,
            expires: None,
            will: None,
        }
    }

    /// When something is to happen with it though nobody comes.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        [self.expires, self.will.as_ref().map(|(at, _)| *at)].into_iter().flatten().min()
    }

    /// The client is back: what it did not acknowledge is sent again, first.
    pub(crate) fn resume(&mut self) {
        (self.expires, self.will) = (None, None);
        for (_, message) in std::mem::take(&mut self.unacknowledged).into_iter().rev() {
            self.queue.push_front(message);
        }
        self.backlog = self.queue.len();
    }

    /// The QoS at which this session would get the message.
    pub(crate) fn qos(&self, message: &Message) -> Option<QoS> {
        self.subscriptions.granted(&message.topic).map(|granted| granted.qos.less_value(message.qos))
    }

    /// Says whether there was room.
    pub(crate) fn enqueue(&mut self, message: Arc<Message>) -> bool {
        let has_room = self.queue.len() < QUEUED_MAX && self.holding.take(message.bytes());
        if has_room {
            self.queue.push_back(message);
        }
        has_room
    }

    /// The next message, which is unacknowledged under `id` from now on; those whose time is over are left out.
    pub(crate) fn draw(&mut self, id: NonZeroU16, now: Mono) -> Option<Drawn> {
        loop {
            let message = self.queue.pop_front()?;
            let is_backlog = self.backlog > 0;
            self.backlog = self.backlog.saturating_sub(1);
            if !message.is_expired(now) {
                self.unacknowledged.push((id, Arc::clone(&message)));
                return Some(Drawn { message, is_backlog });
            }
            self.holding.give(message.bytes());
        }
    }

    pub(crate) fn acknowledge(&mut self, id: NonZeroU16) {
        for (_, message) in self.unacknowledged.extract_if(.., |(unacknowledged, _)| *unacknowledged == id) {
            self.holding.give(message.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(version: Version) -> Stored {
        Stored::new(version, &Budget::new(100_000, 150_000, 10_000))
    }

    fn message(text: &str) -> Arc<Message> {
        Arc::new(Message::of_service(text, Vec::new()))
    }

    fn draw(stored: &mut Stored, id: u16) -> Option<(String, bool)> {
        let drawn = stored.draw(NonZeroU16::new(id).unwrap(), Mono(10))?;
        Some((drawn.message.topic.to_string(), drawn.is_backlog))
    }

    #[test]
    fn what_was_not_acknowledged_comes_first_again() {
        let mut stored = stored(Version::V3);
        for topic in ["a", "b", "c"] {
            assert!(stored.enqueue(message(topic)));
        }
        for id in [1, 2] {
            draw(&mut stored, id);
        }
        stored.acknowledge(NonZeroU16::new(1).unwrap());
        stored.resume();
        stored.enqueue(message("d"));
        let told: Vec<_> = (1..5).filter_map(|id| draw(&mut stored, id)).collect();
        assert_eq!(told, [("b".into(), true), ("c".into(), true), ("d".into(), false)]);
    }

    #[test]
    fn the_queue_has_an_end_and_old_messages_are_left_out() {
        let mut stored = Stored::new(Version::V5, &Budget::new(usize::MAX, usize::MAX, 0));
        stored.enqueue(Arc::new(Message { expires: Some(Mono(5)), ..Message::of_service("old", Vec::new()) }));
        assert!((1..QUEUED_MAX).all(|_| stored.enqueue(message("new"))));
        assert!(!stored.enqueue(message("too many")));
        assert_eq!(draw(&mut stored, 1), Some(("new".into(), false)));
    }

    #[test]
    fn what_waits_and_what_is_unacknowledged_have_a_number_of_bytes_together() {
        let mut stored = stored(Version::V5);
        let large = |topic: &str| Arc::new(Message::of_service(topic, vec![0; 20_000]));
        let count = (0..QUEUED_MAX).filter(|_| stored.enqueue(large("large"))).count();
        assert_eq!(count, 4);
        draw(&mut stored, 1);
        assert!(!stored.enqueue(large("large")), "what is on its way may have to be sent again");
        stored.acknowledge(NonZeroU16::new(1).unwrap());
        assert!(stored.enqueue(large("large")) && !stored.enqueue(large("large")));
        stored.resume();
        assert_eq!((1..10).filter_map(|id| draw(&mut stored, id)).count(), 4);
        (1..10).for_each(|id| stored.acknowledge(NonZeroU16::new(id).unwrap()));
        assert!(stored.holding.is_empty());
    }
}
