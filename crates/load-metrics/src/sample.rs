//! One measured operation, as a `Copy` value without text.

use iot_jobs::instant::Mono;
use iot_jobs::{ExecutionStatus, JobId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use strum::{Display, EnumCount, EnumString, IntoStaticStr, VariantArray};

/// What is measured. The order is the order of every table.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumCount,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Gate passed -> subscribed, the whole of it.
    Connect,
    /// TCP connection asked for -> established.
    ConnectTcp,
    /// TLS handshake begun -> complete.
    ConnectTls,
    /// CONNECT -> CONNACK.
    ConnectMqtt,
    /// SUBSCRIBE -> last SUBACK.
    Subscribe,
    /// Session lost -> subscribed again.
    Reconnect,
    /// `GetPendingJobExecutions`: asked -> answered (PROTOCOL 6.1).
    GetPending,
    /// `StartNextPendingJobExecution`: asked -> answered (PROTOCOL 6.2).
    StartNext,
    /// `DescribeJobExecution`: asked -> answered (PROTOCOL 6.3).
    Describe,
    /// `UpdateJobExecution`: asked -> answered (PROTOCOL 6.4).
    Update,
    /// Head changed at the service while subscribed -> seen by the thing; where the service shows no ledger, at most that long.
    NotifyNext,
    /// The same, at least that long: only where the service shows no ledger.
    NotifyNextAtLeast,
    /// Subscribed -> first `notify-next` of the session that names an execution.
    FirstNotification,
    /// Notified -> terminal update accepted.
    Execution,
    /// PUBLISH -> PUBACK of a QoS 1 request.
    Puback,
    /// PUBLISH -> PUBACK of a QoS 1 telemetry message; at QoS 0 such messages are counted, and have no time.
    Telemetry,
    /// The file of a job: asked for -> whole, and found good.
    Download,
}

impl Operation {
    /// Its name in files and thresholds.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether service and response time are two different things for it.
    #[must_use]
    pub fn has_response(self) -> bool {
        !self.is_long()
    }

    /// Whether it is broken down by cohort and transport too.
    #[must_use]
    pub fn is_scoped(self) -> bool {
        self.is_connecting()
            || matches!(
                self,
                Self::GetPending
                    | Self::StartNext
                    | Self::Describe
                    | Self::Update
                    | Self::FirstNotification
                    | Self::Execution
                    | Self::Telemetry
                    | Self::Download
            )
    }

    /// Whether it is a way to get a session, or a stage of it.
    #[must_use]
    pub fn is_connecting(self) -> bool {
        matches!(self, Self::Connect | Self::ConnectTcp | Self::ConnectTls | Self::ConnectMqtt | Self::Subscribe | Self::Reconnect)
    }

    /// Whether it may last days: recorded in milliseconds up to 30 days instead of microseconds up to 1 hour.
    #[must_use]
    pub fn is_long(self) -> bool {
        matches!(self, Self::NotifyNext | Self::NotifyNextAtLeast | Self::FirstNotification | Self::Execution)
    }
}

/// Which of the two times of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Measure {
    /// Sent -> answered.
    Service,
    /// Intended -> answered.
    Response,
}

impl Measure {
    /// Its name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It was answered as it should be.
    Ok,
    /// The service answered `rejected`, or refused the connection or a subscription.
    Rejected,
    /// No answer within its deadline.
    Timeout,
    /// It broke: connection lost, protocol error.
    Error,
}

/// Which things a sample belongs to, besides `all`: indices into the run's cohorts and transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Index into the run's cohorts.
    pub cohort: u16,
    /// Index into the run's transports.
    pub transport: u8,
}

/// One finished operation: `service = finished - sent`, `response = finished - intended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What was done.
    pub operation: Operation,
    /// By which things.
    pub scope: Scope,
    /// How it ended.
    pub outcome: Outcome,
    /// When the plan said it should start.
    pub intended: Mono,
    /// When its first byte was handed to the socket.
    pub sent: Mono,
    /// When its end was seen.
    pub finished: Mono,
}

impl Sample {
    /// From sent to finished.
    #[must_use]
    pub fn service(&self) -> Duration {
        self.finished.since(self.sent)
    }

    /// From intended to finished; equals the service time where nothing was planned.
    #[must_use]
    pub fn response(&self) -> Duration {
        self.finished.since(self.intended)
    }
}

/// What a thing says of one of its executions: a row of the things' side of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingEvent {
    /// Place in the fleet, from 0.
    pub thing: u32,
    /// The job it is about.
    pub job: JobId,
    /// Which execution of the job on this thing, from 1 (PROTOCOL 9.3).
    pub execution_number: i64,
    /// When the thing saw it.
    pub at: Mono,
    /// What it saw.
    pub kind: ThingEventKind,
}

/// What a thing can say of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThingEventKind {
    /// `notify-next` named it.
    Notified,
    /// `start-next` handed it out.
    Started,
    /// An `IN_PROGRESS` report was accepted.
    Updated,
    /// An update was refused.
    Refused,
    /// Work went on after a lost session.
    Reconnected,
    /// The terminal update was accepted.
    Finished(ExecutionStatus),
    /// The service no longer offers it: canceled, removed, deleted, timed out.
    Gone,
}
