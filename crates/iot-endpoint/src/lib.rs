//! The local AWS IoT Jobs endpoint: `fleetsim serve`.
//!
//! The rules of jobs, things and certificates are those of [`jobs_engine`]. Here is what stands around it: the listeners for MQTT,
//! HTTPS and the control plane, the MQTT broker, the sessions that are connected, a `service` that shares the engine between them,
//! and what is written: ledger, state, log of requests. Jobs are created, canceled and deleted through the control plane's listener
//! only; it is no service for production.

#![warn(missing_docs)]

mod authorities;
mod authority;
mod broker;
mod client_certificates;
pub mod config;
mod delays;
mod documents;
mod identity;
mod ledger;
pub mod listeners;
mod objects;
pub mod quotas;
mod refusals;
mod request_log;
pub mod serve;
mod service;
mod sessions;
mod shape;
mod state;
mod supervision;

pub use authority::{DEVICE_POLICY, DecisionLogError, DevicePolicy, PolicyFileError, is_document};
pub use ledger::{LedgerError, LedgerWriter};
