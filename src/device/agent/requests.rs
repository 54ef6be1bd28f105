//! The requests of an agent.

use super::JobsAgent;
use super::details::status_details;
use super::state::Ask;
use crate::jobs::{ClientToken, Describe, ExecutionStatus, JobRef, Reply, Request, RequestBody, StartNext, Update};

impl JobsAgent {
    pub(super) fn request(&mut self, ask: Ask) -> Option<Request> {
        let body = match ask {
            Ask::StartNext => RequestBody::StartNext(StartNext::default()),
            Ask::Poll => RequestBody::Describe(Describe { job: JobRef::Next, execution_number: None, include_job_document: false }),
            Ask::Describe => RequestBody::Describe(Describe {
                job: JobRef::Id(self.work.as_ref()?.key.job.clone()),
                execution_number: None,
                include_job_document: false,
            }),
            Ask::Update => RequestBody::Update(self.update()?),
        };
        Some(Request { client_token: Some(self.token(self.requests)), body })
    }

    pub(super) fn update(&mut self) -> Option<Update> {
        let work = self.work.as_mut()?;
        let planned = work.script.reports;
        let is_end = work.reports >= planned;
        work.end_sent = is_end;
        let status = if is_end { work.script.outcome } else { ExecutionStatus::InProgress };
        Some(Update {
            job_id: work.key.job.clone(),
            status,
            status_details: Some(status_details(work.reports, planned, status)),
            expected_version: Some(work.version),
            execution_number: Some(work.key.number),
            include_execution_state: false,
            include_job_document: false,
            step_timeout: None,
        })
    }

    /// Unique per request of this thing.
    pub(super) fn token(&self, number: u32) -> ClientToken {
        ClientToken(format!("{:x}-{:x}", self.thing, number).into())
    }

    pub(super) fn is_token(&self, reply: &Reply, number: u32) -> bool {
        reply.client_token.as_ref().is_some_and(|token| *token == self.token(number))
    }
}
