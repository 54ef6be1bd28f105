//! What both listeners that speak HTTP share: connections with limits, bodies with limits, queries, answers in AWS's shape.

use super::read_deadline::{Progress, ReadDeadline};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use iot_jobs::wire::control;
use percent_encoding::percent_decode_str;
use rand::RngExt as _;
use std::io;
use std::time::Duration;
use uuid::Builder;

/// What SDKs tell as the id of a request, and their users quote: in every answer, whatever it says.
const REQUEST_ID: &str = "x-amzn-requestid";
/// Its name in answers of S3.
pub(super) const S3_REQUEST_ID: &str = "x-amz-request-id";
/// The type of a refusal by policy, with the colon that AWS writes behind it.
const FORBIDDEN: &str = "ForbiddenException:";
/// Connections of a listener at once: things keep theirs open.
pub(super) const CONNECTIONS_MAX: usize = 65_536;
/// From the end of a head to the end of its body.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Of a head: a signed one is below 2 KB. Hyper takes no less.
const HEAD_BYTES_MAX: usize = 8 * 1024;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// A connection as hyper reads and writes it.
pub(super) type Io<S> = TokioIo<ReadDeadline<S>>;

/// What hyper is to hold to; its own timer is not needed, see [`ReadDeadline`].
pub(super) fn server() -> http1::Builder {
    let mut server = http1::Builder::new();
    server.header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    server
}

pub(super) fn io<S>(stream: S, progress: &Progress) -> Io<S> {
    TokioIo::new(ReadDeadline::new(stream, progress.clone()))
}

/// An id that no other request has.
pub(super) fn new_request_id() -> String {
    Builder::from_random_bytes(rand::rng().random()).into_uuid().to_string()
}

/// The answer with the id of its request.
pub(super) fn with_request_id(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    if headers.contains_key(REQUEST_ID) {
        return response;
    }
    let id = headers.get(S3_REQUEST_ID).cloned().or_else(|| HeaderValue::try_from(new_request_id()).ok());
    headers.extend(id.map(|id| (HeaderName::from_static(REQUEST_ID), id)));
    response
}

/// The request is never answered: the connection ends without a word.
#[derive(Debug, thiserror::Error)]
#[error("the request is never answered")]
pub(super) struct Lost;

/// A refusal before any operation was chosen, or by one.
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) error_type: &'static str,
    pub(super) message: String,
    /// ARN and id of the resource that is there already.
    pub(super) resource: Option<(String, String)>,
}

impl Refused {
    pub(super) fn new(status: u16, error_type: &'static str, message: impl Into<String>) -> Self {
        Self { status, error_type, message: message.into(), resource: None }
    }

    pub(super) fn internal(why: String) -> Self {
        tracing::error!(%why, "a call could not be served");
        Self::new(500, "InternalFailureException", why)
    }

    pub(super) fn unknown_operation(method: &str, path: &[&str]) -> Self {
        Self::new(404, "UnknownOperationException", format!("{method} /{} is no operation of this endpoint", path.join("/")))
    }

    /// A policy denies it. Of status, type and shape there are reports; that the Jobs API answers so, too, is inferred (PROTOCOL-CORE 1.9).
    pub(super) fn forbidden() -> Self {
        Self::new(403, FORBIDDEN, "Forbidden")
    }

    /// What was to be told is not on disk.
    pub(super) fn not_durable() -> Self {
        Self::new(503, "ServiceUnavailableException", "the state could not be written in time")
    }

    /// Too many wait for the same.
    pub(super) fn too_many() -> Self {
        Self::new(503, "ServiceUnavailableException", "too many answers with documents wait")
    }

    pub(super) fn respond(self) -> Response<Body> {
        if self.error_type == FORBIDDEN {
            return respond_traced(self.status, self.error_type, &self.message);
        }
        let body = match &self.resource {
            None => control::encode_error(&self.message),
            Some((arn, id)) => iot_jobs::wire::registry::encode_already_exists(&self.message, arn, id),
        };
        respond(self.status, Some(self.error_type), body)
    }
}

/// A refusal whose body names the id of its request, too.
fn respond_traced(status: u16, error_type: &'static str, message: &str) -> Response<Body> {
    let id = new_request_id();
    let body = serde_json::json!({ "message": message, "traceId": id }).to_string();
    let mut response = respond(status, Some(error_type), body.into_bytes());
    response.headers_mut().extend(HeaderValue::try_from(id).ok().map(|id| (HeaderName::from_static(REQUEST_ID), id)));
    response
}

/// An answer with a JSON body.
pub(super) fn respond(status: u16, error_type: Option<&'static str>, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Some(error_type) = error_type {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    }
    response
}

pub(super) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// # Errors
/// When a body is announced as too large.
pub(super) fn check_length(body: &Incoming, bytes_max: usize) -> Result<(), Refused> {
    if body.size_hint().lower() > bytes_max as u64 { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> Refused {
    Refused::new(413, "InvalidRequestException", "the body is too large")
}

pub(super) async fn read_body(body: Incoming, bytes_max: usize) -> Result<Bytes, Refused> {
    check_length(&body, bytes_max)?;
    let invalid = |message: &str| Refused::new(400, "InvalidRequestException", message);
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(invalid("the body could not be read")),
        Err(_elapsed) => Err(invalid("the body did not come in time")),
    }
}

pub(super) fn decode_percent(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// The segments of a path, each percent-decoded.
pub(super) fn segments(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(decode_percent).collect()
}

/// The parameters of a query, percent-decoded, in the order of the request.
pub(super) struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self { parameters: form_urlencoded::parse(text.as_bytes()).into_owned().collect() }
    }

    /// The first value with this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("a=x%3Ay&flag=true&b=1+2&empty&c=%26");
        assert_eq!(
            (query.get("a"), query.get("b"), query.get("empty"), query.get("c"), query.get("d")),
            (Some("x:y"), Some("1 2"), Some(""), Some("&"), None)
        );
    }
}
