//! `intervals.bin`: what a shard's collector took in, second by second, for `fleetsim merge`.
//!
//! ```text
//! header  MAGIC, 16 bytes
//! record  length, u32 | checksum of length and content, 8 bytes | content: a ShardSecond in CBOR, deflated
//! ```
//!
//! Numbers are little-endian; a checksum is the beginning of a SHA-256, as in the file of `serve --state`. A record that was not written
//! to its end, as a `kill -9` leaves it, is not there; one that is not what was written makes the file a damaged one. Nothing that a
//! file says makes the reader ask for more memory than there are bytes, deflated up to [`CONTENT_BYTES_MAX`].

use super::ReportError;
use super::column::Appender;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use load_metrics::{Bounds, Interval, ShardSecond};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};

/// Its name in a results folder.
pub const INTERVALS: &str = "intervals.bin";
/// With the version of the format at its end.
const MAGIC: &[u8; 16] = b"fleetsim ivals 1";
const CHECKSUM_BYTES: usize = 8;
/// Of a record, as it is stored.
const RECORD_BYTES_MAX: u32 = 256 << 20;
/// Of a second before it is deflated.
const CONTENT_BYTES_MAX: u64 = 1 << 30;

type Checksum = [u8; CHECKSUM_BYTES];

/// Why a file cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum IntervalsError {
    #[error("read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("read {path}: it is no file of intervals of this version of fleetsim")]
    Foreign { path: PathBuf },
    #[error("read {path}: it is damaged at byte {at}: {why}")]
    Damaged { path: PathBuf, at: u64, why: String },
}

fn checksum(length: [u8; 4], content: &[u8]) -> Checksum {
    let digest = Sha256::new().chain_update(length).chain_update(content).finalize();
    std::array::from_fn(|n| digest[n])
}

/// Writes a shard's seconds, each in one piece.
pub(crate) struct IntervalsWriter {
    out: Appender,
    path: PathBuf,
}

impl IntervalsWriter {
    pub(crate) fn create(dir: &Path) -> Result<Self, ReportError> {
        let path = dir.join(INTERVALS);
        let mut out = Appender::create(path.clone())?;
        out.append(MAGIC)?;
        Ok(Self { out, path })
    }

    /// Gives what it has appended.
    pub(super) fn second(&mut self, second: &ShardSecond<&[Interval]>) -> Result<Vec<u8>, ReportError> {
        let record = record(second).map_err(|source| ReportError::write(&self.path, source))?;
        self.out.append(&record)?;
        Ok(record)
    }

    /// Appends a record that another process made.
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<(), ReportError> {
        self.out.append(record)
    }
}

fn record(second: &ShardSecond<&[Interval]>) -> io::Result<Vec<u8>> {
    // CBOR comes byte by byte, and every write to the encoder costs.
    let mut pieces = BufWriter::new(DeflateEncoder::new(Vec::new(), Compression::fast()));
    ciborium::into_writer(second, &mut pieces).map_err(|error| io::Error::other(error.to_string()))?;
    let encoder = pieces.into_inner()?;
    let is_too_long = encoder.total_in() > CONTENT_BYTES_MAX;
    let content = encoder.finish()?;
    let length = u32::try_from(content.len()).ok().filter(|length| *length <= RECORD_BYTES_MAX && !is_too_long);
    let length = length.ok_or(io::ErrorKind::FileTooLarge)?.to_le_bytes();
    Ok([&length[..], &checksum(length, &content), &content].concat())
}

/// The second of one whole record, of a run like this one.
///
/// # Errors
/// When it is not what was written, or cannot be of such a run.
pub(crate) fn decode_record(record: &[u8], bounds: &Bounds) -> Result<ShardSecond, String> {
    let (length, rest) = record.split_first_chunk::<4>().ok_or("it is too short")?;
    let (expected, content) = rest.split_first_chunk::<CHECKSUM_BYTES>().ok_or("it is too short")?;
    if content.len() as u64 != u64::from(u32::from_le_bytes(*length)) || checksum(*length, content) != *expected {
        return Err("it is not what was written".into());
    }
    let second = inflate(content)?;
    second.check(bounds).map(|()| second)
}

fn inflate(content: &[u8]) -> Result<ShardSecond, String> {
    let mut decoder = BufReader::new(DeflateDecoder::new(content).take(CONTENT_BYTES_MAX));
    ciborium::from_reader(&mut decoder).map_err(|error| format!("it cannot be read: {error}"))
}

/// Reads a shard's seconds back, one after the other.
#[derive(Debug)]
pub struct IntervalsReader {
    path: PathBuf,
    file: BufReader<File>,
    bounds: Bounds,
    /// Where the next record begins.
    at: u64,
    /// The second of the last record.
    last: Option<u64>,
}

