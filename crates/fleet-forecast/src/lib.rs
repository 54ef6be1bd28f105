//! A fleet and its jobs service in virtual time: the things' agents, the engine, its quotas, its faults and its queue, and the network
//! between them as a delay. Discrete events, one after the other; no clock, no socket, no file.

mod demand;

pub use demand::{Billed, Demand, QuotaDemand};
