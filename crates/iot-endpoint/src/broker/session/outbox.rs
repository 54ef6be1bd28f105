//! Messages on their way to a client: packet ids, and no more of them than it may have without acknowledging any.

use super::super::budget::{Budget, Holding};
use super::super::message::Message;
use super::super::packet::{Close, Outbound, PublishOut, Reason, Version};
use super::super::v5;
use super::Answer;
use bytes::BytesMut;
use iot_jobs::instant::Mono;
use iot_jobs::limits;
use rmqtt_codec::types::QoS;
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;

/// Messages held back for one client. A client that is further behind is slow, and is disconnected.
const DEFERRED_MAX: usize = 1_000;

/// A QoS 1 message that waits for a PUBACK of another.
struct Deferred {
    message: Arc<Message>,
    retain: bool,
}

pub(super) struct Outbox {
    version: Version,
    /// QoS 1 messages the client takes without having acknowledged them.
    window: u16,
    /// The largest packet that leaves, as its client and the service have it; larger ones are as good as delivered
    /// (MQTT 5 section 3.1.2.11.4).
    packet_bytes_max: usize,
    last_id: u16,
    unacknowledged: Vec<NonZeroU16>,
    deferred: VecDeque<Deferred>,
    /// Bytes of what is deferred.
    holding: Holding,
}

impl Outbox {
    pub(super) fn new(version: Version, window: u16, packet_bytes_max: Option<u32>, budget: &Arc<Budget>) -> Self {
        Self {
            version,
            window,
            packet_bytes_max: packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize).min(limits::PACKET_BYTES_MAX),
            last_id: 0,
            unacknowledged: Vec::new(),
            deferred: VecDeque::new(),
            holding: Holding::new(budget),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.deferred.is_empty() && self.unacknowledged.len() < usize::from(self.window)
    }

    /// Sends a message, now or when there is room.
    ///
    /// # Errors
    /// When the client is too far behind.
    pub(super) fn offer(
        &mut self,
        message: Arc<Message>,
        qos: QoS,
        retain: bool,
        now: Mono,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        if qos == QoS::AtMostOnce {
            self.send(&message, None, retain, now, out);
        } else if self.has_room() {
            let id = self.next_id();
            self.send(&message, Some(id), retain, now, out);
        } else if self.deferred.len() < DEFERRED_MAX && self.holding.take(message.bytes()) {
            self.deferred.push_back(Deferred { message, retain });
        } else {
            return Err(Close::Refused(Reason::Quota, "the client does not acknowledge its messages"));
        }
        Ok(())
    }

    /// Sends an answer of the service, now or when there is room.
    ///
    /// # Errors
    /// When the client is too far behind.
    pub(super) fn answer(&mut self, answer: Answer, qos: QoS, now: Mono, out: &mut BytesMut) -> Result<(), Close> {
        let Answer { topic, payload, .. } = answer;
        if qos != QoS::AtMostOnce && !self.has_room() {
            return self.offer(Arc::new(Message::of_service(topic, payload)), qos, false, now, out);
        }
        let id = (qos != QoS::AtMostOnce).then(|| self.next_id());
        let publish = PublishOut { id, retain: false, topic: &topic, payload: &payload, properties: &[], expiry_seconds: None };
        self.write(publish, out);
        Ok(())
    }

    /// Sends a message under an id that [`Self::next_id`] gave. Says whether the client will acknowledge it.
    pub(super) fn send(&mut self, message: &Message, id: Option<NonZeroU16>, retain: bool, now: Mono, out: &mut BytesMut) -> bool {
        if message.is_expired(now) {
            return false;
        }
        let expiry_seconds = message.expiry_seconds(now);
        let Message { topic, payload, properties, .. } = message;
        self.write(PublishOut { id, retain, topic, payload, properties, expiry_seconds }, out)
    }

    fn write(&mut self, publish: PublishOut<'_>, out: &mut BytesMut) -> bool {
        // Of MQTT 3.1.1 they are a few less.
        if v5::publish_bytes(&publish) > self.packet_bytes_max {
            return false;
        }
        self.unacknowledged.extend(publish.id);
        let is_acknowledged = publish.id.is_some();
        self.version.encode(&Outbound::Publish(publish), out);
        is_acknowledged
    }

    /// A PUBACK came in; one for nothing is ignored.
    pub(super) fn acknowledge(&mut self, id: NonZeroU16, now: Mono, out: &mut BytesMut) {
        if let Some(position) = self.unacknowledged.iter().position(|unacknowledged| *unacknowledged == id) {
            self.unacknowledged.swap_remove(position);
        }
        while self.unacknowledged.len() < usize::from(self.window)
            && let Some(Deferred { message, retain }) = self.deferred.pop_front()
        {
            self.holding.give(message.bytes());
            let id = self.next_id();
            self.send(&message, Some(id), retain, now, out);
        }
    }

    /// An id that is not in use.
    pub(super) fn next_id(&mut self) -> NonZeroU16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if let Some(id) = NonZeroU16::new(self.last_id).filter(|id| !self.unacknowledged.contains(id)) {
                return id;
            }
        }
    }
}
