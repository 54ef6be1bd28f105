//! Killed with -9 at random moments under load, again and again: with `--state` no accepted answer is forgotten, nothing is handed out
//! twice, and what was never answered happened wholly or not at all.
//!
//! Every job goes to every thing, one job after the other, so that each thing must get job 0, 1, 2, ... once each: what is forgotten or
//! repeated shows at once. Things know the endpoint only by its sockets. Half of them work over HTTPS, and look at what became of it by MQTT.
//!
//! ```text
//! CRASHES=100 CRASH_SEED=7 cargo test --release --test crash -- --nocapture
//! ```

#[path = "../benches/client/mod.rs"]
mod client;

use aws_signing::sigv4::{AccessKey, sign_request};
use bytes::BytesMut;
use client::{Store, Stream, read_packet};
use futures_util::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubAck, Publish};
use serde_json::{Value, json};
use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use thing_transport::endpoint::Endpoint;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

const CRASHES: u32 = 5;
const SEED: u64 = 5;
const THINGS: usize = 24;
/// How long the endpoint is under load before it is killed, at most.
const ALIVE_MS_MAX: u64 = 900;
/// How often it is killed before it is up, and when.
const KILLED_EARLY_SHARE: f64 = 0.2;
const EARLY_MS_MAX: u64 = 80;
/// Jobs ahead of the thing that has done most.
const JOBS_AHEAD: usize = 3;
/// Updates of an execution before the one that ends it.
const STEPS_MAX: u64 = 3;
/// Executions of earlier rounds that each thing looks at after a crash.
const OLD_ONES: usize = 5;
/// No execution will ever have this version: an update that expects it changes nothing, and tells the state.
const NO_VERSION: i64 = 1_000_000;
const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

fn from_environment<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

#[test]
fn killed_under_load_it_forgets_nothing_and_hands_out_nothing_twice() {
    let (crashes, seed) = (from_environment("CRASHES", CRASHES), from_environment("CRASH_SEED", SEED));
    println!("CRASHES={crashes} CRASH_SEED={seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(crash_again_and_again(crashes, seed));
}

async fn crash_again_and_again(crashes: u32, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let place = Place::new();
    let mut things: Vec<Thing> = (0..THINGS).map(|n| Thing::new(n, rng.random())).collect();
    let jobs = Jobs::default();
    let (mut kills, mut is_provisioned) = (0, false);
    while kills < crashes {
        if rng.random_bool(KILLED_EARLY_SHARE) {
            let mut process = place.spawn();
            sleep(Duration::from_millis(rng.random_range(0..EARLY_MS_MAX))).await;
            process.kill().await.unwrap();
            kills += 1;
        }
        let mut process = place.start().await;
        let service = Service::new(&place);
        let mut sessions = service.sessions().await;
        if !is_provisioned {
            service.provision().await;
            is_provisioned = true;
        }
        jobs.check(&service).await;
        join_all(things.iter_mut().zip(&mut sessions).map(|(thing, session)| thing.check_recent(session))).await;
        let killed = Cell::new(false);
        let load = async {
            let working = things.iter_mut().zip(&mut sessions).map(|(thing, session)| async {
                let broken = thing.work(session, &jobs).await;
                assert!(killed.get(), "{}: the connection broke before the kill: {broken:?}", thing.name);
            });
            tokio::join!(join_all(working), jobs.create(&service, &killed));
        };
        let killer = async {
            sleep(Duration::from_millis(rng.random_range(0..ALIVE_MS_MAX))).await;
            killed.set(true);
            process.kill().await.unwrap();
        };
        timeout(DEADLINE, async { tokio::join!(load, killer) }).await.expect("the load ends with the endpoint");
        kills += 1;
    }
    let mut process = place.start().await;
    let service = Service::new(&place);
    let mut sessions = service.sessions().await;
    jobs.check(&service).await;
    jobs.no_more.set(true);
    let finishing = things.iter_mut().zip(&mut sessions).map(|(thing, session)| async {
        thing.check_recent(session).await;
        thing.work(session, &jobs).await.unwrap();
        thing.check(session, 0..thing.told.len()).await;
    });
    timeout(DEADLINE * 4, join_all(finishing)).await.expect("the things finish");
    jobs.check_counts(&service, &things).await;
    process.kill().await.unwrap();
    let sum = |of: fn(&Thing) -> u64| things.iter().map(of).sum::<u64>();
    println!(
        "{}",
        json!({
            "seed": seed,
            "kills": kills,
            "jobs": jobs.accepted.get(),
            "answers": sum(|thing| thing.answers),
            "probes": sum(|thing| thing.probes),
            "unanswered_and_done": sum(|thing| thing.unanswered_and_done),
            "unanswered_and_not_done": sum(|thing| thing.unanswered_and_not_done),
        })
    );
}

// ---------------------------------------------------------------------------------------------------------------- the endpoint

/// Where the endpoint lives: it comes back to the same folder, state and ports.
struct Place {
    dir: tempfile::TempDir,
    mqtt: SocketAddr,
    https: SocketAddr,
    api: SocketAddr,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), mqtt: free_address(), https: free_address(), api: free_address() }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("pki")
    }

    fn spawn(&self) -> Child {
        let port = |address: SocketAddr| address.port().to_string();
        let state = self.dir.path().join("state");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetsim"));
        command.args([
            "serve",
            "--mqtt-port",
            &port(self.mqtt),
            "--https-port",
            &port(self.https),
            "--api-port",
            &port(self.api),
            "--things",
            &THINGS.to_string(),
        ]);
        command.arg("--dir").arg(self.store()).arg("--state").arg(state);
        command.env_remove("RUST_LOG").stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
    }

    async fn start(&self) -> Child {
        let mut process = self.spawn();
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.as_mut().unwrap());
        timeout(DEADLINE, out.read_line(&mut line)).await.expect("the endpoint comes up in time").unwrap();
        assert!(line.contains(r#""event":"ready""#), "instead of being ready the endpoint says {line:?}");
        process
    }
}

