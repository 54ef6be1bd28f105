//! What a run is called, and what its subjects, streams and keys on NATS are called after it. Pure.

use std::fmt;
use std::str::FromStr;

/// Of an id.
const LENGTH_MAX: usize = 48;

/// The key of the run's plan.
pub const PLAN: &str = "plan";
/// The key of the instant at which all slices start.
pub const START: &str = "start";
/// The key of why there will be no run, or no more.
pub const OVER: &str = "over";

/// The id of a run: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bucket of its keys.
    #[must_use]
    pub fn bucket(&self) -> String {
        format!("fs_{self}")
    }

    /// The stream below the bucket.
    #[must_use]
    pub fn bucket_stream(&self) -> String {
        format!("KV_{}", self.bucket())
    }

    /// The stream of what workers tell.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("fs_{self}")
    }

    /// Where all workers tell.
    #[must_use]
    pub fn of_all_slices(&self) -> String {
        format!("fs.{self}.slice.*")
    }

    /// Where the worker of a slice tells.
    #[must_use]
    pub fn of_slice(&self, slice: u32) -> String {
        format!("fs.{self}.slice.{slice}")
    }

    /// Where the leader tells how the run stands: start, drain, abort.
    #[must_use]
    pub fn leader(&self) -> String {
        format!("fs.{self}.leader")
    }

    /// Where the leader is asked for the time.
    #[must_use]
    pub fn clock(&self) -> String {
        format!("fs.{self}.clock")
    }

    /// What replies begin with.
    #[must_use]
    pub fn inbox(&self) -> String {
        format!("fs.{self}.inbox")
    }
}

/// The key of who has a slice.
#[must_use]
pub fn owner(slice: u32) -> String {
    format!("slice.{slice}")
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match !text.is_empty() && text.len() <= LENGTH_MAX && text.chars().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("{text:?} is no id of a run: 1 to {LENGTH_MAX} letters, digits, - and _")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fit_for_subjects_and_buckets() {
        let run: RunId = "nightly-7_b".parse().unwrap();
        assert_eq!((run.of_all_slices(), run.of_slice(3)), ("fs.nightly-7_b.slice.*".into(), "fs.nightly-7_b.slice.3".into()));
        assert_eq!(run.bucket_stream(), "KV_fs_nightly-7_b");
        for text in ["", "a.b", "a b", "*", ">", "ü", &"x".repeat(49)] {
            assert!(text.parse::<RunId>().unwrap_err().contains("letters, digits"), "{text}");
        }
    }
}
