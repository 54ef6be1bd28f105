//! What somebody can type into a shell as it stands there.

use std::path::Path;

/// Where it is found by its name.
const PROGRAM: &str = "fleetsim";

/// This program as it was started: by its path where one was given, else by its name.
#[must_use]
pub fn program() -> String {
    let started = std::env::args_os().next().unwrap_or_default();
    let started = Path::new(&started);
    if started.components().count() > 1 { quoted(started) } else { PROGRAM.into() }
}

/// A path as one word.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_they_must_be() {
        let of = |path: &str| quoted(path.as_ref());
        assert_eq!([of("results/10k-1"), of("my runs/x"), of("it's")], ["results/10k-1", "'my runs/x'", "'it'\\''s'"]);
    }
}
