//! Retained messages: the last one of a topic, for those who subscribe later (PROTOCOL 13.9).

use super::budget::{Budget, Holding};
use super::message::Message;
use crate::identity::ClientId;
use iot_jobs::instant::Mono;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of what one client has published (inferred; AWS counts messages: 500,000 an account. Here they live in memory).
const BYTES_PER_THING_MAX: usize = 8 * 1024 * 1024;
/// Bytes in all, likewise.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes that every client may have whatever the others have.
const BYTES_SHARE: usize = 16 * 1024;

/// Who published a message; the service itself is nobody.
type Owner = Option<ClientId>;

pub(crate) struct Retained {
    by_topic: BTreeMap<Box<str>, (Owner, Arc<Message>)>,
    holdings: BTreeMap<Owner, Holding>,
    budget: Arc<Budget>,
}

impl Default for Retained {
    fn default() -> Self {
        let budget = Budget::new(BYTES_PER_THING_MAX, BYTES_MAX, BYTES_SHARE);
        Self { by_topic: BTreeMap::new(), holdings: BTreeMap::new(), budget }
    }
}

impl Retained {
    /// Keeps a message of `owner` in place of the one before; one without a payload deletes. Says whether there was room: otherwise the one
    /// before stays.
    pub(crate) fn set(&mut self, message: &Arc<Message>, owner: Option<&ClientId>) -> bool {
        let before = self.remove(&message.topic);
        if message.payload.is_empty() {
            return true;
        }
        let has_room = self.insert(message, owner.cloned());
        if let Some((owner, before)) = before.filter(|_| !has_room) {
            self.insert(&before, owner);
        }
        has_room
    }

    pub(crate) fn get(&mut self, topic: &str, now: Mono) -> Option<Arc<Message>> {
        if self.by_topic.get(topic)?.1.is_expired(now) {
            self.remove(topic);
        }
        self.by_topic.get(topic).map(|(_, message)| Arc::clone(message))
    }

    fn insert(&mut self, message: &Arc<Message>, owner: Owner) -> bool {
        let holding = self.holdings.entry(owner.clone()).or_insert_with(|| Holding::new(&self.budget));
        let has_room = holding.take(message.bytes());
        if has_room {
            self.by_topic.insert(message.topic.clone(), (owner, Arc::clone(message)));
        } else if holding.is_empty() {
            self.holdings.remove(&owner);
        }
        has_room
    }

    fn remove(&mut self, topic: &str) -> Option<(Owner, Arc<Message>)> {
        let (owner, message) = self.by_topic.remove(topic)?;
        if let Some(holding) = self.holdings.get_mut(&owner) {
            holding.give(message.bytes());
            if holding.is_empty() {
                self.holdings.remove(&owner);
            }
        }
        Some((owner, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 1024 * 1024;

    fn thing(name: &str) -> ClientId {
        ClientId::new(name)
    }

    fn message(topic: &str, bytes: usize) -> Arc<Message> {
        Arc::new(Message { retain: true, ..Message::of_service(topic, vec![b'x'; bytes]) })
    }

    fn kept(retained: &mut Retained, topic: &str) -> Option<usize> {
        retained.get(topic, Mono(0)).map(|message| message.payload.len())
    }

    #[test]
    fn a_thing_has_a_number_of_bytes_and_all_of_them_have_one() {
        let mut retained = Retained::default();
        let fill = |retained: &mut Retained, owner: &str| {
            (0..100).filter(|n| retained.set(&message(&format!("{owner}/{n}"), LARGE), Some(&thing(owner)))).count()
        };
        let counts: Vec<usize> = (0..20).map(|n| fill(&mut retained, &format!("t-{n}"))).collect();
        assert_eq!(counts[0], 7, "with what goes with each of them");
        assert_eq!(counts.iter().sum::<usize>(), 64, "{counts:?}");
        assert!(retained.set(&message("small", 1_000), Some(&thing("late"))), "there is a share for everybody");
        // What is full is not what a message replaces.
        assert!(!retained.set(&message("t-0/0", 2 * LARGE), Some(&thing("t-0"))));
        assert_eq!(kept(&mut retained, "t-0/0"), Some(LARGE), "the one before stays");
        assert!(retained.set(&message("t-0/0", LARGE), Some(&thing("t-0"))));
        assert!(retained.set(&message("t-0/0", 0), Some(&thing("other"))), "deleting is always possible");
        assert_eq!(kept(&mut retained, "t-0/0"), None);
        assert!(retained.set(&message("again", LARGE), Some(&thing("t-0"))));
    }

    #[test]
    fn what_is_replaced_or_has_expired_counts_for_nobody() {
        let mut retained = Retained::default();
        for n in 0..100 {
            let owner = thing(&format!("t-{}", n % 3));
            assert!(retained.set(&message("same", LARGE), Some(&owner)));
        }
        let old = Message { expires: Some(Mono(5)), ..Message::of_service("old", vec![b'x'; LARGE]) };
        assert!(retained.set(&Arc::new(old), Some(&thing("t-0"))));
        assert!(retained.get("old", Mono(5)).is_none());
        retained.set(&message("same", 0), None);
        assert!(retained.holdings.is_empty() && retained.by_topic.is_empty());
    }
}
