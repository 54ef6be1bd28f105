//! Words of errors that come from a file: the program's own are `&'static str`, and these become so as well, each once.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Words that are kept. The program's own are far fewer, so more of them come from a damaged file.
const WORDS_MAX: usize = 4_096;
/// Bytes of one.
const WORD_BYTES_MAX: usize = 256;

static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// More kinds of error, or longer words for one, than any run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyWords;

impl fmt::Display for TooManyWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it has kinds of error that no run has: over {WORDS_MAX} words, or one of over {WORD_BYTES_MAX} bytes")
    }
}

/// The word for as long as the program runs.
///
/// # Errors
/// When there are too many already, or it is too long.
pub(super) fn interned(word: &str) -> Result<&'static str, TooManyWords> {
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return Ok(known);
    }
    if words.len() == WORDS_MAX || word.len() > WORD_BYTES_MAX {
        return Err(TooManyWords);
    }
    let kept: &'static str = Box::leak(word.into());
    words.insert(kept);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_kept_once_and_a_long_one_not_at_all() {
        let (first, again) = (interned("no_answer").unwrap(), interned(&String::from("no_answer")).unwrap());
        assert!(std::ptr::eq(first, again));
        assert_eq!(interned(&"x".repeat(WORD_BYTES_MAX + 1)), Err(TooManyWords));
    }
}
