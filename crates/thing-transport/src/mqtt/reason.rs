//! Reason codes of MQTT 5 in words that an errors table can count (MQTT 5 section 2.4; those AWS uses: PROTOCOL 13.6).

use crate::error::refusal;

/// Codes from here on are failures.
pub(super) const FAILURES: u8 = 0x80;

/// One code means the same in every packet.
pub(super) fn words(code: u8) -> &'static str {
    match code {
        0x00 => "normal_disconnection",
        0x80 => refusal::UNSPECIFIED,
        0x81 => "malformed_packet",
        0x82 => "protocol_error",
        0x83 => "implementation_specific_error",
        0x84 => "unsupported_protocol_version",
        0x85 => refusal::CLIENT_IDENTIFIER_NOT_VALID,
        0x86 => refusal::BAD_USER_NAME_OR_PASSWORD,
        0x87 => refusal::NOT_AUTHORIZED,
        0x88 => refusal::SERVER_UNAVAILABLE,
        0x89 => refusal::SERVER_BUSY,
        0x8a => refusal::BANNED,
        0x8b => "server_shutting_down",
        0x8c => "bad_authentication_method",
        0x8d => "keep_alive_timeout",
        0x8e => "session_taken_over",
        0x8f => "topic_filter_invalid",
        0x90 => "topic_name_invalid",
        0x91 => "packet_identifier_in_use",
        0x92 => "packet_identifier_not_found",
        0x93 => "receive_maximum_exceeded",
        0x94 => "topic_alias_invalid",
        0x95 => "packet_too_large",
        0x96 => "message_rate_too_high",
        0x97 => refusal::QUOTA_EXCEEDED,
        0x98 => "administrative_action",
        0x99 => "payload_format_invalid",
        0x9a => "retain_not_supported",
        0x9b => "qos_not_supported",
        0x9c => "use_another_server",
        0x9d => "server_moved",
        0x9e => "shared_subscriptions_not_supported",
        0x9f => refusal::CONNECTION_RATE_EXCEEDED,
        0xa0 => "maximum_connect_time",
        0xa1 => "subscription_identifiers_not_supported",
        0xa2 => "wildcard_subscriptions_not_supported",
        _ => "unknown_reason",
    }
}

/// Why something was refused, if it was.
pub(super) fn refusal(code: u8) -> Option<&'static str> {
    (code >= FAILURES).then(|| words(code))
}
