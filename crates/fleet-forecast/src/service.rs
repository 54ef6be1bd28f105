//! The endpoint: its sessions, quotas and faults, its queue, and the engine behind them. What is to leave it is returned.

use crate::meter::{AccountMeter, Connection, Window};
use crate::settings::{Fleet, ServiceSettings, Settings};
use iot_jobs::instant::{Mono, Now};
use iot_jobs::ledger::LedgerRow;
use iot_jobs::{
    ControlError, CreateJob, ErrorCode, JobDescription, JobId, NamespaceId, Notification, Rejection, Reply, Request, Subscription,
    ThingName,
};
use jobs_engine::engine::{Engine, NamespaceInterest, Notified};
use jobs_engine::faults::{Faults, message};
use jobs_engine::quotas::{QuotaName, Quotas};
use jobs_engine::server_queue::ServerQueue;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A session as the endpoint sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Session {
    #[default]
    None,
    Up,
    /// Its client is away, and may come back by then.
    Kept {
        until: Mono,
    },
}

/// What becomes of a request.
pub(crate) enum Disposition {
    /// It is handled, or refused, at `due`.
    Handle { due: Mono, refusal: Option<Rejection> },
    /// It is never heard of again.
    Drop,
}

pub(crate) struct Service {
    engine: Engine,
    pub(crate) meter: AccountMeter,
    quotas: Quotas,
    faults: Faults,
    queue: Option<ServerQueue>,
    session_expiry: Duration,
    /// Whether all that a request waits for is in the times of the network already.
    is_timeless: bool,
    names: Arc<[ThingName]>,
    places: HashMap<ThingName, u32>,
    /// By cohort.
    namespaces: Vec<Option<NamespaceId>>,
    /// By place.
    cohort_of: Vec<u16>,
    /// By place.
    sessions: Vec<Session>,
    /// Of clients that are away.
    stored: HashMap<u32, Vec<Notification>>,
    /// Between the wall clock and the other one.
    origin: Now,
}

impl Service {
    pub(crate) fn new(settings: &Settings, is_timeless: bool) -> Self {
        let Settings { fleet: Fleet { names, cohort_of, cohorts, .. }, groups, service, origin, .. } = settings;
        let ServiceSettings { engine: config, quotas, enforcement, faults, session_expiry } = service;
        let mut engine = Engine::new(config.clone());
        names.iter().for_each(|name| engine.create_thing(name));
        let mut built = Self {
            meter: AccountMeter::new(quotas.clone(), *enforcement, origin.mono),
            queue: faults.plan.server.map(|server| ServerQueue::new(server.workers)),
            faults: Faults::new(faults.clone()),
            quotas: quotas.clone(),
            session_expiry: *session_expiry,
            is_timeless,
            places: names.iter().cloned().zip(0..).collect(),
            names: Arc::clone(names),
            namespaces: cohorts.iter().map(|cohort| cohort.agent.namespace.clone()).collect(),
            cohort_of: cohort_of.clone(),
            sessions: vec![Session::None; names.len()],
            stored: HashMap::new(),
            origin: *origin,
            engine,
        };
        for (group, members) in groups {
            built.engine.create_group(group);
            for place in members.iter() {
                // Both are there.
                let _ = built.engine.add_thing_to_group(&names[*place as usize], group, *origin);
            }
        }
        built
    }

    fn now(&self, mono: Mono) -> Now {
        Now { mono, epoch_ms: self.origin.epoch_ms + mono.since(self.origin.mono).as_millis() as i64 }
    }

    // -------------------------------------------------------------------------------------------------------- connections

    /// A CONNECT; `None`: it is not let in. With whether the session of before goes on.
    pub(crate) fn connect(&mut self, thing: u32, own: &mut Window, is_clean: bool, now: Mono) -> Option<(Connection, bool)> {
        let name = &self.names[thing as usize];
        let connection = self.meter.connect(name.as_str(), own, now)?;
        let is_kept = matches!(self.sessions[thing as usize], Session::Kept { until } if now < until) && !is_clean;
        self.sessions[thing as usize] = Session::Up;
        if is_kept {
            self.engine.handle_presence(name, true);
        } else {
            self.stored.remove(&thing);
            self.engine.handle_subscription(name, false, false);
            self.engine.handle_presence(name, true);
        }
        Some((connection, is_kept))
    }

    /// When the endpoint ends the connection that begins now, if it is told to.
    pub(crate) fn lifetime(&self, thing: u32) -> Option<Duration> {
        self.faults.lifetime(&self.names[thing as usize])
    }

    /// A connection has ended.
    pub(crate) fn disconnect(&mut self, thing: u32, connection: &Connection, is_clean: bool, now: Mono) {
        self.meter.disconnect(connection, now);
        let name = &self.names[thing as usize];
        if is_clean || self.session_expiry.is_zero() {
            self.sessions[thing as usize] = Session::None;
            self.engine.handle_subscription(name, false, false);
        } else {
            self.sessions[thing as usize] = Session::Kept { until: now + self.session_expiry };
            self.engine.handle_presence(name, false);
        }
    }

