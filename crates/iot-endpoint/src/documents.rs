//! Job documents on their way in and out: read where `documentSource` says, and with presigned URLs in place of placeholders when a
//! device fetches them (PROTOCOL 17.1). The control plane tells them as they were given.

use super::objects::{self, Objects};
use super::service::Service;
use iot_jobs::instant::Now;
use iot_jobs::wire::placeholder::{self, Execution};
use iot_jobs::{
    Answer, ControlError, CreateJob, JobDocument, JobExecution, JobId, Notification, PresignedUrlConfig, Reply, Request,
    RequestBody, ThingName, UpdateAnswer, limits,
};
use jobs_engine::engine::Engine;
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Of a document with its URLs: what a message may have, less the rest of an answer or a notification, with `statusDetails` as long as may be.
const FILLED_BYTES_MAX: usize = limits::PAYLOAD_BYTES_MAX - 16 * 1024;

impl Service {
    /// The listeners have their addresses: from now on there are objects.
    pub(super) fn keep_objects(&self, objects: Objects) {
        // The listeners start once.
        let _ = self.objects.set(Arc::new(objects));
    }

    /// # Errors
    /// `InvalidRequest` when the source is no object that can be read.
    pub(super) fn read_document(&self, source: &str) -> Result<String, ControlError> {
        let unready = || ControlError::InvalidRequest("documentSource: the endpoint is still starting".into());
        self.objects.get().ok_or_else(unready)?.read_document(source)
    }

    /// # Errors
    /// `InvalidRequest` when a placeholder of the job's document stands for nothing, or when with its URLs it would not fit into a message.
    pub(super) fn check_document(&self, create: &CreateJob) -> Result<(), ControlError> {
        check_placeholders(create)?;
        self.objects.get().map_or(Ok(()), |objects| check_filled(objects, create))
    }
}

/// # Errors
/// `InvalidRequest` when a placeholder could reach devices as it is, since it stands for nothing that this endpoint has.
fn check_placeholders(create: &CreateJob) -> Result<(), ControlError> {
    let job = create.job_id.as_str();
    placeholder::check(create.document.as_json(), job, objects::is_name)
        .map_err(|error| ControlError::InvalidRequest(format!("document: {error}")))
}

/// What the engine knows of a document that is about to leave for a device, and has to be filled.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    job: JobId,
    execution_number: i64,
    at: SystemTime,
    lifetime: Duration,
}

impl Origin {
    fn new(engine: &Engine, job: &JobId, execution_number: i64, now: Now) -> Self {
        let at = UNIX_EPOCH + Duration::from_millis(now.epoch_ms.unsigned_abs());
        Self { job: job.clone(), execution_number, at, lifetime: lifetime(engine.presigned_url(job)) }
    }

    /// Of the document in an execution, if there is one with something to fill.
    pub(super) fn of_execution(engine: &Engine, execution: &JobExecution, now: Now) -> Option<Self> {
        execution.job_document.as_ref().filter(|document| document.has_placeholders())?;
        Some(Self::new(engine, &execution.job_id, execution.execution_number, now))
    }

    /// Likewise of the document in a reply.
    pub(super) fn of_reply(engine: &Engine, thing: &ThingName, request: &Request, reply: &Reply, now: Now) -> Option<Self> {
        match (reply.result.as_ref().ok()?, &request.body) {
            (Answer::Started(Some(execution)) | Answer::Described(Some(execution)), _) => {
                Self::of_execution(engine, execution, now)
            }
            (Answer::Updated(UpdateAnswer { job_document: Some(document), .. }), RequestBody::Update(update))
                if document.has_placeholders() =>
            {
                let found = engine.describe_execution(thing, &update.job_id, update.execution_number, now).ok()?;
                Some(Self::new(engine, &update.job_id, found.execution_number, now))
            }
            _ => None,
        }
    }
}

/// The document in a notification.
pub(super) fn of_notification(notification: &mut Notification) -> Option<&mut JobDocument> {
    match notification {
        Notification::NextChanged { execution: Some(execution), .. } => execution.job_document.as_mut(),
        _ => None,
    }
}

/// The document in a reply.
pub(super) fn of_reply(reply: &mut Reply) -> Option<&mut JobDocument> {
    match reply.result.as_mut().ok()? {
        Answer::Started(Some(execution)) | Answer::Described(Some(execution)) => execution.job_document.as_mut(),
        Answer::Updated(answer) => answer.job_document.as_mut(),
        Answer::Started(None) | Answer::Described(None) | Answer::Pending(_) => None,
    }
}

