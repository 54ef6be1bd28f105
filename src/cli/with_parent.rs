//! A program that ends when its parent does: what a run has started is not to outlive it.

use super::complain;
use crate::exit;
use clap::Args;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

#[derive(Args)]
pub(super) struct WithParentArgs {
    parent: u32,
    program: OsString,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes the program; returns where it cannot.
pub(super) fn with_parent_command(args: WithParentArgs) -> u8 {
    let WithParentArgs { parent, program, arguments } = args;
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        complain(format_args!("failed to follow process {parent}: {error}"));
        return exit::ERROR;
    }
    let found = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if found != Some(parent) {
        complain(format_args!("process {parent} is gone"));
        return exit::ERROR;
    }
    let error = Command::new(&program).args(arguments).exec();
    complain(format_args!("failed to start {}: {error}", program.to_string_lossy()));
    exit::ERROR
}
