//! `fleetsim report`.

use super::{complain, print};
use crate::run::use_colour;
use crate::{exit, report};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ReportArgs {
    /// A results folder, also one whose run was killed
    run: PathBuf,
}

pub(super) fn report_command(args: &ReportArgs) -> u8 {
    match report::load(&args.run) {
        Ok(record) => match print(&format!("{}\n", record.summary(use_colour(&std::io::stdout())))) {
            exit::PASS if !record.differences().is_empty() => exit::FAIL,
            code => code,
        },
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}
