//! The options of continuous integration, which `run` and `report` share.

use crate::report::CiFiles;
use clap::Args;
use host::environment;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CiArgs {
    /// Write a summary in Markdown, as job summaries want it; - is standard output [env of run: FLEETSIM_RUN_SUMMARY]
    #[arg(long, value_name = "FILE.md")]
    summary: Option<PathBuf>,
    /// Write a JUnit report, with a test case for each threshold and check; - is standard output [env of run: FLEETSIM_RUN_JUNIT]
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
}

impl CiArgs {
    /// Of a run, which has variables for them, too. `has_json`: standard output has JSON on it.
    pub(super) fn of_run(self, has_json: bool) -> Result<CiFiles, &'static str> {
        let variable = |name| environment::variable(name).map(PathBuf::from);
        let summary = self.summary.or_else(|| variable("FLEETSIM_RUN_SUMMARY"));
        let junit = self.junit.or_else(|| variable("FLEETSIM_RUN_JUNIT"));
        let files = Self { summary, junit }.files()?;
        if has_json && files.is_on_stdout() {
            return Err("standard output has the JSON of --ui json on it: name a file for --summary and --junit");
        }
        Ok(files)
    }

    pub(super) fn files(self) -> Result<CiFiles, &'static str> {
        if self.summary.is_some() && self.summary == self.junit {
            return Err("--summary and --junit are two files; only one of them may be -, standard output");
        }
        Ok(CiFiles { summary: self.summary, junit: self.junit })
    }
}
