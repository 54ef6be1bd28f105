//! What a leader and its workers tell each other, and how that is bytes. Pure.
//!
//! The plan is JSON, so that anybody can read it with the tools of NATS, and its first two fields are read before all others. All else is
//! CBOR: a header, and behind it the bytes that it is about, if any.

use super::PART_BYTES;
use crate::preflight::HostFacts;
use crate::report::{INTERVALS, MANIFEST, SCENARIO, Verdict};
use crate::run::SharedEndpoint;
use iot_jobs::instant::Mono;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Whoever speaks another version is not of this run.
pub const WIRE: u32 = 2;
/// The files of a worker's folder that its leader needs; with the last one a folder has an end.
pub const SENT: [&str; 3] = [SCENARIO, INTERVALS, MANIFEST];
/// Threads of a worker.
const THREADS_MAX: usize = 256;
/// Of a record of `intervals.bin`.
const SECOND_PARTS_MAX: u32 = 512;
/// Of a file.
const FILE_PARTS_MAX: u32 = 65_536;

/// What a run is, for its workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    pub wire: u32,
    /// Of fleetsim.
    pub version: String,
    /// Of this attempt at the run: who has joined an earlier one of the same id is not of it.
    pub nonce: String,
    pub slices: u32,
    pub seed: u64,
    /// The resolved scenario, as TOML.
    pub scenario: String,
    /// What the names and cohorts of all things are known by: where a scenario names a list, the worker has to have the same one.
    pub fleet_sha256: String,
    /// What the ids of jobs in an account end with.
    pub jobs_id: String,
    /// How long everything may take until all slices are ready.
    pub wait_s: u64,
    /// How long NATS may be away.
    pub away_s: u64,
    /// Where the leader has started the endpoint: workers and leader are on one host then.
    #[serde(default)]
    pub endpoint: Option<SharedEndpoint>,
}

#[derive(Deserialize)]
struct Version {
    wire: u32,
    version: String,
}

impl RunPlan {
    /// # Errors
    /// When it is of another version, or none; for people.
    pub fn read(json: &[u8], version: &str) -> Result<Self, String> {
        let of: Version = serde_json::from_slice(json).map_err(|error| format!("the plan of the run cannot be read: {error}"))?;
        if of.wire != WIRE || of.version != version {
            return Err(format!(
                "the run is of fleetsim {} (protocol {}), and this is {version} (protocol {WIRE}): leader and workers have to be one version",
                of.version, of.wire
            ));
        }
        serde_json::from_slice(json).map_err(|error| format!("the plan of the run cannot be read: {error}"))
    }
}

/// Who has a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Differs for every process that ever was.
    pub token: String,
    pub host: String,
    pub pid: u32,
}

/// How far two clocks are apart, and to what exactness that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// The leader's less the worker's.
    pub offset_us: i64,
    /// Half of the round trip.
    pub uncertainty_us: i64,
}

/// A file of a worker's results folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// A part of something larger, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub part: u32,
    pub of: u32,
}

impl Part {
    fn check(self, of_max: u32, body: usize) -> Result<(), String> {
        let Self { part, of } = self;
        let is_last = of.checked_sub(1) == Some(part);
        let is_sent = part < of && of <= of_max && body <= PART_BYTES && (is_last || body == PART_BYTES);
        match is_sent {
            true => Ok(()),
            false => Err(format!("part {part} of {of} ({body} bytes) is none that a worker sends")),
        }
    }
}

impl SentFile {
    fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        match self.bytes <= u64::from(FILE_PARTS_MAX) * PART_BYTES as u64 {
            true => Ok(()),
            false => Err(format!("{} of {} bytes is too long", self.name, self.bytes)),
        }
    }
}

fn check_name(name: &str) -> Result<(), String> {
    match SENT.contains(&name) {
        true => Ok(()),
        false => Err(format!("{name:?} is no file that a worker sends")),
    }
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerMessage {
    /// Of the attempt at the run that it has joined.
    pub nonce: String,
    pub event: WorkerEvent,
}

impl WorkerMessage {
    /// A message, and what is behind it.
    ///
    /// # Errors
    /// When it cannot be read, or is none that a worker says.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), String> {
        let (word, body) = unpack::<Self>(bytes)?;
        word.event.check(body.len())?;
        Ok((word, body))
    }
}

