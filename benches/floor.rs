//! What a session costs at least: a bare tokio-rustls loop beside our own generator, against the same endpoint, with the same TLS
//! settings, filters and payload sizes. `scripts/prove` runs both and divides.
//!
//! ```text
//! floor (bare|fleet) (connect|ask|pairs|rate|idle) --address A --dir DIR --things N --seconds S
//! ```
//! One line of JSON on stdout.

use bytes::BytesMut;
use fleetsim::clock;
use fleetsim::device::AgentSettings;
use fleetsim::device::backoff::{Backoff, BackoffPolicy};
use fleetsim::device::behavior::{Behavior, OutcomeShares};
use fleetsim::device::workflow::Workflow;
use fleetsim::distribution::Distribution;
use fleetsim::jobs::ThingName;
use fleetsim::metrics::{Operation, ScopeId};
use fleetsim::run::{CohortSettings, Fleet, FleetSettings, PlannedThing};
use fleetsim::transport::credentials::Credentials;
use fleetsim::transport::endpoint::Endpoint;
use fleetsim::transport::thing::{Order, SessionSettings};
use fleetsim::wire::tls;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, Packet, PubAck, Publish, Subscribe, SubscribeFilter};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const CONNECTS_IN_PROGRESS: usize = 64;
/// From making the shards to the first connect arrival.
const LEAD: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Connect as fast as possible, then leave.
    Connect,
    /// The same, and ask once as soon as subscribed, as every thing of a fleet does.
    Ask,
    /// Connect, then ask again as soon as an answer is there: as many requests in flight as things.
    Pairs,
    /// Connect, then ask once a second.
    Rate,
    /// Connect, then stay.
    Idle,
}

struct Options {
    bare: bool,
    load: Load,
    address: SocketAddr,
    dir: PathBuf,
    things: usize,
    seconds: u64,
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
                _ => return None,
            },
            address: flag("--address")?.parse().ok()?,
            dir: flag("--dir")?.into(),
            things: flag("--things")?.parse().ok()?,
            seconds: flag("--seconds").map_or(Some(8), |seconds| seconds.parse().ok())?,
        })
    }

    fn name(n: usize) -> String {
        format!("sim-{n:06}")
    }

    fn endpoint(&self) -> Endpoint {
        let ca = CertificateDer::from_pem_file(self.dir.join("ca.cert.pem")).expect("the CA of the store");
        let tls = Arc::new(tls::client_config([ca], None).expect("a client configuration"));
        Endpoint { address: self.address, server_name: ServerName::try_from("localhost").unwrap(), tls }
    }

    fn credentials(&self, n: usize) -> Credentials {
        let path = |kind: &str| self.dir.join("things").join(format!("{}.{kind}.pem", Self::name(n)));
        let chain = vec![CertificateDer::from_pem_file(path("cert")).expect("a certificate of the store")];
        Credentials::new(chain, PrivateKeyDer::from_pem_file(path("key")).expect("a key of the store")).expect("a pair")
    }
}

/// What was measured between two moments.
struct Measured {
    connects_per_s: f64,
    pairs: u64,
    cpu_seconds: f64,
    rss_bytes: u64,
    failures: u64,
}

fn cpu_seconds() -> f64 {
    let usage = procfs::process::Process::myself().and_then(|me| me.stat()).expect("/proc/self/stat");
    (usage.utime + usage.stime) as f64 / procfs::ticks_per_second() as f64
}

fn rss_bytes() -> u64 {
    procfs::process::Process::myself().and_then(|me| me.stat()).expect("/proc/self/stat").rss * procfs::page_size()
}

fn main() {
    // `cargo test --benches` and `cargo bench` without arguments have nothing to measure here.
    let Some(options) = Options::parse() else { return };
    let _ = fleetsim::preflight::facts();
    let measured = if options.bare { bare(&options) } else { fleet(&options) };
    println!(
        "{}",
        serde_json::json!({
            "connects_per_s": measured.connects_per_s,
            "pairs": measured.pairs,
            "cpu_seconds": measured.cpu_seconds,
            "cpu_per_100k_pairs": if measured.pairs > 0 { measured.cpu_seconds * 1e5 / measured.pairs as f64 } else { 0.0 },
            "rss_bytes": measured.rss_bytes,
            "rss_per_thing": measured.rss_bytes as f64 / options.things as f64,
            "failures": measured.failures,
        })
    );
}

// -------------------------------------------------------------------------------------------------------------- bare loop

type Stream = TlsStream<TcpStream>;

