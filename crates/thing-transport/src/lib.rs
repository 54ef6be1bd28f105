//! The generator's sockets: one session a thing. It holds no jobs logic, and knows no metrics: what happens is emitted to an
//! [`Observer`].
//!
//! Modules name only those above them (`tests/order.rs`):
//!
//! | | |
//! |---|---|
//! | leaves | `error`, `gates`, `memory`, `pacer`, `ports`, `socket`, `credentials`, `download`, `thing_id` |
//! | what a thing connects to, and what goes wrong on purpose | `endpoint`, `faults`; `cause` explains an `error` |
//! | MQTT without IO | `mqtt` |
//! | what things have in common | `observer`, then `shard` |
//! | how they get a connection, and files | `connect`, `fetch` |
//! | what carries an agent's messages | `wire`: MQTT over TLS or a WebSocket, HTTPS |
//! | the loop that turns an agent over a wire | `driver` |
//! | a thing's life | `duplicate_client`, then `thing` |

#![warn(missing_docs)]

mod cause;
pub mod connect;
pub mod credentials;
pub mod download;
mod driver;
mod duplicate_client;
pub mod endpoint;
pub mod error;
pub mod faults;
mod fetch;
pub mod gates;
mod memory;
pub mod mqtt;
mod observer;
mod pacer;
mod ports;
pub mod shard;
pub mod socket;
pub mod thing;
mod thing_id;
mod wire;

pub use cause::Explained;
pub use observer::{MessageKind, Observer, PublishEnd, SessionEvent};
pub use pacer::{Pacer, shard_runtime};
pub use thing_id::ThingId;
