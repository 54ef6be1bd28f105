//! Files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// Files with this extension: the one that `path` is, or all below it.
pub(crate) fn files_below(path: &Path, extension: &str) -> Vec<PathBuf> {
    if path.is_file() {
        return if path.extension().is_some_and(|found| found == extension) { vec![path.to_owned()] } else { Vec::new() };
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.flat_map(|entry| files_below(&entry.unwrap().path(), extension)).collect()
}