fn bare(options: &Options) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let endpoint = options.endpoint();
        let gate = Rc::new(Semaphore::new(CONNECTS_IN_PROGRESS));
        let configs: Vec<_> = (0..options.things).map(|n| options.credentials(n).config(&endpoint.tls)).collect();
        let started = clock::mono();
        let connecting: Vec<_> = configs
            .into_iter()
            .enumerate()
            .map(|(n, config)| {
                let (gate, endpoint, load) = (Rc::clone(&gate), endpoint.clone(), options.load);
                tokio::task::spawn_local(async move {
                    let permit = gate.acquire().await.unwrap();
                    let mut stream = bare_connect(n, config, &endpoint).await?;
                    drop(permit);
                    if load == Load::Ask {
                        let mut out = BytesMut::new();
                        bare_ask(n, 0, &mut stream, &mut BytesMut::new(), &mut out).await?;
                        stream.write_all(&out).await?;
                    }
                    std::io::Result::Ok(stream)
                })
            })
            .collect();
        let mut streams = Vec::new();
        let mut failures = 0;
        for task in connecting {
            match task.await.unwrap() {
                Ok(stream) => streams.push(stream),
                Err(_) => failures += 1,
            }
        }
        let connects_per_s = streams.len() as f64 / clock::mono().since(started).as_secs_f64();
        let pairs = Rc::new(Cell::new(0));
        if matches!(options.load, Load::Connect | Load::Ask) {
            return Measured { connects_per_s, pairs: 0, cpu_seconds: cpu_seconds(), rss_bytes: rss_bytes(), failures };
        }
        let count = streams.len();
        let stop = Rc::new(Cell::new(false));
        let tasks: Vec<_> = streams
            .into_iter()
            .enumerate()
            .map(|(n, stream)| {
                let (pairs, stop, load) = (Rc::clone(&pairs), Rc::clone(&stop), options.load);
                let phase = Duration::from_secs_f64(n as f64 / count as f64);
                tokio::task::spawn_local(async move { bare_session(n, stream, load, phase, &pairs, &stop).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (cpu, before) = (cpu_seconds(), pairs.get());
        tokio::time::sleep(Duration::from_secs(options.seconds)).await;
        let measured = Measured {
            connects_per_s,
            pairs: pairs.get() - before,
            cpu_seconds: cpu_seconds() - cpu,
            rss_bytes: rss_bytes(),
            failures,
        };
        stop.set(true);
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        measured
    })
}

async fn bare_connect(n: usize, config: Arc<rustls::ClientConfig>, endpoint: &Endpoint) -> std::io::Result<Stream> {
    let name = Options::name(n);
    let tcp = TcpStream::connect(endpoint.address).await?;
    tcp.set_nodelay(true)?;
    let mut stream = TlsConnector::from(config).connect(endpoint.server_name.clone(), tcp).await?;
    let mut out = BytesMut::new();
    let mut connect = Connect::new(name.as_str());
    connect.keep_alive = 300;
    connect.write(&mut out).unwrap();
    stream.write_all(&out).await?;
    read_packet(&mut stream, &mut BytesMut::new()).await?;
    out.clear();
    let filters = ["notify-next", "start-next/+", "+/get/+", "+/update/+"];
    let filters = filters.map(|last| SubscribeFilter::new(format!("$aws/things/{name}/jobs/{last}"), QoS::AtLeastOnce));
    let mut subscribe = Subscribe::new_many(filters);
    subscribe.pkid = 1;
    subscribe.write(&mut out).unwrap();
    stream.write_all(&out).await?;
    read_packet(&mut stream, &mut BytesMut::new()).await?;
    Ok(stream)
}

async fn read_packet(stream: &mut Stream, bytes: &mut BytesMut) -> std::io::Result<Packet> {
    loop {
        if let Ok(packet) = Packet::read(bytes, 200_000) {
            return Ok(packet);
        }
        if stream.read_buf(bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Sends what is in `out` and a `start-next`, and reads the answer; its PUBACK is left in `out`.
async fn bare_ask(n: usize, number: u64, stream: &mut Stream, bytes: &mut BytesMut, out: &mut BytesMut) -> std::io::Result<()> {
    let topic = format!("$aws/things/{}/jobs/start-next", Options::name(n));
    // As long as an agent's token is.
    let mut publish = Publish::new(topic, QoS::AtLeastOnce, format!("{{\"clientToken\":\"{n:x}-{number:x}\"}}"));
    publish.pkid = (number % 60_000) as u16 + 1;
    publish.write(out).unwrap();
    stream.write_all(out).await?;
    stream.flush().await?;
    out.clear();
    loop {
        if let Packet::Publish(answer) = read_packet(stream, bytes).await? {
            PubAck::new(answer.pkid).write(out).unwrap();
            return Ok(());
        }
    }
}

async fn bare_session(
    n: usize,
    mut stream: Stream,
    load: Load,
    phase: Duration,
    pairs: &Cell<u64>,
    stop: &Cell<bool>,
) -> std::io::Result<()> {
    let (mut bytes, mut out) = (BytesMut::new(), BytesMut::new());
    let mut next = tokio::time::Instant::now() + phase;
    if load == Load::Idle {
        read_packet(&mut stream, &mut bytes).await?;
        return Ok(());
    }
    for number in 0u64.. {
        if load == Load::Rate {
            tokio::time::sleep_until(next).await;
            next += Duration::from_secs(1);
        }
        if stop.get() {
            break;
        }
        bare_ask(n, number, &mut stream, &mut bytes, &mut out).await?;
        pairs.set(pairs.get() + 1);
        // Back to back, the PUBACK leaves with the next request.
        if load == Load::Rate {
            stream.write_all(&out).await?;
            stream.flush().await?;
            out.clear();
        }
    }
    Ok(())
}

// ------------------------------------------------------------------------------------------------------------------ fleet

fn fleet(options: &Options) -> Measured {
    let seconds = Duration::from_secs;
    // The load of the bare loop, by the agent's own means: an idle thing asks again.
    let ask_again = match options.load {
        Load::Pairs => Duration::ZERO,
        // Uniform from half of it to all of it: once a second on average.
        Load::Rate => Duration::from_secs_f64(4.0 / 3.0),
        Load::Connect | Load::Ask | Load::Idle => AgentSettings::ASK_AGAIN,
    };
    let behavior = Behavior {
        reaction: Distribution::Constant(Duration::ZERO),
        updates: 0,
        step: Distribution::Constant(Duration::ZERO),
        outcome: OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 },
    };
    let backoff = Backoff { policy: BackoffPolicy::FullJitter, base: seconds(1), cap: seconds(60) };
    let agent = AgentSettings {
        seed: 1,
        workflow: Workflow::StartNext,
        behavior,
        behavior_of_job: [].into(),
        answer_timeout: seconds(10),
        retry: backoff,
        ask_again,
    };
    let session = SessionSettings {
        seed: 1,
        keep_alive: seconds(300),
        connect_timeout: seconds(30),
        answer_timeout: seconds(10),
        reconnect: backoff,
    };
    let things: Vec<PlannedThing> = (0..options.things)
        .map(|n| PlannedThing {
            name: ThingName::new(&Options::name(n)).unwrap(),
            index: n as u64,
            cohort: 0,
            credentials: options.credentials(n),
            arrival: Duration::ZERO,
        })
        .collect();
    let settings = FleetSettings {
        endpoint: options.endpoint(),
        cohorts: vec![CohortSettings { agent: Arc::new(agent), session: Arc::new(session) }],
        shards: 1,
        connects_in_progress: CONNECTS_IN_PROGRESS,
        // As in a run, shards are up when the first connect is due.
        origin: clock::mono() + LEAD,
        inspect: false,
        has_ledger: true,
    };
    let started = settings.origin;
    let mut fleet = Fleet::start(things, &settings).expect("the host gives a thread");
    let deadline = started + seconds(120);
    let connected = |fleet: &Fleet| fleet.gauges.ever_connected.load(std::sync::atomic::Ordering::Relaxed);
    while connected(&fleet) < options.things as u64 && clock::mono() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    let connects_per_s = connected(&fleet) as f64 / clock::mono().since(started).as_secs_f64();
    let mut pairs = 0;
    let mut take = |fleet: &mut Fleet| {
        while let Ok(interval) = fleet.intervals.try_recv() {
            let operations = interval.interval.operations.iter();
            let of_all = operations.filter(|row| row.operation == Operation::StartNext && row.scope == ScopeId::ALL);
            pairs += of_all.map(|row| row.counts.ok).sum::<u64>();
        }
        pairs
    };
    let (mut cpu, mut before, mut after) = (0.0, 0, 0);
    if !matches!(options.load, Load::Connect | Load::Ask) {
        std::thread::sleep(seconds(2));
        // Intervals come at whole seconds after the origin: measure from one border to another.
        let mut border = |fleet: &mut Fleet| {
            let into = clock::mono().since(settings.origin).subsec_nanos();
            std::thread::sleep(Duration::from_nanos(u64::from(1_000_000_000 - into)) + Duration::from_millis(5));
            take(fleet)
        };
        before = border(&mut fleet);
        cpu = cpu_seconds();
        std::thread::sleep(seconds(options.seconds - 1));
        after = border(&mut fleet);
    }
    let measured = Measured {
        connects_per_s,
        pairs: after - before,
        cpu_seconds: cpu_seconds() - cpu,
        rss_bytes: rss_bytes(),
        failures: options.things as u64 - connected(&fleet),
    };
    fleet.order(Order::Close);
    let _ = fleet.join();
    measured
}
