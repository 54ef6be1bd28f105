//! What seeds have found, told again step by step.

use iot_jobs::instant::{Mono, Now};
use iot_jobs::{CreateJob, ExecutionStatus, JobDocument, JobId, JobTarget, Request, RequestBody, ThingName};
use jobs_engine::engine::{Engine, EngineConfig};
use sim_units::distribution::Distribution;
use std::sync::Arc;
use std::time::Duration;
use thing_agent::backoff::{Backoff, BackoffPolicy};
use thing_agent::behavior::{Behavior, OutcomeShares};
use thing_agent::workflow::Workflow;
use thing_agent::{AgentSettings, Event, JobsAgent, Transmit};

const MINUTE: Duration = Duration::from_secs(60);

/// One thing and one service, joined by hand.
struct Pair {
    agent: JobsAgent,
    engine: Engine,
    thing: ThingName,
    now: Mono,
    events: Vec<Event>,
}

impl Pair {
    /// A thing that does its jobs at once, and well, and one job with an in-progress timeout of one minute.
    fn new() -> Self {
        let thing = ThingName::new("t").unwrap();
        let mut engine = Engine::new(EngineConfig::new(MINUTE));
        engine.create_thing(&thing);
        let settings = AgentSettings {
            namespace: None,
            seed: 1,
            workflow: Workflow::StartNext,
            behavior: Behavior {
                reaction: Distribution::Constant(Duration::ZERO),
                updates: 0,
                step: Distribution::Constant(Duration::ZERO),
                outcome: OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 },
                faults: Vec::new(),
            },
            behavior_of_job: [].into(),
            answer_timeout: Duration::from_secs(10),
            retry: Backoff { policy: BackoffPolicy::Fixed, base: Duration::from_secs(1), cap: Duration::from_secs(1) },
            ask_again: AgentSettings::ASK_AGAIN,
            fetches: false,
        };
        let agent = JobsAgent::new(Arc::new(settings), 0, Mono(0));
        let mut pair = Self { agent, engine, thing, now: Mono(1_000_000_000), events: Vec::new() };
        let mut create = CreateJob::new(
            JobId::new("j").unwrap(),
            vec![JobTarget::Thing(pair.thing.clone())],
            JobDocument::from_valid_json("{}"),
        );
        create.config.in_progress_timeout_minutes = Some(1);
        pair.engine.create_job(create, pair.clock()).unwrap();
        pair
    }

    fn clock(&self) -> Now {
        Now { mono: self.now, epoch_ms: (self.now.0 / 1_000_000) as i64 }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.clock();
        self.engine.handle_timeout(now);
    }

    fn connect(&mut self) {
        self.agent.handle_connected();
        let Some(Transmit::Subscribe(filters)) = self.agent.poll_transmit(self.now) else { panic!("it subscribes first") };
        self.agent.handle_suback(filters.iter().map(|_| true), self.now);
    }

    fn disconnect(&mut self) {
        self.agent.handle_disconnected(self.now);
        self.collect();
    }

    fn collect(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.agent.poll_event()));
    }

    /// What the thing asks now.
    fn request(&mut self) -> Request {
        let Some(Transmit::Publish(request)) = self.agent.poll_transmit(self.now) else { panic!("it asks") };
        request
    }

    /// The service answers, and the thing hears it.
    fn serve(&mut self, request: &Request) {
        let reply = self.engine.handle_request(&self.thing, request, self.clock());
        self.agent.handle_reply(request.body.kind(), reply, self.now);
        self.collect();
    }

    fn is_end(request: &Request) -> bool {
        matches!(&request.body, RequestBody::Update(update) if update.status == ExecutionStatus::Succeeded)
    }
}

/// Seeds 58, 110, 216: the thing took its own word for the service's.
#[test]
fn an_end_that_was_lost_with_its_session_is_not_claimed() {
    let mut pair = Pair::new();
    pair.connect();
    let start = pair.request();
    pair.serve(&start);
    let end = pair.request();
    assert!(Pair::is_end(&end));
    // The network loses it, and the session breaks; meanwhile the service gives the execution up.
    pair.disconnect();
    pair.pass(2 * MINUTE);
    pair.connect();
    let again = pair.request();
    assert!(Pair::is_end(&again), "the thing cannot know, so it says it again: {again:?}");
    pair.serve(&again);
    assert!(pair.events.iter().any(|event| matches!(event, Event::Gone { .. })), "{:?}", pair.events);
    assert!(!pair.events.iter().any(|event| matches!(event, Event::Finished { .. })), "{:?}", pair.events);
}
