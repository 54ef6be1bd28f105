//! The service as pure machines: the jobs engine, the registry of things and certificates, token buckets, a queue of workers, and what goes
//! wrong by seed. They know no clock, no socket and no JSON: time is an argument, and what follows from a call is what it returns.

#![warn(missing_docs)]

pub mod engine;
pub mod faults;
pub mod quotas;
pub mod registry;
pub mod server_queue;
