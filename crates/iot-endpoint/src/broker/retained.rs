//! Retained messages: the last one of a topic, for those who subscribe later (PROTOCOL 13.9).

use super::message::Message;
use iot_jobs::instant::Mono;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Topics with a retained message (AWS: 500,000 an account; here they live in memory).
const RETAINED_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct Retained(BTreeMap<Box<str>, Arc<Message>>);

impl Retained {
    /// Keeps a message in place of the one before; one without a payload deletes. Says whether there was room.
    pub(crate) fn set(&mut self, message: &Arc<Message>) -> bool {
        if message.payload.is_empty() {
            self.0.remove(&message.topic);
            return true;
        }
        let has_room = self.0.len() < RETAINED_MAX || self.0.contains_key(&message.topic);
        if has_room {
            self.0.insert(message.topic.clone(), Arc::clone(message));
        }
        has_room
    }

    pub(crate) fn get(&mut self, topic: &str, now: Mono) -> Option<Arc<Message>> {
        if self.0.get(topic)?.is_expired(now) {
            self.0.remove(topic);
        }
        self.0.get(topic).map(Arc::clone)
    }
}
