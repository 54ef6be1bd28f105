//! How many connects of a shard may be in progress at once.

use tokio::sync::Semaphore;

/// The fleet's gate, and those of cohorts that have one of their own.
pub struct Gates {
    fleet: Semaphore,
    /// By cohort.
    own: Vec<Option<Semaphore>>,
}

impl Gates {
    /// Places in each gate; `own` by cohort.
    #[must_use]
    pub fn new(fleet: usize, own: impl IntoIterator<Item = Option<usize>>) -> Self {
        let own = own.into_iter().map(|places| places.map(Semaphore::new)).collect();
        Self { fleet: Semaphore::new(fleet), own }
    }

    /// The gate of a thing of this cohort.
    #[must_use]
    pub fn of(&self, cohort: u16) -> &Semaphore {
        self.own.get(usize::from(cohort)).and_then(Option::as_ref).unwrap_or(&self.fleet)
    }

    /// Nobody passes any more, and who waits is told.
    pub fn close(&self) {
        self.fleet.close();
        self.own.iter().flatten().for_each(Semaphore::close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cohort_has_its_own_gate_or_that_of_the_fleet() {
        let gates = Gates::new(5, [None, Some(2), None]);
        let held = gates.of(0).try_acquire().unwrap();
        assert_eq!([0, 1, 2].map(|cohort| gates.of(cohort).available_permits()), [4, 2, 4]);
        drop(held);
        gates.close();
        assert!([0, 1].iter().all(|cohort| gates.of(*cohort).is_closed()));
    }
}