/// A port below the range that hosts hand out by themselves, so that nobody takes it while the endpoint is down.
fn free_address() -> SocketAddr {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], rand::rng().random_range(20_000..30_000)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The endpoint as its clients see it, for as long as it lives.
struct Service<'a> {
    place: &'a Place,
    endpoint: Endpoint,
    key: AccessKey,
}

impl<'a> Service<'a> {
    fn new(place: &'a Place) -> Self {
        Self { place, endpoint: Store(place.store()).endpoint(place.mqtt), key: access_key(&place.store()) }
    }

    async fn sessions(&self) -> Vec<Session> {
        let store = Store(self.place.store());
        let connect = |n| {
            let thing = Store::thing_name(n);
            let config = store.credentials(&thing).config(&self.endpoint.tls);
            async move {
                let https = match n % 2 {
                    0 => None,
                    _ => Some(self.dial_https(config.clone()).await.unwrap()),
                };
                let stream = client::connect(&thing, config, &self.endpoint, &["notify-next"]).await.unwrap();
                Session { thing, stream, https, inbound: BytesMut::new(), asked: 0 }
            }
        };
        timeout(DEADLINE, join_all((0..THINGS).map(connect))).await.expect("things connect in time")
    }

    async fn dial_https(&self, config: Arc<ClientConfig>) -> io::Result<Stream> {
        let tcp = TcpStream::connect(self.place.https).await?;
        tcp.set_nodelay(true)?;
        TlsConnector::from(config).connect(self.endpoint.route(0).destination.server_name.clone(), tcp).await
    }

    async fn provision(&self) {
        self.call_well("POST", "/thing-groups/all", &json!({})).await;
        for n in 0..THINGS {
            let body = json!({ "thingGroupName": "all", "thingName": Store::thing_name(n) });
            self.call_well("PUT", "/thing-groups/addThingToThingGroup", &body).await;
        }
    }

    async fn call_well(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, path, body).await.unwrap();
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// One signed call: status and body. An error when the connection broke before the answer was complete.
    async fn call(&self, method: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        let address = self.place.api;
        let body = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(format!("https://{address}{path}"));
        let mut request = request.header("host", address.to_string()).body(body).unwrap();
        sign_request(&mut request, &self.key, "us-east-1", "iot", SystemTime::now()).unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\ncontent-length: {}\r\nconnection: close\r\n", request.body().len());
        for (name, value) in request.headers() {
            text += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        let exchange = async {
            let tcp = TcpStream::connect(address).await?;
            let connector = TlsConnector::from(self.endpoint.tls.clone());
            let mut stream = connector.connect(self.endpoint.route(0).destination.server_name.clone(), tcp).await?;
            stream.write_all(format!("{text}\r\n").as_bytes()).await?;
            stream.write_all(request.body()).await?;
            stream.flush().await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let answer = timeout(DEADLINE, exchange).await.expect("an answer, or the end of the connection")?;
        let answer = String::from_utf8(answer).unwrap();
        let parsed = answer
            .split_once("\r\n\r\n")
            .and_then(|(head, body)| Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).ok()?)));
        parsed.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

fn access_key(store: &Path) -> AccessKey {
    let text = std::fs::read_to_string(store.join("aws-credentials")).unwrap();
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix("= ")).unwrap().to_owned();
    AccessKey::lasting(&value("aws_access_key_id"), &value("aws_secret_access_key"))
}

