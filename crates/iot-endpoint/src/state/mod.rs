//! `--state FILE`: what the endpoint knows survives its end, a `kill -9` included. Records go to a file ([`log`]) in the order of
//! commitment; a thread of its own encodes and commits what has gathered while the disk was busy with the commit before (group commit),
//! and says how far it is. Whoever tells anybody of a change waits for that first.

mod compaction;
mod log;

use crate::supervision::Failures;
use compaction::Compaction;
use jobs_engine::engine::{Record, RecordKey};
use jobs_engine::registry;
use log::{Commit, Log, LogError, StoredRecords};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// Calls whose records wait for the disk. One more waits for room, which holds the service up as a slow disk should.
const CALLS_WAITING_MAX: usize = 4096;
/// Changes of one commit, but for a single call with more.
const CHANGES_PER_COMMIT_MAX: usize = 256;

/// Only its owner reads what the registry knows.
const MODE: u32 = 0o600;

/// A kind of records, one table each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Things, groups, jobs, executions.
    Engine,
    /// Things as the registry knows them, types, groups, certificates, policies.
    Registry,
}

/// A record that a call has changed; `None`: it is gone.
#[derive(Debug)]
pub(super) enum Change {
    Engine(RecordKey, Option<Record>),
    Registry(registry::Key, Option<registry::Record>),
}

/// The changes of one call: they are on disk all or not at all.
pub(super) type Changes = Vec<Change>;

impl Change {
    fn put(&self, commit: &mut Commit) -> io::Result<()> {
        match self {
            Self::Engine(key, record) => put(commit, Table::Engine, key, record.as_ref()),
            Self::Registry(key, record) => put(commit, Table::Registry, key, record.as_ref()),
        }
    }
}

fn put(commit: &mut Commit, table: Table, key: &impl Serialize, record: Option<&impl Serialize>) -> io::Result<()> {
    commit.put(table as u8, &to_bytes(key), record.map(|record| to_bytes(record)).as_deref())
}

fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have string keys and whole numbers")
}

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("{doing} the state {path}: {why}")]
    File { doing: &'static str, path: PathBuf, why: String },
    #[error(
        "open the state {path}: {why}; give --state a copy that is whole or another name, or remove the file: its jobs and things are then unknown"
    )]
    Unusable { path: PathBuf, why: String },
}

/// What a call waits for: the number of its commit.
type Ticket = u64;

/// The store, open for as long as the endpoint lives.
pub(super) struct State {
    sender: Mutex<Option<SyncSender<(Ticket, Changes)>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    issued: AtomicU64,
    committed: watch::Receiver<Ticket>,
}

/// A state that was read, before anything is written to it.
pub(super) struct Opened {
    path: PathBuf,
    log: Log,
    records: StoredRecords,
}

/// Takes a file for this process alone, for as long as it is open.
fn lock(file: &File) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => io::Error::new(io::ErrorKind::WouldBlock, "another process has it open"),
        error => error.into(),
    })
}

/// Opens a file, or makes it, and locks it. One that was replaced in between is another process's.
fn open_locked(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    lock(&file)?;
    let (opened, named) = (file.metadata()?, path.metadata()?);
    if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
        return Err(io::Error::other("another process has just replaced it"));
    }
    Ok(file)
}

