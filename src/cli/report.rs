//! `fleetsim report`.

use super::ci_args::CiArgs;
use super::{complain, print, usage};
use crate::report::RunRecord;
use crate::run::use_colour;
use crate::{exit, report};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ReportArgs {
    /// A results folder, also one whose run was killed
    run: PathBuf,
    /// Exit with the code of the run (1 where it was killed or still goes on), or 99 where the reconciliation finds differences; without it: 0, or
    /// 99 where it finds some; 1 where the files cannot be read
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    ci: CiArgs,
}

pub(super) fn report_command(args: ReportArgs) -> u8 {
    let ci = match args.ci.files() {
        Ok(ci) => ci,
        Err(message) => return usage(message),
    };
    match report::load(&args.run) {
        Ok(record) => {
            // A folder that takes no page has its summary all the same.
            let page = record.write_page();
            let written = page.and(ci.check().and_then(|()| record.write_ci(&ci)));
            let printed = print(&format!("{}\n", record.summary(use_colour(&std::io::stdout()))));
            match (written, printed) {
                (Err(error), _) => {
                    complain(format_args!("failed to {error}"));
                    exit::ERROR
                }
                (Ok(()), exit::PASS) => exit_code(&record, args.exit_code),
                (Ok(()), unprinted) => unprinted,
            }
        }
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}

fn exit_code(record: &RunRecord, is_of_run: bool) -> u8 {
    let of_run = if is_of_run { record.manifest().exit_code.unwrap_or(exit::ERROR) } else { exit::PASS };
    match of_run {
        exit::PASS if !record.has_ledgers() => exit::ERROR,
        exit::PASS if !record.differences().is_empty() => exit::FAIL,
        of_run => of_run,
    }
}
