//! `fleetsim worker`: one slice of a run that a leader spreads over machines. It takes its slice for itself, drives it as `run --shard` does,
//! tells its leader every second, and hands its folder over at the end. Its own folder is the truth; what was sent can be lost.

mod delivery_deadline;
mod follower;
mod join;
mod leader_listener;
mod outbox;
mod signals;

use super::TICK;
use super::address::{NatsAddress, NatsIdentity};
use super::connection::Connection;
use super::message::{SENT, WorkerEvent};
use super::names::RunId;
use crate::report::{self, Verdict};
use crate::results_folder::claim_default;
use crate::run::led::{Led, SECONDS_WAITING_MAX};
use crate::run::{JobsAfterwards, Outlets, RunOptions, ShardOptions, ShardStart, UiKind, run_once, runtime};
use crate::slice::Slice;
use crate::{exit, preflight};
use delivery_deadline::{DeliveryDeadline, DeliveryState};
use host::clock;
use host::stdio::say;
use join::{Joined, NotJoined};
use leader_listener::LeaderListener;
use outbox::Outbox;
use signals::StopSignals;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// For the word that nothing will begin.
const PARTING_LIMIT: Duration = Duration::from_secs(10);

/// What `fleetsim worker` was asked for.
pub struct WorkerOptions {
    pub address: NatsAddress,
    pub identity: NatsIdentity,
    pub run: RunId,
    /// `None`: what the scheduler says.
    pub slice: Option<Slice>,
    /// The results folder.
    pub out: Option<PathBuf>,
    /// A packed file of certificates, or the folder of a CA, in place of what the scenario says.
    pub certs: Option<PathBuf>,
    /// Threads that drive things.
    pub threads: Option<usize>,
    /// Until the run is there, and its plan.
    pub wait: Duration,
    /// The leader's process, where it has started this one.
    pub parent: Option<u32>,
}

/// Works; returns the exit code: 0 where the slice was driven and handed over, whatever its leader makes of it.
#[must_use]
pub fn work(options: WorkerOptions) -> u8 {
    match runtime() {
        Ok(runtime) => {
            let code = runtime.block_on(worked(options));
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            say(&format!("fleetsim: failed to start the runtime: {error}"));
            exit::ERROR
        }
    }
}

async fn worked(options: WorkerOptions) -> u8 {
    let signals = match StopSignals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("fleetsim: failed to listen for signals: {error}"));
            return exit::ERROR;
        }
    };
    let joined = tokio::select! {
        joined = join::join(&options) => joined,
        () = signals.after(0) => Err(NotJoined::Interrupted),
    };
    match joined {
        Ok(joined) => drive(options, joined, &signals).await,
        Err(NotJoined::Interrupted) => exit::INTERRUPTED,
        Err(NotJoined::Refused(why)) => {
            say(&format!("fleetsim: {why}"));
            exit::USAGE
        }
        Err(NotJoined::Failed(why)) => {
            say(&format!("fleetsim: failed to {why}"));
            exit::ERROR
        }
    }
}

