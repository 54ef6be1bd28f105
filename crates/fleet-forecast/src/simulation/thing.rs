//! One thing, its connection, and what it does besides its jobs.

use crate::meter::{Connection, Window};
use crate::settings::{Protocol, Settings};
use iot_jobs::instant::Mono;
use std::time::Duration;
use thing_agent::JobsAgent;
use thing_agent::backoff::ReconnectBackoff;
use thing_agent::telemetry::Telemetry;
use thing_faults::{Fault, FaultSpec, Per, Unit};

/// How far a thing is with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has none, and is planned to make one.
    Down,
    /// It waits for a place among the connects in progress.
    Waiting,
    /// It makes one.
    Connecting,
    /// It has one, on which nothing is subscribed to yet.
    Joined,
    /// It is up, since then.
    Up { since: Mono },
}

pub(super) struct Thing {
    pub(super) agent: JobsAgent,
    pub(super) state: State,
    /// Number of its connection; what belongs to another one is stale.
    pub(super) epoch: u32,
    /// The one wake that counts.
    pub(super) armed: Mono,
    /// Of the present attempt: when the plan wanted it, and when it began.
    pub(super) intended: Mono,
    pub(super) started: Mono,
    /// When TCP and TLS are done with it.
    pub(super) dialled: Mono,
    pub(super) secured: Mono,
    /// When the session before was lost.
    pub(super) lost: Option<Mono>,
    /// Whether an event of the scenario cost it that.
    pub(super) is_cut: bool,
    pub(super) comeback: ReconnectBackoff,
    /// Whether it has a place among the connects in progress.
    pub(super) is_in_gate: bool,
    pub(super) connects: Window,
    pub(super) connection: Option<Box<Connection>>,
    /// Messages keep their order: when the last one to it arrives.
    pub(super) heard_at: Mono,
    pub(super) telemetry: Option<Box<Telemetry>>,
    pub(super) sessions: u32,
    /// Attempts that still show an expired certificate.
    pub(super) expired: u32,
}

impl Thing {
    pub(super) fn new(settings: &Settings, place: usize) -> Self {
        let fleet = &settings.fleet;
        let index = fleet.first_index + place as u64;
        // A thing begins with its arrival: before that nothing of it is due.
        let arrival = settings.origin.mono + fleet.arrivals[place];
        let cohort = &fleet.cohorts[usize::from(fleet.cohort_of[place])];
        let telemetry = cohort.telemetry.as_ref();
        Self {
            agent: JobsAgent::new(cohort.agent.clone(), index, arrival),
            state: State::Down,
            epoch: 0,
            armed: Mono::FAR_FUTURE,
            intended: arrival,
            started: arrival,
            dialled: arrival,
            secured: arrival,
            lost: None,
            is_cut: false,
            comeback: ReconnectBackoff::default(),
            is_in_gate: false,
            connects: Window::default(),
            connection: None,
            heard_at: arrival,
            telemetry: telemetry.map(|common| Box::new(Telemetry::new(common.clone(), settings.seed, index, arrival))),
            sessions: 0,
            expired: expired_attempts(&cohort.faults, settings.seed, index),
        }
    }

    /// Whether it has a connection over which messages go.
    pub(super) fn is_joined(&self) -> bool {
        matches!(self.state, State::Joined | State::Up { .. })
    }

    /// When it, or its telemetry, wants to be woken.
    pub(super) fn wants_waking(&self) -> Option<Mono> {
        let agent = self.agent.poll_timeout().map(|(at, _)| at);
        let telemetry = self.telemetry.as_ref().filter(|_| matches!(self.state, State::Up { .. })).and_then(|it| it.poll_timeout());
        [agent, telemetry].into_iter().flatten().min()
    }
}

impl Protocol {
    pub(super) fn is_clean(self) -> bool {
        !matches!(self, Self::Mqtt { is_clean: false })
    }
}

/// How often the thing is turned away before it has renewed its certificate.
fn expired_attempts(faults: &[FaultSpec], seed: u64, index: u64) -> u32 {
    let spec = faults.iter().find(|spec| spec.fault == Fault::ExpiredCertificate);
    spec.filter(|spec| spec.draw(seed, index, Unit::THING).is_some()).map_or(0, |spec| spec.count(0))
}

/// How long the connection of this number holds, where it does not last.
pub(super) fn flapping(faults: &[FaultSpec], seed: u64, index: u64, session: u32) -> Option<Duration> {
    let spec = faults.iter().find(|spec| spec.fault == Fault::Flapping)?;
    let session = Unit::session(session.into());
    let mut strike = spec.draw(seed, index, if spec.per == Per::Session { session } else { Unit::THING })?;
    if spec.per == Per::Thing {
        // Within a thing that is struck, every connection draws its own time.
        strike = spec.strike(seed, index, session);
    }
    Some(strike.time(spec.time(0)))
}