    /// A SUBSCRIBE; how many of its filters are granted.
    pub(crate) fn subscribe(&mut self, thing: u32, filters: &[Subscription], now: Mono) -> usize {
        let granted = self.meter.subscribe(filters.len(), now);
        let has = |subscription| filters[..granted].contains(&subscription);
        let (notify, notify_next) = (has(Subscription::Notify), has(Subscription::NotifyNext));
        let (name, namespace) = (&self.names[thing as usize], self.namespace_of(thing));
        match namespace.cloned() {
            None => self.engine.handle_subscription(name, notify, notify_next),
            namespace => {
                self.engine.handle_subscription(name, false, false);
                self.engine.handle_namespaces(name, vec![NamespaceInterest { namespace, notify, notify_next }]);
            }
        }
        granted
    }

    fn namespace_of(&self, thing: u32) -> Option<&NamespaceId> {
        self.namespaces[usize::from(self.cohort_of[thing as usize])].as_ref()
    }

    /// What was stored while the client was away.
    pub(crate) fn take_stored(&mut self, thing: u32) -> Vec<Notification> {
        self.stored.remove(&thing).unwrap_or_default()
    }

    // ----------------------------------------------------------------------------------------------------------- requests

    /// What becomes of a request of the data plane that has come.
    pub(crate) fn admit(&mut self, thing: u32, request: &Request, now: Mono) -> Disposition {
        let fault = self.faults.request(&self.names[thing as usize]);
        let is_throttled = !self.meter.request(request.body.kind(), now);
        if fault.is_dropped {
            return Disposition::Drop;
        }
        let throttled = || Rejection::new(ErrorCode::RequestThrottled, message(ErrorCode::RequestThrottled));
        let refusal = if is_throttled { Some(throttled()) } else { fault.refusal };
        if self.is_timeless {
            return Disposition::Handle { due: now, refusal };
        }
        let departure = match (&mut self.queue, fault.service) {
            (Some(queue), Some(service)) if refusal.is_none() => queue.enter(now, service),
            _ => now,
        };
        Disposition::Handle { due: departure + fault.latency.unwrap_or_default(), refusal }
    }

    /// The reply to a request; where it is refused on purpose, or as what it is, the engine never hears of it.
    pub(crate) fn reply(&mut self, thing: u32, request: &Request, refusal: Option<Rejection>, now: Mono) -> Reply {
        let now = self.now(now);
        match refusal {
            Some(rejection) => {
                let result = Err(rejection);
                Reply { client_token: request.client_token.clone(), timestamp: Some(now.epoch_seconds()), result }
            }
            None => {
                let namespace = self.namespace_of(thing).cloned();
                self.engine.handle_request_in(namespace.as_ref(), &self.names[thing as usize], request, now)
            }
        }
    }

    /// When an answer of now leaves.
    pub(crate) fn answer_leaves(&mut self, thing: u32, now: Mono) -> Mono {
        self.meter.emitted(now);
        self.faults.answer(&self.names[thing as usize], || now).unwrap_or(now)
    }

    /// When a notification of now leaves.
    pub(crate) fn notification_leaves(&mut self, thing: u32, now: Mono) -> Mono {
        self.meter.emitted(now);
        self.faults.notification(&self.names[thing as usize], || now).unwrap_or(now)
    }

    // ------------------------------------------------------------------------------------------------------------- engine

    /// When the engine wants to be woken.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        self.engine.poll_timeout().map(|(at, _)| at)
    }

    pub(crate) fn handle_timeout(&mut self, now: Mono) {
        let now = self.now(now);
        self.engine.handle_timeout(now);
    }

    pub(crate) fn poll_change(&mut self) -> Option<LedgerRow> {
        self.engine.poll_change()
    }

    /// The next notification for a client that is there; for others it is stored, or nothing.
    pub(crate) fn poll_notification(&mut self) -> Option<(u32, Notification)> {
        loop {
            let Notified { thing: name, notification, .. } = self.engine.poll_notification()?;
            let thing = self.places[&name];
            match self.sessions[thing as usize] {
                Session::Up => return Some((thing, notification)),
                Session::Kept { .. } => self.stored.entry(thing).or_default().push(notification),
                Session::None => {}
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------ control plane

    /// # Errors
    /// When the service refuses the job.
    pub(crate) fn create_job(&mut self, create: CreateJob, now: Mono) -> Result<(), ControlError> {
        self.meter.control_plane("CreateJob", now);
        self.meter.held(QuotaName::TargetsPerJob, create.targets.len() as u64, self.quotas.targets_per_job, now);
        if let Some(rate) = create.config.rollout.maximum_per_minute {
            self.meter.held(QuotaName::RolloutPerMinute, rate.into(), self.quotas.rollout_per_minute, now);
        }
        let now = self.now(now);
        self.engine.create_job(create, now)
    }

    /// So many jobs are in progress.
    pub(crate) fn jobs_in_progress(&mut self, count: u64, now: Mono) {
        self.meter.held(QuotaName::ActiveJobs, count, self.quotas.active_jobs, now);
        self.meter.held(QuotaName::ConcurrentJobs, self.engine.concurrent_jobs() as u64, self.quotas.concurrent_jobs, now);
    }

    /// A call that changes nothing; `None`: the job is there no more.
    pub(crate) fn describe_job(&mut self, job: &JobId, now: Mono) -> Option<JobDescription> {
        self.meter.control_plane("DescribeJob", now);
        self.engine.describe_job(job).ok()
    }
}
