//! What happens to a fleet, or to the endpoint, on purpose.

use std::time::Duration;
use strum::IntoStaticStr;

/// What happens to the fleet or the endpoint, `at` after the first connect arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPlan {
    pub at: Duration,
    pub kind: EventKind,
}

#[derive(Clone, Debug, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum EventKind {
    /// Things lose their connections, stay away for a while, if only for no time, and come back by their policy.
    Disconnect { who: Affected, lasts: Duration },
    /// Things lose their connections and find no way to the endpoint until it is over.
    Outage { who: Affected, lasts: Duration },
    /// Things lose their connections and try again in the same moment.
    ReconnectStorm { who: Affected },
    /// The endpoint is stopped, and after that time started again with all that it knew.
    EndpointRestart { lasts: Duration },
    /// The endpoint stands still: it answers nothing, and nothing is lost.
    EndpointFreeze { lasts: Duration },
}

impl EventKind {
    /// Its word in a scenario.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// How long it lasts.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        match *self {
            Self::ReconnectStorm { .. } => Duration::ZERO,
            Self::Disconnect { lasts, .. }
            | Self::Outage { lasts, .. }
            | Self::EndpointRestart { lasts }
            | Self::EndpointFreeze { lasts } => lasts,
        }
    }

    /// The things it is for; `None` where it happens to the endpoint.
    #[must_use]
    pub fn who(&self) -> Option<&Affected> {
        match self {
            Self::Disconnect { who, .. } | Self::Outage { who, .. } | Self::ReconnectStorm { who } => Some(who),
            Self::EndpointRestart { .. } | Self::EndpointFreeze { .. } => None,
        }
    }
}

/// A part of the fleet, or of one cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct Affected {
    pub share: f64,
    pub cohort: Option<String>,
}
