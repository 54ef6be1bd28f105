//! Who may connect (spec section 13.2).

use super::MqttSettings;
use super::connection::Stream;
use super::packet::{Connect, Reason};
use crate::emulator::filter;
use crate::emulator::message::Will;
use crate::emulator::service::Service;
use crate::jobs::{ThingName, limits};
use rmqtt_codec::types::QoS;
use std::time::Duration;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What an MQTT 5 client is told that wants smaller packets than it may (inferred).
const PACKET_BYTES_TOO_FEW: Reason = Reason::Unspecified;
/// What an MQTT 5 client is told that wants to authenticate with AUTH, which is not supported (inferred).
const AUTHENTICATION_UNSUPPORTED: Reason = Reason::NotAuthorized;

/// A CONNECT came in. The certificate says which thing it is; the client id must be its name, as the usual policy of spec section 14
/// wants, or be empty, which gives the thing its name (inferred).
pub(super) fn admit(
    stream: &Stream,
    connect: &Connect,
    service: &Service,
    settings: MqttSettings,
) -> Result<ThingName, (Reason, &'static str)> {
    let refuse = |why| Err((Reason::NotAuthorized, why));
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
    let Some(thing) = common_name(stream).and_then(|name| ThingName::new(&name).ok()) else {
        return refuse("the certificate has no common name that is a thing name");
    };
    if !connect.client_id.is_empty() && *connect.client_id != *thing.as_str() {
        return refuse("the client id is not the name of the certificate's thing");
    }
    let known = service.call(|engine, _| {
        if settings.auto_register {
            engine.create_thing(&thing);
        }
        engine.has_thing(&thing)
    });
    if known { Ok(thing) } else { refuse("the thing is not registered") }
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

fn common_name(stream: &Stream) -> Option<String> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

/// Clamped, never refused (spec section 2, fact 21).
pub(super) fn keep_alive(seconds: u16, settings: MqttSettings) -> Duration {
    match Duration::from_secs(u64::from(seconds)) {
        Duration::ZERO => settings.keep_alive_max,
        asked => asked.clamp(settings.keep_alive_min, settings.keep_alive_max),
    }
}
