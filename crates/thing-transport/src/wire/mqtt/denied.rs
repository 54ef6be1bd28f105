//! A connection that the endpoint closes upon a packet: usually a policy's no (PROTOCOL-CORE 1.9).

use super::MqttWire;
use crate::error::{ClosedAfter, DeniedPacket, Failure};
use crate::mqtt::{Content, Unacknowledged};
use crate::observer::Observer;
use crate::shard::Member;
use crate::wire::End;
use host::clock;
use iot_jobs::RequestKind;
use std::time::Duration;

/// What an endpoint has not acknowledged for longer is not why it closes a connection.
const RIGHT_AFTER: Duration = Duration::from_secs(2);

impl MqttWire<'_> {
    /// Tells with `end` what was sent last, where the endpoint closed the connection upon that.
    pub(super) fn explain<O: Observer>(&self, end: &mut End, thing: Member<'_, O>) {
        let End::Failed(failure) = end else { return };
        let sent = self.session.newest_unacknowledged(clock::mono() - RIGHT_AFTER);
        let Some(sent) = sent.filter(|_| failure.may_be_a_no()) else { return };
        let packet = match sent {
            Unacknowledged::Subscribe => DeniedPacket::Subscribe,
            Unacknowledged::Publish(_) => DeniedPacket::Publish,
        };
        let Some(topic) = self.topic(sent, thing) else { return };
        let failure = std::mem::replace(failure, Failure::Closed);
        *end = End::Failed(Failure::ClosedAfter(Box::new(ClosedAfter { packet, topic, failure })));
    }

    fn topic<O: Observer>(&self, sent: Unacknowledged, thing: Member<'_, O>) -> Option<String> {
        let name = &thing.id.name;
        let operation = match sent {
            Unacknowledged::Subscribe => "...",
            Unacknowledged::Publish(Content::Request(RequestKind::GetPending)) => "get",
            Unacknowledged::Publish(Content::Request(RequestKind::StartNext)) => "start-next",
            Unacknowledged::Publish(Content::Request(RequestKind::Describe)) => "{jobId}/get",
            Unacknowledged::Publish(Content::Request(RequestKind::Update)) => "{jobId}/update",
            Unacknowledged::Publish(Content::Telemetry) => {
                return self.telemetry.as_ref().map(|telemetry| telemetry.topic(name));
            }
        };
        Some(format!("$aws/things/{name}/jobs/{operation}"))
    }
}
