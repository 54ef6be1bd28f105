//! The file of `--state`: commits one behind the other, each with its checksum, so that damage is told from what was never finished.
//!
//! ```text
//! header  MAGIC, 16 bytes | end, u64 | checksum of both, 8 bytes
//! commit  length, u32 | checksum of length and content, 8 bytes | content
//! content, a record after the other: table, u8 | length of the key, u32 | length of the value, u32 (GONE: removed) | key | value
//! ```
//!
//! Numbers are little-endian; a checksum is the beginning of a SHA-256. `end` is where the last commit ended that anybody was told of.
//! What stands before it is whole, or the file is damaged and is refused. What stands behind it was not finished: it counts as far as
//! it is whole. Nothing that a file says makes the reader ask for more memory than the file is long.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const MAGIC: &[u8; 16] = b"fleetsim state 2";
const CHECKSUM_BYTES: usize = 8;
const HEADER_BYTES: usize = MAGIC.len() + 8 + CHECKSUM_BYTES;
const FRAME_BYTES: usize = 4 + CHECKSUM_BYTES;
/// In the place of a value's length: the record is gone.
const GONE: u32 = u32::MAX;

type Checksum = [u8; CHECKSUM_BYTES];

/// Table and key of a record, as they are stored.
pub(super) type StoredKey = (u8, Vec<u8>);
/// All records of a file.
pub(super) type StoredRecords = BTreeMap<StoredKey, Vec<u8>>;

/// Why a file cannot be read as a state.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is no state of this version of fleetsim")]
    Foreign,
    #[error("it is damaged at byte {0}: what stands there is not what was written")]
    Damaged(u64),
}

fn checksum(parts: &[&[u8]]) -> Checksum {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let digest = hash.finalize();
    std::array::from_fn(|n| digest[n])
}

/// The content of a commit that is being gathered.
#[derive(Default)]
pub(super) struct Commit(Vec<u8>);

impl Commit {
    /// Adds a record, or that it is gone.
    pub(super) fn put(&mut self, table: u8, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        let length =
            |bytes: &[u8]| u32::try_from(bytes.len()).ok().filter(|length| *length != GONE).ok_or(io::ErrorKind::FileTooLarge);
        self.0.push(table);
        self.0.extend(length(key)?.to_le_bytes());
        self.0.extend(value.map_or(Ok(GONE), length)?.to_le_bytes());
        self.0.extend(key);
        self.0.extend(value.unwrap_or_default());
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// With length and checksum in front.
    fn frame(&self) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.0.len()).map_err(|_| io::ErrorKind::FileTooLarge)?.to_le_bytes();
        Ok([&length[..], &checksum(&[&length, &self.0]), &self.0].concat())
    }
}

/// Lays the records of a commit over `records`; `None` where it is malformed.
fn apply(mut content: &[u8], records: &mut StoredRecords) -> Option<()> {
    while let Some((table, rest)) = content.split_first() {
        let (key_length, rest) = split_u32(rest)?;
        let (value_length, rest) = split_u32(rest)?;
        let (key, rest) = rest.split_at_checked(key_length as usize)?;
        let key = (*table, key.to_vec());
        content = if value_length == GONE {
            records.remove(&key);
            rest
        } else {
            let (value, rest) = rest.split_at_checked(value_length as usize)?;
            records.insert(key, value.to_vec());
            rest
        };
    }
    Some(())
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_le_bytes(*number), rest))
}

/// An open file.
pub(super) struct Log {
    file: File,
    /// Where the next commit goes.
    end: u64,
}

impl Log {
    /// An empty file becomes a state without records.
    pub(super) fn create(file: File) -> io::Result<Self> {
        let log = Self { file, end: HEADER_BYTES as u64 };
        log.write_header()?;
        log.file.sync_all()?;
        Ok(log)
    }

