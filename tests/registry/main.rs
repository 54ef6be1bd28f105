//! The registry: its rules without sockets, and its calls and certificates on real ones; objects behind presigned URLs.

mod authorities;
#[path = "../common/mod.rs"]
mod common;
mod identity;
mod jobs_api;
mod kinds;
mod listener;
mod objects;
mod rules;
mod shapes;
