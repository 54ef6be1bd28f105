//! What goes wrong on purpose with one connection, where its bytes come in.

use super::MqttWire;
use crate::error::Failure;
use crate::observer::{Observer, SessionEvent};
use crate::shard::Member;
use crate::wire::Turn;
use bytes::{BufMut, BytesMut};
use host::clock;
use std::pin::Pin;
use std::task::{Context, Poll};
use thing_faults::Fault;
use tokio_util::io::poll_read_buf;

impl MqttWire<'_> {
    /// What is wrong from the beginning.
    pub(crate) fn begin_faults<O: Observer>(&mut self, thing: Member<'_, O>) {
        let Some(faults) = &self.faults else { return };
        let at = clock::mono();
        faults.struck().for_each(|fault| thing.emit(SessionEvent::Fault { fault, at }));
        if faults.is_silent() {
            self.session.withhold_acknowledgements();
        }
    }

    /// What has become due.
    pub(super) fn commit_faults<O: Observer>(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<(), Failure> {
        let Some(faults) = &mut self.faults else { return Ok(()) };
        if faults.breaks_silence(turn.now) {
            self.session.release_acknowledgements(turn.now, &mut turn.scratch.outbound);
        }
        if faults.drops(turn.now) {
            turn.thing.emit(SessionEvent::Fault { fault: Fault::Flapping, at: turn.now });
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
}
