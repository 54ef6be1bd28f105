//! `--state FILE`: what the endpoint knows survives its end, a `kill -9` included. Records go to an embedded store in the order of
//! commitment; a thread of its own encodes and commits what has gathered while the disk was busy with the commit before (group commit),
//! and says how far it is. Whoever tells anybody of a change waits for that first.

use jobs_engine::engine::{Record, RecordKey};
use jobs_engine::registry;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
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

/// A kind of records, one table each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table(&'static str);

impl Table {
    /// Things, groups, jobs, executions.
    pub(super) const ENGINE: Self = Self("engine");
    /// Things as the registry knows them, types, groups, certificates, policies.
    pub(super) const REGISTRY: Self = Self("registry");

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.0)
    }
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
    fn table(&self) -> Table {
        match self {
            Self::Engine(..) => Table::ENGINE,
            Self::Registry(..) => Table::REGISTRY,
        }
    }

    /// Key and value as they are stored.
    fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        match self {
            Self::Engine(key, record) => (to_bytes(key), record.as_ref().map(to_bytes)),
            Self::Registry(key, record) => (to_bytes(key), record.as_ref().map(to_bytes)),
        }
    }
}

fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have string keys and whole numbers")
}

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("{doing} the state {path}: {why}")]
    File { doing: &'static str, path: PathBuf, why: String },
    #[error("read the state {path}: a record of {table} is damaged, or of another version of this program: {why}")]
    Damaged { path: PathBuf, table: &'static str, why: String },
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

/// A store that was opened, before anything is written to it.
pub(super) struct Opened {
    path: PathBuf,
    database: Database,
}

impl Opened {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |why: String| StateError::File { doing: "open", path: path.into(), why };
        let database = Database::create(path).map_err(|error| failed(error.to_string()))?;
        Ok(Self { path: path.into(), database })
    }

    /// All records of one kind.
    pub(super) fn read<K: DeserializeOwned + Ord, V: DeserializeOwned>(&self, table: Table) -> Result<BTreeMap<K, V>, StateError> {
        let failed = |why: String| StateError::File { doing: "read", path: self.path.clone(), why };
        let damaged =
            |error: serde_json::Error| StateError::Damaged { path: self.path.clone(), table: table.0, why: error.to_string() };
        let transaction = self.database.begin_read().map_err(|error| failed(error.to_string()))?;
        let opened = match transaction.open_table(table.definition()) {
            Ok(opened) => opened,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut records = BTreeMap::new();
        for entry in opened.iter().map_err(|error| failed(error.to_string()))? {
            let (key, value) = entry.map_err(|error| failed(error.to_string()))?;
            let key = serde_json::from_slice(key.value()).map_err(damaged)?;
            records.insert(key, serde_json::from_slice(value.value()).map_err(damaged)?);
        }
        Ok(records)
    }

    /// Starts the thread that writes. A disk that does not take a commit is told to `failure`, once.
    pub(super) fn start(self, failure: watch::Sender<Option<String>>) -> Result<State, StateError> {
        let (sender, receiver) = sync_channel(CALLS_WAITING_MAX);
        let (progress, committed) = watch::channel(0);
        let path = self.path.clone();
        let work = move || {
            if let Err(error) = write_all(&self, &receiver, &progress) {
                failure.send_replace(Some(error.to_string()));
            }
        };
        let thread = std::thread::Builder::new().name("state".into()).spawn(work).map_err(|error| StateError::File {
            doing: "start the thread of",
            path,
            why: error.to_string(),
        })?;
        Ok(State { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), issued: AtomicU64::new(0), committed })
    }
}

fn write_all(opened: &Opened, receiver: &Receiver<(Ticket, Changes)>, progress: &watch::Sender<Ticket>) -> Result<(), StateError> {
    while let Ok((mut ticket, mut changes)) = receiver.recv() {
        while changes.len() < CHANGES_PER_COMMIT_MAX
            && let Ok((later, more)) = receiver.try_recv()
        {
            ticket = later;
            changes.extend(more);
        }
        commit(&opened.database, &changes).map_err(|error| StateError::File {
            doing: "write",
            path: opened.path.clone(),
            why: error.to_string(),
        })?;
        progress.send_replace(ticket);
    }
    Ok(())
}

fn commit(database: &Database, changes: &[Change]) -> Result<(), Box<redb::Error>> {
    let failed = |error: redb::Error| Box::new(error);
    let transaction = database.begin_write().map_err(|error| failed(error.into()))?;
    for of_table in changes.chunk_by(|a, b| a.table() == b.table()) {
        let mut table = transaction.open_table(of_table[0].table().definition()).map_err(|error| failed(error.into()))?;
        for (key, value) in of_table.iter().map(Change::encode) {
            match value {
                Some(value) => drop(table.insert(&key[..], &value[..]).map_err(|error| failed(error.into()))?),
                None => drop(table.remove(&key[..]).map_err(|error| failed(error.into()))?),
            }
        }
    }
    transaction.commit().map_err(|error| failed(error.into()))
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
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of the state has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::GroupName;

    fn member(thing: u32) -> RecordKey {
        RecordKey::Member(GroupName::new("all").unwrap(), thing)
    }

    fn failures() -> watch::Sender<Option<String>> {
        watch::channel(None).0
    }

    #[tokio::test]
    async fn what_was_committed_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let state = Opened::open(&path).unwrap().start(failures()).unwrap();
        assert!(state.committed().await, "nothing is a commit of its own");
        for n in 0..1_000u32 {
            let record = (n < 995).then_some(Record::Member { place: n.into() });
            state.write(vec![Change::Engine(member(n % 10), record)]);
        }
        assert!(state.committed().await);
        state.close();
        let records: BTreeMap<RecordKey, Record> = Opened::open(&path).unwrap().read(Table::ENGINE).unwrap();
        assert_eq!(records, (0..5).map(|n| (member(n), Record::Member { place: 990 + u64::from(n) })).collect());
    }

    #[test]
    fn what_cannot_be_a_state_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        std::fs::write(&path, "not a store").unwrap();
        let error = Opened::open(&path).err().unwrap().to_string();
        assert!(error.starts_with("open the state") && error.contains("state:"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let opened = Opened::open(&path).unwrap();
        let again = Opened::open(&path).err().unwrap().to_string();
        assert!(again.contains("open"), "a second endpoint: {again}");
        let state = opened.start(failures()).unwrap();
        state.write(vec![Change::Engine(RecordKey::Events, Some(Record::Group))]);
        state.close();
        let error = Opened::open(&path).unwrap().read::<RecordKey, u32>(Table::ENGINE).unwrap_err().to_string();
        assert!(error.contains("a record of engine is damaged"), "{error}");
    }
}
