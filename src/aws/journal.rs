//! The journal of a fleet on disk: one JSON object a line, only ever appended to. What is to be made is in it before the call that makes
//! it, so that a process that is killed orphans nothing.

use super::inventory::{Inventory, Record};
use host::clock;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Of the folder of a fleet.
pub const FILE: &str = "inventory.jsonl";
/// How long another process that has the journal is waited for: a run writes a line, and is gone.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why the journal of a fleet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("lock {}: another process works on this fleet", path.display())]
    Locked { path: PathBuf },
    #[error("read {}, line {line}: {why}", path.display())]
    Damaged { path: PathBuf, line: usize, why: String },
    #[error("find a fleet in {}: there is no {FILE}; `fleetsim aws provision` creates one", dir.display())]
    None { dir: PathBuf },
}

/// An inventory and its file, which no other process writes meanwhile.
pub struct Journal {
    path: PathBuf,
    file: File,
    pub inventory: Inventory,
}

/// Whether a line has to be on disk before anything else happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is an intent.
    Now,
    /// Without it, what it tells is found out again.
    Whenever,
}

impl Journal {
    /// The journal of the fleet in `dir`, begun where there is none.
    ///
    /// # Errors
    /// When it cannot be written, is another process's, or is damaged before its last line.
    pub fn create(dir: &Path) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(failed("create the folder", dir))?;
        let journal = Self::open_file(dir, OpenOptions::new().create(true))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))?;
        Ok(journal)
    }

    /// The journal of the fleet in `dir`.
    ///
    /// # Errors
    /// As [`Self::create`], and when there is none.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        if !dir.join(FILE).exists() {
            return Err(JournalError::None { dir: dir.into() });
        }
        Self::open_file(dir, &mut OpenOptions::new())
    }

    fn open_file(dir: &Path, options: &mut OpenOptions) -> Result<Self, JournalError> {
        let path = dir.join(FILE);
        let mut file = options.read(true).append(true).mode(0o600).open(&path).map_err(failed("open", &path))?;
        lock(&file, &path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed("read", &path))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let inventory = parse(&text[..whole], &path)?;
        if whole < text.len() {
            // Whoever wrote it was killed, and did nothing of what it says.
            file.set_len(whole as u64).map_err(failed("repair", &path))?;
        }
        Ok(Self { path, file, inventory })
    }

    /// # Errors
    /// When the line cannot be written.
    pub fn append(&mut self, record: Record, durability: Durability) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(&record).expect("a record has string keys and finite numbers");
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| match durability {
            Durability::Now => self.file.sync_data(),
            Durability::Whenever => Ok(()),
        });
        written.map_err(failed("write", &self.path))?;
        self.inventory.apply(record);
        Ok(())
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::File { doing, path, source }
}

/// The kernel releases it when its holder dies.
fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    let deadline = clock::mono() + LOCK_TIMEOUT;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if clock::mono() < deadline => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                return Err(JournalError::Locked { path: path.into() });
            }
            Err(error) => return Err(failed("lock", path)(error.into())),
        }
    }
}

/// What the journal of the fleet in `dir` tells; `None`: there is none. It may grow meanwhile.
///
/// # Errors
/// When it cannot be read, or is damaged before its last line.
pub fn read(dir: &Path) -> Result<Option<Inventory>, JournalError> {
    let path = dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text[..text.rfind('\n').map_or(0, |end| end + 1)], &path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", &path)(source)),
    }
}

fn parse(text: &str, path: &Path) -> Result<Inventory, JournalError> {
    let mut inventory = Inventory::default();
    for (n, line) in text.lines().enumerate() {
        let record = serde_json::from_str(line).map_err(|error| JournalError::Damaged {
            path: path.into(),
            line: n + 1,
            why: format!("{error}; nothing was done"),
        })?;
        inventory.apply(record);
    }
    Ok(inventory)
}

#[cfg(test)]
mod tests {
    use super::super::inventory::{Change, Kind, Step};
    use super::*;

    fn made(name: &str) -> Record {
        Record::Resource(Change { kind: Kind::Thing, name: name.into(), step: Step::Made, certificate: None, at_ms: 1 })
    }

    #[test]
    fn what_was_appended_is_read_again_and_a_line_without_end_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Journal::open(dir.path()), Err(JournalError::None { .. })));
        assert!(read(dir.path()).unwrap().is_none());
        let mut journal = Journal::create(dir.path()).unwrap();
        journal.append(made("a"), Durability::Now).unwrap();
        journal.append(made("b"), Durability::Whenever).unwrap();
        assert!(matches!(Journal::open(dir.path()), Err(JournalError::Locked { .. })));
        let known = journal.inventory.clone();
        drop(journal);
        let path = dir.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        for end in 0..30 {
            fs::write(&path, format!("{text}{}", &text[..end])).unwrap();
            assert_eq!(read(dir.path()).unwrap().unwrap(), known, "{end}");
            assert_eq!(Journal::open(dir.path()).unwrap().inventory, known, "{end}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{end}");
        }
    }

    #[test]
    fn a_damaged_line_is_named_and_nothing_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path()).unwrap();
        journal.append(made("a"), Durability::Now).unwrap();
        drop(journal);
        let path = dir.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}{{\"strange\":1}}\n{text}")).unwrap();
        let error = Journal::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("line 2") && error.contains("nothing was done"), "{error}");
    }
}
