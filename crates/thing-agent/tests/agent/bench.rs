//! One agent, its clock, and what it tells.

use iot_jobs::instant::{EpochSeconds, Mono};
use iot_jobs::{
    Answer, ClientToken, ExecutionStatus, JobExecution, JobId, Notification, Rejection, Reply, Request, RequestBody, RequestKind,
    StatusDetails, Update, UpdateAnswer,
};
use sim_units::distribution::Distribution;
use std::sync::Arc;
use std::time::Duration;
use thing_agent::backoff::{Backoff, BackoffPolicy};
use thing_agent::behavior::{Behavior, OutcomeShares};
use thing_agent::workflow::Workflow;
use thing_agent::{AgentSettings, Event, JobsAgent, Transmit};

pub(crate) const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// One agent, its clock, and what it has told.
pub(crate) struct Bench {
    pub(crate) agent: JobsAgent,
    pub(crate) now: Mono,
    pub(crate) events: Vec<Event>,
}

pub(crate) fn settings(outcome: OutcomeShares) -> AgentSettings {
    AgentSettings {
        namespace: None,
        workflow: Workflow::StartNext,
        seed: 42,
        behavior: Behavior {
            reaction: Distribution::Constant(ms(200)),
            updates: 2,
            step: Distribution::Constant(ms(1000)),
            outcome,
            faults: Vec::new(),
        },
        behavior_of_job: [].into(),
        answer_timeout: ms(10_000),
        retry: Backoff { policy: BackoffPolicy::Exponential, base: ms(1000), cap: ms(30_000) },
        ask_again: AgentSettings::ASK_AGAIN,
        fetches: false,
    }
}

pub(crate) const SUCCEEDS: OutcomeShares = OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 };
pub(crate) const REJECTS: OutcomeShares = OutcomeShares { succeeded: 0.0, failed: 0.0, rejected: 1.0 };
pub(crate) const FAILS: OutcomeShares = OutcomeShares { succeeded: 0.0, failed: 1.0, rejected: 0.0 };

impl Bench {
    pub(crate) fn new(outcome: OutcomeShares) -> Self {
        Self::with(settings(outcome))
    }

    pub(crate) fn with(settings: AgentSettings) -> Self {
        Self { agent: JobsAgent::new(Arc::new(settings), 7, Mono(0)), now: Mono(1_000_000_000), events: Vec::new() }
    }

    /// Connected, subscribed, and told that nothing is pending.
    pub(crate) fn idle(outcome: OutcomeShares) -> Self {
        let mut bench = Self::new(outcome);
        bench.subscribe();
        let ask = bench.request();
        bench.answer(&ask, Ok(Answer::Started(None)));
        bench
    }

    /// At work on `job`, version 2.
    pub(crate) fn working(outcome: OutcomeShares, job: &str) -> Self {
        let mut bench = Self::new(outcome);
        bench.subscribe();
        let ask = bench.request();
        bench.answer(&ask, Ok(Answer::Started(Some(execution(job, ExecutionStatus::InProgress, 2)))));
        bench
    }

    pub(crate) fn subscribe(&mut self) {
        self.agent.handle_connected();
        let Some(Transmit::Subscribe(filters)) = self.transmit() else { panic!("it subscribes first") };
        assert!(filters.len() <= 8);
        assert_eq!(self.transmit(), None, "nothing is asked before the SUBACK");
        self.agent.handle_suback(filters.iter().map(|_| true), self.now);
    }

    pub(crate) fn transmit(&mut self) -> Option<Transmit> {
        let transmit = self.agent.poll_transmit(self.now);
        self.collect();
        transmit
    }

    pub(crate) fn collect(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.agent.poll_event()));
    }

    #[track_caller]
    pub(crate) fn request(&mut self) -> Request {
        match self.transmit() {
            Some(Transmit::Publish(request)) => request,
            other => panic!("expected a request, found {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn update(&mut self) -> (Request, Update) {
        let request = self.request();
        match request.body.clone() {
            RequestBody::Update(update) => (request, update),
            other => panic!("expected an update, found {other:?}"),
        }
    }

    pub(crate) fn answer(&mut self, request: &Request, result: Result<Answer, Rejection>) {
        self.answer_with(request.body.kind(), request.client_token.clone(), result);
    }

    pub(crate) fn answer_with(&mut self, kind: RequestKind, client_token: Option<ClientToken>, result: Result<Answer, Rejection>) {
        self.agent.handle_reply(kind, Reply { client_token, timestamp: Some(EpochSeconds(1)), result }, self.now);
        self.collect();
    }

    pub(crate) fn notify_next(&mut self, execution: Option<Box<JobExecution>>) {
        self.agent.handle_notification(&Notification::NextChanged { timestamp: EpochSeconds(1), execution }, self.now);
        self.collect();
    }

    /// Sleeps as a session would, until the agent's own deadline.
    #[track_caller]
    pub(crate) fn sleep(&mut self) -> &'static str {
        let (at, name) = self.agent.poll_timeout().expect("the agent waits for something");
        self.now = self.now.max(at);
        self.agent.handle_timeout(self.now);
        self.collect();
        name
    }

    pub(crate) fn accepted() -> Result<Answer, Rejection> {
        Ok(Answer::Updated(UpdateAnswer::default()))
    }

    pub(crate) fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(wanted)
    }
}

pub(crate) fn execution(job: &str, status: ExecutionStatus, version: i64) -> Box<JobExecution> {
    Box::new(JobExecution {
        job_id: JobId::new(job).unwrap(),
        thing_name: None,
        status,
        status_details: StatusDetails::default(),
        queued_at: EpochSeconds(1),
        started_at: None,
        last_updated_at: EpochSeconds(1),
        approximate_seconds_before_timed_out: None,
        version_number: version,
        execution_number: 1,
        job_document: None,
    })
}

pub(crate) fn finished(status: ExecutionStatus) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Finished { status: found, .. } if *found == status)
}
