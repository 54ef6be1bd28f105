//! The four operations of the data plane over HTTP, whichever listener a request came in by (PROTOCOL 10).

use super::http::{Body, Lost, Query, Refused, respond, segments};
use crate::request_log::Answered;
use crate::service::{Asked, Service};
use crate::shape::Disposition;
use http::Response;
use http::request::Parts;
use iot_jobs::instant::Mono;
use iot_jobs::wire::data_plane::{self, HttpAnswer};
use iot_jobs::{RequestKind, ThingName};
use iot_policy::Action;
use std::time::Duration;

/// How long a client waits in vain for the answer to a request that is dropped, unless it goes away before.
const DROPPED_TIMEOUT: Duration = Duration::from_secs(60);

/// The answer to a request that came at `received`. `may` says whether its client may do that to a thing.
pub(super) async fn answer(
    head: &Parts,
    body: &[u8],
    received: Mono,
    service: &Service,
    may: impl FnOnce(&Service, Action, &ThingName) -> bool,
) -> Result<Response<Body>, Lost> {
    match handle(head, body, received, service, may).await {
        Ok(Some(HttpAnswer { status, error_type, body })) => Ok(respond(status, error_type, body)),
        Ok(None) => {
            tokio::time::sleep(DROPPED_TIMEOUT).await;
            Err(Lost)
        }
        Err(refused) => Ok(refused.respond()),
    }
}

/// `None`: the request is dropped.
async fn handle(
    head: &Parts,
    body: &[u8],
    received: Mono,
    service: &Service,
    may: impl FnOnce(&Service, Action, &ThingName) -> bool,
) -> Result<Option<HttpAnswer>, Refused> {
    let path = segments(head.uri.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = head.method.as_str();
    let call = data_plane::parse_call(method, &path).ok_or_else(|| Refused::unknown_operation(method, &path))?;
    let thing = ThingName::new(call.thing).map_err(|error| Refused::new(400, "InvalidRequestException", error.to_string()))?;
    let kind = Some(call.operation.kind());
    if !may(service, action(call.operation.kind()), &thing) {
        return Err(Refused::forbidden());
    }
    let Disposition::Handle { due, refusal } = service.shape.request(&thing, kind, received) else { return Ok(None) };
    if let Some(due) = due
        && !service.shape.wait(due).await
    {
        return Ok(None);
    }
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let parsed = data_plane::parse_request(call.operation, |name| query.get(name), body);
    // No member of the data plane's model names a namespace (PROTOCOL-CORE 2.6).
    let outcome = service.reply(&thing, Asked { namespace: None, parsed }, refusal);
    let reply = service.filled(&thing, outcome).await.ok_or_else(Refused::too_many)?;
    if !service.durable().await {
        return Err(Refused::not_durable());
    }
    if service.logs_requests() {
        service.log_requests(&[Answered::new(&thing, received, kind, &reply)]);
    }
    Ok(Some(data_plane::encode_reply(&thing, &reply)))
}

/// What policies call an operation over HTTPS (PROTOCOL-CORE 1.2).
fn action(kind: RequestKind) -> Action {
    match kind {
        RequestKind::GetPending => Action::GetPendingJobExecutions,
        RequestKind::StartNext => Action::StartNextPendingJobExecution,
        RequestKind::Describe => Action::DescribeJobExecution,
        RequestKind::Update => Action::UpdateJobExecution,
    }
}
