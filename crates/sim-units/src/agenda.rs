//! What is to happen, in the order of time; of what happens at the same time, what was added first.
//!
//! What happens soon is in a heap, the rest in buckets: a million things that will ask again tomorrow cost nothing today, and the heap
//! stays as small as a core's cache.

use iot_jobs::instant::Mono;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// Events of type `E`, each at its time.
pub struct Agenda<E> {
    bucket_ns: u64,
    near: BinaryHeap<Entry<E>>,
    far: BTreeMap<u64, Vec<Entry<E>>>,
    /// The first bucket whose entries are far.
    horizon: u64,
    number: u64,
}

struct Entry<E> {
    at: Mono,
    number: u64,
    event: E,
}

impl<E> Agenda<E> {
    /// One whose heap holds the events of about one `bucket`, a nanosecond at least.
    #[must_use]
    pub fn new(bucket: Duration) -> Self {
        let bucket_ns = u64::try_from(bucket.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { bucket_ns, near: BinaryHeap::new(), far: BTreeMap::new(), horizon: 0, number: 0 }
    }

    /// Adds an event, which may be over already.
    pub fn add(&mut self, at: Mono, event: E) {
        self.number += 1;
        let entry = Entry { at, number: self.number, event };
        let bucket = at.0 / self.bucket_ns;
        if bucket < self.horizon {
            self.near.push(entry);
        } else {
            self.far.entry(bucket).or_default().push(entry);
        }
    }

    /// When the next event happens.
    pub fn peek(&mut self) -> Option<Mono> {
        if self.near.is_empty() {
            let (bucket, entries) = self.far.pop_first()?;
            self.horizon = bucket + 1;
            self.near.extend(entries);
        }
        self.near.peek().map(|entry| entry.at)
    }

    /// The next event, if it happens by `until`.
    pub fn pop(&mut self, until: Mono) -> Option<(Mono, E)> {
        if self.peek()? > until {
            return None;
        }
        self.near.pop().map(|entry| (entry.at, entry.event))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The earliest is the greatest: a heap gives that first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a sorted list, while more is added on the way.
        #[test]
        fn events_come_in_the_order_of_time_and_then_of_their_number(times in prop::collection::vec((0u64..5, 0u64..4_000_000_000), 1..200)) {
            let mut agenda = Agenda::new(Duration::from_secs(1));
            let mut expected: Vec<(u64, usize)> = Vec::new();
            let mut now = 0;
            for (number, (pops, ahead)) in times.into_iter().enumerate() {
                agenda.add(Mono(now + ahead), number);
                expected.push((now + ahead, number));
                for _ in 0..pops / 2 {
                    expected.sort_unstable();
                    if let Some((at, event)) = agenda.pop(Mono::FAR_FUTURE) {
                        prop_assert_eq!((at.0, event), expected.remove(0));
                        now = at.0;
                    }
                }
            }
            expected.sort_unstable();
            let rest: Vec<(u64, usize)> = std::iter::from_fn(|| agenda.pop(Mono::FAR_FUTURE)).map(|(at, event)| (at.0, event)).collect();
            prop_assert_eq!(rest, expected);
        }
    }

    #[test]
    fn what_is_later_than_asked_for_stays() {
        let mut agenda = Agenda::new(Duration::from_secs(1));
        agenda.add(Mono(10), "a");
        assert_eq!((agenda.pop(Mono(9)), agenda.pop(Mono(10)), agenda.pop(Mono::FAR_FUTURE)), (None, Some((Mono(10), "a")), None));
    }
}