impl Opened {
    /// Opens the file, or makes it, and reads it.
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |why: io::Error| StateError::File { doing: "open", path: path.into(), why: why.to_string() };
        let file = open_locked(path).map_err(failed)?;
        // What a compaction left behind that was killed.
        let _ = std::fs::remove_file(compaction::aside(path));
        let (log, records) = Log::open(file).map_err(|error| match error {
            LogError::Io(error) => failed(error),
            why => StateError::Unusable { path: path.into(), why: why.to_string() },
        })?;
        Ok(Self { path: path.into(), log, records })
    }

    /// All records of one kind.
    pub(super) fn read<K: DeserializeOwned + Ord, V: DeserializeOwned>(&self, table: Table) -> Result<BTreeMap<K, V>, StateError> {
        let of_table = self.records.iter().filter(|((stored, _), _)| *stored == table as u8);
        let read = of_table.map(|((_, key), value)| Ok((serde_json::from_slice(key)?, serde_json::from_slice(value)?)));
        read.collect::<Result<_, serde_json::Error>>()
            .map_err(|error| self.unusable(&format!("a record is of another version of fleetsim: {error}")))
    }

    /// It was read, and its records make no state.
    pub(super) fn unusable(&self, why: &str) -> StateError {
        StateError::Unusable { path: self.path.clone(), why: why.to_owned() }
    }

    /// Starts the thread that writes. A disk that does not take a commit is told to `failures`.
    pub(super) fn start(self, failures: &Failures) -> Result<State, StateError> {
        let (sender, receiver) = sync_channel(CALLS_WAITING_MAX);
        let (progress, committed) = watch::channel(0);
        let path = self.path.clone();
        let live = self.records.iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum();
        let mut writer = Writer { path: self.path, log: self.log, live, compaction: None };
        let failed = failures.clone();
        let work = move || {
            if let Err(error) = writer.run(&receiver, &progress) {
                failed.fail(&StateError::File { doing: "write", path: writer.path, why: error.to_string() });
            }
        };
        let thread = failures.spawn("state", work).map_err(|error| StateError::File {
            doing: "start the thread of",
            path,
            why: error.to_string(),
        })?;
        Ok(State { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), issued: AtomicU64::new(0), committed })
    }
}

/// The thread that writes.
struct Writer {
    path: PathBuf,
    log: Log,
    /// Bytes that counted when they were counted last.
    live: u64,
    compaction: Option<Compaction>,
}

impl Writer {
    /// Until nobody has anything to write any more.
    fn run(&mut self, receiver: &Receiver<(Ticket, Changes)>, progress: &watch::Sender<Ticket>) -> io::Result<()> {
        while let Ok((mut ticket, mut changes)) = receiver.recv() {
            while changes.len() < CHANGES_PER_COMMIT_MAX
                && let Ok((later, more)) = receiver.try_recv()
            {
                ticket = later;
                changes.extend(more);
            }
            let mut commit = Commit::default();
            changes.iter().try_for_each(|change| change.put(&mut commit))?;
            self.log.append(&commit)?;
            progress.send_replace(ticket);
            self.compact();
        }
        self.finish_compaction();
        Ok(())
    }

    /// Keeps the file from growing for ever. Where that fails it grows, and the log says so.
    fn compact(&mut self) {
        if self.compaction.as_ref().is_some_and(Compaction::is_finished) {
            self.finish_compaction();
        } else if self.compaction.is_none() && compaction::is_due(self.log.end(), self.live) {
            match Compaction::start(&self.path, &self.log) {
                Ok(compaction) => self.compaction = Some(compaction),
                Err(error) => self.give_up_compaction(&error.into()),
            }
        }
    }

    fn finish_compaction(&mut self) {
        let Some(compaction) = self.compaction.take() else { return };
        match compaction.finish(&self.path, &mut self.log) {
            Ok(()) => self.live = self.log.end(),
            Err(error) => self.give_up_compaction(&error),
        }
    }

    /// It is tried again when the file has grown as much once more.
    fn give_up_compaction(&mut self, error: &LogError) {
        tracing::warn!(path = %self.path.display(), %error, "the state could not be compacted: it goes on growing");
        self.live = self.log.end();
    }
}

impl State {
    /// Hands the changes of one call over. Calls must come in the order of commitment.
    pub(super) fn write(&self, changes: Changes) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = self.issued.fetch_add(1, Ordering::AcqRel) + 1;
        // Without its thread the state has failed, and the endpoint is about to end.
        let _ = sender.as_ref().map(|sender| sender.send((ticket, changes)));
    }

    /// Whether all that was handed over so far is on disk.
    pub(super) fn is_committed(&self) -> bool {
        *self.committed.borrow() >= self.issued.load(Ordering::Acquire)
    }

    /// Completes when all that was handed over so far is on disk. Says whether it is: a state that failed never says so.
    pub(super) async fn committed(&self) -> bool {
        let ticket = self.issued.load(Ordering::Acquire);
        self.committed.clone().wait_for(|committed| *committed >= ticket).await.is_ok()
    }

    /// Writes what is left, and closes the file.
    pub(super) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Of a panic the supervision has told already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