// -------------------------------------------------------------------------------------------------------------------- the jobs

/// Jobs by number, each to all things, created while the things work.
#[derive(Default)]
struct Jobs {
    /// Job ids below this number were accepted.
    accepted: Cell<usize>,
    /// The next one was asked for, and there was no answer.
    in_doubt: Cell<bool>,
    /// Of all things, the most executions that one has begun.
    begun: Cell<usize>,
    no_more: Cell<bool>,
}

impl Jobs {
    fn id(n: usize) -> String {
        format!("job-{n}")
    }

    fn number(id: &str) -> usize {
        id.strip_prefix("job-").and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("nobody made a job {id:?}"))
    }

    async fn put(service: &Service<'_>, n: usize) -> io::Result<(u16, Value)> {
        let targets = ["arn:aws:iot:us-east-1:111122223333:thinggroup/all"];
        service.call("PUT", &format!("/jobs/{}", Self::id(n)), &json!({ "targets": targets, "document": "{}" })).await
    }

    /// Until the endpoint is killed.
    async fn create(&self, service: &Service<'_>, killed: &Cell<bool>) {
        while !killed.get() {
            if self.accepted.get() >= self.begun.get() + JOBS_AHEAD {
                sleep(PAUSE).await;
                continue;
            }
            self.in_doubt.set(true);
            match Self::put(service, self.accepted.get()).await {
                Ok((200, _)) => self.accepted.set(self.accepted.get() + 1),
                Ok(other) => panic!("CreateJob: {other:?}"),
                Err(error) => return assert!(killed.get(), "the control plane broke before the kill: {error}"),
            }
            self.in_doubt.set(false);
        }
    }

    /// After a crash: the last accepted job is there, and the one in doubt is made if it is not.
    async fn check(&self, service: &Service<'_>) {
        if let Some(last) = self.accepted.get().checked_sub(1) {
            let (status, answer) = Self::put(service, last).await.unwrap();
            assert_eq!(status, 409, "the accepted job {last} was forgotten: {answer}");
        }
        if self.in_doubt.replace(false) {
            let (status, answer) = Self::put(service, self.accepted.get()).await.unwrap();
            assert!(matches!(status, 200 | 409), "CreateJob again: {answer}");
            self.accepted.set(self.accepted.get() + 1);
        }
    }

    /// At the end: the service counts as the things do.
    async fn check_counts(&self, service: &Service<'_>, things: &[Thing]) {
        for n in 0..self.accepted.get() {
            let answer = service.call_well("GET", &format!("/jobs/{}", Self::id(n)), &Value::Null).await;
            assert_eq!(answer["job"]["status"], "COMPLETED", "{answer}");
            let details = &answer["job"]["jobProcessDetails"];
            for (status, member) in [("SUCCEEDED", "Succeeded"), ("FAILED", "Failed"), ("REJECTED", "Rejected")] {
                let mine = things.iter().filter(|thing| thing.told[n].status == status).count();
                let theirs = details[format!("numberOf{member}Things")].as_u64().unwrap_or(0);
                assert_eq!(theirs, mine as u64, "job {n}, {status}: {answer}");
            }
        }
    }
}

// ------------------------------------------------------------------------------------------------------------------ the things

/// State of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    status: String,
    version: i64,
}

impl State {
    fn of(value: &Value) -> Self {
        let (status, version) = (value["status"].as_str(), value["versionNumber"].as_i64());
        Self { status: status.unwrap_or_else(|| panic!("no status: {value}")).into(), version: version.unwrap() }
    }

    fn in_progress(version: i64) -> Self {
        Self { status: "IN_PROGRESS".into(), version }
    }

    fn is_open(&self) -> bool {
        matches!(&*self.status, "QUEUED" | "IN_PROGRESS")
    }
}

