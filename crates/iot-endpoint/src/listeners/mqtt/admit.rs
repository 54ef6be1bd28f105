//! Who may connect (PROTOCOL 13.2).

use super::{Carrier, MqttSettings};
use crate::authority::Permissions;
use crate::broker::filter;
use crate::broker::message::Will;
use crate::broker::packet::{Connect, Reason};
use crate::identity::{Identity, Presented, Refusal};
use crate::refusals::RefusedAt;
use crate::service::Service;
use iot_jobs::limits;
use iot_policy::{Action, ConnectAttributes};
use rmqtt_codec::types::QoS;
use std::time::Duration;

/// What an MQTT 5 client is told that wants smaller packets than it may (inferred).
const PACKET_BYTES_TOO_FEW: Reason = Reason::Unspecified;
/// What an MQTT 5 client is told that wants to authenticate with AUTH, which is not supported (inferred).
const AUTHENTICATION_UNSUPPORTED: Reason = Reason::NotAuthorized;

/// A client that may connect, and what it may do.
pub(super) struct Admitted {
    pub(super) identity: Identity,
    pub(super) permissions: Permissions,
}

/// Why a client may not connect.
pub(super) struct Refused {
    /// What an MQTT 5 client is told; absent: the connection ends without a CONNACK.
    pub(super) reason: Option<Reason>,
    pub(super) why: String,
}

/// A CONNECT came in: whether its client may connect, and as whom. Who may not is told to the log.
pub(super) fn admit(
    stream: &impl Carrier,
    connect: &Connect,
    service: &Service,
    settings: MqttSettings,
) -> Result<Admitted, Refused> {
    let refused = |reason, why: &str| {
        service.refusals.note(RefusedAt::Connect, &connect.client_id, why);
        Refused { reason, why: why.to_owned() }
    };
    check(connect).map_err(|(reason, why)| refused(Some(reason), why))?;
    // A certificate that is not ACTIVE gets no CONNACK; of others that have no standing it is inferred (PROTOCOL-CORE 1.9).
    let presented = stream.presented();
    let identity = match &presented {
        Some(presented) => identify(presented, &connect.client_id, service, settings),
        None => service.identify_signed(&connect.client_id),
    };
    let identity = identity.map_err(|why| refused(None, why))?;
    let mut permissions = match &presented {
        Some(presented) => service.permissions(presented.asking(Some(identity.client_id.as_str()))),
        None => service.iam_permissions(),
    };
    let asked =
        ConnectAttributes { is_persistent: connect.is_persistent(), will_topic: connect.will.as_ref().map(|will| &*will.topic) };
    if may_connect(&identity, &mut permissions, asked, connect.will.as_deref()) {
        return Ok(Admitted { identity, permissions });
    }
    let why = service.note_denials(&mut permissions, RefusedAt::Connect, Some(asked)).unwrap_or_default();
    Err(Refused { reason: Some(Reason::NotAuthorized), why })
}

/// Who a client is that has shown a certificate, which registers itself where its CA lets it.
fn identify(presented: &Presented, client_id: &str, service: &Service, settings: MqttSettings) -> Result<Identity, Refusal> {
    match service.register_just_in_time(presented) {
        Some(refusal) => Err(refusal),
        None => service.identify(presented, client_id, settings.auto_register),
    }
}

/// The will is checked here, and never again (PROTOCOL-CORE 1.7; that it is not checked when it is published is inferred, choice P5).
fn may_connect(identity: &Identity, permissions: &mut Permissions, asked: ConnectAttributes<'_>, will: Option<&Will>) -> bool {
    let mut may_will = |will: &Will| {
        permissions.may(Action::Publish, &will.topic) && (!will.retain || permissions.may(Action::RetainPublish, &will.topic))
    };
    will.is_none_or(&mut may_will) && permissions.may_connect(identity.client_id.as_str(), asked)
}

fn check(connect: &Connect) -> Result<(), (Reason, &'static str)> {
    if connect.client_id.len() > limits::CLIENT_ID_BYTES_MAX {
        return Err((Reason::ClientId, "the client id is too long"));
    }
    if connect.packet_bytes_max.is_some_and(|bytes| bytes < limits::CLIENT_PACKET_BYTES_MIN) {
        return Err((PACKET_BYTES_TOO_FEW, "a maximum packet size below 512"));
    }
    if connect.wants_authentication {
        return Err((AUTHENTICATION_UNSUPPORTED, "an authentication method"));
    }
    connect.will.as_deref().map_or(Ok(()), check_will)
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
