//! What both sides of the wire ask of the host they run on: its clocks, its environment and standard streams, which address to connect
//! to, TLS, WebSockets as streams of bytes, and a future that is driven beside another. It knows neither jobs nor things.

#![warn(missing_docs)]

pub mod address;
pub mod clock;
mod drive;
pub mod environment;
pub mod shell;
mod slices;
pub mod stdio;
pub mod tls;
pub mod websocket;

pub use drive::beside;
pub use slices::poll_write_slices;
