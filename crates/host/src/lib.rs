//! What both sides of the wire ask of the host they run on: its clocks, TLS, WebSockets as streams of bytes, and a future that is
//! driven beside another. It knows neither jobs nor things.

#![warn(missing_docs)]

pub mod clock;
mod drive;
pub mod tls;
pub mod websocket;

pub use drive::beside;
