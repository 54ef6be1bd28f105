//! What the leader has of each slice on its own disk: a shard's folder, made of what the worker tells while it runs, and replaced by the
//! worker's own files when those have come whole.

use crate::report::{self, IntervalsWriter, MANIFEST, Manifest, ReportError, SCENARIO};
use crate::workers::PART_BYTES;
use crate::workers::message::{Part, SENT, SentFile};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Seconds that wait for an earlier one before they are written without it.
const HELD_MAX: usize = 30;

/// Why something of a worker was not taken.
#[derive(Debug)]
pub(super) enum TakeError {
    /// It is not as a worker sends it: what is wrong.
    Unfit(String),
    /// The leader's own disk.
    Disk(ReportError),
}

impl From<ReportError> for TakeError {
    fn from(error: ReportError) -> Self {
        Self::Disk(error)
    }
}

/// Parts of a file that have come.
struct Incoming {
    of: u32,
    parts: BTreeSet<u32>,
}

/// The folder of a slice.
pub(super) struct SliceFolder {
    dir: PathBuf,
    intervals: IntervalsWriter,
    /// The second that is to be written next, and later ones that have come.
    next: u64,
    held: BTreeMap<u64, Vec<u8>>,
    incoming: BTreeMap<&'static str, Incoming>,
    /// The worker's own files are in their place: what is delivered again changes nothing.
    is_complete: bool,
}

impl SliceFolder {
    /// Makes it, as that of a shard without an end.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn create(dir: &Path, manifest: &Manifest, scenario: &str) -> Result<Self, ReportError> {
        let failed = |source| ReportError::Write { path: dir.into(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let manifest = serde_json::to_vec_pretty(manifest).expect("a manifest has string keys and finite numbers");
        report::replace(&dir.join(SCENARIO), scenario.as_bytes())?;
        report::replace(&dir.join(MANIFEST), &manifest)?;
        Ok(Self {
            dir: dir.into(),
            intervals: IntervalsWriter::create(dir)?,
            next: 0,
            held: BTreeMap::new(),
            incoming: BTreeMap::new(),
            is_complete: false,
        })
    }

    #[must_use]
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends a second as it was told, in the order of seconds.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn append(&mut self, second: u64, record: Vec<u8>) -> Result<(), ReportError> {
        if second >= self.next && !self.is_complete {
            self.held.insert(second, record);
        }
        while self.held.contains_key(&self.next) || self.held.len() > HELD_MAX {
            self.write_held()?;
        }
        Ok(())
    }

    /// Appends what still waits for an earlier second.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn flush(&mut self) -> Result<(), ReportError> {
        while !self.held.is_empty() {
            self.write_held()?;
        }
        Ok(())
    }

    fn write_held(&mut self) -> Result<(), ReportError> {
        let Some((second, record)) = self.held.pop_first() else { return Ok(()) };
        self.next = second + 1;
        match self.is_complete {
            true => Ok(()),
            false => self.intervals.append(&record),
        }
    }

    /// A part of one of the worker's files; what comes twice is the same, also once all are in their place.
    ///
    /// # Errors
    /// When it does not go with the other parts, or the disk does not take it.
    pub(super) fn take(&mut self, name: &str, part: Part, body: &[u8]) -> Result<(), TakeError> {
        let Some(known) = SENT.into_iter().find(|known| *known == name).filter(|_| !self.is_complete) else { return Ok(()) };
        let path = self.aside(known);
        let failed = |source| ReportError::Write { path: path.clone(), source };
        let incoming = self.incoming.entry(known).or_insert(Incoming { of: part.of, parts: BTreeSet::new() });
        if incoming.of != part.of {
            return Err(TakeError::Unfit(format!("{name} comes in {} parts and in {}", incoming.of, part.of)));
        }
        incoming.parts.insert(part.part);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        Ok(file.write_all_at(body, u64::from(part.part) * PART_BYTES as u64).map_err(failed)?)
    }

    /// Puts the worker's own files in place of what it told, once all of them are here and are what it has; says whether they are.
    ///
    /// # Errors
    /// When they are not what the worker has, or the disk does not do it.
    pub(super) fn complete(&mut self, files: &[SentFile]) -> Result<bool, TakeError> {
        if self.is_complete {
            return Ok(true);
        }
        let is_whole = |name: &str| self.incoming.get(name).is_some_and(|file| file.parts.len() == file.of as usize);
        let is_sent = |name: &&str| files.iter().any(|file| file.name == *name);
        if !SENT.iter().all(|name| is_sent(name) && is_whole(name)) {
            return Ok(false);
        }
        for file in files {
            let path = self.aside(&file.name);
            let there = digest(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
            if there != *file {
                return Err(TakeError::Unfit(format!("{} came as other bytes than its worker has", file.name)));
            }
        }
        // The manifest comes last: with it the folder has an end.
        for name in SENT {
            let path = self.dir.join(name);
            fs::rename(self.aside(name), &path).map_err(|source| ReportError::Write { path, source })?;
        }
        self.is_complete = true;
        Ok(true)
    }

    /// Removes what has come of files that will not be whole.
    pub(super) fn discard(&mut self) {
        for (name, _) in std::mem::take(&mut self.incoming) {
            // It may not even be there.
            let _ = fs::remove_file(self.aside(name));
        }
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".{}.part", name.replace('/', "_")))
    }
}

