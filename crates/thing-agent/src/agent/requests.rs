//! The requests of an agent.

use super::JobsAgent;
use super::details;
use super::state::{Ask, Phase};
use crate::workflow::Workflow;
use iot_jobs::{ClientToken, Describe, ExecutionStatus, JobRef, Reply, Request, RequestBody, StartNext, Update};

impl JobsAgent {
    pub(super) fn request(&mut self, ask: Ask) -> Option<Request> {
        let body = match ask {
            Ask::StartNext => RequestBody::StartNext(StartNext::default()),
            Ask::List => RequestBody::GetPending,
            Ask::Look => RequestBody::Describe(self.look()?),
            Ask::Poll => RequestBody::Describe(Describe { job: JobRef::Next, execution_number: None, include_job_document: false }),
            Ask::Describe => RequestBody::Describe(Describe {
                job: JobRef::Id(self.work.as_ref()?.key.job.clone()),
                execution_number: None,
                include_job_document: false,
            }),
            Ask::Update => RequestBody::Update(self.update()?),
            Ask::AfterEnd => RequestBody::Update(self.update_after_end()?),
        };
        Some(Request { client_token: Some(self.token(self.requests)), body })
    }

    /// At what would be next, or at what was picked.
    fn look(&self) -> Option<Describe> {
        let picked = match self.settings.workflow {
            Workflow::List => Some(&self.announced.as_ref()?.0),
            Workflow::StartNext | Workflow::DescribeUpdate | Workflow::Poll(_) | Workflow::None => None,
        };
        Some(Describe {
            job: picked.map_or(JobRef::Next, |key| JobRef::Id(key.job.clone())),
            execution_number: picked.map(|key| key.number),
            include_job_document: true,
        })
    }

    fn update(&mut self) -> Option<Update> {
        let work = self.work.as_mut()?;
        let (reports, planned) = (work.reports, work.script.reports);
        let (status, status_details) = match (&work.phase, work.bad_file()) {
            (Phase::Chosen { .. }, _) => (ExecutionStatus::InProgress, None),
            (Phase::Fetching(fetch), _) => {
                let (received, length) = fetch.progress();
                (ExecutionStatus::InProgress, Some(details::of_file(received, length)))
            }
            (_, Some(bad)) => (bad.status, Some(details::of_bad_file(&bad.reason))),
            (_, None) => {
                let status = if reports < planned { ExecutionStatus::InProgress } else { work.script.outcome };
                (status, Some(details::of_work(reports, planned, status)))
            }
        };
        work.handle_update(status);
        Some(Update {
            job_id: work.key.job.clone(),
            status,
            status_details,
            expected_version: Some(work.version),
            execution_number: Some(work.key.number),
            include_execution_state: false,
            include_job_document: false,
            step_timeout: None,
        })
    }

    /// Unique per request of this thing.
    fn token(&self, number: u32) -> ClientToken {
        ClientToken(format!("{:x}-{:x}", self.thing, number).into())
    }

    /// Whether it answers the request of that number. A service that could not read the request does not know its token: a thing that
    /// sends such requests on purpose takes an answer without one for that of nothing else.
    pub(super) fn is_answer(&self, reply: &Reply, number: u32) -> bool {
        match &reply.client_token {
            None if self.faults.is_some() => reply.result.is_err() && self.is_corrupted(number),
            token => self.is_token(token.as_ref(), number),
        }
    }

    /// Whether an answer with this token may be that to the request of that number: one request of a kind is open at a time.
    pub(super) fn is_token(&self, token: Option<&ClientToken>, number: u32) -> bool {
        let hex = |text| u64::from_str_radix(text, 16).ok();
        token.is_none_or(|token| {
            token.0.split_once('-').is_some_and(|(thing, of)| hex(thing) == Some(self.thing) && hex(of) == Some(number.into()))
        })
    }
}
