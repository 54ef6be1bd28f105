//! AWS Signature Version 4 both ways: made by clients, verified by the endpoint; in headers, in presigned URLs, in MQTT's WebSocket
//! URLs (PROTOCOL 12.3).
//!
//! The signatures themselves read no clock: the instant is an argument. A [`keyring::Keyring`] renews keys before they expire. It is
//! no client of AWS: who sends a request signs it here.

#![warn(missing_docs)]

pub mod keyring;
pub mod presign;
pub mod request;
mod scope;
pub mod sigv4;
pub mod websocket;
