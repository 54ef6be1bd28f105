//! fleetsim: a fleet load-testing simulator for AWS IoT Jobs.
//!
//! `docs/ARCHITECTURE.md` is the map: which module does what, and who may name whom.

pub mod cli;
pub mod clock;
pub mod device;
pub mod distribution;
pub mod emulator;
pub mod exit;
pub mod fault;
pub mod figures;
pub mod inspect;
pub mod instant;
pub mod jobs;
pub mod ledger;
pub mod logging;
pub mod metrics;
pub mod periodic;
pub mod pki;
pub mod preflight;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod seed;
pub mod transport;
pub mod tui;
pub mod wire;
