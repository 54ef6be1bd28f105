//! Where log lines go: stderr, or while a dashboard has the terminal, to whom it names.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

type Reader = Box<dyn FnMut(&str) + Send>;

static READER: Mutex<Option<Reader>> = Mutex::new(None);

/// While it lives, log lines go to the reader it was made with.
pub struct Redirect(());

impl Redirect {
    /// Every line, without its end, goes to `reader` instead of stderr. The reader must not log.
    #[must_use]
    pub fn to(reader: impl FnMut(&str) + Send + 'static) -> Self {
        *READER.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(reader));
        Self(())
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        *READER.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Gathers one event and hands it over whole.
#[derive(Default)]
pub struct LogLine {
    bytes: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
        match reader.as_mut() {
            Some(reader) => String::from_utf8_lossy(&self.bytes).lines().for_each(reader),
            // A reader of stderr that has gone away does not end a run.
            None => drop(io::stderr().write_all(&self.bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn lines_go_to_the_reader_while_there_is_one() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let redirect = Redirect::to(move |line| sink.lock().unwrap().push(line.to_owned()));
        writeln!(LogLine::default(), "WARN one").unwrap();
        drop(redirect);
        drop(LogLine::default());
        assert_eq!(*seen.lock().unwrap(), ["WARN one"]);
    }
}
