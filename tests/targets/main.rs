//! Endpoints that are not our own: where they are, with which certificates, and whose jobs.

mod account;
mod bench;
#[path = "../common/mod.rs"]
mod common;
mod fake;
mod files;
#[cfg(feature = "aws")]
mod fleet;
mod issued;
mod keys;
mod list;
#[cfg(feature = "aws")]
mod shards;
mod signer;
#[cfg(feature = "aws")]
mod transports;
mod ways;
