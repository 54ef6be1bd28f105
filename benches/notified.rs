//! When a message to every thing has reached every thing: connects, subscribes, says so, then waits for one `notify-next` each.
//!
//! ```text
//! notified --address A --dir DIR --things N --seconds S
//! ```
//! One line of JSON on stdout when all are subscribed, and one when all were notified, or after S seconds: how many were, and when the
//! first and the last were, in nanoseconds of `CLOCK_MONOTONIC`.

#[path = "client/mod.rs"]
mod client;

use bytes::BytesMut;
use client::{Store, read_packet};
use host::clock;
use iot_jobs::instant::Mono;
use rumqttc::mqttbytes::v4::{Packet, PubAck};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

const CONNECTS_IN_PROGRESS: usize = 64;

fn main() {
    // `cargo test --benches` and `cargo bench` without arguments have nothing to wait for.
    let arguments: Vec<String> = std::env::args().collect();
    let flag = |name: &str| arguments.iter().position(|argument| argument == name).and_then(|place| arguments.get(place + 1));
    let (Some(address), Some(dir), Some(things), Some(seconds)) =
        (flag("--address"), flag("--dir"), flag("--things"), flag("--seconds"))
    else {
        return;
    };
    let _ = fleetsim::preflight::facts();
    let (things, seconds) = (things.parse().expect("a number of things"), seconds.parse().expect("a number of seconds"));
    let store = Store(dir.into());
    let endpoint = store.endpoint(address.parse().expect("an address"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let gate = Rc::new(Semaphore::new(CONNECTS_IN_PROGRESS));
        let moments = Rc::new(RefCell::new(Vec::<Mono>::with_capacity(things)));
        let (subscribed, mut all_subscribed) = tokio::sync::mpsc::channel(things);
        let tasks: Vec<_> = (0..things)
            .map(|n| {
                let (gate, moments, endpoint, subscribed) =
                    (Rc::clone(&gate), Rc::clone(&moments), endpoint.clone(), subscribed.clone());
                let config = store.credentials(&Store::thing_name(n)).config(&endpoint.tls);
                tokio::task::spawn_local(async move {
                    let permit = gate.acquire().await.unwrap();
                    let mut stream = client::connect(&Store::thing_name(n), config, &endpoint, &["notify-next"]).await?;
                    drop(permit);
                    subscribed.send(()).await.unwrap();
                    drop(subscribed);
                    let mut bytes = BytesMut::new();
                    loop {
                        if let Packet::Publish(message) = read_packet(&mut stream, &mut bytes).await? {
                            moments.borrow_mut().push(clock::mono());
                            bytes.clear();
                            PubAck::new(message.pkid).write(&mut bytes).unwrap();
                            stream.write_all(&bytes).await?;
                            stream.flush().await?;
                            return std::io::Result::Ok(stream);
                        }
                    }
                })
            })
            .collect();
        drop(subscribed);
        let mut count = 0;
        while all_subscribed.recv().await.is_some() {
            count += 1;
        }
        println!("{}", serde_json::json!({ "event": "subscribed", "things": count }));
        // Nobody leaves before the last one was notified.
        let mut streams = Vec::with_capacity(things);
        let all = async {
            for task in tasks {
                match task.await.unwrap() {
                    Ok(stream) => streams.push(stream),
                    Err(error) => eprintln!("a thing failed: {error}"),
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(seconds), all).await;
        let moments = moments.borrow();
        let of = |moment: Option<&Mono>| moment.map(|moment| moment.0);
        let (first, last) = (of(moments.iter().min()), of(moments.iter().max()));
        println!("{}", serde_json::json!({ "notified": moments.len(), "first_ns": first, "last_ns": last }));
    });
}
