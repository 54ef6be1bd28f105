//! The table of faults: one row each. Scenario words, `docs/FAULTS.md` and `tests/faults.rs` are made from it.

use super::{Per, Setting};
use enumset::EnumSetType;
use serde::{Deserialize, Serialize};
use sim_units::distribution::Distribution;
use std::time::Duration;
use strum::IntoStaticStr;

/// What can be made to go wrong with a thing, in the order of the table.
#[derive(Debug, PartialOrd, Ord, Hash, EnumSetType, Serialize, Deserialize)]
pub enum Fault {
    /// A reboot in the middle of a job (PROTOCOL 18.1).
    CrashInProgress,
    /// A job that is never reported on again (PROTOCOL 9.5).
    Stall,
    /// An update with an `expectedVersion` that is over (PROTOCOL 6.4).
    StaleVersion,
    /// An update that is sent twice.
    DuplicateUpdate,
    /// An update of an execution that has ended (PROTOCOL 9.2).
    UpdateAfterTerminal,
    /// A value of `statusDetails` that is too long (PROTOCOL 3).
    OversizedDetails,
    /// A value of `statusDetails` with a line break (PROTOCOL 2 fact 12).
    ControlCharacterDetails,
    /// Half a payload.
    BadJson,
    /// A topic of no operation (PROTOCOL 8).
    WrongTopic,
    /// Another thing's topic (PROTOCOL 13.7).
    ForeignTopic,
    /// More messages in a second than a connection may send (PROTOCOL 13.5).
    PublishFlood,
    /// No acknowledgement of QoS 1 messages (PROTOCOL 13.4).
    NoPuback,
    /// A client that reads its socket slowly.
    SlowReader,
    /// A client that does not subscribe to `notify-next` (PROTOCOL 7.2).
    NoNotifyNext,
    /// Connections that do not last.
    Flapping,
    /// Two clients with one client id (PROTOCOL 13.2).
    DuplicateClientId,
    /// A certificate that ended yesterday.
    ExpiredCertificate,
}

impl Fault {
    /// What the table says of it.
    #[must_use]
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its name in scenarios and results.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.row().key
    }

    /// The fault of that name.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.key == key).map(|row| row.fault)
    }

    /// Whether it strikes a thing at work, rather than its connection.
    #[must_use]
    pub fn is_of_work(self) -> bool {
        self.row().per.contains(&Per::Execution)
    }

    /// Whether it needs topics, acknowledgements or a client id, which HTTP has not; nor does a connection over HTTP drop by itself.
    #[must_use]
    pub fn is_of_mqtt(self) -> bool {
        matches!(
            self,
            Self::WrongTopic
                | Self::ForeignTopic
                | Self::PublishFlood
                | Self::NoPuback
                | Self::SlowReader
                | Self::NoNotifyNext
                | Self::Flapping
                | Self::DuplicateClientId
        )
    }

    /// Whether it strikes single updates.
    #[must_use]
    pub fn is_of_updates(self) -> bool {
        self.row().per.contains(&Per::Update)
    }
}

/// A parameter of a fault.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in scenarios.
    pub key: &'static str,
    /// What it is when a scenario does not say.
    pub default: Setting,
    /// The least and the most of a number.
    pub range: (u32, u32),
    /// What it is good for, for `docs/FAULTS.md`.
    pub meaning: &'static str,
}

const fn time(key: &'static str, default: Distribution, meaning: &'static str) -> Parameter {
    Parameter { key, default: Setting::Time(default), range: (0, 0), meaning }
}

const fn count(key: &'static str, default: u32, range: (u32, u32), meaning: &'static str) -> Parameter {
    Parameter { key, default: Setting::Count(default), range, meaning }
}

const fn constant(seconds: u64) -> Distribution {
    Distribution::Constant(Duration::from_secs(seconds))
}

const fn uniform(from: u64, to: u64) -> Distribution {
    Distribution::Uniform(Duration::from_secs(from), Duration::from_secs(to))
}

/// How the executions end that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// As the behavior's outcome has drawn, after all.
    AsDrawn,
    /// `TIMED_OUT`, if the job has an in-progress timer (PROTOCOL 9.5).
    TimedOut,
}

/// A column of `summary.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Column {
    /// Operations that were answered with success.
    Ok,
    /// Operations that nobody answered in time.
    Timeout,
    /// Operations that were refused, or failed.
    Error,
    /// Answers that came when nobody waited for them any more.
    LateAnswers,
}

