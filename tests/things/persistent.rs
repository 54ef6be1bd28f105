//! Sessions that outlive their connections.

use crate::odd::{Tls, meet_as, operation, packet, send};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const SUBSCRIBE: u8 = 0x82;
const PUBLISH_QOS_1: u8 = 0x32;
const DUP: u8 = 0x08;

/// What one endpoint was sent after CONNECT, by client id and connection: first bytes, and bodies of what was published.
type Heard = Arc<Mutex<BTreeMap<String, Vec<Vec<(u8, Vec<u8>)>>>>>;

/// The version and flags of a CONNECT, and its client id.
fn connect(body: &[u8]) -> (u8, u8, String) {
    let (version, flags) = (body[6], body[7]);
    // MQTT 5 has properties before the client id.
    let after = if version == 5 { 11 + usize::from(body[10]) } else { 10 };
    (version, flags, String::from_utf8(body[after + 2..].to_vec()).unwrap())
}

/// An endpoint that ends the first connection of each thing after its first request, unacknowledged; then says whether it still has the
/// session, and acknowledges everything.
fn forgetful(session_present: bool, heard: &Heard) -> impl Fn(Tls) + Send + Sync + 'static {
    let heard = Arc::clone(heard);
    move |mut stream: Tls| {
        let Ok((_, body)) = packet(&mut stream) else { return };
        let (version, flags, client) = connect(&body);
        assert_eq!(flags & 2, 0, "clean");
        let connection = {
            let mut heard = heard.lock().unwrap();
            let connections = heard.entry(client.clone()).or_default();
            connections.push(Vec::new());
            connections.len() - 1
        };
        send(&mut stream, &connack(version, session_present && connection > 0));
        while let Ok((first, body)) = packet(&mut stream) {
            if first == SUBSCRIBE {
                send(&mut stream, &suback(version, &body));
            }
            heard.lock().unwrap().get_mut(&client).unwrap()[connection].push((first, body.clone()));
            if first & !DUP == PUBLISH_QOS_1 {
                if connection == 0 {
                    return;
                }
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                send(&mut stream, &[0x40, 2, body[2 + topic], body[3 + topic]]);
            }
        }
    }
}

fn connack(version: u8, session_present: bool) -> Vec<u8> {
    let flags = u8::from(session_present);
    if version == 5 { vec![0x20, 3, flags, 0, 0] } else { vec![0x20, 2, flags, 0] }
}

fn suback(version: u8, subscribe: &[u8]) -> Vec<u8> {
    let [high, low] = [subscribe[0], subscribe[1]];
    if version == 5 { vec![0x90, 7, high, low, 0, 1, 1, 1, 1] } else { vec![0x90, 6, high, low, 1, 1, 1, 1] }
}

fn meet_forgetful(transport: &str, session_present: bool) -> (Heard, serde_json::Value) {
    let heard = Heard::default();
    let transport = format!("fleet.transport='{transport}'");
    let (errors, exit, manifest) = meet_as(&[&transport, "fleet.clean_session=false"], forgetful(session_present, &heard));
    assert_eq!(exit, 99, "it acknowledges, and never answers: {errors:?}");
    assert_eq!(heard.lock().unwrap().len(), 2);
    (heard, manifest)
}

#[test]
fn a_resumed_session_is_not_subscribed_again_and_what_was_not_acknowledged_comes_first() {
    for transport in ["mqtt", "mqtt5"] {
        let (heard, manifest) = meet_forgetful(transport, true);
        for (client, connections) in heard.lock().unwrap().iter() {
            let [first, second, ..] = &connections[..] else { panic!("{client} did not come back") };
            assert_eq!(first.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [SUBSCRIBE, PUBLISH_QOS_1]);
            assert_eq!(second[0], (PUBLISH_QOS_1 | DUP, first[1].1.clone()), "{client}: the same packet, with DUP");
            assert_eq!(second[1].0, PUBLISH_QOS_1, "{client}: a new request");
            assert!(second.iter().all(|(first, _)| *first != SUBSCRIBE), "{client}");
        }
        let puback = operation(&manifest, "puback");
        assert_eq!((&puback["error"], &puback["timeout"]), (&0.into(), &0.into()), "nothing is lost: {puback}");
        assert_eq!((&operation(&manifest, "subscribe")["ok"], &operation(&manifest, "connect")["ok"]), (&2.into(), &4.into()));
        assert_eq!(operation(&manifest, "reconnect")["ok"], 2);
    }
}

#[test]
fn a_session_that_is_gone_is_begun_anew_and_what_was_not_acknowledged_is_lost() {
    for transport in ["mqtt", "mqtt5"] {
        let (heard, manifest) = meet_forgetful(transport, false);
        for (client, connections) in heard.lock().unwrap().iter() {
            let second: Vec<u8> = connections[1].iter().map(|(first, _)| *first).collect();
            assert_eq!(second[..2], [SUBSCRIBE, PUBLISH_QOS_1], "{client}");
        }
        assert_eq!(operation(&manifest, "puback")["error"], 2);
        assert_eq!(operation(&manifest, "subscribe")["ok"], 4);
    }
}
