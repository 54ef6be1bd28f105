//! What a thing says of itself all the while, whatever its jobs are: messages on a topic of its own, by a schedule that nothing that
//! happens to them changes.

use crate::thing_template::ThingTemplate;
use iot_jobs::instant::Mono;
use iot_jobs::{ThingName, limits};
use rand::RngExt;
use sim_units::periodic::{Due, Period, Purposes, Schedule};
use sim_units::seed::{self, Purpose};
use std::sync::Arc;

const PURPOSES: Purposes = Purposes { phase: Purpose::TelemetryPhase, jitter: Purpose::TelemetryJitter };
/// Fills a payload up to its length.
const FILLER: u8 = b'.';

/// `"dt/{thing}/state"`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTemplate(ThingTemplate);

impl TopicTemplate {
    /// # Errors
    /// With what is wrong, when no thing could publish there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let template = ThingTemplate::parse(text)?;
        if text.starts_with('$') {
            return Err("topics that start with $ belong to the service".to_owned());
        }
        if let Some(found) = text.chars().find(|c| matches!(c, '+' | '#' | '\0')) {
            return Err(format!("a topic to publish on cannot have {found:?}"));
        }
        let slashes = text.matches('/').count();
        if slashes > limits::TOPIC_SLASHES_MAX {
            return Err(format!("it has {slashes} slashes, and AWS takes {}", limits::TOPIC_SLASHES_MAX));
        }
        Ok(Self(template))
    }

    /// The topic of a thing.
    #[must_use]
    pub fn topic(&self, thing: &ThingName, index: u64) -> String {
        self.0.text(thing, index)
    }
}

impl std::fmt::Display for TopicTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How long payloads are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadBytes {
    /// Always as many.
    Constant(u32),
    /// From one to the other, both included.
    Uniform(u32, u32),
}

impl PayloadBytes {
    /// `"uniform(100, 400)"`: lengths of payloads.
    ///
    /// # Errors
    /// With what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let max = limits::PAYLOAD_BYTES_MAX;
        let wrong =
            |why: &str| Err(format!("{text:?} is no length of payloads: {why}; write it like 256 or \"uniform(100, 400)\""));
        let arguments = text.trim().strip_prefix("uniform(").and_then(|rest| rest.strip_suffix(')'));
        let Some((low, high)) = arguments.and_then(|arguments| arguments.split_once(',')) else {
            return wrong("it is not uniform(LEAST, MOST)");
        };
        let number = |text: &str| text.trim().replace('_', "").parse::<u32>().ok().filter(|bytes| *bytes as usize <= max);
        match (number(low), number(high)) {
            (Some(low), Some(high)) if low <= high => Ok(Self::Uniform(low, high)),
            (Some(_), Some(_)) => wrong("the second value is below the first"),
            _ => wrong(&format!("lengths are whole numbers from 0 to {max}")),
        }
    }
}

/// What the telemetry of a fleet has in common.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetrySettings {
    /// Where each thing publishes.
    pub topic: TopicTemplate,
    /// How often, and with how much jitter.
    pub period: Period,
    /// Lengths of payloads.
    pub bytes: PayloadBytes,
    /// At QoS 1, which is acknowledged; otherwise at QoS 0.
    pub is_acknowledged: bool,
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Of this thing.
    pub topic: String,
    /// Thing, number, filler.
    pub payload: Vec<u8>,
    /// At QoS 1; otherwise at QoS 0.
    pub is_acknowledged: bool,
    /// When the schedule wanted it; when it left, if that was before.
    pub intended: Mono,
    /// How many after it are over too, and will not be made up for.
    pub lost: u64,
}

/// The telemetry of one thing.
#[derive(Debug)]
pub struct Telemetry {
    settings: Arc<TelemetrySettings>,
    seed: u64,
    /// Index of the thing, for its random streams.
    thing: u64,
    schedule: Schedule,
    /// The next message; nothing once no more are wanted.
    due: Option<Due>,
}

impl Telemetry {
    /// `origin`: where its schedule begins.
    #[must_use]
    pub fn new(settings: Arc<TelemetrySettings>, seed: u64, thing: u64, origin: Mono) -> Self {
        let mut schedule = Schedule::new(settings.period, PURPOSES, seed, thing, origin);
        let due = Some(schedule.next(origin));
        Self { settings, seed, thing, schedule, due }
    }

