//! The scopes in which operations are counted: the whole fleet, each cohort, each transport.

use super::sample::{Operation, Scope};

/// One scope, as an index: `all`, then the cohorts, then the transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub u16);

impl ScopeId {
    pub const ALL: Self = Self(0);
}

/// How many scopes a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes {
    cohorts: usize,
    transports: usize,
}

impl Scopes {
    #[must_use]
    pub fn new(cohorts: usize, transports: usize) -> Self {
        Self { cohorts, transports }
    }

    #[must_use]
    pub fn count(self) -> usize {
        1 + self.cohorts + self.transports
    }

    /// The scopes that a sample of `operation` counts in.
    pub fn of(self, operation: Operation, scope: Scope) -> impl Iterator<Item = ScopeId> {
        let cohort = ScopeId(1 + scope.cohort);
        let transport = ScopeId(1 + self.cohorts as u16 + u16::from(scope.transport));
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