/// A thing, and what it knows for certain.
struct Thing {
    name: String,
    rng: ChaCha8Rng,
    /// The last accepted state of the execution of each job, by the job's number. Only the last of them may be open.
    told: Vec<State>,
    /// A request that has no answer yet: the job, and the state if the request is carried out.
    unanswered: Option<(usize, State)>,
    /// Executions before this one were looked at after an earlier crash.
    looked_at: usize,
    answers: u64,
    probes: u64,
    unanswered_and_done: u64,
    unanswered_and_not_done: u64,
}

impl Thing {
    fn new(n: usize, seed: u64) -> Self {
        Self {
            name: Store::thing_name(n),
            rng: ChaCha8Rng::seed_from_u64(seed),
            told: Vec::new(),
            unanswered: None,
            looked_at: 0,
            answers: 0,
            probes: 0,
            unanswered_and_done: 0,
            unanswered_and_not_done: 0,
        }
    }

    /// Asks for executions and brings them to their end, until the connection breaks, or everything is done and no more will come.
    async fn work(&mut self, session: &mut Session, jobs: &Jobs) -> io::Result<()> {
        loop {
            let is_open = self.told.last().is_some_and(State::is_open);
            if jobs.no_more.get() && !is_open && self.told.len() == jobs.accepted.get() {
                return Ok(());
            }
            // Now and then one asks again while it works: it must be given the same.
            if is_open && self.rng.random_bool(0.9) {
                self.update(session).await?;
            } else if !self.start_next(session).await? {
                sleep(PAUSE).await;
            }
            jobs.begun.set(jobs.begun.get().max(self.told.len()));
        }
    }

    /// Says whether there was anything to do.
    async fn start_next(&mut self, session: &mut Session) -> io::Result<bool> {
        let open = self.told.last().filter(|state| state.is_open()).cloned();
        let due = if open.is_some() { self.told.len() - 1 } else { self.told.len() };
        let expected = open.clone().unwrap_or(State::in_progress(2));
        self.unanswered = open.is_none().then(|| (due, expected.clone()));
        let (accepted, answer) = session.work("start-next", json!({})).await?;
        assert!(accepted, "{}: start-next was rejected: {answer}", self.name);
        self.unanswered = None;
        self.answers += 1;
        let Some(execution) = answer.get("execution") else {
            assert!(open.is_none(), "{}: job {due} is {expected:?}, and start-next does not know it", self.name);
            return Ok(false);
        };
        let job = Jobs::number(execution["jobId"].as_str().unwrap());
        assert_eq!(
            (job, &execution["executionNumber"]),
            (due, &json!(1)),
            "{}: handed out instead of job {due}: {answer}",
            self.name
        );
        assert_eq!(State::of(execution), expected, "{}: job {due}", self.name);
        if open.is_none() {
            self.told.push(expected);
        }
        Ok(true)
    }

    async fn update(&mut self, session: &mut Session) -> io::Result<()> {
        let job = self.told.len() - 1;
        let version = self.told[job].version;
        let ends = self.rng.random_range(0..=STEPS_MAX) == 0;
        let status = match self.rng.random_range(0..10) {
            _ if !ends => "IN_PROGRESS",
            0 => "FAILED",
            1 => "REJECTED",
            _ => "SUCCEEDED",
        };
        let after = State { status: status.into(), version: version + 1 };
        let details = json!({ "step": version.to_string() });
        let body =
            json!({ "status": status, "expectedVersion": version, "statusDetails": details, "includeJobExecutionState": true });
        self.unanswered = Some((job, after.clone()));
        let (accepted, answer) = session.work(&format!("{}/update", Jobs::id(job)), body).await?;
        assert!(accepted, "{}: job {job} at {:?} to {after:?}: {answer}", self.name, self.told[job]);
        assert_eq!(State::of(&answer["executionState"]), after, "{}: job {job}", self.name);
        self.unanswered = None;
        self.answers += 1;
        self.told[job] = after;
        Ok(())
    }

    /// After a crash: everything since the one before, and a few that are older.
    async fn check_recent(&mut self, session: &mut Session) {
        self.settle(session).await;
        let old = (0..OLD_ONES.min(self.looked_at)).map(|_| self.rng.random_range(0..self.looked_at)).collect::<Vec<_>>();
        self.check(session, old).await;
        self.check(session, self.looked_at..self.told.len()).await;
        // The last may be open, and will change.
        self.looked_at = self.told.len().saturating_sub(1);
    }

