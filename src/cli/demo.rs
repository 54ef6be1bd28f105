//! `fleetsim demo`: a shipped scenario that shows what there is to see.

use super::run::{PlaceArgs, UiArgs};
use super::scenario_args::resolve;
use super::usage;
use crate::run::{JobsAfterwards, Outlets, RunOptions, run};
use crate::scenario::{Source, shipped};
use clap::Args;

/// The scenario.
pub(super) const SCENARIO: &str = "demo";

#[derive(Args)]
pub(super) struct DemoArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    pub(super) ui: UiArgs,
}

pub(super) fn demo_command(args: DemoArgs) -> u8 {
    let ui = match args.ui.kind() {
        Ok(ui) => ui,
        Err(message) => return usage(message),
    };
    let text = shipped(SCENARIO).expect("it is one of the shipped scenarios").text;
    let source = Source { name: format!("{SCENARIO} (shipped)"), text: text.to_owned(), overrides: Vec::new() };
    let plan = match resolve(&source) {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    let (out, certs) = args.place.folders();
    let (jobs_afterwards, outlets) = (JobsAfterwards::Deleted, Outlets::default());
    run(RunOptions {
        plan,
        out,
        certs,
        ui,
        shards: None,
        title: None,
        shard: None,
        led: None,
        step: None,
        jobs_afterwards,
        outlets,
    })
}