/// Puts URLs in the place of placeholders. A document that would be too large keeps them: no job is created with such a one, but it may have
/// been read back, or have longer names than was foreseen.
pub(super) fn fill(objects: &Objects, thing: &ThingName, document: &mut JobDocument, origin: &Origin) {
    let Origin { job, execution_number, at, lifetime } = origin;
    let execution = Execution { thing: thing.as_str(), job: job.as_str(), number: *execution_number };
    let filled =
        placeholder::fill(document.as_json(), execution, |purpose, object| objects.presign(purpose, object, *at, *lifetime));
    if filled.len() <= FILLED_BYTES_MAX {
        *document = JobDocument::from_valid_json(&filled);
    } else {
        tracing::warn!(%thing, job = job.as_str(), bytes = filled.len(), "placeholders stay: the document would be too large with URLs");
    }
}

/// # Errors
/// `InvalidRequest` when the document would be too large for a message with URLs in the place of its placeholders (inferred).
fn check_filled(objects: &Objects, create: &CreateJob) -> Result<(), ControlError> {
    if !create.document.has_placeholders() {
        return Ok(());
    }
    let thing = "x".repeat(limits::THING_NAME_CHARS_MAX);
    let execution = Execution { thing: &thing, job: create.job_id.as_str(), number: 1 };
    let lifetime = lifetime(create.config.presigned_url.as_ref());
    let urls = Cell::new(0);
    let filled = placeholder::fill(create.document.as_json(), execution, |purpose, object| {
        urls.set(urls.get() + 1);
        objects.presign_for_length(purpose, object, lifetime)
    });
    if filled.len() <= FILLED_BYTES_MAX {
        return Ok(());
    }
    Err(ControlError::InvalidRequest(format!(
        "document: with presigned URLs in the place of its {} placeholders it would have {} bytes, and {FILLED_BYTES_MAX} fit into a message",
        urls.get(),
        filled.len()
    )))
}

/// `expiresInSec` of the job's `presignedUrlConfig`.
fn lifetime(config: Option<&PresignedUrlConfig>) -> Duration {
    Duration::from_secs(config.and_then(|config| config.expires_in_s).map_or(limits::PRESIGNED_S_MAX, u64::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_signing::sigv4::AccessKey;
    use iot_jobs::JobTarget;
    use std::fmt::Write as _;
    use std::path::Path;

    fn objects() -> Objects {
        Objects::new(Path::new("/d"), "https://127.0.0.1:4443".into(), AccessKey::lasting("AKIAEXAMPLEEXAMPLE12", "secret"))
    }

    fn job(placeholders: usize) -> CreateJob {
        let mut document = String::from("{");
        for n in 0..placeholders {
            let comma = if n == 0 { "" } else { "," };
            write!(document, r#"{comma}"{n}":"${{aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/b/k {n}}}""#).unwrap();
        }
        document.push('}');
        let targets = vec![JobTarget::Thing(ThingName::new("t").unwrap())];
        CreateJob::new(JobId::new("j").unwrap(), targets, JobDocument::from_valid_json(&document))
    }

    fn filled(create: &CreateJob) -> usize {
        let mut document = create.document.clone();
        let origin = Origin {
            job: create.job_id.clone(),
            execution_number: 1,
            at: UNIX_EPOCH + Duration::from_secs(1_772_000_000),
            lifetime: lifetime(None),
        };
        fill(&objects(), &ThingName::new("t").unwrap(), &mut document, &origin);
        document.as_json().len()
    }

    /// The length that is foreseen is that of the document which leaves, to the byte.
    #[test]
    fn no_job_is_created_whose_document_would_not_fit_into_a_message() {
        let fits = (1..600).rev().find(|n| check_filled(&objects(), &job(*n)).is_ok()).unwrap();
        let refused = check_filled(&objects(), &job(fits + 1)).unwrap_err();
        assert!(refused.message().contains(&format!("its {} placeholders", fits + 1)), "{refused}");
        assert!((200..500).contains(&fits), "{fits}");
        let url = filled(&job(fits)) - filled(&job(fits - 1));
        assert!(filled(&job(fits)) <= FILLED_BYTES_MAX && filled(&job(fits)) + url > FILLED_BYTES_MAX);
        let unfilled = job(fits + 1);
        assert_eq!(filled(&unfilled), unfilled.document.as_json().len(), "one that was read back leaves as it is");
    }
}
