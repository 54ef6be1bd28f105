//! What a leader and its workers tell each other, and how that is bytes. Pure.
//!
//! The plan is JSON, so that anybody can read it with the tools of NATS, and its first two fields are read before all others. All else is
//! CBOR: a header, and behind it the bytes that it is about, if any.

use crate::preflight::HostFacts;
use crate::report::Verdict;
use crate::run::SharedEndpoint;
use iot_jobs::instant::Mono;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Whoever speaks another version is not of this run.
pub const WIRE: u32 = 2;

/// What a run is, for its workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    pub wire: u32,
    /// Of fleetsim.
    pub version: String,
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

/// What a worker tells, in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
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
    /// All of it was told.
    Ended { verdict: Verdict, exit_code: u8, files: Vec<SentFile> },
}

impl Told {
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
pub struct Beat {
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

    #[test]
    fn what_is_told_is_understood_and_has_an_id_of_its_own() {
        let part = Part { part: 1, of: 2 };
        let told = [
            Told::Ready { clock: ClockReading { offset_us: -7, uncertainty_us: 3 }, threads: 2 },
            Told::Failed { why: "no".into() },
            Told::Second { second: 7, part },
            Told::Closing,
            Told::File { name: "run.json".into(), part },
            Told::Ended { verdict: Verdict::Pass, exit_code: 0, files: Vec::new() },
        ];
        let mut ids = std::collections::BTreeSet::new();
        for told in &told {
            let bytes = pack(told, b"body");
            assert_eq!(unpack::<Told>(&bytes).unwrap(), (told.clone(), &b"body"[..]));
            assert!(ids.insert(told.id(3)) && told.id(3) != told.id(4));
        }
        assert!(unpack::<Told>(b"").is_err() && unpack::<Told>(b"\xff\x00").is_err());
        assert!(Order::Drain > Order::GoOn && Order::Abort > Order::Drain);
    }
}
