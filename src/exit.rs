//! Exit codes. The first that applies wins, in the order 2, 104, 1, 105, 98, 99, 0.

/// The run finished and everything it was asked to hold, holds.
pub const PASS: u8 = 0;
/// The run could not be carried out: endpoint unreachable, disk full, ...
pub const ERROR: u8 = 1;
/// Wrong usage of the command line.
pub const USAGE: u8 = 2;
/// The run is INVALID: the generator was the bottleneck or lost samples; or a machine was too busy to be measured.
pub const INVALID: u8 = 98;
/// A threshold failed, executions were still open at `end.limit`, the ledgers disagree, something was never done even once, or a quota is passed
/// where that is an error.
pub const FAIL: u8 = 99;
/// The scenario, or the endpoint's configuration file, is wrong.
pub const SCENARIO: u8 = 104;
/// Interrupted; results were written.
pub const INTERRUPTED: u8 = 105;

/// In the order in which they apply.
const ORDER: [u8; 6] = [USAGE, SCENARIO, ERROR, INTERRUPTED, INVALID, FAIL];

/// The code of several things together: the first one that applies.
#[must_use]
pub fn first(codes: &[u8]) -> u8 {
    ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(PASS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_code_that_applies_is_that_of_all() {
        assert_eq!([first(&[]), first(&[PASS, PASS]), first(&[FAIL, INVALID, PASS])], [PASS, PASS, INVALID]);
        assert_eq!(
            [first(&[FAIL, INTERRUPTED]), first(&[INTERRUPTED, ERROR]), first(&[ERROR, SCENARIO])],
            [INTERRUPTED, ERROR, SCENARIO]
        );
    }
}
