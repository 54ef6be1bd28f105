//! Who may connect (PROTOCOL 13.2).

use super::{Carrier, MqttSettings};
use crate::broker::filter;
use crate::broker::message::Will;
use crate::broker::packet::{Connect, Reason};
use crate::identity::Identity;
use crate::service::Service;
use iot_jobs::limits;
use rmqtt_codec::types::QoS;
use std::time::Duration;

/// What an MQTT 5 client is told that wants smaller packets than it may (inferred).
const PACKET_BYTES_TOO_FEW: Reason = Reason::Unspecified;
/// What an MQTT 5 client is told that wants to authenticate with AUTH, which is not supported (inferred).
const AUTHENTICATION_UNSUPPORTED: Reason = Reason::NotAuthorized;

/// A CONNECT came in: whether its client may connect, and as which thing.
pub(super) fn admit(
    stream: &impl Carrier,
    connect: &Connect,
    service: &Service,
    settings: MqttSettings,
) -> Result<Identity, (Reason, &'static str)> {
    if connect.client_id.len() > limits::CLIENT_ID_BYTES_MAX {
        return Err((Reason::ClientId, "the client id is too long"));
    }
    if connect.packet_bytes_max.is_some_and(|bytes| bytes < limits::CLIENT_PACKET_BYTES_MIN) {
        return Err((PACKET_BYTES_TOO_FEW, "a maximum packet size below 512"));
    }
    if connect.wants_authentication {
        return Err((AUTHENTICATION_UNSUPPORTED, "an authentication method"));
    }
    if let Some(will) = &connect.will {
        check_will(will)?;
    }
    stream.identify(&connect.client_id, service, settings).map_err(|why| (Reason::NotAuthorized, why))
}

fn check_will(will: &Will) -> Result<(), (Reason, &'static str)> {
    if will.qos == QoS::ExactlyOnce {
        return Err((Reason::Qos, "a will with QoS 2"));
    }
    if filter::is_reserved(&will.topic) || !filter::is_valid_topic(&will.topic) {
        return Err((Reason::TopicInvalid, "a will on a topic that is reserved, or none"));
    }
    Ok(())
}

/// Clamped, never refused (PROTOCOL 2 fact 21).
pub(super) fn keep_alive(seconds: u16, settings: MqttSettings) -> Duration {
    match Duration::from_secs(u64::from(seconds)) {
        Duration::ZERO => settings.keep_alive_max,
        asked => asked.clamp(settings.keep_alive_min, settings.keep_alive_max),
    }
}
