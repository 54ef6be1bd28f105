//! What things say of themselves arrives as it was counted.

use crate::odd::{Tls, meet_as, operation, packet, send, welcome};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Numbers of the messages that arrived, by topic, and how long they were.
type Heard = Arc<Mutex<BTreeMap<String, Vec<(u64, usize)>>>>;

/// Acknowledges everything, and ends each connection after `lasts`.
fn listen(heard: &Heard, lasts: Duration) -> impl Fn(Tls) + Send + Sync + 'static {
    let heard = Arc::clone(heard);
    move |mut stream: Tls| {
        welcome(&mut stream);
        let until = Instant::now() + lasts;
        while let Ok((first, body)) = packet(&mut stream) {
            let topic_bytes = usize::from(u16::from_be_bytes([body[0], body[1]]));
            let topic = String::from_utf8(body[2..2 + topic_bytes].to_vec()).unwrap();
            let payload = match first {
                0x32 => {
                    send(&mut stream, &[0x40, 2, body[2 + topic_bytes], body[3 + topic_bytes]]);
                    &body[4 + topic_bytes..]
                }
                0x30 => &body[2 + topic_bytes..],
                _ => continue,
            };
            if topic.starts_with("dt/") {
                let number = String::from_utf8(payload.to_vec()).unwrap().split(' ').nth(1).unwrap().parse().unwrap();
                heard.lock().unwrap().entry(topic).or_default().push((number, payload.len()));
            }
            if Instant::now() >= until {
                return;
            }
        }
    }
}

fn telemetry(qos: u8, lasts: Duration) -> (BTreeMap<String, Vec<(u64, usize)>>, serde_json::Value) {
    let heard = Heard::default();
    let section =
        format!("telemetry={{ topic = 'dt/{{thing}}/{{index}}', every = '50ms', bytes = 'uniform(20, 60)', qos = {qos} }}");
    let (errors, exit, manifest) = meet_as(&[&section], listen(&heard, lasts));
    assert_eq!(exit, 99, "there is no jobs service: {errors:?}");
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.keys().collect::<Vec<_>>(), ["dt/t-0/0", "dt/t-1/1"]);
    assert!(heard.values().flatten().all(|(_, bytes)| (20..=60).contains(bytes)));
    (heard, manifest)
}

fn count(row: &serde_json::Value, key: &str) -> u64 {
    row[key].as_u64().unwrap()
}

#[test]
fn every_message_is_counted_and_timed_by_its_puback() {
    let (heard, manifest) = telemetry(1, Duration::MAX / 4);
    let row = operation(&manifest, "telemetry");
    let sent: u64 = heard.values().map(|messages| messages.len() as u64).sum();
    // What left in the last moment may not have been read any more.
    assert!((sent..=sent + 2).contains(&count(row, "started")), "{row}, {sent} arrived");
    assert_eq!(count(row, "ok") + count(row, "open"), count(row, "started"), "{row}");
    assert!(count(row, "started") >= 80 && row["response_ms"]["p50"].as_f64().unwrap() > 0.0, "{row}");
    for messages in heard.values() {
        let numbers: Vec<u64> = messages.iter().map(|(number, _)| *number).collect();
        assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    }
    assert_eq!(count(operation(&manifest, "puback"), "error"), 0, "requests are counted apart");
}

#[test]
fn at_qos_0_messages_are_counted_and_have_no_time() {
    let (heard, manifest) = telemetry(0, Duration::MAX / 4);
    let row = operation(&manifest, "telemetry");
    let sent: u64 = heard.values().map(|messages| messages.len() as u64).sum();
    assert!((sent..=sent + 2).contains(&count(row, "started")), "{row}, {sent} arrived");
    assert_eq!((count(row, "ok"), count(row, "open")), (count(row, "started"), 0));
    assert!(row["service_ms"].is_null() || row["service_ms"]["p50"].is_null(), "{row}");
}

#[test]
fn what_comes_due_while_a_thing_is_away_is_lost_and_counted() {
    let (heard, manifest) = telemetry(0, Duration::from_millis(600));
    let row = operation(&manifest, "telemetry");
    let lost = count(row, "lost_arrivals");
    assert!(lost >= 10, "{row}");
    // Every number of the schedule was sent or lost, up to the last one that was sent; after that only more can be lost.
    let mut missing = 0;
    for messages in heard.values() {
        let numbers: BTreeSet<u64> = messages.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers.len(), messages.len(), "none is sent twice");
        missing += numbers.last().unwrap() + 1 - numbers.len() as u64;
    }
    let started = count(row, "started");
    let arrived: u64 = heard.values().map(|messages| messages.len() as u64).sum();
    // A message that left as its connection ended is started, and did not arrive.
    assert!(missing <= lost + (started - arrived), "{missing} numbers are missing, {lost} lost, {started} sent, {arrived} arrived");
    assert!(lost <= missing + 40, "{missing} numbers are missing, {lost} lost");
}
