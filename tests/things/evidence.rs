//! Runs that show nothing are no passes, and say what they could not do.

use crate::odd::{Met, Tls, fall_silent, meet_as, operation, packet, send, welcome};
use std::sync::{Arc, Mutex};

const PUBLISH_QOS_0: u8 = 0x30;
const PUBLISH_QOS_1: u8 = 0x32;
const SUBSCRIBE: u8 = 0x82;
const SHORT: &str = "end.duration='1200ms'";
const TELEMETRY: &str = "telemetry={ topic = 'dt/{thing}', every = '50ms' }";
const WITHOUT_JOBS: &str = "cohort=[{ name = 'all', workflow = 'none' }]";

fn findings(met: &Met) -> Vec<String> {
    met.2["findings"].as_array().unwrap().iter().map(|finding| finding.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn assert_told(met: &Met, words: &str) {
    let findings = findings(met);
    assert!(findings.iter().any(|finding| finding.contains(words)), "{words}: {findings:?}");
}

/// Transports that need nothing but a certificate, and with the feature those that sign.
fn transports() -> Vec<&'static str> {
    let signed: &[&str] = if cfg!(feature = "aws") { &["mqtt-ws", "https-sigv4"] } else { &[] };
    ["mqtt", "mqtt5", "https-mtls"].into_iter().chain(signed.iter().copied()).collect()
}

#[test]
fn a_fleet_of_which_nobody_connects_is_an_error_for_every_transport_and_every_end() {
    let transport = |transport: &str| vec![format!("fleet.transport='{transport}'"), SHORT.to_owned()];
    let ends = ["{ when = 'idle', idle = '1s', limit = '1500ms' }", "{ when = 'executions-done', expect = 3, limit = '1500ms' }"];
    let ends = ends.map(|end| vec![format!("end={end}")]);
    for sets in transports().into_iter().map(transport).chain(ends) {
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let met = meet_as(&sets, drop);
        assert_eq!((met.1, &met.2["verdict"]), (1, &"ERROR".into()), "{sets:?}: {:?}", findings(&met));
        assert_told(&met, "failed to reach the endpoint: not one of 2 things could connect in ");
    }
}

#[test]
fn a_fleet_that_nobody_answers_has_failed_and_says_what_it_asked() {
    let silent = |mut stream: Tls| {
        welcome(&mut stream);
        fall_silent(stream);
    };
    for sets in [&["end.duration='1500ms'"][..], &["fleet.timeouts.answer='20s'", "end.duration='4s'"]] {
        let met = meet_as(sets, silent);
        assert_eq!((met.1, &met.2["verdict"]), (99, &"FAIL".into()), "{sets:?}: {:?}", findings(&met));
        assert_told(&met, "start_next: not one of ");
        assert_told(&met, "is there a jobs service behind the endpoint?");
        assert_told(&met, "puback: not one of ");
    }
}

/// Acknowledges everything, and answers nothing.
fn broker(seen: &Arc<Mutex<Vec<u8>>>) -> impl Fn(Tls) + Send + Sync + 'static {
    let seen = Arc::clone(seen);
    move |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0x20, 2, 0, 0]);
        while let Ok((first, body)) = packet(&mut stream) {
            seen.lock().unwrap().push(first);
            match first {
                SUBSCRIBE => send(&mut stream, &[0x90, 6, body[0], body[1], 1, 1, 1, 1]),
                PUBLISH_QOS_1 => {
                    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    send(&mut stream, &[0x40, 2, body[2 + topic], body[3 + topic]]);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn telemetry_at_a_broker_without_a_jobs_service_passes_without_jobs_and_fails_with_them() {
    let seen = Arc::default();
    let met = meet_as(&[TELEMETRY], broker(&seen));
    assert_eq!(met.1, 99, "{:?}", findings(&met));
    assert_told(&met, "start_next: not one of ");
    assert_told(&met, "workflow = \"none\"");

    let seen = Arc::default();
    let met = meet_as(&[TELEMETRY, WITHOUT_JOBS], broker(&seen));
    assert_eq!((met.1, met.0.len()), (0, 0), "{:?} {:?}", met.0, findings(&met));
    assert!(operation(&met.2, "telemetry")["ok"].as_u64().unwrap() >= 20);
    let operations: Vec<&str> =
        met.2["totals"]["operations"].as_array().unwrap().iter().map(|row| row["operation"].as_str().unwrap()).collect();
    assert!(!operations.contains(&"subscribe") && !operations.contains(&"start_next"), "{operations:?}");
    let seen = seen.lock().unwrap();
    assert!(seen.contains(&PUBLISH_QOS_1) && !seen.contains(&SUBSCRIBE), "nothing is subscribed to");
}

#[test]
fn shares_of_silence_are_told_and_fail_nothing() {
    let asked = Arc::new(Mutex::new(0u32));
    let met = meet_as(&[], move |mut stream: Tls| {
        welcome(&mut stream);
        while let Ok((first, body)) = packet(&mut stream) {
            if first != PUBLISH_QOS_1 {
                continue;
            }
            let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
            send(&mut stream, &[0x40, 2, body[2 + topic], body[3 + topic]]);
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            if *asked > 4 {
                let answer = String::from_utf8(body[2..2 + topic].to_vec()).unwrap() + "/accepted";
                let length = (answer.len() as u16).to_be_bytes();
                let message = [&length[..], answer.as_bytes(), &body[4 + topic..]].concat();
                send(&mut stream, &[&[PUBLISH_QOS_0, message.len() as u8][..], &message].concat());
            }
        }
    });
    assert_eq!(met.1, 0, "{:?}", findings(&met));
    assert_told(&met, "without an answer within its deadline: 4 of ");
}

/// Closes the connection upon the first packet of this kind.
fn deny(denied: u8) -> impl Fn(Tls) + Send + Sync + 'static {
    move |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0x20, 2, 0, 0]);
        while let Ok((first, body)) = packet(&mut stream) {
            if first == denied {
                stream.conn.send_close_notify();
                let _ = stream.conn.complete_io(&mut stream.sock);
                return;
            }
            if first == SUBSCRIBE {
                send(&mut stream, &[0x90, 6, body[0], body[1], 1, 1, 1, 1]);
            }
        }
    }
}