/// A file as it is sent.
///
/// # Errors
/// When it cannot be read.
pub(in crate::workers) fn digest(path: &Path) -> io::Result<SentFile> {
    let (mut sha256, mut bytes) = (Sha256::new(), 0);
    let mut file = BufReader::with_capacity(PART_BYTES, File::open(path)?);
    loop {
        let piece = file.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        sha256.update(piece);
        file.consume(length);
        bytes += length as u64;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part")).unwrap_or(&name).to_owned();
    Ok(SentFile { name, bytes, sha256: hex::encode(sha256.finalize()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight;
    use crate::report::INTERVALS;
    use crate::report::Mode;
    use crate::results_folder::{RunsOn, manifest};

    fn folder(dir: &Path) -> SliceFolder {
        let plan = crate::scenario::load("x", "name = 'x'\nfleet.things = 2\nend.duration = '1s'", &[]).ok().unwrap();
        let on = RunsOn { mode: Mode::Run, host: preflight::facts(), shards: 1, shard: None };
        SliceFolder::create(dir, &manifest(&plan, &on), &plan.to_toml()).unwrap()
    }

    #[test]
    fn files_take_their_place_when_all_of_them_are_whole_and_in_whatever_order_they_come() {
        let (dir, worker) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut folder = folder(dir.path());
        let long = vec![7u8; PART_BYTES + 5];
        for (name, text) in [(SCENARIO, &b"s"[..]), (MANIFEST, b"m"), (INTERVALS, &long)] {
            fs::write(worker.path().join(name), text).unwrap();
        }
        let files: Vec<SentFile> = SENT.iter().map(|name| digest(&worker.path().join(name)).unwrap()).collect();
        let part = |part, of| Part { part, of };
        folder.take(INTERVALS, part(1, 2), &long[PART_BYTES..]).unwrap();
        folder.take(MANIFEST, part(0, 1), b"m").unwrap();
        folder.take(SCENARIO, part(0, 1), b"s").unwrap();
        assert!(!folder.complete(&files).unwrap());
        assert!(fs::read_to_string(dir.path().join(MANIFEST)).unwrap().contains("RUNNING"));
        for _ in 0..2 {
            folder.take(INTERVALS, part(0, 2), &long[..PART_BYTES]).unwrap();
        }
        assert!(folder.complete(&files).unwrap());
        assert_eq!(fs::read(dir.path().join(INTERVALS)).unwrap(), long);
        assert_eq!(fs::read(dir.path().join(MANIFEST)).unwrap(), b"m");
        folder.take(MANIFEST, part(0, 1), b"m").unwrap();
        assert!(folder.complete(&files).unwrap(), "delivered again");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn what_is_not_what_the_worker_has_is_refused_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = folder(dir.path());
        let unfit = |taken: Result<(), TakeError>| match taken {
            Err(TakeError::Unfit(why)) => why,
            other => panic!("{other:?}"),
        };
        for name in SENT {
            folder.take(name, Part { part: 0, of: 1 }, b"x").unwrap();
        }
        assert_eq!(unfit(folder.take(MANIFEST, Part { part: 0, of: 2 }, b"x")), "run.json comes in 1 parts and in 2");
        let told: Vec<SentFile> = SENT.iter().map(|name| SentFile { name: (*name).into(), bytes: 1, sha256: "0".into() }).collect();
        assert!(unfit(folder.complete(&told).map(drop)).contains("other bytes than its worker has"));
        folder.discard();
        assert!(fs::read_to_string(dir.path().join(MANIFEST)).unwrap().contains("RUNNING"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn seconds_are_written_in_their_order_and_none_is_waited_for_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = folder(dir.path());
        let written = || {
            let bytes = fs::read(dir.path().join(INTERVALS)).unwrap();
            String::from_utf8_lossy(&bytes).replace("fleetsim ivals 1", "")
        };
        for second in [1, 0, 3] {
            folder.append(second, format!("{second} ").into_bytes()).unwrap();
        }
        assert_eq!(written(), "0 1 ");
        folder.append(2, b"2 ".to_vec()).unwrap();
        assert_eq!(written(), "0 1 2 3 ");
        for second in 5..5 + HELD_MAX as u64 {
            folder.append(second, b"x".to_vec()).unwrap();
        }
        assert_eq!(written(), "0 1 2 3 ", "the fourth may still come");
        folder.append(90, b"y".to_vec()).unwrap();
        assert_eq!(written().len(), 8 + HELD_MAX, "it will not");
        folder.append(4, b"late".to_vec()).unwrap();
        folder.flush().unwrap();
        assert!(written().ends_with("xy"), "{}", written());
    }
}