impl Column {
    /// The column's heading.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How far a counter moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// By one with each strike, and by nothing else in a fleet that has only this fault.
    Once,
    /// How far depends on what else goes on.
    Some,
}

/// Where a counter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// A column of `summary.csv`, in the row of the operation.
    Summary(Column),
    /// `kind` and `code` of a row of `errors.csv`.
    Errors(&'static str, &'static str),
}

/// A figure that a fault moves.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    /// The operation as results name it.
    pub operation: &'static str,
    /// Which file and column.
    pub place: Where,
    /// By how much.
    pub times: Times,
}

const fn summary(operation: &'static str, column: Column, times: Times) -> Counter {
    Counter { operation, place: Where::Summary(column), times }
}

const fn errors(operation: &'static str, kind: &'static str, code: &'static str, times: Times) -> Counter {
    Counter { operation, place: Where::Errors(kind, code), times }
}

/// A fault, and all that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which fault.
    pub fault: Fault,
    /// Its name in scenarios and results.
    pub key: &'static str,
    /// What one draw may be about, the default first.
    pub per: &'static [Per],
    /// What a scenario may say of it.
    pub parameters: &'static [Parameter],
    /// When it happens, within a unit that is struck.
    pub trigger: &'static str,
    /// What the thing does.
    pub thing: &'static str,
    /// What the endpoint does then, and where that is written.
    pub endpoint: &'static str,
    /// How the execution ends.
    pub ends: Ends,
    /// Its thing may hear late, or never, what it is told: that it did is no anomaly.
    pub is_deaf: bool,
    /// The figures by which a run shows it.
    pub counters: &'static [Counter],
    /// Where real fleets met it.
    pub seen: &'static str,
}

const UPDATES: &[Per] = &[Per::Update, Per::Execution, Per::Thing];
const EXECUTIONS: &[Per] = &[Per::Execution, Per::Thing];
const SESSIONS: &[Per] = &[Per::Session, Per::Thing];
const THINGS: &[Per] = &[Per::Thing];

use Column::{Error, LateAnswers, Ok, Timeout};
use Times::{Once, Some};

