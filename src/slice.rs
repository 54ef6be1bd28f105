//! Which part of a fleet a process drives, where several drive it together.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Processes that may share a run.
const COUNT_MAX: u32 = 1_000;

/// Slice `index` of `count`, counted from 0: the things whose place in the fleet leaves `index` when divided by `count`. So arrivals,
/// cohorts and targets spread evenly over the slices, and every thing is what it would be in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slice {
    index: u32,
    count: u32,
}

impl Slice {
    /// A fleet that one process drives.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// From 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether the thing at this place of the fleet is in it.
    #[must_use]
    pub fn has(self, place: u32) -> bool {
        place % self.count == self.index
    }

    /// Its things, of a fleet of so many.
    #[must_use]
    pub fn things(self, of: u64) -> u64 {
        self.dealt(of)
    }

    /// Its part of a limit that all slices share, at least one.
    #[must_use]
    pub fn part(self, limit: usize) -> usize {
        (self.dealt(limit as u64) as usize).max(1)
    }

    /// As many as it gets when so many are dealt to the slices in turn.
    fn dealt(self, of: u64) -> u64 {
        of / u64::from(self.count) + u64::from(u64::from(self.index) < of % u64::from(self.count))
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Slice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let Some((index, count)) = numbers else {
            return Err(format!("{text:?} is no slice; write it like 0/4: the first of four"));
        };
        if !(1..=COUNT_MAX).contains(&count) {
            return Err(format!("a run has 1 to {COUNT_MAX} slices, not {count}"));
        }
        if index >= count {
            return Err(format!("slices count from 0, so the last of {count} is {}/{count}", count - 1));
        }
        Ok(Self { index, count })
    }
}

impl TryFrom<String> for Slice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Slice> for String {
    fn from(slice: Slice) -> Self {
        slice.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thing_and_every_place_of_a_limit_is_in_one_slice() {
        for (things, count) in [(1u32, 1u32), (10, 4), (2_000, 4), (7, 7), (1_000, 54)] {
            let slices: Vec<Slice> = (0..count).map(|index| format!("{index}/{count}").parse().unwrap()).collect();
            for place in 0..things {
                assert_eq!(slices.iter().filter(|slice| slice.has(place)).count(), 1);
            }
            for slice in &slices {
                let own = (0..things).filter(|place| slice.has(*place)).count() as u64;
                assert_eq!(slice.things(u64::from(things)), own, "{slice} of {things}");
            }
            assert_eq!(slices.iter().map(|slice| slice.part(things as usize)).sum::<usize>(), things as usize);
        }
        assert_eq!("3/4".parse::<Slice>().unwrap().part(2), 1, "nobody is left without");
    }

    #[test]
    fn slices_are_read_back_and_others_are_refused() {
        for text in ["0/1", "3/4", "53/54"] {
            assert_eq!(text.parse::<Slice>().unwrap().to_string(), text);
        }
        for (text, why) in [
            ("4/4", "the last of 4 is 3/4"),
            ("0/0", "1 to 1000 slices, not 0"),
            ("1/1001", "not 1001"),
            ("1", "like 0/4"),
            ("-1/4", "like 0/4"),
            ("1/4/2", "like 0/4"),
            ("", "like 0/4"),
        ] {
            assert!(text.parse::<Slice>().unwrap_err().contains(why), "{text}");
        }
    }
}
