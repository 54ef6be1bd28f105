//! Endpoints that are not our own: where they are, with which certificates, and whose jobs.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the part of it that other tests need, too")]
mod common;

mod account;
mod bench;
mod fake;
mod files;
mod keys;
mod list;
mod ways;
