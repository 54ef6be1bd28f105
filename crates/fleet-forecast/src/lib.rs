//! A fleet and its jobs service in virtual time: the things' agents, the engine, its quotas, its faults and its queue, and the network
//! between them as a delay. Discrete events, one after the other; no clock, no socket, no file.
//!
//! Two simulations of the same [`Settings`] tell the same. What a real endpoint does besides (keep-alives, receive windows, the cost of
//! CPU and memory) is not simulated.

#![warn(missing_docs)]

mod demand;
mod meter;
mod network;
mod observer;
mod service;
mod settings;
mod simulation;

pub use demand::{Billed, Demand, QuotaDemand};
pub use meter::Enforcement;
pub use network::{Leg, Network};
pub use observer::{Observer, Published, Reason, SessionEvent, Stage};
pub use settings::{
    Cohort, End, EndWhen, EndpointOutage, FileFault, Fleet, Job, JobFile, JobStart, OutageKind, Protocol, ServiceSettings, Settings,
};
pub use simulation::{CreateJobError, Progress, Simulation};
