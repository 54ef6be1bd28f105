//! The local AWS IoT Jobs endpoint: `fleetsim serve`.
//!
//! A pure [`engine`] that knows the rules, a `service` that shares it between the doors and keeps the ledger, the sessions that
//! are connected, and the doors themselves. Nothing but the control plane's door can change a job.

mod delays;
pub mod doors;
pub mod engine;
mod faults;
mod filter;
mod message;
mod quotas;
mod request_log;
pub mod serve;
mod server_queue;
mod service;
mod sessions;
mod shape;
mod state;
mod subscriptions;
