//! `fleetsim scenarios`.

use super::usage;
use crate::{exit, scenario};
use clap::{Args, Subcommand};
use load_metrics::Metric;
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
    /// Write one to a file of its own, to be changed
    Init { name: String, file: Option<PathBuf> },
    /// Everything that [thresholds] can check
    Thresholds,
}

pub(super) fn scenarios_command(args: ScenariosArgs) -> u8 {
    let find = |name: &str| {
        scenario::shipped(name).ok_or_else(|| {
            let known: Vec<&str> = scenario::SHIPPED.iter().map(|shipped| shipped.name).collect();
            usage(format_args!("there is no shipped scenario {name:?}; known: {}", known.join(", ")))
        })
    };
    let outcome = match args.action.unwrap_or(ScenariosAction::List) {
        ScenariosAction::List => {
            let width = scenario::SHIPPED.iter().map(|shipped| shipped.name.len()).max().unwrap_or(0);
            for shipped in scenario::SHIPPED {
                let _ = writeln!(std::io::stdout(), "{:width$}  {}", shipped.name, shipped.summary);
            }
            Ok(())
        }
        ScenariosAction::Thresholds => {
            let _ = print_thresholds(&mut std::io::stdout().lock());
            Ok(())
        }
        ScenariosAction::Show { name } => find(&name).map(|shipped| {
            let _ = write!(std::io::stdout(), "{}", shipped.text);
        }),
        ScenariosAction::Init { name, file } => find(&name).and_then(|shipped| {
            let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
            write_new(&file, shipped.text).map_err(|error| usage(format_args!("failed to write {}: {error}", file.display())))
        }),
    };
    outcome.err().unwrap_or(exit::PASS)
}

fn print_thresholds(out: &mut impl std::io::Write) -> std::io::Result<()> {
    writeln!(out, "[thresholds]")?;
    writeln!(
        out,
        "# \"METRIC\" = \"< 250\", or {{ check = \"< 250\", over = \"last 60s\", phase = \"rollout\", cohort = \"NAME\" }}"
    )?;
    writeln!(out, "# Signs: < <= > >= == !=. Without a single sample a threshold fails.")?;
    Metric::vocabulary().try_for_each(|metric| writeln!(out, "{metric}"))
}

fn write_new(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::create_new(file)?.write_all(text.as_bytes())
}