impl IntervalsReader {
    /// Opens the file of a results folder, whose run is such a one.
    ///
    /// # Errors
    /// When there is none, or it is of another kind.
    pub fn open(dir: &Path, bounds: Bounds) -> Result<Self, IntervalsError> {
        let path = dir.join(INTERVALS);
        let failed = |source| IntervalsError::Read { path: path.clone(), source };
        let mut file = BufReader::new(File::open(&path).map_err(failed)?);
        let magic = up_to(&mut file, MAGIC.len() as u64).map_err(failed)?;
        if magic != MAGIC {
            return Err(IntervalsError::Foreign { path });
        }
        Ok(Self { path, file, bounds, at: MAGIC.len() as u64, last: None })
    }

    /// The next second; `None` at the end of what was written to its end.
    ///
    /// # Errors
    /// When what stands there is not what was written.
    pub fn next_second(&mut self) -> Result<Option<ShardSecond>, IntervalsError> {
        let Some((length, content)) = self.record()? else { return Ok(None) };
        let second = inflate(&content).map_err(|why| self.damaged(why))?;
        second.check(&self.bounds).map_err(|why| self.damaged(format!("a second that is none of this run: {why}")))?;
        if self.last.is_some_and(|last| second.second <= last) {
            return Err(self.damaged(format!("second {} comes after a later one", second.second)));
        }
        self.last = Some(second.second);
        self.at += length;
        Ok(Some(second))
    }

    /// The next record, and how long it is as it is stored.
    fn record(&mut self) -> Result<Option<(u64, Vec<u8>)>, IntervalsError> {
        let Some(length) = self.whole::<4>()? else { return Ok(None) };
        let bytes = u32::from_le_bytes(length);
        if bytes > RECORD_BYTES_MAX {
            return Err(self.damaged(format!("a record of {bytes} bytes")));
        }
        let Some(expected) = self.whole::<CHECKSUM_BYTES>()? else { return Ok(None) };
        let content = up_to(&mut self.file, bytes.into()).map_err(|source| self.failed(source))?;
        if content.len() < bytes as usize {
            return Ok(None);
        }
        if checksum(length, &content) != expected {
            return Err(self.damaged("what stands there is not what was written".into()));
        }
        let stored = (length.len() + expected.len() + content.len()) as u64;
        Ok(Some((stored, content)))
    }

    /// So many bytes; `None` where the file ends before.
    fn whole<const N: usize>(&mut self) -> Result<Option<[u8; N]>, IntervalsError> {
        let bytes = up_to(&mut self.file, N as u64).map_err(|source| self.failed(source))?;
        Ok(bytes.try_into().ok())
    }

    fn failed(&self, source: io::Error) -> IntervalsError {
        IntervalsError::Read { path: self.path.clone(), source }
    }

    fn damaged(&self, why: String) -> IntervalsError {
        IntervalsError::Damaged { path: self.path.clone(), at: self.at, why }
    }
}

