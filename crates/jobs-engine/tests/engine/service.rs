//! A service without sockets, and the calls of tests in short.

use iot_jobs::instant::{Mono, Now};
use iot_jobs::ledger::LedgerRow;
use iot_jobs::{
    Answer, ControlError, CreateJob, Describe, ExecutionStatus, GroupName, JobDocument, JobExecution, JobId, JobRef, JobTarget,
    Notification, PendingJobs, Rejection, Request, RequestBody, StartNext, ThingName, Update, UpdateAnswer,
};
use jobs_engine::engine::{Engine, EngineConfig};
use std::time::Duration;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn thing(name: &str) -> ThingName {
    ThingName::new(name).unwrap()
}

pub(crate) fn job(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

/// A service with one clock that the test moves.
pub(crate) struct Service {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    pub(crate) notes: Vec<(ThingName, Notification)>,
    pub(crate) ledger: Vec<LedgerRow>,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self {
            engine: Engine::new(EngineConfig::new(MINUTE)),
            now: Now { mono: Mono(1_000_000_000_000), epoch_ms: 1_772_000_000_000 },
            notes: Vec::new(),
            ledger: Vec::new(),
        }
    }

    /// One thing, `t`, subscribed to both notifications.
    pub(crate) fn with_thing() -> Self {
        let mut service = Self::new();
        service.engine.create_thing(&thing("t"));
        service.engine.handle_subscription(&thing("t"), true, true);
        service
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono + time, epoch_ms: self.now.epoch_ms + time.as_millis() as i64 };
    }

    pub(crate) fn settle(&mut self) {
        self.notes.extend(std::iter::from_fn(|| self.engine.poll_notification()).map(|told| (told.thing, told.notification)));
        self.ledger.extend(std::iter::from_fn(|| self.engine.poll_change()));
    }

    pub(crate) fn timeout(&mut self) {
        self.engine.handle_timeout(self.now);
        self.settle();
    }

    pub(crate) fn create(&mut self, name: &str, change: impl FnOnce(&mut CreateJob)) -> Result<(), ControlError> {
        let document = JobDocument::from_valid_json(r#"{"operation":"firmware"}"#);
        let mut create = CreateJob::new(job(name), vec![JobTarget::Thing(thing("t"))], document);
        change(&mut create);
        let result = self.engine.create_job(create, self.now);
        self.settle();
        result
    }

    pub(crate) fn ask(&mut self, name: &str, body: RequestBody) -> Result<Answer, Rejection> {
        let reply = self.engine.handle_request(&thing(name), &Request { client_token: None, body }, self.now);
        self.settle();
        reply.result
    }

    #[track_caller]
    pub(crate) fn start(&mut self) -> Option<Box<JobExecution>> {
        match self.ask("t", RequestBody::StartNext(StartNext::default())) {
            Ok(Answer::Started(execution)) => execution,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn update(
        &mut self,
        name: &str,
        status: ExecutionStatus,
        change: impl FnOnce(&mut Update),
    ) -> Result<UpdateAnswer, Rejection> {
        let mut update = Update {
            job_id: job(name),
            status,
            status_details: None,
            expected_version: None,
            execution_number: None,
            include_execution_state: false,
            include_job_document: false,
            step_timeout: None,
        };
        change(&mut update);
        match self.ask("t", RequestBody::Update(update))? {
            Answer::Updated(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn describe(&mut self, name: JobRef) -> Result<Option<Box<JobExecution>>, Rejection> {
        let body = RequestBody::Describe(Describe { job: name, execution_number: None, include_job_document: true });
        match self.ask("t", body)? {
            Answer::Described(execution) => Ok(execution),
            other => panic!("{other:?}"),
        }
    }

    /// What was notified since the last call: `notify` as text, `notify-next` as text.
    pub(crate) fn told(&mut self) -> (Option<String>, Option<String>) {
        let (mut notify, mut next) = (None, None);
        for (_, note) in self.notes.drain(..) {
            match note {
                Notification::Changed { jobs, .. } => assert_eq!(notify.replace(list(&jobs)), None, "notify twice"),
                Notification::NextChanged { execution, .. } => {
                    let text = execution.map_or("none".into(), |e| format!("{} {} v{}", e.job_id, e.status, e.version_number));
                    assert_eq!(next.replace(text), None, "notify-next twice");
                }
            }
        }
        (notify, next)
    }

    #[track_caller]
    pub(crate) fn expect_told(&mut self, notify: &str, next: &str) {
        let text = |wanted: &str| (wanted != "-").then(|| wanted.to_owned());
        assert_eq!(self.told(), (text(notify), text(next)));
    }
}

fn list(jobs: &PendingJobs) -> String {
    let part = |name: &str, list: &[iot_jobs::ExecutionSummary]| {
        list.iter().map(|e| format!("{name}:{} v{}", e.job_id, e.version_number)).collect::<Vec<_>>()
    };
    let all = [part("IN_PROGRESS", &jobs.in_progress), part("QUEUED", &jobs.queued)].concat();
    if all.is_empty() { "{}".into() } else { all.join(", ") }
}

/// A group of `count` new things, `t-0` and so on.
pub(crate) fn fleet(s: &mut Service, count: usize) -> GroupName {
    let group = GroupName::new("all").unwrap();
    s.engine.create_group(&group);
    for n in 0..count {
        let name = thing(&format!("t-{n}"));
        s.engine.create_thing(&name);
        s.engine.add_thing_to_group(&name, &group, s.now).unwrap();
    }
    group
}
