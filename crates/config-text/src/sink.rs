//! What readers gather while they read.

use crate::description::{KeyDescription, KeyLog};
use crate::problem::{Code, Place, Problem};
use std::cell::RefCell;

/// Gathers problems from everywhere, and where that is asked for what readers know of their keys.
#[derive(Default)]
pub struct ProblemSink {
    problems: RefCell<Vec<Problem>>,
    pub(crate) keys: Option<KeyLog>,
}

impl ProblemSink {
    pub(crate) fn describing() -> Self {
        Self { keys: Some(KeyLog::default()), ..Self::default() }
    }

    /// Adds one problem.
    pub fn push(&self, code: Code, place: &Place, message: impl Into<String>, help: Option<String>) {
        self.problems.borrow_mut().push(Problem { code, place: place.clone(), message: message.into(), help });
    }

    /// All problems so far, in the order in which they were found.
    pub fn into_inner(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    pub(crate) fn into_descriptions(self) -> Vec<KeyDescription> {
        self.keys.map(KeyLog::into_descriptions).unwrap_or_default()
    }
}