/// Drives the slice that this process has.
async fn drive(options: WorkerOptions, joined: Joined, signals: &StopSignals) -> u8 {
    let Joined { connection, plan, jobs_id, nonce, endpoint, slice, wait, away } = joined;
    let outbox = Outbox::new(connection.clone(), slice.index(), &nonce);
    // Where that does not get through nobody will begin: the leader misses this worker, and says so.
    let _ =
        tokio::time::timeout(wait, outbox.say(WorkerEvent::Registered { host: preflight::facts(), pid: std::process::id() })).await;
    say(&format!("slice {slice} of run {}", connection.run));

    let prefix = format!("{}-shard-{}-of-{}-", plan.name, slice.index(), slice.count());
    let out = match options.out.map_or_else(|| claim_default(&prefix), Ok) {
        Ok(out) => out,
        Err(error) => return not_begun(&outbox, error.to_string()).await,
    };
    let (ready, when_ready) = oneshot::channel();
    let (start, when_started) = oneshot::channel();
    let (connected, when_connected) = oneshot::channel();
    let (met, when_met) = oneshot::channel();
    let (stop, stops) = mpsc::unbounded_channel();
    let (seconds, when_over) = mpsc::channel(SECONDS_WAITING_MAX);
    let leader_listener =
        match LeaderListener::open(&connection, leader_listener::Channels { nonce, start, connected, met, stop }, options.parent)
            .await
        {
            Ok(leader_listener) => leader_listener,
            Err(why) => return not_begun(&outbox, why).await,
        };
    let announcing =
        tokio::spawn(leader_listener::announce(outbox.clone(), connection.clone(), leader_listener.clock_offset(), when_ready));
    let telling = tokio::spawn(outbox.clone().seconds(when_over));
    let options = RunOptions {
        plan,
        out: Some(out.clone()),
        certs: options.certs,
        ui: UiKind::Brief,
        shards: options.threads,
        title: None,
        shard: Some(ShardOptions { slice, start: ShardStart::Led { run_id: jobs_id, endpoint } }),
        led: Some(Led { ready, start: when_started, connected: when_connected, met: when_met, stops, seconds }),
        step: None,
        jobs_afterwards: JobsAfterwards::Kept,
        outlets: Outlets::default(),
    };
    let code = leader_listener.with_deadline(wait, run_once(options)).await;
    announcing.abort();
    let times_before = signals.times();
    let given_up = async {
        let mut deadline = DeliveryDeadline::new(away, clock::mono());
        loop {
            let state = DeliveryState {
                acknowledged: outbox.acknowledged(),
                is_up: connection.is_up(),
                is_leaderless: leader_listener.leader_is_gone(),
                stopped: signals.first(),
            };
            if let Some(why) = deadline.poll(state, clock::mono()) {
                return why;
            }
            tokio::time::sleep(TICK).await;
        }
    };
    let told_twice = async {
        signals.after(times_before).await;
        say("interrupted: handing over what was measured; once more to stop now");
        signals.after(times_before + 1).await;
    };
    let delivering = async {
        let _ = telling.await;
        deliver(&outbox, &out, code).await
    };
    let why = tokio::select! {
        delivered = delivering => delivered.err(),
        why = given_up => Some(why),
        () = told_twice => Some("somebody wanted it to end at once".into()),
    };
    last_word(&connection, &out, slice, code, why.as_deref(), leader_listener.leader_is_gone())
}

/// The exit code, and what is to be known of it.
fn last_word(connection: &Connection, out: &Path, slice: Slice, code: u8, undelivered: Option<&str>, is_leaderless: bool) -> u8 {
    let folder = out.display();
    if is_leaderless {
        say(&format!("fleetsim: the leader of run {} is gone: slice {slice} was drained, and is in {folder}", connection.run));
    }
    say(&match undelivered {
        None => format!("slice {slice} was handed over; its folder is {folder}"),
        Some(why) => format!(
            "fleetsim: failed to hand slice {slice} over: {why}; it is in {folder}, for `fleetsim merge` with those of the other slices"
        ),
    });
    match code {
        exit::PASS | exit::FAIL | exit::INVALID if undelivered.is_some() => exit::ERROR,
        // What thresholds and load make of the whole is the leader's to say.
        exit::PASS | exit::FAIL | exit::INVALID => exit::PASS,
        code => code,
    }
}

/// Tells the leader that there will be nothing, and people why.
async fn not_begun(outbox: &Outbox, why: String) -> u8 {
    say(&format!("fleetsim: failed to {why}"));
    let _ = tokio::time::timeout(PARTING_LIMIT, outbox.say(WorkerEvent::Failed { why })).await;
    exit::ERROR
}

/// Hands the folder over: its files, and then the last word.
async fn deliver(outbox: &Outbox, out: &Path, code: u8) -> Result<(), String> {
    outbox.say(WorkerEvent::Closing).await;
    let Ok(manifest) = report::load_manifest(out) else {
        outbox.say(WorkerEvent::Failed { why: format!("its run ended with exit code {code} before it had a folder") }).await;
        return Ok(());
    };
    let mut files = Vec::new();
    // What never began has no start that others could share.
    if manifest.shard.as_ref().is_some_and(|shard| !shard.start_at.is_empty()) {
        for name in SENT {
            files.push(outbox.file(&out.join(name)).await?);
        }
    } else if manifest.verdict == Verdict::Error {
        let why = manifest.shard.and_then(|shard| shard.failed).unwrap_or_default();
        outbox.say(WorkerEvent::Failed { why }).await;
        return Ok(());
    }
    outbox.say(WorkerEvent::Ended { verdict: manifest.verdict, exit_code: code, files }).await;
    Ok(())
}
