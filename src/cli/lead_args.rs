//! A run that is spread over workers.

use super::nats_args::NatsArgs;
use clap::Args;

#[derive(Args)]
pub(super) struct LeadArgs {
    /// Cut the fleet into N slices, each driven by a worker: on this host, or with --over wherever `fleetsim worker` runs (docs/WORKERS.md)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with_all = ["shard", "repeat", "keep_jobs"])]
    slices: Option<u32>,
    /// The NATS server that carries the run to its workers: tls://HOST:PORT, or nats://127.0.0.1:PORT
    #[arg(long, value_name = "URL", env = "FLEETSIM_OVER", requires = "slices")]
    over: Option<String>,
    /// What the run is called, for its workers [default: by the time]
    #[arg(long, value_name = "ID", env = "FLEETSIM_RUN_ID", requires = "slices")]
    run: Option<String>,
    /// How long to wait until every slice has a worker that is ready
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    wait: String,
    /// How long the NATS server may be away before the leader gives up
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    nats_away: String,
    /// What the others do when a worker is lost; the run is INVALID either way
    #[arg(long, value_enum, default_value_t = LostChoice::Drain)]
    on_lost: LostChoice,
    #[command(flatten)]
    nats: NatsArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LostChoice {
    /// They come to an end
    Drain,
    /// They go on
    Continue,
}

impl LeadArgs {
    /// Whether workers are wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.slices.is_some()
    }
}

#[cfg(feature = "nats")]
pub(super) use leading::lead_command;

#[cfg(not(feature = "nats"))]
pub(super) fn lead_command(_: LeadArgs, _: crate::run::RunOptions) -> u8 {
    super::without_nats("--slices")
}

#[cfg(feature = "nats")]
mod leading {
    use super::{LeadArgs, LostChoice};
    use crate::cli::{usage, wait_of};
    use crate::run::RunOptions;
    use crate::workers::address::NatsAddress;
    use crate::workers::{LeadOptions, OnLost, check_lead, lead};

    /// Leads a run with these options.
    pub(in crate::cli) fn lead_command(args: LeadArgs, options: RunOptions) -> u8 {
        match lead_options(args, options) {
            Ok(options) => lead(options),
            Err(message) => usage(message),
        }
    }

    fn lead_options(args: LeadArgs, options: RunOptions) -> Result<LeadOptions, String> {
        let LeadArgs { slices, over, run, wait, nats_away, on_lost, nats } = args;
        let slices = slices.unwrap_or(1);
        let identity = nats.identity();
        let address = over.map(|over| over.parse::<NatsAddress>()).transpose()?;
        if let Some(address) = &address {
            address.check(&identity)?;
        }
        check_lead(&options.plan, slices, address.is_none())?;
        let RunOptions { plan, out, certs, ui, shards, outlets, .. } = options;
        Ok(LeadOptions {
            plan,
            slices,
            over: address.map(|address| (address, identity)),
            run: run.map(|run| run.parse()).transpose()?,
            wait: wait_of("--wait", &wait)?,
            away: wait_of("--nats-away", &nats_away)?,
            on_lost: match on_lost {
                LostChoice::Drain => OnLost::Drain,
                LostChoice::Continue => OnLost::Continue,
            },
            out,
            certs,
            ui,
            threads: shards,
            outlets,
        })
    }
}
