//! Intervals of shards, put together to seconds.

use super::fleet::ShardInterval;
use load_metrics::Interval;
use std::collections::BTreeMap;

/// Seconds of shards that lag behind before they are counted as lost.
const SECONDS_WAITED: u64 = 5;

/// Intervals of shards, by second, until all of a second are there.
pub(super) struct Assembly {
    shards: usize,
    seconds: BTreeMap<u64, Vec<Interval>>,
    next: u64,
    lost: u64,
    ended: usize,
}

impl Assembly {
    pub(super) fn new(shards: usize) -> Self {
        Self { shards, seconds: BTreeMap::new(), next: 0, lost: 0, ended: 0 }
    }

    /// Whether every shard has said its last word.
    pub(super) fn is_over(&self) -> bool {
        self.ended >= self.shards
    }

    /// The second that comes next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Intervals that were lost since the last time.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    pub(super) fn take(&mut self, shard: ShardInterval) {
        self.lost += shard.lost;
        self.ended += usize::from(shard.last);
        self.seconds.entry(shard.interval.second).or_default().push(shard.interval);
    }

    /// The next whole second, once every shard has handed it in or is far behind.
    pub(super) fn poll(&mut self) -> Option<(u64, Vec<Interval>)> {
        let newest = *self.seconds.keys().next_back()?;
        let is_complete = self.seconds.get(&self.next).is_some_and(|intervals| intervals.len() >= self.shards);
        let is_overdue = newest >= self.next + SECONDS_WAITED;
        (is_complete || is_overdue).then(|| self.pop())
    }

    /// What is left at the end, oldest first.
    pub(super) fn drain(&mut self) -> Option<(u64, Vec<Interval>)> {
        let newest = *self.seconds.keys().next_back()?;
        (self.next <= newest).then(|| self.pop())
    }

    fn pop(&mut self) -> (u64, Vec<Interval>) {
        let second = self.next;
        self.next += 1;
        (second, self.seconds.remove(&second).unwrap_or_default())
    }
}
