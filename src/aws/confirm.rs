//! Nothing is made in an account by accident: somebody says yes, and what is large is said in so many words.

use host::stdio::say;
use std::io::{IsTerminal as _, stdin};

/// Things that nobody has to allow.
pub const THINGS_MAX: u64 = 1_000;

/// Why nothing is done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("nothing was done: there is no terminal to ask on; --yes confirms without asking")]
    NoTerminal,
    #[error("nothing was done")]
    Declined,
    #[error("{things} things are more than {THINGS_MAX} in an account: confirm with --allow-things {things}")]
    TooMany { things: u64 },
}

/// Whether so many things may be in an account, where somebody allowed `allowed`.
///
/// # Errors
/// When nobody said so.
pub fn allow(things: u64, allowed: Option<u64>) -> Result<(), Refusal> {
    if things <= allowed.unwrap_or(THINGS_MAX).max(THINGS_MAX) { Ok(()) } else { Err(Refusal::TooMany { things }) }
}

/// Shows what will be done, and asks.
///
/// # Errors
/// When the answer is not yes, or there is nobody to give one.
pub fn confirm(lines: &[String], is_yes: bool) -> Result<(), Refusal> {
    lines.iter().for_each(|line| say(line));
    if is_yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        return Err(Refusal::NoTerminal);
    }
    say("Continue? [yes/no]");
    let mut answer = String::new();
    match stdin().read_line(&mut answer) {
        Ok(_) if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
        _ => Err(Refusal::Declined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_has_to_be_allowed() {
        assert_eq!([allow(1_000, None), allow(1_000, Some(5)), allow(2_000, Some(2_000))], [Ok(()), Ok(()), Ok(())]);
        for (things, allowed) in [(1_001, None), (2_001, Some(2_000))] {
            assert_eq!(allow(things, allowed), Err(Refusal::TooMany { things }));
        }
    }
}
