//! Job documents on their way in and out: read where `documentSource` says, and with presigned URLs in place of placeholders when a
//! device fetches them (PROTOCOL 17.1). The control plane tells them as they were given.

use super::objects::{self, Objects};
use super::service::Service;
use iot_jobs::instant::Now;
use iot_jobs::wire::placeholder::{self, Execution};
use iot_jobs::{Answer, ControlError, CreateJob, JobDocument, JobExecution, JobId, Reply, Request, RequestBody, ThingName, limits};
use jobs_engine::engine::Engine;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Service {
    /// The listeners have their addresses: from now on there are objects.
    pub(super) fn keep_objects(&self, objects: Objects) {
        // The listeners start once.
        let _ = self.objects.set(objects);
    }

    /// # Errors
    /// `InvalidRequest` when the source is no object that can be read.
    pub(super) fn read_document(&self, source: &str) -> Result<String, ControlError> {
        let unready = || ControlError::InvalidRequest("documentSource: the endpoint is still starting".into());
        self.objects.get().ok_or_else(unready)?.read_document(source)
    }
}

/// # Errors
/// `InvalidRequest` when a placeholder could reach devices as it is, since it stands for nothing that this endpoint has.
pub(super) fn check_placeholders(create: &CreateJob) -> Result<(), ControlError> {
    let job = create.job_id.as_str();
    placeholder::check(create.document.as_json(), job, objects::is_name)
        .map_err(|error| ControlError::InvalidRequest(format!("document: {error}")))
}

/// What the engine knows of an execution whose document has placeholders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placeholders {
    execution_number: i64,
    at: SystemTime,
    lifetime: Duration,
}

impl Placeholders {
    fn new(engine: &Engine, job: &JobId, execution_number: i64, now: Now) -> Self {
        let at = UNIX_EPOCH + Duration::from_millis(now.epoch_ms.unsigned_abs());
        Self { execution_number, at, lifetime: lifetime(engine, job) }
    }
}

/// What it takes to fill the document of an execution; `None` where nothing is to be filled.
pub(super) fn find(engine: &Engine, execution: &JobExecution, now: Now) -> Option<Placeholders> {
    let document = execution.job_document.as_ref()?;
    has_placeholders(document).then(|| Placeholders::new(engine, &execution.job_id, execution.execution_number, now))
}

/// As [`find`], of the document in a reply.
pub(super) fn find_in_reply(
    engine: &Engine,
    thing: &ThingName,
    request: &Request,
    reply: &Reply,
    now: Now,
) -> Option<Placeholders> {
    match (reply.result.as_ref().ok()?, &request.body) {
        (Answer::Started(Some(execution)) | Answer::Described(Some(execution)), _) => find(engine, execution, now),
        (Answer::Updated(answer), RequestBody::Update(update)) => {
            answer.job_document.as_ref().filter(|document| has_placeholders(document))?;
            let found = engine.describe_execution(thing, &update.job_id, update.execution_number, now).ok()?;
            Some(Placeholders::new(engine, &update.job_id, found.execution_number, now))
        }
        _ => None,
    }
}

pub(super) fn fill_execution(objects: &Objects, thing: &ThingName, execution: &mut JobExecution, placeholders: &Placeholders) {
    if let Some(document) = &mut execution.job_document {
        fill(objects, thing, &execution.job_id, document, placeholders);
    }
}

pub(super) fn fill_reply(objects: &Objects, thing: &ThingName, request: &Request, reply: &mut Reply, placeholders: &Placeholders) {
    match (&mut reply.result, &request.body) {
        (Ok(Answer::Started(Some(execution)) | Answer::Described(Some(execution))), _) => {
            fill_execution(objects, thing, execution, placeholders);
        }
        (Ok(Answer::Updated(answer)), RequestBody::Update(update)) => {
            if let Some(document) = &mut answer.job_document {
                fill(objects, thing, &update.job_id, document, placeholders);
            }
        }
        _ => {}
    }
}

fn has_placeholders(document: &JobDocument) -> bool {
    placeholder::is_in(document.as_json())
}

fn fill(objects: &Objects, thing: &ThingName, job: &JobId, document: &mut JobDocument, placeholders: &Placeholders) {
    let Placeholders { execution_number, at, lifetime } = *placeholders;
    let execution = Execution { thing: thing.as_str(), job: job.as_str(), number: execution_number };
    let filled = placeholder::fill(document.as_json(), execution, |purpose, object| objects.presign(purpose, object, at, lifetime));
    *document = JobDocument::from_valid_json(&filled);
}

/// `expiresInSec` of the job's `presignedUrlConfig`.
fn lifetime(engine: &Engine, job: &JobId) -> Duration {
    let job = engine.describe_job(job).ok();
    let seconds = job.and_then(|job| job.create.config.presigned_url).and_then(|config| config.expires_in_s);
    Duration::from_secs(seconds.map_or(limits::PRESIGNED_S_MAX, u64::from))
}
