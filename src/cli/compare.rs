//! `fleetsim compare`.

use super::capacity::whole_seconds;
use super::usage;
use crate::compare::{CompareOptions, Output, compare};
use crate::run::use_colour;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = EXIT_CODES, override_usage = "fleetsim compare [OPTIONS] BASE... -- RUN...")]
pub(super) struct CompareArgs {
    /// Results folders of the baseline runs; any other folder stands for the runs in it, as `run --repeat` leaves them
    #[arg(required = true, value_name = "BASE")]
    base: Vec<PathBuf>,
    /// Results folders of the runs that are compared with them
    #[arg(required = true, last = true, value_name = "RUN")]
    run: Vec<PathBuf>,
    /// Five or more earlier runs of BASE's scenario on its host: how much runs vary is taken from them, too, so that one run a side will do
    #[arg(long, value_name = "DIR", num_args = 1..)]
    noise: Vec<PathBuf>,
    /// What is left out at the beginning of each run
    #[arg(long, value_name = "D", default_value = "10s", value_parser = whole_seconds)]
    skip: u64,
    /// One JSON object instead of the text
    #[arg(long)]
    json: bool,
    /// Write the comparison as Markdown, for a pull request; - is standard output
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the comparison as one page; - is standard output
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Exit with 99 where RUN has this outcome
    #[arg(long, value_enum, value_name = "OUTCOME")]
    fail_if: Option<FailIf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FailIf {
    /// At least one figure is worse
    Worse,
}

const EXIT_CODES: &str = "Exit codes:
  0    the comparison was made, whatever came of it
  1    nothing can be compared, or a folder cannot be read
  2    wrong usage; a run that is given twice; --noise with fewer than five runs
  98   nothing is left of a side, since its runs are INVALID
  99   with --fail-if worse: a figure is worse";

pub(super) fn compare_command(args: CompareArgs) -> u8 {
    if let Some(option) = args.run.iter().find(|path| path.to_string_lossy().starts_with("--")) {
        let option = option.display();
        return usage(format_args!("{option} stands after --, where only the folders of RUN do: put options before it"));
    }
    let output = if args.json { Output::Json } else { Output::Text { colour: use_colour(&std::io::stdout()) } };
    compare(&CompareOptions {
        base: args.base,
        run: args.run,
        noise: args.noise,
        skip_s: args.skip,
        output,
        markdown: args.markdown,
        html: args.html,
        fails_if_worse: args.fail_if == Some(FailIf::Worse),
    })
}
