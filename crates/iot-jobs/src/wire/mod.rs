//! The language as text and bytes: topics, JSON payloads, HTTP shapes. The only place where any of them is made or read.

pub mod authority;
pub mod codesign;
pub mod control;
pub mod create_job;
pub mod data_plane;
pub mod execution;
pub mod job;
mod job_config;
pub mod job_progress;
mod json;
pub mod model;
pub mod payload;
pub mod placeholder;
pub mod registry;
pub mod salvage;
mod scheduling;
pub mod signature;
pub mod tags;
pub mod template;
pub mod topic;
