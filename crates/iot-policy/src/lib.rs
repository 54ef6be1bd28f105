//! Policies of AWS IoT Core (PROTOCOL-CORE 1): a document as a value, what several of them decide of one request, and why, in words.
//!
//! Pure: it knows no socket, clock or registry. Who asks is a [`Client`], what is asked a [`Request`]; [`evaluate`] decides, and
//! [`explain`] says which statement decided, or what would have had to stand where.

#![warn(missing_docs)]

mod client;
mod condition;
mod document;
mod evaluate;
mod explain;
mod pattern;
mod request;
mod values;
mod variable;

pub use client::{Attachment, Certificate, Client, Thing, attach};
pub use document::{CHARS_MAX, Document, Malformed, Policy};
pub use evaluate::{Decision, Found, evaluate, missing_values};
pub use explain::explain;
pub use request::{Action, ConnectAttributes, Home, Request};