    /// The state of an execution is the one that was accepted.
    async fn check(&mut self, session: &mut Session, jobs: impl IntoIterator<Item = usize>) {
        for job in jobs {
            let stored = self.probe(session, job).await;
            assert_eq!(stored.as_ref(), Some(&self.told[job]), "{}: job {job} is not what was accepted", self.name);
        }
    }

    /// What had no answer was carried out, or was not.
    async fn settle(&mut self, session: &mut Session) {
        let Some((job, after)) = self.unanswered.take() else { return };
        let before = self.told.get(job).cloned();
        let stored = self.probe(session, job).await;
        if stored.as_ref() == Some(&after) {
            self.unanswered_and_done += 1;
            self.told.truncate(job);
            self.told.push(after);
        } else {
            self.unanswered_and_not_done += 1;
            // What was to be started may be queued, or not even that.
            let untouched = before.is_none() && stored.as_ref().is_none_or(|state| state.status == "QUEUED" && state.version == 1);
            assert!(untouched || stored == before, "{}: job {job} was {before:?} or {after:?}, now it is {stored:?}", self.name);
        }
    }

    /// The stored state of an execution, if it exists.
    async fn probe(&mut self, session: &mut Session, job: usize) -> Option<State> {
        self.probes += 1;
        let body = json!({ "status": "IN_PROGRESS", "expectedVersion": NO_VERSION });
        let (accepted, answer) = session.ask(&format!("{}/update", Jobs::id(job)), body).await.unwrap();
        assert!(!accepted, "{}: an update with a wrong version was accepted: {answer}", self.name);
        if answer["code"] == "ResourceNotFound" {
            return None;
        }
        Some(State::of(&answer["executionState"]))
    }
}

/// One connection of a thing, one request after the other.
struct Session {
    thing: String,
    stream: Stream,
    /// Where it works, if not by MQTT.
    https: Option<Stream>,
    inbound: BytesMut,
    asked: u16,
}

impl Session {
    /// Whether the request was accepted, and the answer. An error when the connection broke.
    async fn work(&mut self, operation: &str, payload: Value) -> io::Result<(bool, Value)> {
        let Some(stream) = &mut self.https else { return self.ask(operation, payload).await };
        let (method, path) = match operation.split_once('/') {
            None => ("PUT", "$next"),
            Some((job, _)) => ("POST", job),
        };
        let (path, body) = (format!("/things/{}/jobs/{path}", self.thing), payload.to_string());
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let exchange = async {
            stream.write_all(request.as_bytes()).await?;
            stream.flush().await?;
            let mut answer = BytesMut::new();
            loop {
                if stream.read_buf(&mut answer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if let Some((head, body)) = std::str::from_utf8(&answer).unwrap().split_once("\r\n\r\n")
                    && let Ok(body) = serde_json::from_str(body)
                {
                    return io::Result::Ok((head.starts_with("HTTP/1.1 200 "), body));
                }
            }
        };
        timeout(DEADLINE, exchange).await.unwrap_or_else(|_| panic!("{}: no answer to {method} {path}", self.thing))
    }

    /// By MQTT: whether the request was accepted, and the answer. An error when the connection broke.
    async fn ask(&mut self, operation: &str, mut payload: Value) -> io::Result<(bool, Value)> {
        self.asked = self.asked % 60_000 + 1;
        let token = json!(self.asked.to_string());
        payload["clientToken"] = token.clone();
        let topic = format!("$aws/things/{}/jobs/{operation}", self.thing);
        let mut publish = Publish::new(&topic, QoS::AtLeastOnce, payload.to_string());
        publish.pkid = self.asked;
        let mut out = BytesMut::new();
        publish.write(&mut out).unwrap();
        let exchange = async {
            self.stream.write_all(&out).await?;
            self.stream.flush().await?;
            loop {
                let Packet::Publish(message) = read_packet(&mut self.stream, &mut self.inbound).await? else { continue };
                out.clear();
                PubAck::new(message.pkid).write(&mut out).unwrap();
                self.stream.write_all(&out).await?;
                self.stream.flush().await?;
                let answer: Value = serde_json::from_slice(&message.payload).unwrap();
                if let Some(leg) = message.topic.strip_prefix(&topic)
                    && answer["clientToken"] == token
                {
                    return io::Result::Ok((leg == "/accepted", answer));
                }
            }
        };
        timeout(DEADLINE, exchange).await.unwrap_or_else(|_| panic!("{}: no answer to {operation}", self.thing))
    }
}
