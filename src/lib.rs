//! fleetsim: a fleet load-testing simulator for AWS IoT Jobs.
//!
//! This package is the program: command line, scenarios, runs, reports, dashboard. What it is made of are the libraries in `crates/`;
//! `docs/ARCHITECTURE.md` is the map: which crate and module does what, and who may name whom.

#![cfg_attr(not(feature = "nats"), expect(dead_code, unused_imports, reason = "some of it is for workers alone"))]

pub mod aws;
mod aws_quotas;
pub mod billing;
pub mod capacity;
pub mod check;
pub mod cli;
pub mod compare;
pub mod exit;
pub mod exposition;
pub mod forecast;
pub mod inspect;
pub mod ledger;
pub mod logging;
pub mod merge;
pub mod preflight;
pub mod report;
mod results_folder;
pub mod roster;
pub mod run;
mod samples;
pub mod scenario;
pub mod slice;
mod stop;
mod tail;
mod timestamp;
pub mod tui;
mod user_folder;
mod verdict;
#[cfg(feature = "nats")]
pub mod workers;
pub mod workload;
