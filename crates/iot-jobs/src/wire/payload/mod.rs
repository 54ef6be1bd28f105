//! JSON payloads of the MQTT data plane, both ways (PROTOCOL 5 to 8). What HTTP shares with it is here, too.
//!
//! The service side parses requests and encodes replies and notifications; the thing's side does the reverse.

mod encode;
mod parse;
mod request;

pub(super) use encode::{Form, serialize_answer};
pub use encode::{encode_notification, encode_reply};
pub(super) use parse::{Carried, parse_http_answer};
pub use parse::{parse_notification, parse_reply};
pub(super) use request::{RequestFields, request_body};
pub use request::{encode_request, parse_request, with_status_detail};

use crate::{ClientToken, NameError, Rejection};
use serde::Serialize;

/// Most requests and notifications are shorter.
const REQUEST_BYTES: usize = 128;

/// A request the service cannot take: what to answer, and to which token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `clientToken` of the request, where one could be read.
    pub client_token: Option<ClientToken>,
    /// The body of the `rejected` answer.
    pub rejection: Rejection,
}

/// A payload that is not what its topic promises.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// It is no JSON, or not of the shape that its topic has.
    #[error("parse the payload as JSON of its topic: {0}")]
    Json(#[from] serde_json::Error),
    /// A name or text in it is against the rules of PROTOCOL 3.
    #[error("read the payload: {0}")]
    Name(#[from] NameError),
    /// A word in it is none of those that there are.
    #[error("read the payload: {what} {value:?} is not known")]
    Unknown {
        /// Of which kind the word is, such as `status`.
        what: &'static str,
        /// The word as found.
        value: String,
    },
}

pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    to_bytes_in(REQUEST_BYTES, value)
}

/// The same, with room for so many bytes from the start.
fn to_bytes_in(room: usize, value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(room);
    serde_json::to_writer(&mut bytes, value).expect("these shapes have string keys and finite numbers");
    bytes
}
