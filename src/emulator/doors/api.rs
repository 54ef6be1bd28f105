//! The control plane's door: HTTPS with verified SigV4, in AWS's shapes (spec section 11).

use crate::clock;
use crate::emulator::service::Service;
use crate::jobs::{ControlError, GroupName, JobId, ThingName};
use crate::wire::control;
use crate::wire::sigv4::{self, AccessKey};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// A document of 32,768 bytes as a JSON string, and the rest of a CreateJob.
const BODY_BYTES_MAX: usize = 256 * 1024;
const CONNECTIONS_MAX: usize = 256;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Also ends kept-alive connections that stay idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the door needs besides the service.
pub(crate) struct ApiSettings {
    pub(crate) key: AccessKey,
    /// What DescribeEndpoint answers: where MQTT is.
    pub(crate) data_endpoint: String,
}

/// Accepts for ever.
pub(crate) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, service: Arc<Service>, settings: Arc<ApiSettings>) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let stream = super::accept(&listener).await;
        let (acceptor, service, settings) = (acceptor.clone(), Arc::clone(&service), Arc::clone(&settings));
        tokio::spawn(async move {
            let _permit = permit;
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await else { return };
            let answer = service_fn(|request| {
                let (service, settings) = (Arc::clone(&service), Arc::clone(&settings));
                async move { Ok::<_, Infallible>(answer(request, &service, &settings).await) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            if let Err(error) = server.serve_connection(TokioIo::new(stream), answer).await {
                tracing::debug!(%error, "api connection");
            }
        });
    }
}

type Answer = Response<Full<Bytes>>;

/// A refusal before any operation was chosen, or by one.
struct Refused {
    status: u16,
    error_type: &'static str,
    message: String,
}

impl From<ControlError> for Refused {
    fn from(error: ControlError) -> Self {
        let (status, error_type) = control::error_status(&error);
        Self { status, error_type, message: error.message().to_owned() }
    }
}

async fn answer(request: Request<Incoming>, service: &Service, settings: &ApiSettings) -> Answer {
    match handle(request, service, settings).await {
        Ok(body) => respond(200, None, body),
        Err(refused) => respond(refused.status, Some(refused.error_type), control::encode_error(&refused.message)),
    }
}

fn respond(status: u16, error_type: Option<&'static str>, body: Vec<u8>) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Some(error_type) = error_type {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    }
    response
}

async fn handle(request: Request<Incoming>, service: &Service, settings: &ApiSettings) -> Result<Vec<u8>, Refused> {
    let (head, body) = request.into_parts();
    let body = read_body(body).await?;
    let now = UNIX_EPOCH + Duration::from_millis(clock::epoch_ms().unsigned_abs());
    let signed_for = sigv4::verify(head.method.as_str(), &head.uri, &head.headers, &body, &settings.key, control::REGION, now)
        .map_err(|refusal| Refused { status: 403, error_type: refusal.error_type(), message: refusal.to_string() })?;
    if signed_for != control::SIGNING_NAME {
        let message = format!("this endpoint does not serve {signed_for:?} yet; sign for {:?}", control::SIGNING_NAME);
        return Err(Refused { status: 403, error_type: "InvalidSignatureException", message });
    }
    let path: Vec<String> = head.uri.path().split('/').skip(1).map(decode_percent).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let query = head.uri.query().unwrap_or_default();
    operation(&head.method, &path, query, &body, service, settings)
}

async fn read_body(body: Incoming) -> Result<Bytes, Refused> {
    let invalid = |message: &str| Refused { status: 400, error_type: "InvalidRequestException", message: message.into() };
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Refused { status: 413, error_type: "InvalidRequestException", message: "the body is too large".into() })
        }
        Ok(Err(_)) => Err(invalid("the body could not be read")),
        Err(_elapsed) => Err(invalid("the body did not come in time")),
    }
}

fn operation(
    method: &Method,
    path: &[&str],
    query: &str,
    body: &[u8],
    service: &Service,
    settings: &ApiSettings,
) -> Result<Vec<u8>, Refused> {
    match (method.as_str(), path) {
        ("POST", ["things", name]) => {
            let name = ThingName::new(name).map_err(invalid)?;
            service.call(|engine, _| engine.create_thing(&name));
            Ok(control::encode_created("thing", control::THING, name.as_str()))
        }
        ("POST", ["thing-groups", name]) => {
            let name = GroupName::new(name).map_err(invalid)?;
            service.call(|engine, _| engine.create_group(&name));
            Ok(control::encode_created("thingGroup", control::THING_GROUP, name.as_str()))
        }
        ("PUT", ["thing-groups", "addThingToThingGroup"]) => {
            let (thing, group) = control::parse_add_thing(body)?;
            service.call(|engine, now| engine.add_thing_to_group(&thing, &group, now))?;
            Ok(b"{}".to_vec())
        }
        ("PUT", ["jobs", job]) => {
            let create = control::parse_create_job(job, body)?;
            let (job, description) = (create.job_id.clone(), create.description.clone());
            service.call(|engine, now| engine.create_job(create, now))?;
            Ok(control::encode_job_answer(&job, description.as_deref()))
        }
        ("GET", ["jobs", job]) => {
            let job = JobId::new(job).map_err(invalid)?;
            let description = service.call(|engine, _| engine.describe_job(&job))?;
            Ok(control::encode_describe_job(&description))
        }
        ("PUT", ["jobs", job, "cancel"]) => {
            let job = JobId::new(job).map_err(invalid)?;
            let cancel = control::parse_cancel_job(body, flag(query, "force"))?;
            service.call(|engine, now| engine.cancel_job(&job, cancel, now))?;
            Ok(control::encode_job_answer(&job, None))
        }
        ("DELETE", ["things", thing, "jobs", job, "executionNumber", number]) => {
            let (thing, job) = (ThingName::new(thing).map_err(invalid)?, JobId::new(job).map_err(invalid)?);
            let number = number.parse().map_err(|_| invalid(format!("executionNumber must be an integer, not {number:?}")))?;
            service.call(|engine, now| engine.delete_execution(&thing, &job, number, flag(query, "force"), now))?;
            Ok(b"{}".to_vec())
        }
        ("GET", ["endpoint"]) => Ok(serde_json::json!({ "endpointAddress": settings.data_endpoint }).to_string().into_bytes()),
        _ => Err(Refused {
            status: 404,
            error_type: "UnknownOperationException",
            message: format!("{method} /{} is no operation of this endpoint", path.join("/")),
        }),
    }
}

fn invalid(error: impl std::fmt::Display) -> ControlError {
    ControlError::InvalidRequest(error.to_string())
}

fn flag(query: &str, name: &str) -> bool {
    query.split('&').filter_map(|pair| pair.split_once('=')).any(|(key, value)| key == name && value == "true")
}

fn decode_percent(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
