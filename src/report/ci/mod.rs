//! What continuous integration takes from a run: a summary in Markdown and a JUnit report.

mod junit;
mod markdown;

use super::ReportError;
use super::column::replace;
use super::manifest::Manifest;
use host::{environment, stdio};
use rustix::fs::{OFlags, fcntl_setfl};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The variable in which GitHub's runners name the summary of a step; steps append to it.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Where they are wanted; `-` is standard output.
#[derive(Clone, Debug, Default)]
pub struct CiFiles {
    pub summary: Option<PathBuf>,
    pub junit: Option<PathBuf>,
}

impl CiFiles {
    /// Whether one of them is to be on standard output.
    #[must_use]
    pub fn is_on_stdout(&self) -> bool {
        self.paths().any(stdio::is_standard)
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.paths().next().is_some()
    }

    /// Makes their folders, and sees that they can be written, without a change to what is there.
    ///
    /// # Errors
    /// When one of them cannot.
    pub fn check(&self) -> Result<(), ReportError> {
        for path in self.paths().filter(|path| !stdio::is_standard(path)) {
            check(path).map_err(|source| ReportError::write(path, source))?;
        }
        Ok(())
    }

    /// Writes all of them; `dir` is the results folder.
    ///
    /// # Errors
    /// With the first that could not be written; the others are.
    pub fn write(&self, manifest: &Manifest, dir: &Path) -> Result<(), ReportError> {
        let summary = self.summary.as_deref().map_or(Ok(()), |path| put(path, &markdown::summary(manifest, dir)));
        let junit = self.junit.as_deref().map_or(Ok(()), |path| put(path, &junit::report(manifest)));
        summary.and(junit)
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.summary, &self.junit].into_iter().flatten().map(PathBuf::as_path)
    }
}

/// How text gets to where it is wanted.
enum Way {
    Stdout,
    /// What was there before stays: the step's summary, and what is no ordinary file, as a pipe.
    Append,
    /// In one step, so that a reader sees the old file or the new one.
    Replace,
}

impl Way {
    fn to(path: &Path) -> Self {
        let is_of_step = || environment::variable(STEP_SUMMARY).is_some_and(|summary| Path::new(&*summary) == path);
        match fs::metadata(path) {
            _ if stdio::is_standard(path) => Self::Stdout,
            Ok(metadata) if !metadata.is_file() => Self::Append,
            _ if is_of_step() => Self::Append,
            _ => Self::Replace,
        }
    }
}

fn check(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; name a file in it"));
    }
    match Way::to(path) {
        Way::Stdout => Ok(()),
        Way::Append => open(path).map(drop),
        Way::Replace => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            tempfile::tempfile_in(folder).map(drop)
        }
    }
}

/// A pipe that nobody reads is an error, and nothing to wait for.
fn open(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open(2) are an int");
    let file = File::options().create(true).append(true).custom_flags(nonblocking).open(path)?;
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

/// All of the text, or none of it where that can be.
fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    file.write_all(text.as_bytes()).inspect_err(|_| _ = file.set_len(length))
}

fn put(path: &Path, text: &str) -> Result<(), ReportError> {
    match Way::to(path) {
        Way::Stdout => stdio::print(text).map_err(ReportError::Stdout),
        Way::Append => append(path, text).map_err(|source| ReportError::write(path, source)),
        // A link stays one.
        Way::Replace => replace(&fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()), text.as_bytes()),
    }
}