/// What a worker tells, in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WorkerEvent {
    /// It has its slice.
    Registered { host: HostFacts, pid: u32 },
    /// All is brought up, by so many threads.
    Ready { clock: ClockReading, threads: usize },
    /// It will not begin: why.
    Failed { why: String },
    /// What is behind it is (a part of) a record of `intervals.bin`.
    Second { second: u64, part: Part },
    /// There are no more seconds.
    Closing,
    /// What is behind it is a part of this file.
    File { name: String, part: Part },
    /// All of it was sent.
    Ended { verdict: Verdict, exit_code: u8, files: Vec<SentFile> },
}

impl WorkerEvent {
    /// By which a message that is sent again is known.
    #[must_use]
    pub fn id(&self, slice: u32) -> String {
        match self {
            Self::Registered { .. } => format!("{slice}.registered"),
            Self::Ready { .. } => format!("{slice}.ready"),
            Self::Failed { .. } => format!("{slice}.failed"),
            Self::Second { second, part } => format!("{slice}.{second}.{}", part.part),
            Self::Closing => format!("{slice}.closing"),
            Self::File { name, part } => format!("{slice}.{name}.{}", part.part),
            Self::Ended { .. } => format!("{slice}.ended"),
        }
    }

    /// Whether a worker would say so, with so many bytes behind it.
    fn check(&self, body: usize) -> Result<(), String> {
        match self {
            Self::Ready { threads, .. } if !(1..=THREADS_MAX).contains(threads) => {
                Err(format!("a worker has 1 to {THREADS_MAX} threads, not {threads}"))
            }
            Self::Second { part, .. } => part.check(SECOND_PARTS_MAX, body),
            Self::File { name, part } => check_name(name).and_then(|()| part.check(FILE_PARTS_MAX, body)),
            Self::Ended { files, .. } if files.len() > SENT.len() => Err(format!("it sends {} files", files.len())),
            Self::Ended { files, .. } => files.iter().try_for_each(SentFile::check),
            Self::Registered { .. } | Self::Ready { .. } | Self::Failed { .. } | Self::Closing => Ok(()),
        }
    }
}

/// What workers are to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Order {
    #[default]
    GoOn,
    /// No new work; come to an end.
    Drain,
    Abort,
}

/// What a leader tells once a second, and when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Of the attempt at the run that it leads.
    pub nonce: String,
    pub order: Order,
    /// When all slices start; RFC 3339, by the leader's clock.
    pub start_at: Option<String>,
    /// The same instant by the monotonic clock, where workers and leader are on one host.
    pub origin: Option<Mono>,
    /// Whether every thing of the whole fleet has been connected.
    pub connected: bool,
    /// Whether as many executions have ended as `end.expect` waits for.
    pub met: bool,
}

/// Header, and what is behind it.
#[must_use]
pub fn pack(header: &impl Serialize, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 256);
    ciborium::into_writer(header, &mut bytes).expect("memory takes it, and these types have a form in CBOR");
    bytes.extend_from_slice(body);
    bytes
}

