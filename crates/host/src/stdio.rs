//! The standard streams of a program that others read and feed: nothing that was to be read is lost unseen, a reader that has gone away
//! is nobody's problem, and where a file is wanted, `-` names one of them.

use rustix::fs::FileType;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands for standard input or output where a file is wanted.
const STANDARD: &str = "-";

/// Whether somebody has read standard input: there is only one.
static INPUT_TAKEN: AtomicBool = AtomicBool::new(false);

/// Writes the text to standard output, to the last byte. A reader that has closed its end (`| head`) has seen enough, and to a terminal
/// that is gone there is nothing to say.
///
/// # Errors
/// When it cannot be written, as on a full disk.
pub fn print(text: &str) -> io::Result<()> {
    finish(io::stdout().write_all(text.as_bytes()))
}

/// The same for what somebody else wrote to standard output.
///
/// # Errors
/// When it could not be written.
pub fn finish(written: io::Result<()>) -> io::Result<()> {
    match written.and_then(|()| io::stdout().flush()) {
        Err(error) if is_reader_gone(&error) => Ok(()),
        written => written.map_err(|error| io::Error::new(error.kind(), format!("write to standard output: {error}"))),
    }
}

fn is_reader_gone(error: &io::Error) -> bool {
    let is_device =
        || rustix::fs::fstat(io::stdout()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice);
    match Errno::from_io_error(error) {
        Some(Errno::PIPE) => true,
        Some(Errno::IO) => is_device(),
        _ => false,
    }
}

/// One line on standard error, which is lost where nobody takes it.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether the path stands for standard input or output.
#[must_use]
pub fn is_standard(path: &Path) -> bool {
    path == Path::new(STANDARD)
}

/// All of a file, or of standard input.
///
/// # Errors
/// When it cannot be read, or standard input was read before.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !is_standard(path) {
        return std::fs::read(path);
    }
    if INPUT_TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::Error::other("standard input was read already: only one file may be \"-\""));
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// A file to be written from its beginning, or standard output as one.
///
/// # Errors
/// When it cannot be opened.
pub fn create(path: &Path) -> io::Result<File> {
    if is_standard(path) { output() } else { File::create(path) }
}

/// A file to be read and appended to, or standard output as one.
///
/// # Errors
/// When it cannot be opened.
pub fn append(path: &Path) -> io::Result<File> {
    if is_standard(path) { output() } else { File::options().create(true).read(true).append(true).open(path) }
}

fn output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}