#[test]
fn a_connection_closed_upon_a_packet_says_which_and_what_usually_stands_behind_it() {
    let at_qos_0 = "telemetry={ topic = 'dt/{thing}', every = '50ms', qos = 0 }";
    for (denied, sets, words) in [
        (SUBSCRIBE, &[][..], ["closed right after SUBSCRIBE $aws/things/t-", "iot:Subscribe"]),
        (PUBLISH_QOS_1, &[], ["closed right after PUBLISH $aws/things/t-", "iot:Publish"]),
        (PUBLISH_QOS_1, &[WITHOUT_JOBS, TELEMETRY], ["closed right after PUBLISH dt/t-", "iot:Publish"]),
        (PUBLISH_QOS_0, &[WITHOUT_JOBS, at_qos_0], ["closed right after PUBLISH dt/t-", "iot:Publish"]),
    ] {
        let met = meet_as(sets, deny(denied));
        let errors = met.2["totals"]["errors"].as_array().unwrap();
        let examples: Vec<&str> = errors.iter().map(|error| error["example"].as_str().unwrap()).collect();
        let is_told = |example: &&str| words.iter().all(|word| example.contains(word));
        assert!(examples.iter().any(is_told), "{denied:x}: {examples:?}");
    }
}

#[test]
fn an_endpoint_that_invents_jobs_does_not_fill_the_memory() {
    const JOBS: usize = 12_000;
    let met = meet_as(&["end.duration='8s'", "fleet.timeouts.answer='8s'"], |mut stream: Tls| {
        welcome(&mut stream);
        for n in 0..JOBS {
            for thing in ["t-0", "t-1"] {
                let topic = format!("$aws/things/{thing}/jobs/notify-next");
                let execution = format!(
                    r#"{{"jobId":"{thing}-{n}","status":"QUEUED","queuedAt":1,"lastUpdatedAt":1,"versionNumber":1,"executionNumber":1}}"#
                );
                let payload = format!(r#"{{"timestamp":1,"execution":{execution}}}"#);
                let body = [&(topic.len() as u16).to_be_bytes()[..], topic.as_bytes(), payload.as_bytes()].concat();
                send(&mut stream, &[&[PUBLISH_QOS_0, body.len() as u8 & 0x7f | 0x80, (body.len() >> 7) as u8][..], &body].concat());
            }
        }
        fall_silent(stream);
    });
    assert_eq!(met.1, 98, "{:?}", findings(&met));
    assert_told(&met, "the endpoint announces more jobs or executions than are followed");
    assert_eq!(met.2["totals"]["rollouts"].as_array().unwrap().len(), 5_000);
    let memory = met.2["totals"]["generator"]["rss_bytes_max"].as_u64().unwrap();
    assert!(memory < 250_000_000, "{memory}");
}
