//! `fleetsim report`.

use super::complain;
use crate::run::use_colour;
use crate::{exit, report};
use clap::Args;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ReportArgs {
    /// A results folder, also one whose run was killed
    run: PathBuf,
}

pub(super) fn report_command(args: &ReportArgs) -> u8 {
    match report::load(&args.run) {
        Ok(record) => {
            let _ = writeln!(std::io::stdout(), "{}", record.summary(use_colour(&std::io::stdout())));
            if record.differences().is_empty() { exit::PASS } else { exit::FAIL }
        }
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}
