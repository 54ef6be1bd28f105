//! `[telemetry]`.

use super::super::plan::{CohortPlan, FleetPlan};
use super::DAY;
use config_text::{Code, Located, Reader};
use iot_jobs::limits;
use sim_units::periodic::Period;
use std::time::Duration;
use thing_agent::telemetry::{PayloadBytes, TelemetrySettings, TopicTemplate};

/// More often than that is a load of its own kind.
const EVERY_MIN: Duration = Duration::from_millis(10);
const DEFAULT_BYTES: PayloadBytes = PayloadBytes::Constant(256);

fn payload_bytes(reader: &Reader<'_>) -> Option<PayloadBytes> {
    let range = 0..=limits::PAYLOAD_BYTES_MAX as i64;
    let wanted = "a number of bytes, or a distribution such as \"uniform(100, 400)\"";
    reader.integer_or(("bytes", "payload"), wanted, range, |bytes| PayloadBytes::Constant(bytes as u32), PayloadBytes::parse)
}

/// None where the scenario has no such section.
pub(super) fn telemetry(root: &Reader<'_>, fleet: &FleetPlan, cohorts: &[CohortPlan]) -> Option<TelemetrySettings> {
    let reader = root.table(("telemetry", "what every thing publishes in addition to its jobs; without this table nothing"))?;
    let topic =
        reader.with(("topic", "where it publishes, with `{thing}` or `{index}`"), "a topic such as \"dt/{thing}/state\"", |text| {
            TopicTemplate::parse(text).map_err(|why| format!("{text:?} is not a topic of things: {why}"))
        });
    if topic.is_none() && !reader.has("topic") {
        reader.missing("topic", "say where things publish, as in topic = \"dt/{thing}/state\"");
    }
    let every = reader.duration(("every", "time from one message of a thing to its next"), EVERY_MIN..=DAY);
    if every.is_none() && !reader.has("every") {
        reader.missing("every", "say how often each thing publishes, as in every = \"10s\"");
    }
    let jitter = reader.share(("jitter", "part of `every` by which a message may be late")).map_or(0.0, |jitter| jitter.value);
    let bytes = payload_bytes(&reader).unwrap_or(DEFAULT_BYTES);
    let qos = reader.integer(("qos", "MQTT's quality of service"), 0..=1).map_or(1, |qos| qos.value);
    if let Some(topic) = &topic {
        check_length(&reader, topic, fleet);
    }
    if cohorts.iter().all(|cohort| cohort.session.transport.is_http()) {
        let help = "leave telemetry out, or let some cohort speak MQTT: those over HTTPS publish none";
        root.conflict(&root.place_of("telemetry"), "telemetry is published by MQTT, and no cohort speaks it", help);
    }
    reader.finish();
    let period = Period { every: every?.value, jitter };
    Some(TelemetrySettings { topic: topic?.value, period, bytes, is_acknowledged: qos == 1 })
}

fn check_length(reader: &Reader<'_>, Located { value, place }: &Located<TopicTemplate>, fleet: &FleetPlan) {
    let index = fleet.first_index + fleet.things.saturating_sub(1);
    // What is wrong with the name is told where names are made.
    let Ok(name) = fleet.longest_name() else { return };
    let bytes = value.topic(&name, index).len();
    if bytes > limits::TOPIC_BYTES_MAX {
        let message = format!("telemetry.topic makes topics of {bytes} bytes, and AWS takes {}", limits::TOPIC_BYTES_MAX);
        let help = format!("it is for {name}");
        reader.gathered.push(Code::OutOfRange, place, message, Some(help));
    }
}
