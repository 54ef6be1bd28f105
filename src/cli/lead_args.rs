//! A run that is spread over workers.

use super::nats_args::NatsArgs;
use clap::Args;

#[derive(Args)]
pub(super) struct LeadArgs {
    /// Cut the fleet into N slices, each driven by a worker: on this host, or with --over wherever `fleetsim worker` runs (docs/WORKERS.md)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with_all = ["shard", "repeat", "keep_jobs"])]
    slices: Option<u32>,
    /// The NATS server that carries the run to its workers: tls://HOST:PORT, or nats://127.0.0.1:PORT
    #[arg(long, value_name = "URL", requires = "slices")]
    over: Option<String>,
    /// What the run is called, for its workers [default: by the time]
    #[arg(long, value_name = "ID", requires = "slices")]
    run: Option<String>,
    /// How long to wait until every slice has a worker that is ready [default: 5m]
    #[arg(long, value_name = "DURATION", requires = "slices")]
    wait: Option<String>,
    /// How long the NATS server may be away before the leader gives up [default: 10m]
    #[arg(long, value_name = "DURATION", requires = "slices")]
    nats_away: Option<String>,
    /// What the others do when a worker is lost; the run is INVALID either way [default: drain]
    #[arg(long, value_enum, requires = "slices")]
    on_lost: Option<LostChoice>,
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
    ///
    /// # Errors
    /// When something is said of them that means nothing; for people.
    pub(super) fn is_wanted(&self) -> Result<bool, &'static str> {
        match (self.slices, &self.over) {
            (None, _) | (Some(_), None) if self.nats.is_given() => {
                Err("--nats-ca, --nats-cert, --nats-key and --nats-creds are for the server of --slices N --over URL")
            }
            (slices, _) => Ok(slices.is_some()),
        }
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

    /// Where nobody says otherwise.
    const WAIT: &str = "5m";
    const AWAY: &str = "10m";

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
        check_lead(&options.plan, slices, address.as_ref())?;
        if address.is_some() && options.shards.is_some() {
            return Err("--shards is for workers on this host; with --over each says its own, `fleetsim worker --shards N`".into());
        }
        let RunOptions { plan, out, certs, ui, shards, outlets, .. } = options;
        Ok(LeadOptions {
            plan,
            slices,
            over: address.map(|address| (address, identity)),
            run: run.map(|run| run.parse()).transpose()?,
            wait: wait_of("--wait", wait.as_deref().unwrap_or(WAIT))?,
            away: wait_of("--nats-away", nats_away.as_deref().unwrap_or(AWAY))?,
            on_lost: match on_lost {
                None | Some(LostChoice::Drain) => OnLost::Drain,
                Some(LostChoice::Continue) => OnLost::Continue,
            },
            out,
            certs,
            ui,
            threads: shards,
            outlets,
        })
    }
}
