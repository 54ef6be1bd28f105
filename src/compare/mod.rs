//! `fleetsim compare`: two sets of runs held against each other. The statistics are those of `run_compare`; here folders become figures,
//! and figures words.

mod comparison;
mod differences;
mod figures;
mod markdown;
mod page;
mod sides;
mod text;
mod window;
mod words;

use crate::exit;
use crate::report::{ReportError, replace};
use comparison::Comparison;
use host::stdio::{self, is_standard};
use sides::Sides;
use std::path::{Path, PathBuf};

/// What `fleetsim compare` was asked for.
pub struct CompareOptions {
    /// Results folders, or folders of such.
    pub base: Vec<PathBuf>,
    pub run: Vec<PathBuf>,
    /// Earlier runs that tell how much runs vary.
    pub noise: Vec<PathBuf>,
    /// Seconds at the beginning that do not count.
    pub skip_s: u64,
    pub output: Output,
    pub markdown: Option<PathBuf>,
    pub html: Option<PathBuf>,
    pub fails_if_worse: bool,
}

/// What stdout is given, unless a file is to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// In colour where that is wanted.
    Text {
        colour: bool,
    },
    Json,
}

/// A comparison that could not be made.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    /// Wrong usage.
    #[error("{0}")]
    Usage(String),
    /// All runs of a side are INVALID: figures, and no evidence.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Incomparable(String),
    #[error("failed to {0}")]
    Report(#[from] ReportError),
    #[error("failed to {0}")]
    Print(std::io::Error),
}

impl CompareError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Invalid(_) => exit::INVALID,
            Self::Incomparable(_) | Self::Report(_) | Self::Print(_) => exit::ERROR,
        }
    }
}

/// Makes the comparison; returns the exit code.
#[must_use]
pub fn compare(options: &CompareOptions) -> u8 {
    match carry_out(options) {
        Ok(is_worse) if is_worse && options.fails_if_worse => exit::FAIL,
        Ok(_) => exit::PASS,
        Err(error) => {
            stdio::say(&format!("fleetsim: {error}"));
            error.exit_code()
        }
    }
}

/// Whether a figure is worse.
fn carry_out(options: &CompareOptions) -> Result<bool, CompareError> {
    let files = [options.markdown.as_deref(), options.html.as_deref()];
    let on_stdout = files.iter().flatten().filter(|path| is_standard(path)).count();
    if on_stdout + usize::from(options.output == Output::Json) > 1 {
        let why = "only one of --json, --markdown and --html can be on standard output: name a file for the others";
        return Err(CompareError::Usage(why.into()));
    }
    let sides = Sides::load(&options.base, &options.run, &options.noise)?;
    let comparison = Comparison::new(&sides, options.skip_s)?;
    put(options.markdown.as_deref(), || markdown::markdown(&comparison))?;
    put(options.html.as_deref(), || page::page(&comparison))?;
    let text = match options.output {
        Output::Json => comparison.to_json(),
        Output::Text { .. } if on_stdout > 0 => return Ok(comparison.is_worse()),
        Output::Text { colour } => text::text(&comparison, colour),
    };
    stdio::print(&format!("{text}\n")).map_err(CompareError::Print)?;
    Ok(comparison.is_worse())
}

fn put(path: Option<&Path>, make: impl FnOnce() -> String) -> Result<(), CompareError> {
    match path {
        None => Ok(()),
        Some(path) if is_standard(path) => stdio::print(&make()).map_err(CompareError::Print),
        Some(path) => Ok(replace(path, make().as_bytes())?),
    }
}
