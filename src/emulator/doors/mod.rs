//! Async shells around the engine: one file a way in.

pub(super) mod api;
pub(super) mod mqtt;
