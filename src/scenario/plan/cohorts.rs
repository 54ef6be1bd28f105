//! What the things of a cohort have in common.

use iot_jobs::NamespaceId;
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};
use thing_agent::arrivals::ArrivalKind;
use thing_agent::backoff::Backoff;
use thing_agent::workflow::Workflow;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConnectPlan {
    /// Of the whole fleet, or of the whole cohort, per second.
    pub rate_per_s: f64,
    pub arrival: ArrivalKind,
    /// Connects in progress at once, over all shards.
    pub in_progress: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CohortPlan {
    pub name: String,
    pub share: f64,
    pub workflow: Workflow,
    /// Whose jobs its things hear of and ask for; `None`: those without a namespace.
    pub namespace: Option<NamespaceId>,
    /// A key of [`super::Plan::behaviors`].
    pub behavior: String,
    /// Files that documents name must be signed by who is known to sign them.
    pub verify_signature: bool,
    /// `None`: its things arrive with those of the fleet.
    pub connect: Option<ConnectPlan>,
    pub session: SessionPlan,
}

/// How a thing speaks with the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Transport {
    /// MQTT 3.1.1 over mutual TLS.
    Mqtt,
    /// MQTT 5 over mutual TLS.
    Mqtt5,
    /// MQTT 3.1.1 over a WebSocket, whose upgrade is signed (Signature Version 4).
    MqttWs,
    /// HTTPS over mutual TLS.
    HttpsMtls,
    /// HTTPS, each request signed (Signature Version 4).
    HttpsSigv4,
}

impl Transport {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// There are no notifications: a thing has to ask.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::HttpsMtls | Self::HttpsSigv4)
    }

    /// Things sign with an access key, and show no certificate.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::MqttWs | Self::HttpsSigv4)
    }
}

/// What a session of a thing is like; `[fleet]` gives it, a cohort may override it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPlan {
    pub transport: Transport,
    /// Whether a session ends with its connection; otherwise the endpoint keeps it while the thing is away.
    pub clean_session: bool,
    pub keep_alive: Duration,
    pub reconnect: Backoff,
    pub connect_timeout: Duration,
    pub answer_timeout: Duration,
    pub retry: Backoff,
}
