//! The registry: its rules without sockets, and its calls and certificates on real ones.

#[path = "../common/mod.rs"]
mod common;
mod doors;
mod identity;
mod rules;