/// So many bytes, or as many as there are.
fn up_to(file: &mut impl Read, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::instant::Mono;
    use iot_jobs::{ExecutionStatus, JobId};
    use load_metrics::{
        FaultEvent, Operation, Outcome, Phase, PhaseSet, ProcessUsage, Recorder, Sample, Scope, SecondInput, ThingEvent,
        ThingEventKind,
    };
    use proptest::prelude::*;
    use std::fs;
    use std::time::Duration;
    use thing_faults::Fault;

    const ORIGIN: Mono = Mono(3_000_000_000);
    const BOUNDS: Bounds = Bounds { things: 100, cohorts_and_transports: 2, threads: 1 };

    /// A second with something of every kind in it.
    fn second(number: u64, values: &[u64]) -> SecondInput {
        let mut recorder = Recorder::new(ORIGIN, 1, 1);
        recorder.advance(ORIGIN + Duration::from_secs(number));
        while recorder.poll_interval().is_some() {}
        let at = ORIGIN + Duration::from_secs(number) + Duration::from_millis(500);
        let (operation, scope, outcome) = (Operation::StartNext, Scope::default(), Outcome::Ok);
        for value in values {
            let sent = at - Duration::from_micros(*value);
            recorder.start(operation, scope);
            recorder.finish(&Sample { operation, scope, outcome, intended: sent, sent, finished: at });
            recorder.departed(sent, at);
        }
        let job = JobId::new("fw-1").unwrap();
        recorder.connected(1, at, at);
        recorder.connect_failed(2, at, at);
        recorder.session_lost(3, at, Some(1));
        let execution = Some((job.clone(), 1));
        recorder.fault(Operation::Update, FaultEvent { thing: 4, fault: Fault::Stall, execution }, at, || "t-4".into());
        for kind in [ThingEventKind::Notified, ThingEventKind::Finished(ExecutionStatus::Failed), ThingEventKind::Gone] {
            recorder.thing_event(ThingEvent { thing: 5, job: job.clone(), execution_number: 1, at, kind });
        }
        SecondInput {
            second: number,
            span_s: 1,
            phase: Phase::Rollout,
            phases: Phase::Steady | PhaseSet::from(Phase::Rollout),
            intervals: recorder.finish_run(at + Duration::from_millis(500)).into_iter().take(1).collect(),
            intervals_lost: number,
            ledger: Vec::new(),
            generator: Some(ProcessUsage { cpu_share: 0.25, ..ProcessUsage::default() }),
            endpoint: None,
        }
    }

    fn written(dir: &Path, seconds: &[SecondInput]) -> Vec<u8> {
        let _ = fs::remove_file(dir.join(INTERVALS));
        let mut writer = IntervalsWriter::create(dir).unwrap();
        for input in seconds {
            let jobs = vec![(JobId::new("fw-1").unwrap(), ORIGIN)];
            writer.second(&ShardSecond::of(input, ORIGIN, jobs)).unwrap();
        }
        fs::read(dir.join(INTERVALS)).unwrap()
    }

    fn read(dir: &Path, bytes: &[u8]) -> Result<Vec<ShardSecond>, IntervalsError> {
        fs::write(dir.join(INTERVALS), bytes).unwrap();
        let mut reader = IntervalsReader::open(dir, BOUNDS)?;
        std::iter::from_fn(|| reader.next_second().transpose()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn seconds_come_back_as_they_were_written(values in prop::collection::vec(1u64..4_000_000_000, 0..400)) {
            let dir = tempfile::tempdir().unwrap();
            let inputs = [second(3, &values), second(4, &[])];
            let bytes = written(dir.path(), &inputs);
            let read = read(dir.path(), &bytes).unwrap();
            prop_assert_eq!(read.len(), 2);
            for (input, second) in inputs.iter().zip(&read) {
                prop_assert_eq!(&second.intervals, &input.intervals);
                prop_assert_eq!((second.second, second.phase, second.intervals_lost), (input.second, input.phase, input.intervals_lost));
                prop_assert_eq!(second.phases.iter().copied().collect::<PhaseSet>(), input.phases);
                prop_assert_eq!(second.generator, input.generator);
            }
        }
    }

    #[test]
    fn of_a_file_that_ends_anywhere_whole_seconds_count() {
        let dir = tempfile::tempdir().unwrap();
        let one = written(dir.path(), &[second(0, &[5])]).len();
        let bytes = written(dir.path(), &[second(0, &[5]), second(1, &[7, 9])]);
        for end in 0..=bytes.len() {
            let expected = usize::from(end >= one) + usize::from(end == bytes.len());
            match read(dir.path(), &bytes[..end]) {
                Ok(seconds) => assert_eq!(seconds.len(), expected, "{end} bytes"),
                Err(error) => assert!(end < MAGIC.len() && matches!(error, IntervalsError::Foreign { .. }), "{end} bytes: {error}"),
            }
        }
    }

    #[test]
    fn no_bit_that_is_another_goes_unnoticed() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = written(dir.path(), &[second(0, &[5]), second(1, &[7])]);
        for bit in 0..bytes.len() * 8 {
            let mut spoilt = bytes.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            match read(dir.path(), &spoilt) {
                // A length that says more than there is looks like an end.
                Ok(seconds) => assert!(seconds.len() < 2, "bit {bit}"),
                Err(IntervalsError::Foreign { .. }) => assert!(bit / 8 < MAGIC.len(), "bit {bit}"),
                Err(error) => assert!(error.to_string().contains("it is damaged at byte"), "bit {bit}: {error}"),
            }
        }
    }

    #[test]
    fn whatever_a_record_claims_takes_no_memory_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let with_record = |content: &[u8], length: u32| {
            let length = length.to_le_bytes();
            [&MAGIC[..], &length, &checksum(length, content), content].concat()
        };
        let deflated = |content: &[u8]| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            io::Write::write_all(&mut encoder, content).unwrap();
            encoder.finish().unwrap()
        };
        // Lists, texts and bytes of 2^60 elements each, nesting without an end, and zeroes.
        let claims: [&[u8]; 7] = [
            b"\xa1\x69intervals\x9b\x10\0\0\0\0\0\0\0",
            b"\xa1\x66phases\x9b\x10\0\0\0\0\0\0\0",
            b"\xa1\x65phase\x7b\x10\0\0\0\0\0\0\0",
            b"\x5b\x10\0\0\0\0\0\0\0",
            &[0x81; 5_000],
            &[0; 500],
            b"",
        ];
        for claim in claims {
            let content = deflated(claim);
            let error = read(dir.path(), &with_record(&content, content.len() as u32)).unwrap_err().to_string();
            assert!(error.contains("it is damaged at byte 16: it cannot be read"), "{error}");
        }
        let error = read(dir.path(), &with_record(b"x", u32::MAX)).unwrap_err().to_string();
        assert!(error.contains("a record of 4294967295 bytes"), "{error}");
        assert_eq!(read(dir.path(), &with_record(b"x", RECORD_BYTES_MAX)).unwrap(), [], "it looks like an end");
    }

    #[test]
    fn seconds_of_another_run_and_out_of_their_order_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let twice = written(dir.path(), &[second(1, &[5]), second(1, &[5])]);
        let error = read(dir.path(), &twice).unwrap_err().to_string();
        assert!(error.contains("second 1 comes after a later one"), "{error}");
        let mut reader = IntervalsReader::open(dir.path(), Bounds { things: 3, ..BOUNDS }).unwrap();
        let error = reader.next_second().unwrap_err().to_string();
        assert!(error.contains("a second that is none of this run: the thing at place"), "{error}");
    }
}
