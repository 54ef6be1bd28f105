//! Every random draw is a function of (seed, thing, purpose, number): adding a thing, a shard or a draw disturbs no other.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a draw is for. A purpose has its own stream, so that a change in one behaviour leaves the others as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Which cohort a thing belongs to.
    Cohort = 1,
    /// Which things a rollout targets.
    Target = 2,
    /// Reaction time, steps and outcome of one execution.
    Execution = 3,
    /// Waiting before another connection attempt.
    Reconnect = 4,
    /// Waiting before a request is sent again.
    Retry = 5,
    /// Gaps of a Poisson arrival process.
    Arrivals = 6,
    /// What the local endpoint injects.
    Emulator = 7,
    /// Reaction to a notification.
    Reaction = 8,
    /// When an idle thing asks again.
    AskAgain = 9,
    /// Where in its period a thing polls.
    PollPhase = 10,
    /// How much later each poll is.
    PollJitter = 11,
    /// Which requests the local endpoint never answers.
    Drop = 12,
    /// How long the local endpoint's server works on a request.
    Service = 13,
    /// How long the local endpoint keeps a connection.
    Lifetime = 14,
    /// How late the local endpoint sends a message.
    Lateness = 15,
    /// Which executions, connections and things go wrong on purpose.
    Fault = 30,
    /// When faults that have a rate strike.
    FaultRate = 31,
    /// Where in its period a thing sends telemetry.
    TelemetryPhase = 40,
    /// How much later each telemetry message is.
    TelemetryJitter = 41,
    /// How long each telemetry message is.
    TelemetrySize = 42,
    /// Which things an event of the scenario is for.
    Event = 50,
    /// The bytes of a rollout's file.
    Artifact = 51,
    /// How long messages are under way in a forecast.
    Network = 60,
    /// Which seconds of a run stand in a resample of it.
    Resampling = 61,
}

/// The stream of draw `number` of `purpose` for `thing`.
#[must_use]
pub fn rng(seed: u64, thing: u64, purpose: Purpose, number: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (chunk, word) in key.chunks_exact_mut(8).zip([seed, thing, purpose as u64, number]) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A number for a text, stable across versions and platforms (FNV-1a, 64 bits).
#[must_use]
pub fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The place of `index` in a seeded shuffle of `0..count`: a bijection, computed without a table.
///
/// Cutting the places by share gives exact counts that do not depend on how the things are dealt to shards.
///
/// # Panics
/// When `index` is not below `count`.
#[must_use]
pub fn shuffled_place(seed: u64, purpose: Purpose, salt: u64, index: u64, count: u64) -> u64 {
    assert!(index < count, "index {index} is not below {count}");
    let half_bits = (u64::BITS - (count - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half_bits) - 1;
    let mut place = index;
    // A Feistel network permutes 0..4^half_bits; walking its cycle until the value falls below `count` permutes 0..count.
    loop {
        let (mut left, mut right) = (place >> half_bits, place & mask);
        for round in 0..4u64 {
            let mixed = mix(seed ^ mix(salt ^ (purpose as u64) << 8 ^ round) ^ right);
            (left, right) = (right, left ^ (mixed & mask));
        }
        place = left << half_bits | right;
        if place < count {
            return place;
        }
    }
}

/// SplitMix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_shuffle_is_a_bijection_for_every_count() {
        for count in (1..70).chain([255, 256, 257, 1000]) {
            let mut places: Vec<u64> = (0..count).map(|i| shuffled_place(42, Purpose::Cohort, 7, i, count)).collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..count), "count {count}");
        }
    }

    #[test]
    fn a_shuffle_spreads_neighbours() {
        let low = (0..1000).filter(|&i| shuffled_place(1, Purpose::Cohort, 0, i, 10_000) < 5_000).count();
        assert!((430..570).contains(&low), "{low} of the first 1000 things are in the lower half");
    }

    #[test]
    fn streams_differ_by_each_part_of_their_name() {
        let first = |s, t, p, n| rng(s, t, p, n).next_u64();
        let base = first(1, 2, Purpose::Retry, 3);
        assert_eq!(base, first(1, 2, Purpose::Retry, 3));
        for other in [
            first(9, 2, Purpose::Retry, 3),
            first(1, 9, Purpose::Retry, 3),
            first(1, 2, Purpose::Reconnect, 3),
            first(1, 2, Purpose::Retry, 9),
        ] {
            assert_ne!(base, other);
        }
    }
}
