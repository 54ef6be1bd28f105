//! What a verdict rests on besides the thresholds, as `run.json` has it.

use serde::{Deserialize, Serialize};

/// What is looked at, of every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckSubject {
    CarriedOut,
    Completed,
    Generator,
    Done,
    Ledgers,
}

impl CheckSubject {
    /// What is to be so, in words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::CarriedOut => "the run was carried out",
            Self::Completed => "the run ended as its scenario says",
            Self::Generator => "the generator kept up and lost no sample",
            Self::Done => "everything that the run was to do was done at least once",
            Self::Ledgers => "the records of things and service agree",
        }
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    Holds,
    /// The endpoint, or the plan, is not as it was to be.
    Fails,
    /// The run says nothing: it could not be carried out, was interrupted, or is no evidence.
    Error,
    /// It cannot be told.
    Skipped,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Check {
    #[serde(rename = "check")]
    pub subject: CheckSubject,
    pub outcome: CheckOutcome,
    /// In plain words; of what holds there is nothing to say.
    pub why: Vec<String>,
}
