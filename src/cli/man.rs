//! `fleetsim man`.

use super::{Cli, complain, print};
use crate::exit;
use clap::{Args, CommandFactory as _};
use std::fs;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ManArgs {
    /// Made where it is not there: fleetsim.1, fleetsim-run.1, ...
    dir: PathBuf,
}

pub(super) fn man_command(ManArgs { dir }: &ManArgs) -> u8 {
    match fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)) {
        Ok(()) => print(&format!("manual pages: {}\n", dir.display())),
        Err(error) => {
            complain(format_args!("failed to write manual pages to {}: {error}", dir.display()));
            exit::ERROR
        }
    }
}
