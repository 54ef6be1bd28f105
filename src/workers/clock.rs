//! How far the clock of this host is from the leader's: asked a few times, and the shortest round trip counts, as NTP has it.

use super::message::ClockReading;
use async_nats::Client;
use host::clock;
use iot_jobs::instant::Mono;
use std::time::Duration;

/// Questions, of which the fastest counts.
const QUESTIONS: usize = 8;
/// For an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A question and its answer.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    asked: Mono,
    asked_epoch_ns: i64,
    answered: Mono,
    leader_epoch_ns: i64,
}

/// Asks whoever answers on this subject.
///
/// # Errors
/// When not one answer came; for people.
pub(super) async fn read(client: &Client, subject: String) -> Result<ClockReading, String> {
    let mut exchanges = Vec::new();
    let mut last = String::new();
    for _ in 0..QUESTIONS {
        let (asked, asked_epoch_ns) = (clock::mono(), clock::epoch_ns());
        let answer = tokio::time::timeout(ANSWER_LIMIT, client.request(subject.clone(), bytes::Bytes::new())).await;
        let answered = clock::mono();
        match answer {
            Ok(Ok(message)) => match std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok()) {
                Some(leader_epoch_ns) => exchanges.push(Exchange { asked, asked_epoch_ns, answered, leader_epoch_ns }),
                None => last = "its answer is no time".into(),
            },
            Ok(Err(error)) => last = error.to_string(),
            Err(_elapsed) => last = format!("no answer within {} s", ANSWER_LIMIT.as_secs()),
        }
    }
    best(&exchanges).ok_or_else(|| format!("ask the leader for the time: {last}"))
}

fn best(exchanges: &[Exchange]) -> Option<ClockReading> {
    let round_trip = |exchange: &Exchange| exchange.answered.since(exchange.asked);
    let fastest = exchanges.iter().min_by_key(|exchange| round_trip(exchange))?;
    let half_ns = i64::try_from(round_trip(fastest).as_nanos() / 2).ok()?;
    let offset_ns = fastest.leader_epoch_ns.checked_sub(fastest.asked_epoch_ns.checked_add(half_ns)?)?;
    Some(ClockReading { offset_us: offset_ns / 1_000, uncertainty_us: half_ns / 1_000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_answer_tells_how_far_the_clocks_are_apart() {
        let exchange = |rtt_ms: u64, ahead_ms: i64| Exchange {
            asked: Mono(5_000_000_000),
            asked_epoch_ns: 1_000_000_000_000,
            answered: Mono(5_000_000_000) + Duration::from_millis(rtt_ms),
            leader_epoch_ns: 1_000_000_000_000 + ahead_ms * 1_000_000,
        };
        assert_eq!(best(&[]), None);
        let reading = best(&[exchange(90, 400), exchange(10, 105), exchange(30, 115)]).unwrap();
        assert_eq!(reading, ClockReading { offset_us: 100_000, uncertainty_us: 5_000 });
        assert_eq!(best(&[Exchange { leader_epoch_ns: i64::MIN, ..exchange(10, 0) }]), None, "no clock is there");
    }
}