    /// Whether each message waits for an acknowledgement.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.settings.is_acknowledged
    }

    /// Where its messages go.
    #[must_use]
    pub fn topic(&self, name: &ThingName) -> String {
        self.settings.topic.topic(name, self.thing)
    }

    /// The message that is due, if one is: also when its time is no more than [`EARLY_MAX`](crate::EARLY_MAX) away.
    pub fn poll_transmit(&mut self, name: &ThingName, now: Mono) -> Option<Message> {
        let due = self.due?;
        let intended = crate::intended(due.at, now)?;
        let next = self.schedule.next(now);
        self.due = Some(next);
        Some(Message {
            topic: self.topic(name),
            payload: self.payload(due.number),
            is_acknowledged: self.settings.is_acknowledged,
            intended,
            lost: next.lost,
        })
    }

    /// When to call [`Self::poll_transmit`] again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.due.map(|due| due.at)
    }

    /// Nobody could send what was due until `now`: it is lost. Says how much that is.
    pub fn lose_until(&mut self, now: Mono) -> u64 {
        let mut lost = 0;
        while self.due.is_some_and(|due| due.at <= now) {
            let next = self.schedule.next(now);
            lost += 1 + next.lost;
            self.due = Some(next);
        }
        lost
    }

    /// From now on nothing is due.
    pub fn handle_drain(&mut self) {
        self.due = None;
    }

    /// Thing and number, and filler up to the length.
    fn payload(&self, number: u64) -> Vec<u8> {
        let bytes = match self.settings.bytes {
            PayloadBytes::Constant(bytes) => bytes,
            PayloadBytes::Uniform(low, high) => {
                seed::rng(self.seed, self.thing, Purpose::TelemetrySize, number).random_range(low..=high)
            }
        };
        let mut payload = format!("{} {number} ", self.thing).into_bytes();
        payload.resize(bytes as usize, FILLER);
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ORIGIN: Mono = Mono(50_000_000_000);
    const EVERY: Duration = Duration::from_secs(10);

    fn telemetry(bytes: PayloadBytes) -> Telemetry {
        let topic = TopicTemplate::parse("dt/{thing}/{index}").unwrap();
        let period = Period { every: EVERY, jitter: 0.0 };
        Telemetry::new(Arc::new(TelemetrySettings { topic, period, bytes, is_acknowledged: true }), 42, 7, ORIGIN)
    }

    fn name() -> ThingName {
        ThingName::new("t-7").unwrap()
    }

    #[test]
    fn templates_are_read_and_written_back() {
        for text in ["dt/{thing}/state", "{index}", "a/{thing}-{index}/b", "plain"] {
            assert_eq!(TopicTemplate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(TopicTemplate::parse("dt/{thing}/{index}").unwrap().topic(&name(), 7), "dt/t-7/7");
    }

    #[test]
    fn a_template_no_thing_could_publish_on_says_why() {
        for (text, why) in [
            ("", "empty"),
            ("dt/{name}", "there is no field {name}"),
            ("dt/{thing", "a { has no }"),
            ("dt/thing}", "a } has no {"),
            ("$aws/things/{thing}", "belong to the service"),
            ("dt/+/state", "cannot have '+'"),
            ("dt/#", "cannot have '#'"),
            ("1/2/3/4/5/6/7/8/9", "8 slashes"),
        ] {
            let error = TopicTemplate::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn every_time_of_the_schedule_is_sent_or_lost() {
        let mut telemetry = telemetry(PayloadBytes::Constant(20));
        let first = telemetry.poll_timeout().unwrap();
        assert!(telemetry.poll_transmit(&name(), first - crate::EARLY_MAX - Duration::from_nanos(1)).is_none());
        let message = telemetry.poll_transmit(&name(), first).unwrap();
        assert_eq!((&*message.topic, message.intended, message.lost), ("dt/t-7/7", first, 0));
        assert_eq!(message.payload, b"7 0 ................");
        // Away from 1.5 to 4.5 periods after the first: the second, third and fourth after it are lost.
        assert_eq!(telemetry.lose_until(first + EVERY / 2), 0);
        let early = first + EVERY - crate::EARLY_MAX;
        assert_eq!(telemetry.poll_transmit(&name(), early).unwrap().intended, early);
        assert_eq!(telemetry.lose_until(first + EVERY * 9 / 2), 3);
        assert_eq!(telemetry.poll_timeout(), Some(first + 5 * EVERY));
        // Standing still for 3 periods: the two that waited longest are late, the others lost.
        let late = first + EVERY * 17 / 2;
        let sent: Vec<_> = std::iter::from_fn(|| telemetry.poll_transmit(&name(), late)).collect();
        assert_eq!(
            sent.iter().map(|message| (message.intended, message.lost)).collect::<Vec<_>>(),
            [(first + 5 * EVERY, 2), (first + 6 * EVERY, 0)]
        );
        assert_eq!(telemetry.poll_timeout(), Some(first + 9 * EVERY));
        telemetry.handle_drain();
        assert_eq!((telemetry.poll_timeout(), telemetry.lose_until(first + 99 * EVERY)), (None, 0));
    }

    #[test]
    fn payloads_are_drawn_from_seed_thing_and_number() {
        let lengths = || {
            let mut telemetry = telemetry(PayloadBytes::Uniform(3, 400));
            let next = |_| {
                let at = telemetry.poll_timeout().unwrap();
                telemetry.poll_transmit(&name(), at).unwrap().payload.len()
            };
            (0..200).map(next).collect::<Vec<_>>()
        };
        let drawn = lengths();
        assert_eq!(drawn, lengths());
        assert!(drawn.iter().all(|bytes| (3..=400).contains(bytes)));
        assert!(drawn.iter().any(|bytes| *bytes < 100) && drawn.iter().any(|bytes| *bytes > 300));
    }

    #[test]
    fn lengths_of_payloads() {
        assert_eq!(PayloadBytes::parse("uniform(100, 4_000)"), Ok(PayloadBytes::Uniform(100, 4_000)));
        for wrong in
            ["", "256", "uniform(400, 100)", "uniform(1)", "uniform(1, 2", "exp(3)", "uniform(-1, 2)", "uniform(0, 131_073)"]
        {
            assert!(PayloadBytes::parse(wrong).is_err(), "{wrong}");
        }
    }
}
