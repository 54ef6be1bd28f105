//! How many bytes of messages are kept: for one holder, and for all of them together. What a holder has within its share does not count for
//! all, so that nobody can use up what the others need to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What there is to have.
#[derive(Debug)]
pub(crate) struct Budget {
    /// For one holder.
    each: usize,
    /// For all, beyond their shares.
    all: usize,
    share: usize,
    used: AtomicUsize,
}

/// What one holder has of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Holding {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(each: usize, all: usize, share: usize) -> Arc<Self> {
        Arc::new(Self { each, all, share, used: AtomicUsize::new(0) })
    }

    /// What of so many bytes counts for all.
    fn counted(&self, bytes: usize) -> usize {
        bytes.saturating_sub(self.share)
    }
}

impl Holding {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Takes so many bytes. Says whether they were there.
    #[must_use]
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let (budget, after) = (&self.budget, self.bytes + bytes);
        let more = budget.counted(after) - budget.counted(self.bytes);
        let fits = |used: usize| Some(used + more).filter(|used| *used <= budget.all);
        let is_there =
            after <= budget.each && (more == 0 || budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok());
        if is_there {
            self.bytes = after;
        }
        is_there
    }

    /// Gives back so many of those that were taken.
    pub(crate) fn give(&mut self, bytes: usize) {
        let after = self.bytes.saturating_sub(bytes);
        let less = self.budget.counted(self.bytes) - self.budget.counted(after);
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
        self.bytes = after;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_holder_has_its_share_though_the_others_have_taken_all_there_is() {
        let budget = Budget::new(100, 150, 10);
        let mut greedy: Vec<Holding> = (0..3).map(|_| Holding::new(&budget)).collect();
        let taken: Vec<usize> = greedy.iter_mut().map(|holding| (0..200).filter(|_| holding.take(1)).count()).collect();
        assert_eq!(taken, [100, 70, 10], "to its own limit, to that of all, and its share");
        let mut late = Holding::new(&budget);
        assert!(late.take(10) && !late.take(1) && !late.is_empty());
        greedy[0].give(5);
        assert!(late.take(5) && !late.take(1));
        drop(greedy);
        assert!(late.take(85) && !late.take(1));
        late.give(100);
        assert!(late.is_empty() && budget.used.load(Ordering::Relaxed) == 0);
    }

    proptest! {
        #[test]
        fn what_is_counted_for_all_is_what_the_holders_have_beyond_their_shares(
            steps in prop::collection::vec((0usize..4, any::<bool>(), 0usize..40), 0..200)
        ) {
            let budget = Budget::new(100, 150, 10);
            let mut holdings: Vec<Holding> = (0..4).map(|_| Holding::new(&budget)).collect();
            for (holder, takes, bytes) in steps {
                if takes {
                    let _ = holdings[holder].take(bytes);
                } else {
                    let held = holdings[holder].bytes;
                    holdings[holder].give(bytes.min(held));
                }
                let counted: usize = holdings.iter().map(|holding| holding.bytes.saturating_sub(10)).sum();
                prop_assert_eq!(counted, budget.used.load(Ordering::Relaxed));
                prop_assert!(counted <= 150 && holdings.iter().all(|holding| holding.bytes <= 100));
            }
        }
    }
}