/// All faults, in the order of [`Fault`].
pub const TABLE: &[Row] = &[
    Row {
        fault: Fault::CrashInProgress,
        key: "crash_in_progress",
        per: EXECUTIONS,
        parameters: &[time("away", uniform(1, 5), "how long it is gone")],
        trigger: "instead of one of its reports or its end, once an execution; which one is drawn",
        thing: "drops the connection without DISCONNECT and forgets all; comes back, subscribes, asks start-next, and goes on from the statusDetails it finds",
        endpoint: "the execution stays IN_PROGRESS, and start-next hands it out again unchanged (PROTOCOL 6.2, 18.1)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[errors("connect", "lost", "crash_in_progress", Once), summary("reconnect", Ok, Once)],
        seen: "5 % of the updates of AWS's Greengrass Lite failed after a race of its reconnect (aws-greengrass-lite#1046)",
    },
    Row {
        fault: Fault::Stall,
        key: "stall",
        per: EXECUTIONS,
        parameters: &[],
        trigger: "at one of its reports or its end; which one is drawn",
        thing: "reports nothing any more, until notify-next names another execution, or none",
        endpoint: "the in-progress timer ends the execution; without one it blocks the thing's queue for ever (PROTOCOL 9.5)",
        ends: Ends::TimedOut,
        is_deaf: false,
        counters: &[summary("execution", Error, Once)],
        seen: "what waits behind a job that never ends stays QUEUED (aws-greengrass-lite#1151)",
    },
    Row {
        fault: Fault::StaleVersion,
        key: "stale_version",
        per: UPDATES,
        parameters: &[],
        trigger: "at the first try of an update",
        thing: "sends the expectedVersion before the present one; then takes the version from executionState and sends the update again",
        endpoint: "rejects it: VersionMismatch, with executionState (PROTOCOL 8)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[errors("update", "rejected", "VersionMismatch", Once)],
        seen: "VersionMismatch after reconnects made AWS's own agent stop sending expectedVersion (aws-greengrass-lite#1046)",
    },
    Row {
        fault: Fault::DuplicateUpdate,
        key: "duplicate_update",
        per: UPDATES,
        parameters: &[],
        trigger: "at the first try of an update",
        thing: "sends the same request twice, one after the other, with the same clientToken",
        endpoint: "accepts the first and rejects the second: VersionMismatch (PROTOCOL 8, order of checks inferred)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[summary("update", LateAnswers, Once)],
        seen: "QoS 1 delivers at least once, and retries of answered requests made jobs slow (aws-iot-device-client#226)",
    },
    Row {
        fault: Fault::UpdateAfterTerminal,
        key: "update_after_terminal",
        per: EXECUTIONS,
        parameters: &[],
        trigger: "when its end was accepted",
        thing: "reports IN_PROGRESS once more, without expectedVersion",
        endpoint: "rejects it: InvalidStateTransition, with executionState (PROTOCOL 9.2)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[errors("update", "rejected", "InvalidStateTransition", Once)],
        seen: "retrying what no retry can help kept jobs waiting (aws-iot-device-client#226)",
    },
    Row {
        fault: Fault::OversizedDetails,
        key: "oversized_details",
        per: UPDATES,
        parameters: &[],
        trigger: "at the first try of an update",
        thing: "puts 1,025 characters into a value of statusDetails; then sends the update as it should be",
        endpoint: "rejects it: InvalidRequest (PROTOCOL 3)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[errors("update", "rejected", "InvalidRequest", Once)],
        seen: "no report was found; the limit is met by who puts a log into statusDetails",
    },
    Row {
        fault: Fault::ControlCharacterDetails,
        key: "control_character_details",
        per: UPDATES,
        parameters: &[],
        trigger: "at the first try of an update",
        thing: "puts a line break into a value of statusDetails; then sends the update as it should be",
        endpoint: "rejects it: InvalidRequest (PROTOCOL 3)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[errors("update", "rejected", "InvalidRequest", Once)],
        seen: "no report was found; error messages of several lines are the usual way there",
    },
    Row {
        fault: Fault::BadJson,
        key: "bad_json",
        per: UPDATES,
        parameters: &[],
        trigger: "at the first try of an update",
        thing: "sends the first half of the payload; then sends the update as it should be",
        endpoint: "rejects it: InvalidJson, without a clientToken, which it could not read (PROTOCOL 8)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[errors("update", "rejected", "InvalidJson", Once)],
        seen: "payloads of another shape than the documents said, a string where an object belongs (ministack#1584)",
    },
    Row {
        fault: Fault::WrongTopic,
        key: "wrong_topic",
        per: UPDATES,
        parameters: &[],
        trigger: "at the first try of an update",
        thing: "publishes it on jobs/{job}/updates; then sends the update where it should go",
        endpoint: "answers on that topic with /rejected: InvalidTopic, without a clientToken; the connection stays (PROTOCOL 8, where to is inferred)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[errors("update", "rejected", "InvalidTopic", Once)],
        seen: "no answer since the topic lacked its $ (aws-iot-device-sdk-embedded-C#1906)",
    },
    Row {
        fault: Fault::ForeignTopic,
        key: "foreign_topic",
        per: UPDATES,
        parameters: &[],
        trigger: "at the first try of an update",
        thing: "publishes it on the topic of another thing; connects again, and sends the update where it should go",
        endpoint: "closes the connection; over MQTT 5 it rejects the message in its PUBACK, and answers nothing (PROTOCOL 13.7)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[summary("update", Error, Once), summary("reconnect", Ok, Once)],
        seen: "a policy that does not allow the topic closes the connection without a message (aws-iot-device-sdk-python-v2#260)",
    },
    Row {
        fault: Fault::PublishFlood,
        key: "publish_flood",
        per: UPDATES,
        parameters: &[count("publishes", 300, (1, 10_000), "messages of QoS 0 on dt/{thing}/flood")],
        trigger: "right before the first try of an update",
        thing: "publishes as many messages as it can at once, then the update, and sends that again when no answer comes",
        endpoint: "with quotas it discards what is over 100 a second, the update too, without a PUBACK, or over MQTT 5 with one that rejects it; without quotas it takes all (PROTOCOL 13.5)",
        ends: Ends::AsDrawn,
        is_deaf: true,
        counters: &[summary("update", Timeout, Some), summary("puback", Timeout, Some)],
        seen: "no report was found; the limit of a connection is no quota that can be raised (PROTOCOL 15.2)",
    },
    Row {
        fault: Fault::NoPuback,
        key: "no_puback",
        per: SESSIONS,
        parameters: &[time("for", constant(30), "how long, from CONNACK; then it acknowledges all")],
        trigger: "from CONNACK on",
        thing: "acknowledges no message of QoS 1",
        endpoint: "sends no more of them once 100 are unacknowledged, answers and notifications alike (PROTOCOL 13.4)",
        ends: Ends::AsDrawn,
        is_deaf: true,
        counters: &[summary("update", Timeout, Some)],
        seen: "a client that publishes from the task that reads freezes both (rumqtt#1025)",
    },
    Row {
        fault: Fault::SlowReader,
        key: "slow_reader",
        per: SESSIONS,
        parameters: &[
            count("bytes_per_s", 64, (0, 1_000_000), "bytes it reads in a second; 0: none at all"),
            time("for", constant(10), "how long, from SUBACK; then it reads as fast as it can"),
        ],
        trigger: "from SUBACK on",
        thing: "leaves what the endpoint sends in its socket; times out on answers that have arrived, and asks again",
        endpoint: "writes until the socket is full, then waits; a client that takes nothing for long is cut",
        ends: Ends::AsDrawn,
        is_deaf: true,
        counters: &[summary("start_next", Timeout, Some), summary("start_next", LateAnswers, Some)],
        seen: "reports sent from the thread that waits for the network block it (aws-iot-device-client#123)",
    },
    Row {
        fault: Fault::NoNotifyNext,
        key: "no_notify_next",
        per: SESSIONS,
        parameters: &[time("ask_again", constant(30), "how soon an idle thing asks start-next by itself")],
        trigger: "when it subscribes",
        thing: "leaves notify-next out; finds its jobs when it connects, when it has ended one, and when it asks again",
        endpoint: "notifies only subscribers (PROTOCOL 7.2)",
        ends: Ends::AsDrawn,
        is_deaf: true,
        counters: &[],
        seen: "reply topics that were never subscribed to (aws-iot-device-sdk-embedded-C#1906); a missed notify-next leaves a job QUEUED for ever (aws-greengrass-lite#1151)",
    },
    Row {
        fault: Fault::Flapping,
        key: "flapping",
        per: &[Per::Thing, Per::Session],
        parameters: &[time("up", uniform(1, 5), "how long a connection lasts, from CONNACK")],
        trigger: "some time after CONNACK",
        thing: "drops the connection without DISCONNECT, and connects again as its reconnect policy says",
        endpoint: "closes the session; work goes on where it was (PROTOCOL 18.4)",
        ends: Ends::AsDrawn,
        is_deaf: false,
        counters: &[errors("connect", "lost", "flapping", Once)],
        seen: "memory of a broker tripled when 10,000 clients came back faster (mosquitto#2830)",
    },
    Row {
        fault: Fault::DuplicateClientId,
        key: "duplicate_client_id",
        per: THINGS,
        parameters: &[
            time("for", constant(20), "how long the other one lives, from the thing's first CONNACK"),
            time("again", constant(2), "how soon it comes back when it was disconnected"),
        ],
        trigger: "when the thing has connected for the first time",
        thing: "another one with its certificate and client id connects, and again whenever it was disconnected; the thing does the same as its reconnect policy says",
        endpoint: "lets each new one in and disconnects the other (PROTOCOL 13.2)",
        ends: Ends::AsDrawn,
        is_deaf: true,
        counters: &[summary("reconnect", Ok, Some)],
        seen: "devices of one image kick each other out; a client id that does not fit the policy is dropped silently (mosquitto#785)",
    },
    Row {
        fault: Fault::ExpiredCertificate,
        key: "expired_certificate",
        per: THINGS,
        parameters: &[count("attempts", 3, (1, 1_000_000_000), "times it tries; then its certificate has been renewed")],
        trigger: "at its first connects",
        thing: "shows a certificate of yesterday, and tries again as its reconnect policy says",
        endpoint: "refuses the certificate: TLS alert, before or instead of CONNACK (PROTOCOL 13.2)",
        ends: Ends::AsDrawn,
        is_deaf: true,
        counters: &[summary("connect", Error, Once)],
        seen: "no report was found; devices that were off when their certificate was to be renewed",
    },
];