/// The other way round.
///
/// # Errors
/// When there is no such header.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), String> {
    let mut rest = bytes;
    let header = ciborium::from_reader(&mut rest).map_err(|error| format!("it cannot be read: {error}"))?;
    Ok((header, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> RunPlan {
        RunPlan {
            wire: WIRE,
            version: "1.2.3".into(),
            nonce: "h-1-2".into(),
            slices: 4,
            seed: u64::MAX,
            scenario: "name = 'x'".into(),
            fleet_sha256: "ab".into(),
            jobs_id: "20261129T183000Z".into(),
            wait_s: 300,
            away_s: 600,
            endpoint: None,
        }
    }

    #[test]
    fn a_plan_of_another_version_is_refused_whatever_else_it_says() {
        let json = serde_json::to_vec(&plan()).unwrap();
        assert_eq!(RunPlan::read(&json, "1.2.3"), Ok(plan()));
        assert!(RunPlan::read(&json, "1.2.4").unwrap_err().contains("fleetsim 1.2.3 (protocol 2), and this is 1.2.4"));
        let later = br#"{"wire":3,"version":"1.2.3","what":"else"}"#;
        assert!(RunPlan::read(later, "1.2.3").unwrap_err().contains("protocol 3"));
        assert!(RunPlan::read(b"{}", "1.2.3").unwrap_err().contains("cannot be read"));
    }

    fn word(event: WorkerEvent) -> WorkerMessage {
        WorkerMessage { nonce: "n".into(), event }
    }

    #[test]
    fn what_no_worker_says_is_refused_with_what_is_wrong() {
        let file = |name: &str, bytes| SentFile { name: name.into(), bytes, sha256: "0".into() };
        let ended = |files| WorkerEvent::Ended { verdict: Verdict::Pass, exit_code: 0, files };
        let second = |part, of| WorkerEvent::Second { second: 1, part: Part { part, of } };
        let ready = |threads| WorkerEvent::Ready { clock: ClockReading::default(), threads };
        let full = PART_BYTES;
        for (event, body, why) in [
            (ready(0), 0, "1 to 256 threads, not 0"),
            (ready(usize::MAX), 0, "1 to 256 threads"),
            (second(0, 0), 1, "part 0 of 0"),
            (second(2, 2), 1, "part 2 of 2"),
            (second(0, 2), 1, "part 0 of 2 (1 bytes)"),
            (second(0, SECOND_PARTS_MAX + 1), full, "part 0 of 513"),
            (second(u32::MAX, u32::MAX), full, "none that a worker sends"),
            (second(0, 1), full + 1, "none that a worker sends"),
            (WorkerEvent::File { name: "../run.json".into(), part: Part { part: 0, of: 1 } }, 1, "\"../run.json\" is no file"),
            (WorkerEvent::File { name: MANIFEST.into(), part: Part { part: 0, of: u32::MAX } }, full, "none that a worker sends"),
            (ended(vec![file("x", 1)]), 0, "\"x\" is no file"),
            (ended(vec![file(MANIFEST, u64::MAX)]), 0, "too long"),
            (ended(vec![file(MANIFEST, 1); 4]), 0, "4 files"),
        ] {
            let why_not = WorkerMessage::read(&pack(&word(event), &vec![0; body])).unwrap_err();
            assert!(why_not.contains(why), "{why_not}");
        }
        for (event, body) in [(second(0, 1), 0), (second(0, 2), full), (second(1, 2), 3), (ready(256), 0)] {
            assert!(WorkerMessage::read(&pack(&word(event), &vec![0; body])).is_ok());
        }
    }

    #[test]
    fn bytes_that_are_no_word_never_do_more_than_be_refused() {
        let words = [
            WorkerEvent::Second { second: 7, part: Part { part: 0, of: 1 } },
            WorkerEvent::Ended {
                verdict: Verdict::Pass,
                exit_code: 0,
                files: vec![SentFile { name: MANIFEST.into(), bytes: 1, sha256: "ab".into() }],
            },
            WorkerEvent::Registered { host: crate::preflight::facts(), pid: 1 },
        ];
        for event in words {
            let good = pack(&word(event), b"body");
            for cut in 0..good.len() - 4 {
                assert!(WorkerMessage::read(&good[..cut]).is_err(), "cut at {cut}");
            }
            let mut random = 0x9E37_79B9_7F4A_7C15_u64;
            for _ in 0..20_000 {
                let mut bytes = good.clone();
                for _ in 0..3 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let at = (random >> 33) as usize % bytes.len();
                    bytes[at] = (random >> 20) as u8;
                }
                if let Ok((word, body)) = WorkerMessage::read(&bytes) {
                    assert_eq!(WorkerMessage::read(&pack(&word, body)).unwrap().0, word);
                }
            }
        }
    }

    #[test]
    fn what_is_told_is_understood_and_has_an_id_of_its_own() {
        let part = Part { part: 1, of: 2 };
        let event = [
            WorkerEvent::Ready { clock: ClockReading { offset_us: -7, uncertainty_us: 3 }, threads: 2 },
            WorkerEvent::Failed { why: "no".into() },
            WorkerEvent::Second { second: 7, part },
            WorkerEvent::Closing,
            WorkerEvent::File { name: "run.json".into(), part },
            WorkerEvent::Ended { verdict: Verdict::Pass, exit_code: 0, files: Vec::new() },
        ];
        let mut ids = std::collections::BTreeSet::new();
        for event in &event {
            let event = word(event.clone());
            let bytes = pack(&event, b"");
            assert_eq!(unpack::<WorkerMessage>(&bytes).unwrap(), (event.clone(), &b""[..]));
            let event = event.event;
            assert!(ids.insert(event.id(3)) && event.id(3) != event.id(4));
        }
        assert!(WorkerMessage::read(b"").is_err() && WorkerMessage::read(b"\xff\x00").is_err());
        assert!(Order::Drain > Order::GoOn && Order::Abort > Order::Drain);
    }
}
