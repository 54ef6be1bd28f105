//! TOML for people: typed reading that knows where every value stands, and tells everything that is wrong at once.
//!
//! `tree` parses and keeps places, [`Reader`] reads values and gathers [`Problem`]s instead of stopping at the first one.

#![warn(missing_docs)]

mod problem;
mod reader;
mod tree;

pub use problem::{Code, Place, Problem, Problems, nearest};
pub use reader::{Gathered, Located, Reader};
pub use tree::{Entry, Node, Override, Table, Value, parse};
