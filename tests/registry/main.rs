//! The registry: its rules without sockets, and its calls and certificates on real ones; objects behind presigned URLs.

#[path = "../common/mod.rs"]
mod common;
mod doors;
mod identity;
mod kinds;
mod objects;
mod rules;
mod shapes;
