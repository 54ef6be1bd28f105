//! `fleetsim scenarios`.

use super::{print, usage};
use crate::{exit, scenario};
use clap::{Args, Subcommand};
use host::stdio::is_standard;
use load_metrics::Metric;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct ScenariosArgs {
    #[command(subcommand)]
    action: Option<ScenariosAction>,
}

#[derive(Subcommand)]
enum ScenariosAction {
    /// Names and summaries
    List,
    /// Print one
    Show { name: String },
    /// Copy one to a file (-: standard output), to be edited
    Init { name: String, file: Option<PathBuf> },
    /// Every metric that [thresholds] can check
    Thresholds,
}

pub(super) fn scenarios_command(args: ScenariosArgs) -> u8 {
    let find = |name: &str| {
        scenario::shipped(name).ok_or_else(|| {
            let known: Vec<&str> = scenario::SHIPPED.iter().map(|shipped| shipped.name).collect();
            usage(format_args!("there is no shipped scenario {name:?}; known: {}", known.join(", ")))
        })
    };
    match args.action.unwrap_or(ScenariosAction::List) {
        ScenariosAction::List => {
            let width = scenario::SHIPPED.iter().map(|shipped| shipped.name.len()).max().unwrap_or(0);
            let mut list = String::new();
            for shipped in scenario::SHIPPED {
                let _ = writeln!(list, "{:width$}  {}", shipped.name, shipped.summary);
            }
            print(&list)
        }
        ScenariosAction::Thresholds => print(&thresholds()),
        ScenariosAction::Show { name } => find(&name).map_or_else(|code| code, |shipped| print(shipped.text)),
        ScenariosAction::Init { name, file } => match (find(&name), file) {
            (Err(code), _) => code,
            (Ok(shipped), Some(file)) if is_standard(&file) => print(shipped.text),
            (Ok(shipped), file) => {
                let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
                let written = write_new(&file, shipped.text);
                written.map_or_else(|error| usage(format_args!("failed to write {}: {error}", file.display())), |()| exit::PASS)
            }
        },
    }
}

fn thresholds() -> String {
    let mut text = "[thresholds]\n\
         # \"METRIC\" = \"< 250\", or { check = \"< 250\", over = \"last 60s\", phase = \"rollout\", cohort = \"NAME\" }\n\
         # Signs: < <= > >= == !=. Without a single sample a threshold fails.\n"
        .to_owned();
    for metric in Metric::vocabulary() {
        let _ = writeln!(text, "{metric}");
    }
    text
}

fn write_new(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::create_new(file)?.write_all(text.as_bytes())
}