    /// Reads a file from its beginning.
    pub(super) fn open(file: File) -> Result<(Self, StoredRecords), LogError> {
        let length = file.metadata()?.len();
        if length == 0 {
            return Ok((Self::create(file)?, StoredRecords::new()));
        }
        let told = read_header(&file, length)?;
        let mut records = StoredRecords::new();
        let end = read_commits(&file, length, told, &mut records)?;
        file.set_len(end)?;
        Ok((Self { file, end }, records))
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The commit is on disk when this returns.
    pub(super) fn append(&mut self, commit: &Commit) -> io::Result<()> {
        let frame = commit.frame()?;
        self.file.write_all_at(&frame, self.end)?;
        self.file.sync_data()?;
        self.end += frame.len() as u64;
        // It follows to the disk with the next commit: until then what stands behind the old one counts, since it is whole.
        self.write_header()
    }

    /// The same records up to `end`, and no more.
    pub(super) fn records_until(file: &File, end: u64) -> Result<StoredRecords, LogError> {
        let mut records = StoredRecords::new();
        read_commits(file, end, end, &mut records)?;
        Ok(records)
    }

    /// Appends the commits of another file from `start` to its end.
    pub(super) fn copy_from(&mut self, other: &Self, start: u64) -> io::Result<()> {
        let mut at = start;
        let mut chunk = vec![0; 1 << 16];
        while at < other.end {
            let count = chunk.len().min((other.end - at) as usize);
            other.file.read_exact_at(&mut chunk[..count], at)?;
            self.file.write_all_at(&chunk[..count], self.end)?;
            (at, self.end) = (at + count as u64, self.end + count as u64);
        }
        self.file.sync_data()?;
        self.write_header()
    }

    fn write_header(&self) -> io::Result<()> {
        let end = self.end.to_le_bytes();
        self.file.write_all_at(&[&MAGIC[..], &end, &checksum(&[MAGIC, &end])].concat(), 0)
    }
}

/// Where the last commit ended that anybody was told of.
fn read_header(file: &File, length: u64) -> Result<u64, LogError> {
    let mut header = [0; HEADER_BYTES];
    if length < HEADER_BYTES as u64 {
        return Err(LogError::Foreign);
    }
    file.read_exact_at(&mut header, 0)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    let (end, found) = rest.split_at(8);
    if magic != MAGIC {
        return Err(LogError::Foreign);
    }
    let told = u64::from_le_bytes(std::array::from_fn(|n| end[n]));
    if found != checksum(&[magic, end]) || told < HEADER_BYTES as u64 {
        return Err(LogError::Damaged(MAGIC.len() as u64));
    }
    if told > length {
        return Err(LogError::Damaged(length));
    }
    Ok(told)
}

/// Reads what is whole; up to `told` it has to be. Says where it ends.
fn read_commits(file: &File, length: u64, told: u64, records: &mut StoredRecords) -> Result<u64, LogError> {
    let mut at = HEADER_BYTES as u64;
    loop {
        match read_content(file, at, length)? {
            // A commit that was told of ends there at the latest.
            Some(content) if at >= told || at + (FRAME_BYTES + content.len()) as u64 <= told => {
                apply(&content, records).ok_or(LogError::Damaged(at))?;
                at += (FRAME_BYTES + content.len()) as u64;
            }
            _ if at < told => return Err(LogError::Damaged(at)),
            _ => return Ok(at),
        }
    }
}

/// The content of the commit at `at`; `None` where none stands there whole.
fn read_content(file: &File, at: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
    let mut frame = [0; FRAME_BYTES];
    if length.saturating_sub(at) < FRAME_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut frame, at)?;
    let (size, found) = frame.split_at(4);
    let bytes = u64::from(u32::from_le_bytes(std::array::from_fn(|n| size[n])));
    if bytes > length - at - FRAME_BYTES as u64 {
        return Ok(None);
    }
    let mut content = vec![0; bytes as usize];
    file.read_exact_at(&mut content, at + FRAME_BYTES as u64)?;
    Ok((found == checksum(&[size, &content])).then_some(content))
}
