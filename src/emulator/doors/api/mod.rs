//! The control plane's door: HTTPS with verified SigV4, in AWS's shapes (spec section 11). Here is what all calls share; what each
//! means stands in the files of its operations.

mod jobs;
mod objects;
mod query;
mod registry;
mod throttle;

use crate::clock;
use crate::emulator::service::Service;
use crate::jobs::ControlError;
use crate::pki::DeviceAuthority;
use crate::wire::sigv4::{self, AccessKey};
use crate::wire::{self, control};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use objects::Body;
use query::Query;
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
    /// Issues certificates to devices.
    pub(crate) authority: DeviceAuthority,
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

/// One verified call, for the files of operations.
struct Call<'a> {
    method: &'a str,
    /// Segments, each percent-decoded.
    path: &'a [&'a str],
    query: Query,
    headers: &'a HeaderMap,
    body: &'a [u8],
    service: &'a Service,
    settings: &'a ApiSettings,
}

/// The JSON body of an answer with status 200.
type Answer = Vec<u8>;

/// The answer to an operation that answers nothing.
fn empty() -> Answer {
    b"{}".to_vec()
}

/// A refusal before any operation was chosen, or by one.
struct Refused {
    status: u16,
    error_type: &'static str,
    message: String,
    /// ARN and id of the resource that is there already.
    resource: Option<(String, String)>,
}

impl Refused {
    fn new(status: u16, error_type: &'static str, message: impl Into<String>) -> Self {
        Self { status, error_type, message: message.into(), resource: None }
    }

    fn internal(why: String) -> Self {
        tracing::error!(%why, "a call could not be served");
        Self::new(500, "InternalFailureException", why)
    }

    fn body(&self) -> Vec<u8> {
        match &self.resource {
            None => control::encode_error(&self.message),
            Some((arn, id)) => wire::registry::encode_already_exists(&self.message, arn, id),
        }
    }
}

impl From<ControlError> for Refused {
    fn from(error: ControlError) -> Self {
        let (status, error_type) = control::error_status(&error);
        Self::new(status, error_type, error.message())
    }
}

async fn answer(request: Request<Incoming>, service: &Service, settings: &ApiSettings) -> Response<Body> {
    if objects::is_object(request.uri().path()) {
        return objects::answer(request, service.objects.get()).await;
    }
    let result = handle(request, service, settings).await;
    // Nothing is told of a change that is not on disk yet.
    let result = match service.durable().await {
        true => result,
        false => Err(Refused::new(503, "ServiceUnavailableException", "the state could not be written in time")),
    };
    match result {
        Ok(body) => respond(200, None, body),
        Err(refused) => respond(refused.status, Some(refused.error_type), refused.body()),
    }
}

fn respond(status: u16, error_type: Option<&'static str>, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(objects::full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Some(error_type) = error_type {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    }
    response
}

async fn handle(request: Request<Incoming>, service: &Service, settings: &ApiSettings) -> Result<Answer, Refused> {
    let (head, body) = request.into_parts();
    let body = read_body(body).await?;
    let now = UNIX_EPOCH + Duration::from_millis(clock::epoch_ms().unsigned_abs());
    let signed_for = sigv4::verify(head.method.as_str(), &head.uri, &head.headers, &body, &settings.key, control::REGION, now)
        .map_err(|refusal| Refused::new(403, refusal.error_type(), refusal.to_string()))?;
    if signed_for != control::SIGNING_NAME {
        let message = format!("this endpoint does not serve {signed_for:?} yet; sign for {:?}", control::SIGNING_NAME);
        return Err(Refused::new(403, "InvalidSignatureException", message));
    }
    let path: Vec<String> = head.uri.path().split('/').skip(1).map(decode_percent).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let call = Call { method: head.method.as_str(), path: &path, query, headers: &head.headers, body: &body, service, settings };
    throttle::check(&call)?;
    jobs::operation(&call).or_else(|| registry::operation(&call)).unwrap_or_else(|| Err(unknown_operation(&call)))
}

async fn read_body(body: Incoming) -> Result<Bytes, Refused> {
    let invalid = |status: u16, message: &str| Refused::new(status, "InvalidRequestException", message);
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(invalid(413, "the body is too large")),
        Ok(Err(_)) => Err(invalid(400, "the body could not be read")),
        Err(_elapsed) => Err(invalid(400, "the body did not come in time")),
    }
}

fn unknown_operation(call: &Call<'_>) -> Refused {
    let message = format!("{} /{} is no operation of this endpoint", call.method, call.path.join("/"));
    Refused::new(404, "UnknownOperationException", message)
}

fn invalid(error: impl std::fmt::Display) -> ControlError {
    ControlError::InvalidRequest(error.to_string())
}

fn decode_percent(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
