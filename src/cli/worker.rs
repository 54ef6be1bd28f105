//! `fleetsim worker`.

use super::nats_args::NatsArgs;
use crate::slice::Slice;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct WorkerArgs {
    /// The NATS server that carries the run: tls://HOST:PORT, or nats://127.0.0.1:PORT
    #[arg(long, value_name = "URL")]
    over: String,
    /// The run, as its leader says
    #[arg(long, value_name = "ID")]
    run: String,
    /// The slice to drive, from 0/N on [default: JOB_COMPLETION_INDEX, SLURM_ARRAY_TASK_ID or AWS_BATCH_JOB_ARRAY_INDEX]
    #[arg(long, value_name = "I/N")]
    slice: Option<Slice>,
    /// The results folder of the slice [default: results/<name>-shard-I-of-N-<UTC stamp>]; must be empty or new
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// In place of target.tls: a packed file of certificates ({slice} in its name is the slice's number), or the folder of a CA
    /// (ca.cert.pem, ca.key.pem) by which this worker makes them
    #[arg(long, value_name = "PATH")]
    certs: Option<PathBuf>,
    /// Threads that drive things [default: the host's cores]
    #[arg(long, value_name = "N", env = "FLEETSIM_RUN_SHARDS", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// How long to wait for the server and the run
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    wait: String,
    /// The process of the leader, where that has started this one
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<u32>,
    #[command(flatten)]
    nats: NatsArgs,
}

#[cfg(feature = "nats")]
pub(super) fn worker_command(args: WorkerArgs) -> u8 {
    use super::usage;
    use crate::workers::address::NatsAddress;
    use crate::workers::{WorkerOptions, work};

    let WorkerArgs { over, run, slice, out, certs, shards, wait, parent, nats } = args;
    let identity = nats.identity();
    let given = || -> Result<_, String> {
        let address: NatsAddress = over.parse()?;
        address.check(&identity)?;
        Ok((address, run.parse()?, super::wait_of("--wait", &wait)?))
    };
    let (address, run, wait) = match given() {
        Ok(given) => given,
        Err(message) => return usage(message),
    };
    work(WorkerOptions { address, identity, run, slice, out, certs, threads: shards.map(usize::from), wait, parent })
}

#[cfg(not(feature = "nats"))]
pub(super) fn worker_command(_: WorkerArgs) -> u8 {
    super::without_nats("worker")
}
