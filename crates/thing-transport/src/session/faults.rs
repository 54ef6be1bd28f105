//! What goes wrong on purpose with one connection, where its bytes come in and leave.

use super::Session;
use crate::error::Failure;
use crate::faults::spoil;
use crate::mqtt::{Content, Published};
use crate::{Observer, SessionEvent};
use bytes::{BufMut, BytesMut};
use host::clock;
use iot_jobs::Request;
use iot_jobs::instant::Mono;
use iot_jobs::wire::payload;
use iot_jobs::wire::topic::Topic;
use std::pin::Pin;
use std::task::{Context, Poll};
use thing_faults::Fault;
use tokio_util::io::poll_read_buf;

impl<O: Observer> Session<'_, O> {
    /// What is wrong from the beginning.
    pub(super) fn begin_faults(&mut self) {
        let Some(faults) = &self.faults else { return };
        let at = clock::mono();
        faults.struck().for_each(|fault| self.tell(SessionEvent::Fault { fault, at }));
        if faults.is_silent() {
            self.mqtt.withhold_acknowledgements();
        }
    }

    /// What has become due.
    pub(super) fn commit_faults(&mut self, now: Mono, out: &mut BytesMut) -> Result<(), Failure> {
        let Some(faults) = &mut self.faults else { return Ok(()) };
        if faults.breaks_silence(now) {
            self.mqtt.release_acknowledgements(now, out);
        }
        if faults.drops(now) {
            self.tell(SessionEvent::Fault { fault: Fault::Flapping, at: now });
            return Err(Failure::OnPurpose { fault: Fault::Flapping, away: None });
        }
        Ok(())
    }

    /// Reads as much as the thing may.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, inbound: &mut BytesMut) -> Poll<std::io::Result<usize>> {
        let stream = Pin::new(&mut *self.stream);
        let Some(faults) = &mut self.faults else { return poll_read_buf(stream, cx, inbound) };
        let now = clock::mono();
        let read = match faults.room(now) {
            Some(0) => return Poll::Pending,
            Some(room) => poll_read_buf(stream, cx, &mut inbound.limit(room)),
            None => poll_read_buf(stream, cx, inbound),
        };
        if let Poll::Ready(Ok(count)) = read {
            faults.handle_read(count, now);
        }
        read
    }

    /// Sends a request with `fault` in it.
    pub(super) fn publish_faulty(&mut self, request: &Request, fault: Fault, now: Mono, out: &mut BytesMut) {
        let (topic, payload) = spoil(fault, Topic::of_request(&self.thing.name, request), payload::encode_request(request));
        self.publish(topic, payload, Published { content: Content::Request, intended: now, sent: now }, true, out);
    }

    /// Messages that nobody needs, all at once.
    pub(super) fn flood(&mut self, count: u32, now: Mono, out: &mut BytesMut) {
        for number in 0..count {
            let (topic, payload) = (format!("dt/{}/flood", self.thing.name), number.to_string());
            self.tell(SessionEvent::MessageOut { topic: &topic, payload: payload.as_bytes() });
            if !self.mqtt.write_publish_qos_0(topic, payload.into_bytes(), now, out) {
                return;
            }
        }
    }
}
