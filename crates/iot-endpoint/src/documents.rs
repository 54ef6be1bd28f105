//! Job documents on their way in and out: read where `documentSource` says, and with presigned URLs in place of placeholders when a
//! device fetches them (PROTOCOL 17.1). The control plane tells them as they were given.

use super::objects::Objects;
use super::service::Service;
use iot_jobs::instant::Now;
use iot_jobs::wire::placeholder::{self, Execution};
use iot_jobs::{Answer, ControlError, JobDocument, JobExecution, JobId, Reply, Request, RequestBody, ThingName, limits};
use jobs_engine::engine::Engine;
use std::time::{Duration, UNIX_EPOCH};

impl Service {
    /// The doors have their addresses: from now on there are objects.
    pub(super) fn keep_objects(&self, objects: Objects) {
        // There is one start of the doors.
        let _ = self.objects.set(objects);
    }

    /// # Errors
    /// `InvalidRequest` when the source is no object that can be read.
    pub(super) fn read_document(&self, source: &str) -> Result<String, ControlError> {
        let unready = || ControlError::InvalidRequest("documentSource: the endpoint is still starting".into());
        self.objects.get().ok_or_else(unready)?.read_document(source)
    }

    pub(super) fn fill_execution(&self, engine: &Engine, thing: &ThingName, execution: &mut JobExecution, now: Now) {
        if let Some(document) = execution.job_document.as_mut().filter(|document| placeholder::is_in(document.as_json())) {
            self.fill(engine, thing, &execution.job_id, execution.execution_number, document, now);
        }
    }

    pub(super) fn fill_reply(&self, engine: &Engine, thing: &ThingName, request: &Request, reply: &mut Reply, now: Now) {
        match (&mut reply.result, &request.body) {
            (Ok(Answer::Started(Some(execution)) | Answer::Described(Some(execution))), _) => {
                self.fill_execution(engine, thing, execution, now);
            }
            (Ok(Answer::Updated(answer)), RequestBody::Update(update)) => {
                let document = answer.job_document.as_mut().filter(|document| placeholder::is_in(document.as_json()));
                let Some(document) = document else { return };
                let found = engine.describe_execution(thing, &update.job_id, update.execution_number, now);
                if let Ok(found) = found {
                    self.fill(engine, thing, &update.job_id, found.execution_number, document, now);
                }
            }
            _ => {}
        }
    }

    fn fill(&self, engine: &Engine, thing: &ThingName, job: &JobId, number: i64, document: &mut JobDocument, now: Now) {
        let Some(objects) = self.objects.get() else { return };
        let (at, lifetime) = (UNIX_EPOCH + Duration::from_millis(now.epoch_ms.unsigned_abs()), lifetime(engine, job));
        let execution = Execution { thing: thing.as_str(), job: job.as_str(), number };
        let filled =
            placeholder::fill(document.as_json(), execution, |purpose, object| objects.presign(purpose, object, at, lifetime));
        *document = JobDocument::from_valid_json(&filled);
    }
}

/// `expiresInSec` of the job's `presignedUrlConfig`.
fn lifetime(engine: &Engine, job: &JobId) -> Duration {
    let job = engine.describe_job(job).ok();
    let seconds = job.and_then(|job| job.create.config.presigned_url).and_then(|config| config.expires_in_s);
    Duration::from_secs(seconds.map_or(limits::PRESIGNED_S_MAX, u64::from))
}
