//! What a session costs at least: a bare tokio-rustls loop beside our own generator, against the same endpoint, with the same TLS
//! settings, filters and payload sizes. `scripts/prove` runs both and divides. The bare loop is also the load under which endpoints
//! are compared; it then looks at what the endpoint's process takes.
//!
//! ```text
//! floor (bare|fleet) (connect|ask|pairs|rate|idle|round) --address A --dir DIR --things N --seconds S
//!       [--request start-next|next|update:JOB] [--filters ours|sdk] [--transport mqtt|mqtt5] [--every SECONDS]
//!       [--turns made|scattered] [--endpoint PID]
//! ```
//! One line of JSON on stdout.

mod bare;
#[path = "../client/mod.rs"]
mod client;
mod fleet;

use client::Store;
use procfs::process::Process;
use std::net::SocketAddr;
use std::time::Duration;
use thing_transport::mqtt::Version;

/// Of both generators.
const CONNECTS_IN_PROGRESS: usize = 64;
/// The parts of a whole that its multiples make are even, and neighbours are far apart.
const GOLDEN_SECTION: f64 = 0.618_033_988_749_894_8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Connect as fast as possible, then leave.
    Connect,
    /// The same, and ask once as soon as subscribed, as every thing of a fleet does.
    Ask,
    /// Connect, then ask again as soon as an answer is there: as many requests in flight as things.
    Pairs,
    /// Connect, then ask once a second, or as seldom as told.
    Rate,
    /// Connect, then stay.
    Idle,
    /// Connect, and when all are, ask once each.
    Round,
}

/// What the bare loop asks for.
#[derive(Clone, Debug)]
enum Ask {
    StartNext,
    /// Describe `$next`.
    Next,
    /// One more update of this job's execution, which stays `IN_PROGRESS`.
    Update(String),
}

/// What our own things subscribe to.
const OUR_FILTERS: &[&str] = &["notify-next", "start-next/+", "+/get/+", "+/update/+"];
/// What a client of the official SDKs subscribes to, as many as one SUBSCRIBE may hold.
const SDK_FILTERS: &[&str] = &[
    "notify",
    "notify-next",
    "start-next/accepted",
    "start-next/rejected",
    "$next/get/accepted",
    "$next/get/rejected",
    "+/update/accepted",
    "+/update/rejected",
];

struct Options {
    bare: bool,
    load: Load,
    ask: Ask,
    filters: &'static [&'static str],
    /// Of the fleet's things; the bare loop speaks MQTT 3.1.1.
    version: Version,
    address: SocketAddr,
    store: Store,
    things: usize,
    seconds: u64,
    /// Between two requests of a thing, where it is not the answer that brings the next one.
    every: Duration,
    /// Of the bare loop: when in that time the thing of a number, out of so many, has its turn, as a share of it.
    turn: fn(usize, usize) -> f64,
    /// Whose processor and memory are to be looked at, too.
    endpoint: Option<i32>,
}

impl Options {
    fn parse() -> Option<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
        let flag =
            |name: &str| arguments.iter().position(|argument| argument == name).and_then(|place| arguments.get(place + 1)).cloned();
        Some(Self {
            bare: arguments.first()? == "bare",
            load: match arguments.get(1)?.as_str() {
                "connect" => Load::Connect,
                "ask" => Load::Ask,
                "pairs" => Load::Pairs,
                "rate" => Load::Rate,
                "idle" => Load::Idle,
                "round" => Load::Round,
                _ => return None,
            },
            ask: match flag("--request").as_deref() {
                None | Some("start-next") => Ask::StartNext,
                Some("next") => Ask::Next,
                Some(other) => Ask::Update(other.strip_prefix("update:")?.to_owned()),
            },
            filters: match flag("--filters").as_deref() {
                None | Some("ours") => OUR_FILTERS,
                Some("sdk") => SDK_FILTERS,
                Some(_) => return None,
            },
            version: match flag("--transport").as_deref() {
                None | Some("mqtt") => Version::V3,
                Some("mqtt5") => Version::V5,
                Some(_) => return None,
            },
            address: flag("--address")?.parse().ok()?,
            store: Store(flag("--dir")?.into()),
            things: flag("--things")?.parse().ok()?,
            seconds: flag("--seconds").map_or(Some(8), |seconds| seconds.parse().ok())?,
            every: Duration::from_secs_f64(flag("--every").map_or(Some(1.0), |seconds| seconds.parse().ok())?),
            turn: match flag("--turns").as_deref() {
                // One after the other as they lie in memory; a fleet's things have no such order.
                None | Some("made") => |n, count| n as f64 / count as f64,
                Some("scattered") => |n, _| (n as f64 * GOLDEN_SECTION).fract(),
                Some(_) => return None,
            },
            endpoint: match flag("--endpoint") {
                Some(pid) => Some(pid.parse().ok()?),
                None => None,
            },
        })
    }

    /// What the process of the endpoint has taken until now; nothing when nobody asks.
    fn look_at_endpoint(&self) -> Usage {
        self.endpoint.map_or(Usage::default(), |pid| Usage::of(&Process::new(pid).expect("the endpoint's process")))
    }
}

/// What a process takes.
#[derive(Clone, Copy, Default)]
struct Usage {
    cpu_seconds: f64,
    rss_bytes: u64,
}

impl Usage {
    fn of(process: &Process) -> Self {
        let stat = process.stat().expect("the process and its stat");
        Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
            rss_bytes: stat.rss * procfs::page_size(),
        }
    }

    fn mine() -> Self {
        Self::of(&Process::myself().expect("/proc/self"))
    }

    /// Processor since an earlier look, memory as it is.
    fn since(self, earlier: Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - earlier.cpu_seconds, ..self }
    }
}

/// What was measured between two moments.
#[derive(Default)]
struct Measured {
    connects_per_s: f64,
    pairs: u64,
    seconds: f64,
    generator: Usage,
    endpoint: Usage,
    answer_bytes: usize,
    failures: u64,
}

impl Measured {
    fn fail(&mut self, error: &std::io::Error) {
        if self.failures == 0 {
            eprintln!("the first thing that failed: {error}");
        }
        self.failures += 1;
    }
}

fn main() {
    // `cargo test --benches` and `cargo bench` without arguments have nothing to measure here.
    let Some(options) = Options::parse() else { return };
    let _ = fleetsim::preflight::facts();
    let measured = if options.bare { bare::run(&options) } else { fleet::run(&options) };
    let per_100k = |seconds: f64| if measured.pairs > 0 { seconds * 1e5 / measured.pairs as f64 } else { 0.0 };
    println!(
        "{}",
        serde_json::json!({
            "connects_per_s": measured.connects_per_s,
            "pairs": measured.pairs,
            "pairs_per_s": if measured.seconds > 0.0 { measured.pairs as f64 / measured.seconds } else { 0.0 },
            "cpu_seconds": measured.generator.cpu_seconds,
            "cpu_per_100k_pairs": per_100k(measured.generator.cpu_seconds),
            "rss_bytes": measured.generator.rss_bytes,
            "rss_per_thing": measured.generator.rss_bytes as f64 / options.things as f64,
            "endpoint_cpu_per_100k_pairs": per_100k(measured.endpoint.cpu_seconds),
            "endpoint_rss_bytes": measured.endpoint.rss_bytes,
            "answer_bytes": measured.answer_bytes,
            "failures": measured.failures,
        })
    );
}
