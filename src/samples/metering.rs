//! What the bill of AWS counts of sessions and messages (PROTOCOL 16), by what sessions tell.

use iot_jobs::instant::Mono;
use iot_jobs::limits::{metered_minutes, metered_units};
use load_metrics::Metered;
use thing_transport::SessionEvent;
use thing_transport::error::Stage;

/// Meters the things of a shard.
#[derive(Default)]
pub(super) struct Meter {
    /// By place in the shard: since when the thing has an MQTT connection.
    connections: Vec<Option<Mono>>,
}

impl Meter {
    pub(super) fn session(&mut self, slot: usize, event: &SessionEvent<'_>) -> Metered {
        match *event {
            SessionEvent::StageStarted(Stage::Mqtt | Stage::Subscribe) => messages(1),
            SessionEvent::StageEnded { stage: Stage::Mqtt, at, failure: None, .. } => {
                if self.connections.len() <= slot {
                    self.connections.resize(slot + 1, None);
                }
                self.connections[slot] = Some(at);
                Metered::default()
            }
            SessionEvent::ConnectFailed { at, .. } | SessionEvent::Lost { at, .. } | SessionEvent::Closed { at } => {
                let since = self.connections.get_mut(slot).and_then(Option::take);
                Metered { messages: 0, connection_minutes: since.map_or(0, |since| metered_minutes(at.since(since))) }
            }
            SessionEvent::MessageOut { topic, payload } if self.is_connected(slot) => messages(topic.len() + payload.len()),
            // Whatever a thing gets it acknowledges.
            SessionEvent::MessageIn { topic, payload } if self.is_connected(slot) => {
                let mut metered = messages(topic.len() + payload.len());
                metered += messages(1);
                metered
            }
            // The bodies of HTTP.
            SessionEvent::MessageOut { payload, .. } | SessionEvent::MessageIn { payload, .. } => messages(payload.len()),
            SessionEvent::PublishRepeated { bytes } => messages(bytes),
            _ => Metered::default(),
        }
    }

    fn is_connected(&self, slot: usize) -> bool {
        self.connections.get(slot).is_some_and(Option::is_some)
    }
}

/// One of so many bytes.
fn messages(bytes: usize) -> Metered {
    Metered { messages: metered_units(bytes), connection_minutes: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Mono {
        Mono(0) + Duration::from_secs(seconds)
    }

    fn sum(meter: &mut Meter, slot: usize, events: &[SessionEvent<'_>]) -> (u64, u64) {
        let mut sum = Metered::default();
        events.iter().for_each(|event| sum += meter.session(slot, event));
        (sum.messages, sum.connection_minutes)
    }

    #[test]
    fn a_session_over_mqtt_is_billed_by_packets_and_begun_minutes() {
        let mut meter = Meter::default();
        let connack = SessionEvent::StageEnded { stage: Stage::Mqtt, started: at(0), at: at(1), failure: None };
        let come = [SessionEvent::StageStarted(Stage::Tcp), SessionEvent::StageStarted(Stage::Mqtt), connack];
        assert_eq!(sum(&mut meter, 3, &come), (1, 0), "CONNECT");
        let long = vec![0; 5_120];
        let work = [
            SessionEvent::StageStarted(Stage::Subscribe),
            SessionEvent::MessageOut { topic: "t", payload: b"{}" },
            SessionEvent::MessageIn { topic: "t", payload: &long },
            SessionEvent::PublishRepeated { bytes: 40 },
        ];
        assert_eq!(sum(&mut meter, 3, &work), (1 + 1 + (2 + 1) + 1, 0), "the topic counts, and PUBACK");
        assert_eq!(sum(&mut meter, 3, &[SessionEvent::Closed { at: at(61) }]), (0, 1), "60 s");
        assert_eq!(sum(&mut meter, 3, &[SessionEvent::Closed { at: at(90) }]), (0, 0), "once");
        sum(&mut meter, 3, &come);
        assert_eq!(sum(&mut meter, 3, &[SessionEvent::Closed { at: at(62) }]), (0, 2), "61 s");
    }

    #[test]
    fn over_http_bodies_are_billed_and_no_minutes() {
        let exchange = [
            SessionEvent::MessageOut { topic: "GET /things/a/jobs", payload: &[] },
            SessionEvent::MessageIn { topic: "200 GET /things/a/jobs", payload: b"{}" },
            SessionEvent::Closed { at: at(600) },
        ];
        assert_eq!(sum(&mut Meter::default(), 0, &exchange), (2, 0));
    }
}
