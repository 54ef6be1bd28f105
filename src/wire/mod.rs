//! The jobs language as text and bytes: topics, JSON payloads, TLS set-up. The only place where either is made or read.

pub mod codesign;
pub mod control;
pub mod data_plane;
pub mod execution;
pub mod frames;
pub mod job;
pub mod payload;
pub mod placeholder;
pub mod presign;
pub mod registry;
pub mod signature;
pub mod sigv4;
pub mod standing;
pub mod tls;
pub mod topic;
pub mod websocket;
