//! The bare loop: one thread, one task a session, nothing measured but the loop itself.

use crate::client::{self, Store, Stream, read_packet};
use crate::{Ask, CONNECTS_IN_PROGRESS, Load, Measured, Options, Usage};
use bytes::BytesMut;
use host::clock;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubAck, Publish};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// From the last connect to the first measured moment.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the answers to one request of each thing may take.
const ROUND_TIMEOUT: Duration = Duration::from_secs(60);

/// What the tasks of the bare loop tell each other.
struct Shared {
    ask: Ask,
    pairs: Cell<u64>,
    answer_bytes: Cell<usize>,
    stop: Cell<bool>,
}

pub(crate) fn run(options: &Options) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let shared =
            Rc::new(Shared { ask: options.ask.clone(), pairs: Cell::new(0), answer_bytes: Cell::new(0), stop: Cell::new(false) });
        let endpoint = options.store.endpoint(options.address);
        let gate = Rc::new(Semaphore::new(CONNECTS_IN_PROGRESS));
        let config = |n| options.store.credentials(&Store::thing_name(n)).config(&endpoint.tls);
        let configs: Vec<_> = (0..options.things).map(config).collect();
        let started = clock::mono();
        let connecting: Vec<_> = configs
            .into_iter()
            .enumerate()
            .map(|(n, config)| {
                let (gate, endpoint, shared) = (Rc::clone(&gate), endpoint.clone(), Rc::clone(&shared));
                let (load, filters) = (options.load, options.filters);
                tokio::task::spawn_local(async move {
                    let permit = gate.acquire().await.unwrap();
                    let mut stream = client::connect(&Store::thing_name(n), config, &endpoint, filters).await?;
                    drop(permit);
                    if load == Load::Ask {
                        ask_once(n, &mut stream, &shared).await?;
                    }
                    io::Result::Ok(stream)
                })
            })
            .collect();
        let mut streams = Vec::new();
        let mut measured = Measured::default();
        for task in connecting {
            match task.await.unwrap() {
                Ok(stream) => streams.push(stream),
                Err(error) => measured.fail(&error),
            }
        }
        measured.connects_per_s = streams.len() as f64 / clock::mono().since(started).as_secs_f64();
        match options.load {
            Load::Connect | Load::Ask => measured.generator = Usage::mine(),
            Load::Round => round(options, streams, &shared, &mut measured).await,
            Load::Pairs | Load::Rate | Load::Idle => measure(options, streams, &shared, &mut measured).await,
        }
        measured.answer_bytes = shared.answer_bytes.get();
        measured
    })
}

/// The load goes on for some seconds; what it costs meanwhile.
async fn measure(options: &Options, streams: Vec<Stream>, shared: &Rc<Shared>, measured: &mut Measured) {
    let count = streams.len();
    let tasks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(n, stream)| {
            let (shared, load, every) = (Rc::clone(shared), options.load, options.every);
            let phase = every.mul_f64((options.turn)(n, count));
            tokio::task::spawn_local(async move { session(n, stream, load, (phase, every), &shared).await })
        })
        .collect();
    tokio::time::sleep(SETTLE).await;
    let (mine, theirs, before, began) = (Usage::mine(), options.look_at_endpoint(), shared.pairs.get(), clock::mono());
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    measured.pairs = shared.pairs.get() - before;
    measured.seconds = clock::mono().since(began).as_secs_f64();
    measured.generator = Usage::mine().since(mine);
    measured.endpoint = options.look_at_endpoint().since(theirs);
    shared.stop.set(true);
    for task in tasks {
        if task.is_finished() {
            if let Err(error) = task.await.unwrap() {
                measured.fail(&error);
            }
        } else {
            task.abort();
        }
    }
}

/// Every thing is connected; every thing asks once.
async fn round(options: &Options, streams: Vec<Stream>, shared: &Rc<Shared>, measured: &mut Measured) {
    let (mine, theirs, began) = (Usage::mine(), options.look_at_endpoint(), clock::mono());
    let tasks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(n, mut stream)| {
            let shared = Rc::clone(shared);
            tokio::task::spawn_local(async move {
                tokio::time::timeout(ROUND_TIMEOUT, ask_once(n, &mut stream, &shared)).await??;
                io::Result::Ok(stream)
            })
        })
        .collect();
    let mut streams = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(stream) => streams.push(stream),
            Err(error) => measured.fail(&error),
        }
    }
    measured.pairs = shared.pairs.get();
    measured.seconds = clock::mono().since(began).as_secs_f64();
    measured.generator = Usage::mine().since(mine);
    measured.endpoint = options.look_at_endpoint().since(theirs);
}

async fn ask_once(n: usize, stream: &mut Stream, shared: &Shared) -> io::Result<()> {
    let mut out = BytesMut::new();
    ask(n, 0, stream, &mut BytesMut::new(), &mut out, shared).await?;
    stream.write_all(&out).await?;
    stream.flush().await
}

/// Sends what is in `out` and a request, and reads the answer; its PUBACK is left in `out`.
async fn ask(
    n: usize,
    number: u64,
    stream: &mut Stream,
    bytes: &mut BytesMut,
    out: &mut BytesMut,
    shared: &Shared,
) -> io::Result<()> {
    // The token is as long as an agent's.
    let (operation, payload) = match &shared.ask {
        Ask::StartNext => ("start-next".into(), format!("{{\"clientToken\":\"{n:x}-{number:x}\"}}")),
        Ask::Next => ("$next/get".into(), format!("{{\"clientToken\":\"{n:x}-{number:x}\"}}")),
        Ask::Update(job) => {
            (format!("{job}/update"), format!("{{\"status\":\"IN_PROGRESS\",\"clientToken\":\"{n:x}-{number:x}\"}}"))
        }
    };
    let mut publish = Publish::new(format!("$aws/things/{}/jobs/{operation}", Store::thing_name(n)), QoS::AtLeastOnce, payload);
    publish.pkid = (number % 60_000) as u16 + 1;
    publish.write(out).unwrap();
    stream.write_all(out).await?;
    stream.flush().await?;
    out.clear();
    loop {
        if let Packet::Publish(answer) = read_packet(stream, bytes).await? {
            PubAck::new(answer.pkid).write(out).unwrap();
            // A notification may come between.
            if answer.topic.ends_with("/accepted") {
                shared.answer_bytes.set(answer.payload.len());
                shared.pairs.set(shared.pairs.get() + 1);
                return Ok(());
            }
            if answer.topic.ends_with("/rejected") {
                return Err(io::Error::other(format!("rejected: {}", String::from_utf8_lossy(&answer.payload))));
            }
        }
    }
}

async fn session(
    n: usize,
    mut stream: Stream,
    load: Load,
    (phase, every): (Duration, Duration),
    shared: &Shared,
) -> io::Result<()> {
    let (mut bytes, mut out) = (BytesMut::new(), BytesMut::new());
    let mut next = tokio::time::Instant::now() + phase;
    if load == Load::Idle {
        read_packet(&mut stream, &mut bytes).await?;
        return Ok(());
    }
    for number in 0u64.. {
        if load == Load::Rate {
            tokio::time::sleep_until(next).await;
            next += every;
        }
        if shared.stop.get() {
            break;
        }
        ask(n, number, &mut stream, &mut bytes, &mut out, shared).await?;
        // Back to back, the PUBACK leaves with the next request.
        if load == Load::Rate {
            stream.write_all(&out).await?;
            stream.flush().await?;
            out.clear();
        }
    }
    Ok(())
}
