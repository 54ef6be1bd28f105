//! What workers tell of their seconds, put together to the seconds of the run. Pure.
//!
//! A second is complete when every slice that is waited for has sent it, or one that is so much later that it will not. What comes
//! later than that is missing in what the leader shows, and in its folder when the folders of the workers are merged.

use std::collections::BTreeMap;

/// Seconds may overtake each other by so many.
const OVERTAKEN_MAX: u64 = 3;

#[derive(Debug)]
pub(super) struct Seconds<T> {
    next: u64,
    waiting: BTreeMap<u64, BTreeMap<usize, T>>,
    /// The newest second of each slice.
    newest: Vec<Option<u64>>,
    /// What came when its second was over.
    late: u64,
}

impl<T> Seconds<T> {
    #[must_use]
    pub(super) fn new(slices: usize) -> Self {
        Self { next: 0, waiting: BTreeMap::new(), newest: vec![None; slices], late: 0 }
    }

    /// A slice tells of a second.
    pub(super) fn take(&mut self, slice: usize, second: u64, sent: T) {
        self.newest[slice] = self.newest[slice].max(Some(second));
        match second < self.next {
            true => self.late += 1,
            false => drop(self.waiting.entry(second).or_default().insert(slice, sent)),
        }
    }

    /// What was too late since the last time.
    pub(super) fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    /// The next second with what the slices tell of it, once it is complete.
    pub(super) fn poll(&mut self, is_awaited: impl Fn(usize) -> bool) -> Option<(u64, Vec<(usize, T)>)> {
        let newest = *self.waiting.keys().next_back()?;
        let sent = self.waiting.get(&self.next);
        let has_told = |slice: usize| {
            sent.is_some_and(|sent| sent.contains_key(&slice))
                || self.newest[slice].is_some_and(|newest| newest >= self.next + OVERTAKEN_MAX)
        };
        let is_complete = (0..self.newest.len()).all(|slice| has_told(slice) || !is_awaited(slice));
        if !is_complete || newest < self.next {
            return None;
        }
        let second = self.next;
        self.next += 1;
        Some((second, self.waiting.remove(&second).unwrap_or_default().into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_complete_when_all_who_are_waited_for_have_told_of_it() {
        let mut seconds = Seconds::new(3);
        let all = |_| true;
        seconds.take(0, 0, 'a');
        seconds.take(1, 0, 'b');
        assert_eq!(seconds.poll(all), None);
        assert_eq!(seconds.poll(|slice| slice != 2), Some((0, vec![(0, 'a'), (1, 'b')])), "nobody waits for the silent");
        seconds.take(2, 0, 'c');
        assert_eq!((seconds.take_late(), seconds.take_late()), (1, 0));
        seconds.take(2, 1, 'd');
        seconds.take(0, 2, 'e');
        seconds.take(1, 2, 'f');
        assert_eq!(seconds.poll(all), None, "two have sent a later one, and may have been overtaken by it");
        seconds.take(0, 1, 'g');
        seconds.take(1, 4, 'h');
        assert_eq!(seconds.poll(all), Some((1, vec![(0, 'g'), (2, 'd')])), "who tells of a much later one has lost this one");
        assert_eq!(seconds.poll(all), None);
        assert_eq!(seconds.poll(|_| false), Some((2, vec![(0, 'e'), (1, 'f')])), "at the end nobody is waited for");
        assert_eq!(seconds.poll(|_| false), Some((3, vec![])));
        assert_eq!(seconds.poll(|_| false), Some((4, vec![(1, 'h')])));
        assert_eq!(seconds.poll(|_| false), None);
    }
}
