//! The local AWS IoT Jobs endpoint: `fleetsim serve`.
//!
//! A pure [`engine`] that knows the rules of jobs, a pure [`registry`] that knows those of things and certificates, a `service` that shares it between the doors and keeps the ledger, the sessions that
//! are connected, and the doors themselves. Nothing but the control plane's door can change a job.

#![warn(missing_docs)]

mod broker;
pub mod config;
mod delays;
mod documents;
mod identity;
mod ledger;
pub mod listeners;
mod objects;
pub mod quotas;
mod request_log;
pub mod serve;
mod service;
mod sessions;
mod shape;
mod state;

pub use ledger::{LedgerError, LedgerWriter};
