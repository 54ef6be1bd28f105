//! What the endpoint does as a broker (PROTOCOL 13), for MQTT 3.1.1 and 5, in bytes from the specifications.

#[path = "../common/mod.rs"]
mod common;
mod connecting;
mod packets;
mod routing;
mod sessions;
mod wire;
