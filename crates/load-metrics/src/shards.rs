//! Shards of a run of which a finding tells: what is so of several of them is one line.

use std::collections::BTreeMap;
use std::fmt;

/// Stretches of shards that are named in one line.
const STRETCHES_MAX: usize = 10;

/// Some of the shards of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    /// From 0, in order, each once.
    indices: Vec<u32>,
    of: u32,
}

impl Shards {
    /// Those, of a run of so many; at least one.
    #[must_use]
    pub fn new(indices: impl IntoIterator<Item = u32>, of: u32) -> Self {
        let mut indices: Vec<u32> = indices.into_iter().collect();
        indices.sort_unstable();
        indices.dedup();
        Self { indices, of }
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(&self, index: u32) -> bool {
        self.indices.binary_search(&index).is_ok()
    }

    pub(super) fn is_one(&self) -> bool {
        self.indices.len() == 1
    }
}

/// `slice 3/54`, or `slices 0-2, 7 of 54`.
impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [index] = self.indices[..] {
            return write!(f, "slice {index}/{}", self.of);
        }
        let stretches: Vec<&[u32]> = self.indices.chunk_by(|one, next| one + 1 == *next).collect();
        let (named, rest) = stretches.split_at(stretches.len().min(STRETCHES_MAX));
        let in_words = |stretch: &&[u32]| match **stretch {
            [only] => only.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        };
        let named: Vec<String> = named.iter().map(in_words).collect();
        write!(f, "slices {}", named.join(", "))?;
        let more: usize = rest.iter().map(|stretch| stretch.len()).sum();
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(f, " of {}", self.of)
    }
}

/// The last seconds that several shards have told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSeconds {
    first: u64,
    last: u64,
}

impl LastSeconds {
    /// From the earliest to the latest of them; `None` where there are none.
    #[must_use]
    pub fn new(seconds: impl IntoIterator<Item = u64>) -> Option<Self> {
        let span = |span: Option<Self>, second: u64| match span {
            Some(Self { first, last }) => Some(Self { first: first.min(second), last: last.max(second) }),
            None => Some(Self { first: second, last: second }),
        };
        seconds.into_iter().fold(None, span)
    }
}

/// `second 8`, or `seconds 7 to 9`.
impl fmt::Display for LastSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "second {}", self.first),
            false => write!(f, "seconds {} to {}", self.first, self.last),
        }
    }
}

/// Shards that each say why: the reason that most of them have, numbers aside, in the words of the first that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardReasons {
    shards: Shards,
    example: u32,
    alike: usize,
    why: String,
}

impl ShardReasons {
    /// Of (shard, why), in the order of the shards, in a run of so many; `None` where there are none.
    #[must_use]
    pub fn new(reasons: &[(u32, String)], of: u32) -> Option<Self> {
        let mut kinds: BTreeMap<String, Vec<&(u32, String)>> = BTreeMap::new();
        for reason in reasons {
            kinds.entry(without_numbers(&reason.1)).or_default().push(reason);
        }
        let (_, alike) = kinds.into_iter().max_by_key(|(_, alike)| alike.len())?;
        let (example, why) = alike.first()?;
        let shards = Shards::new(reasons.iter().map(|(shard, _)| *shard), of);
        Some(Self { shards, example: *example, alike: alike.len(), why: why.clone() })
    }

    /// All of them.
    #[must_use]
    pub fn shards(&self) -> &Shards {
        &self.shards
    }

    /// With what is so of one of them, and of several.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, one: &str, several: &str) -> fmt::Result {
        let Self { shards, example, alike, why } = self;
        match shards.is_one() {
            true => write!(f, "{shards} {one}: {why}"),
            false => write!(f, "{shards} {several}, {alike} of them like slice {example}/{}: {why}", shards.of),
        }
    }
}

/// By which reasons are told from each other.
fn without_numbers(why: &str) -> String {
    why.split(|c: char| c.is_ascii_digit() || c == '.').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_named_in_stretches() {
        let named = |indices: &[u32]| Shards::new(indices.iter().copied(), 54).to_string();
        assert_eq!(named(&[3]), "slice 3/54");
        assert_eq!(named(&[7, 2, 1, 0, 2]), "slices 0-2, 7 of 54");
        assert_eq!(named(&(0..54).collect::<Vec<_>>()), "slices 0-53 of 54");
        let odd: Vec<u32> = (0..27).map(|n| 2 * n + 1).collect();
        assert_eq!(named(&odd), "slices 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 17 more of 54");
        assert!(Shards::new([1, 5], 8).has(5) && !Shards::new([1, 5], 8).has(2));
    }

    #[test]
    fn the_reason_of_most_of_them_is_told_in_the_words_of_one() {
        let reasons = [(0, "busy 99 %"), (1, "late by 3.2 ms"), (2, "late by 70 ms"), (5, "late by 1 ms")];
        let reasons: Vec<(u32, String)> = reasons.map(|(shard, why)| (shard, why.to_owned())).to_vec();
        let told = ShardReasons::new(&reasons, 6).unwrap();
        assert_eq!(
            (told.shards.to_string(), told.example, told.alike, &*told.why),
            ("slices 0-2, 5 of 6".into(), 1, 3, "late by 3.2 ms")
        );
        assert_eq!(ShardReasons::new(&[], 6), None);
    }

    #[test]
    fn last_seconds_are_one_or_a_span() {
        assert_eq!(LastSeconds::new([]), None);
        assert_eq!(LastSeconds::new([8, 8]).unwrap().to_string(), "second 8");
        assert_eq!(LastSeconds::new([8, 7, 9]).unwrap().to_string(), "seconds 7 to 9");
    }
}
