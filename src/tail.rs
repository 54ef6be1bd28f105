//! A file of lines, followed while another process appends to it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most of a file that is read in one go.
const READ_BYTES: usize = 1 << 20;

/// Follows a file that another process is writing.
pub(crate) struct LineTail {
    path: PathBuf,
    file: Option<File>,
    /// A line whose end has not been written yet.
    partial: Vec<u8>,
}

impl LineTail {
    /// The file may come into being later.
    #[must_use]
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.into(), file: None, partial: Vec::new() }
    }

    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands over every line that was completed since the last call, without its end.
    ///
    /// # Errors
    /// When the file cannot be read, or `take` fails.
    pub(crate) fn read_new<E: From<io::Error>>(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error.into()),
            },
        };
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let count = file.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            self.partial.extend_from_slice(&chunk[..count]);
            let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else { continue };
            let rest = self.partial.split_off(end + 1);
            let complete = std::mem::replace(&mut self.partial, rest);
            complete[..end].split(|byte| *byte == b'\n').try_for_each(&mut take)?;
        }
        self.file = Some(file);
        Ok(())
    }
}
