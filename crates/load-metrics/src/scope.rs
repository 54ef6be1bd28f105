//! The scopes in which operations are counted: the whole fleet, each cohort, each transport.

use super::sample::{Operation, Scope};
use serde::{Deserialize, Serialize};

/// One scope, as an index: `all`, then the cohorts, then the transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScopeId(pub u16);

impl ScopeId {
    /// The whole fleet.
    pub const ALL: Self = Self(0);

    /// Of the cohort at this place.
    ///
    /// # Panics
    /// When a run has more scopes than [`SCOPES_MAX`].
    #[must_use]
    pub fn of_cohort(place: usize) -> Self {
        Self(u16::try_from(1 + place).expect(MANY))
    }
}

/// All scopes of a run. A scenario has far fewer cohorts, and is refused with more.
pub const SCOPES_MAX: usize = 1 << 16;
const MANY: &str = "a run has at most SCOPES_MAX scopes";

/// How many scopes a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scopes {
    cohorts: u16,
    /// The last one.
    last: u16,
}

impl Scopes {
    /// # Panics
    /// With more than [`SCOPES_MAX`] of them.
    #[must_use]
    pub(super) fn new(cohorts: usize, transports: usize) -> Self {
        let last = u16::try_from(cohorts + transports).expect(MANY);
        Self { cohorts: last - u16::try_from(transports).expect(MANY), last }
    }

    #[must_use]
    pub(super) fn count(self) -> usize {
        usize::from(self.last) + 1
    }

    /// Every one, in its order.
    pub(super) fn ids(self) -> impl Iterator<Item = ScopeId> {
        (0..=self.last).map(ScopeId)
    }

    /// The scopes that a sample of `operation` counts in.
    pub(super) fn of(self, operation: Operation, scope: Scope) -> impl Iterator<Item = ScopeId> {
        let cohort = ScopeId(1 + scope.cohort);
        let transport = ScopeId(1 + self.cohorts + u16::from(scope.transport));
        let told = if operation.is_scoped() { 3 } else { 1 };
        [ScopeId::ALL, cohort, transport].into_iter().take(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scoped_operations_are_broken_down() {
        let ids =
            |operation| -> Vec<u16> { Scopes::new(2, 2).of(operation, Scope { cohort: 1, transport: 1 }).map(|id| id.0).collect() };
        assert_eq!(ids(Operation::StartNext), [0, 2, 4], "all, the second cohort, the second transport");
        assert_eq!(ids(Operation::Puback), [0]);
        assert_eq!(Scopes::new(2, 2).count(), 5);
    }
}
