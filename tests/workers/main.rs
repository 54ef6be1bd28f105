//! Runs that NATS carries: a leader, its workers, and a server that is killed and comes back. With Debian's `nats-server`, or the one on the PATH.
#![cfg(feature = "nats")]

#[expect(dead_code, reason = "every test target uses its part")]
#[path = "../targets/bench.rs"]
mod bench;
mod creds;
mod failures;
mod nats;
mod refused;
mod secured;
mod whole;
