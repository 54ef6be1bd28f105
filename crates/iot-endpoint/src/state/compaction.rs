//! A state is appended to, so it grows; now and then what still counts is written to a file of its own, beside the commits that go on,
//! and that file takes the other's place.

use super::log::{Commit, Log, LogError};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// A file that is shorter is left alone.
const BYTES_MIN: u64 = 64 << 20;
/// How often what counts fits in the file before it is worth the work.
const GROWTH_MAX: u64 = 4;
/// Records of one commit of the new file.
const COMMIT_BYTES: usize = 1 << 20;

/// A file in the making: it has all commits up to `until`.
pub(super) struct Compaction {
    thread: JoinHandle<Result<Log, LogError>>,
    until: u64,
}

/// Whether a file of `end` bytes, of which `live` counted when they were counted last, has grown too much.
pub(super) fn is_due(end: u64, live: u64) -> bool {
    end > BYTES_MIN.max(live.saturating_mul(GROWTH_MAX))
}

/// Where the new file grows.
pub(super) fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

impl Compaction {
    pub(super) fn start(path: &Path, log: &Log) -> io::Result<Self> {
        let (file, until, aside) = (log.file().try_clone()?, log.end(), aside(path));
        let work = move || {
            write(&file, until, &aside).inspect_err(|_| {
                // It may not even be there.
                let _ = fs::remove_file(&aside);
            })
        };
        Ok(Self { thread: std::thread::Builder::new().name("state-compaction".into()).spawn(work)?, until })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Puts the new file, with the commits since, into the place of `log`.
    pub(super) fn finish(self, path: &Path, log: &mut Log) -> Result<(), LogError> {
        let panicked = |_| io::Error::other("the thread of the compaction has panicked");
        let mut new = self.thread.join().map_err(panicked)??;
        let aside = aside(path);
        let put = new.copy_from(log, self.until).and_then(|()| super::lock(new.file())).and_then(|()| fs::rename(&aside, path));
        if let Err(error) = put {
            let _ = fs::remove_file(&aside);
            return Err(error.into());
        }
        *log = new;
        Ok(())
    }
}

fn write(file: &File, until: u64, aside: &Path) -> Result<Log, LogError> {
    let records = Log::records_until(file, until)?;
    let mut log = Log::create(File::options().read(true).write(true).create(true).truncate(true).open(aside)?)?;
    let mut commit = Commit::default();
    for ((table, key), value) in &records {
        commit.put(*table, key, Some(value))?;
        if commit.len() > COMMIT_BYTES {
            log.append(&std::mem::take(&mut commit))?;
        }
    }
    log.append(&commit)?;
    Ok(log)
}
