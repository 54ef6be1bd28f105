//! `fleetsim merge`.

use crate::merge::{MergeOptions, merge};
use crate::run::use_colour;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct MergeArgs {
    /// The results folder of the whole run; must be empty or new
    out: PathBuf,
    /// The results folders of all its slices, in any order
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
}

pub(super) fn merge_command(args: MergeArgs) -> u8 {
    let MergeArgs { out, runs } = args;
    merge(&MergeOptions { out, runs, colour: use_colour(&std::io::stdout()) })
}
