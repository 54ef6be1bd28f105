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

/// Gathers one event and hands it over whole, as one line: what others say of themselves, a client id for instance, can neither begin
/// a line of its own nor move a cursor.
pub struct LogLine {
    bytes: Vec<u8>,
    has_colours: bool,
}

impl LogLine {
    /// For one event, which may be in colours.
    #[must_use]
    pub fn new(has_colours: bool) -> Self {
        Self { bytes: Vec::new(), has_colours }
    }

    /// What it says, without its end. Control characters are as Rust writes them; colours stay, if there are to be some.
    fn text(&self) -> String {
        let whole = String::from_utf8_lossy(&self.bytes);
        let mut rest = whole.trim_end_matches('\n');
        let mut text = String::with_capacity(rest.len());
        while let Some(c) = rest.chars().next() {
            let colour = if self.has_colours { colour_length(rest) } else { 0 };
            if colour > 0 {
                text.push_str(&rest[..colour]);
            } else if c.is_control() {
                text.extend(c.escape_debug());
            } else {
                text.push(c);
            }
            rest = &rest[colour.max(c.len_utf8())..];
        }
        text
    }
}

/// How long the sequence is that sets colours at the beginning of `text`; 0: none does.
fn colour_length(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\x1b[") else { return 0 };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').len();
    if rest[digits..].starts_with('m') { digits + 3 } else { 0 }
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
        if self.bytes.is_empty() {
            return;
        }
        let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
        match reader.as_mut() {
            Some(reader) => reader(&self.text()),
            // A reader of stderr that has gone away does not end a run.
            None => drop(io::stderr().write_all(format!("{}\n", self.text()).as_bytes())),
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
        writeln!(LogLine::new(false), "WARN one").unwrap();
        drop(redirect);
        drop(LogLine::new(false));
        assert_eq!(*seen.lock().unwrap(), ["WARN one"]);
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        for (event, plain, coloured) in [
            ("WARN x\n", "WARN x", "WARN x"),
            ("a\nINFO b\r\n", "a\\nINFO b\\r", "a\\nINFO b\\r"),
            ("a\0b\u{7}c\u{9b}2J\u{7f}", "a\\0b\\u{7}c\\u{9b}2J\\u{7f}", "a\\0b\\u{7}c\\u{9b}2J\\u{7f}"),
            ("\x1b[1;33mWARN\x1b[0m é", "\\u{1b}[1;33mWARN\\u{1b}[0m é", "\x1b[1;33mWARN\x1b[0m é"),
            ("\x1b[2J\x1b]0;t\u{7}", "\\u{1b}[2J\\u{1b}]0;t\\u{7}", "\\u{1b}[2J\\u{1b}]0;t\\u{7}"),
        ] {
            let text = |has_colours| {
                let mut line = LogLine::new(has_colours);
                line.write_all(event.as_bytes()).unwrap();
                let text = line.text();
                line.bytes.clear();
                text
            };
            assert_eq!((&*text(false), &*text(true)), (plain, coloured));
        }
    }
}
