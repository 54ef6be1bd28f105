//! The listener for whoever signs: HTTPS with verified SigV4, in AWS's shapes. Here is what tells the control plane (PROTOCOL 11), the
//! data plane, objects and WebSockets apart, and what all calls of the control plane share; what each means stands in the files of its
//! operations.

mod jobs;
mod objects;
mod query;
mod registry;
mod tags;
mod templates;
mod throttle;

use super::Accepted;
use super::bodies::{Bodies, SMALL_BYTES_MAX};
use super::data_plane;
use super::http::{self, Body, Lost, Query, Refused, decode_percent, full, respond};
use super::mqtt::MqttSettings;
use super::mutual::{GuardedListener, TlsStream, handshake};
use super::pending_clients::Place;
use super::read_deadline::Progress;
use super::websocket;
use crate::service::Service;
use ::http::request::Parts;
use ::http::{HeaderMap, Request, Response, StatusCode};
use aws_signing::sigv4::{self, AccessKey, SignedHead};
use dev_pki::DeviceAuthority;
use host::clock;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::service::service_fn;
use iot_jobs::wire::{control, model};
use iot_jobs::{ControlError, ThingName, wire};
use iot_policy::Action;
use rustls::ServerConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

/// A document of 32,768 bytes as a JSON string, and the rest of a CreateJob.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What the listener needs besides the service.
pub(crate) struct ApiSettings {
    pub(crate) key: AccessKey,
    /// What DescribeEndpoint answers: where MQTT is, and where the data plane is by signed requests.
    pub(crate) data_endpoint: String,
    pub(crate) jobs_endpoint: String,
    /// For MQTT over WebSocket.
    pub(crate) mqtt: MqttSettings,
    /// Where the certificates are that were made for things.
    pub(crate) dir: PathBuf,
    /// Issues certificates to devices.
    pub(crate) authority: DeviceAuthority,
}

/// Accepts for ever.
pub(crate) async fn serve(guarded: GuardedListener, tls: Arc<ServerConfig>, service: Arc<Service>, settings: Arc<ApiSettings>) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = Arc::new(Semaphore::new(http::CONNECTIONS_MAX));
    let bodies = Arc::new(Bodies::default());
    loop {
        let Ok(connection) = Arc::clone(&connections).acquire_owned().await else { return };
        let Accepted { stream, place, peer } = super::accept(&guarded.listener, &guarded.pending_clients).await;
        let (acceptor, connection) = (acceptor.clone(), Arc::new(connection));
        let (service, settings, bodies) = (Arc::clone(&service), Arc::clone(&settings), Arc::clone(&bodies));
        tokio::spawn(async move {
            let Some(stream) = handshake(&acceptor, stream, peer, &service.refusals).await else { return };
            place.begin();
            tokio::spawn(run(stream, Listener { service, settings, connection, place, bodies, progress: Progress::default() }));
        });
    }
}

/// Runs a connection to its end, or to its becoming a WebSocket.
async fn run(stream: TlsStream, listener: Listener) {
    let io = http::io(stream, &listener.progress);
    let answer = service_fn(|request| {
        let answering = listener.progress.begin();
        async {
            let _answering = answering;
            listener.answer(request).await.map(http::with_request_id)
        }
    });
    if let Err(error) = http::server().serve_connection(io, answer).with_upgrades().await {
        tracing::debug!(%error, "api connection");
    }
}

/// What a connection needs to answer.
struct Listener {
    service: Arc<Service>,
    settings: Arc<ApiSettings>,
    connection: Arc<OwnedSemaphorePermit>,
    /// Until a signature was verified.
    place: Place,
    bodies: Arc<Bodies>,
    progress: Progress,
}

/// One verified call, for the files of operations.
struct Call<'a> {
    method: &'a str,
    /// Segments, each percent-decoded.
    path: &'a [&'a str],
    /// What they ask for; `None`: AWS's model has nothing of it.
    operation: Option<&'static model::Operation>,
    query: Query,
    headers: &'a HeaderMap,
    body: &'a [u8],
    service: &'a Service,
    settings: &'a ApiSettings,
}

impl Call<'_> {
    /// The value of a header that says what is asked for.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether path, query and headers are as AWS's model has them.
    fn check_head(&self) -> Result<(), ControlError> {
        let Some(operation) = self.operation else { return Ok(()) };
        operation.check_head(self.path, |name| self.query.get(name), |name| self.header(name))
    }
}

/// The JSON body of an answer with status 200.
type Answer = Vec<u8>;

/// The answer to an operation that answers nothing.
fn empty() -> Answer {
    b"{}".to_vec()
}

impl From<ControlError> for Refused {
    fn from(error: ControlError) -> Self {
        let (status, error_type) = control::error_status(&error);
        Self::new(status, error_type, error.message())
    }
}

impl Listener {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
        let received = clock::mono();
        let path = request.uri().path();
        if objects::is_object(path) {
            return Ok(objects::answer(request, self.service.objects.get().map(AsRef::as_ref), || self.know()).await);
        }
        if websocket::is_upgrade(path) {
            let guard = Arc::clone(&self.connection);
            let response = websocket::answer(request, &self.settings.key, &self.service, self.settings.mqtt, guard);
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                self.know();
            }
            return Ok(response);
        }
        let (head, body) = request.into_parts();
        let verified = self.verified(&head, body).await;
        match verified {
            Ok((body, Plane::Data)) => data_plane::answer(&head, &body, received, &self.service, signed).await,
            Ok((body, Plane::Control)) => Ok(self.control(&head, &body).await),
            Err(refused) => Ok(refused.respond()),
        }
    }

    /// A signature of the client was verified.
    fn know(&self) {
        self.place.leave();
        self.progress.know();
    }

    /// The body of a request, and which plane that is signed for. It is read only when there is hope that all is in order.
    async fn verified(&self, head: &Parts, body: Incoming) -> Result<(Bytes, Plane), Refused> {
        http::check_length(&body, BODY_BYTES_MAX)?;
        let signed = SignedHead::read(head, &self.settings.key, control::REGION, now()).map_err(unsigned)?;
        let body = self.read_body(body).await?;
        let plane = self.verify(&signed, &body)?;
        Ok((body, plane))
    }

    /// A large body of a client that is not known yet waits its turn.
    async fn read_body(&self, body: Incoming) -> Result<Bytes, Refused> {
        let is_small = body.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES_MAX);
        let _turn =
            if is_small || self.place.is_known() {
                None
            } else {
                let turn = self.bodies.turn(self.place.address()).await;
                Some(turn.ok_or_else(|| {
                    Refused::new(503, "ServiceUnavailableException", "too many large requests wait to be verified")
                })?)
            };
        http::read_body(body, BODY_BYTES_MAX).await
    }

    /// Which plane a request is signed for.
    fn verify(&self, signed: &SignedHead<'_>, body: &[u8]) -> Result<Plane, Refused> {
        let signed_for = signed.verify(body, &self.settings.key, now()).map_err(unsigned)?;
        self.know();
        match signed_for {
            control::SIGNING_NAME => Ok(Plane::Control),
            wire::data_plane::SIGNING_NAME => Ok(Plane::Data),
            other => {
                let known = format!("{:?} or {:?}", control::SIGNING_NAME, wire::data_plane::SIGNING_NAME);
                let message = format!("the credential should be scoped to {known}, not {other:?}");
                Err(Refused::new(403, "InvalidSignatureException", message))
            }
        }
    }

    async fn control(&self, head: &Parts, body: &[u8]) -> Response<Body> {
        let result = operation(head, body, &self.service, &self.settings);
        // Nothing is told of a change that is not on disk yet.
        let result = if self.service.durable().await { result } else { Err(Refused::not_durable()) };
        result.map_or_else(Refused::respond, |body| respond(200, None, body))
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(clock::epoch_ms().unsigned_abs())
}

/// Whoever signs may ask for every thing: see [`crate::authority::Permissions::of_iam_identity`].
fn signed(service: &Service, action: Action, thing: &ThingName) -> bool {
    service.iam_permissions().may(action, thing.as_str())
}

fn unsigned(refusal: sigv4::Refusal) -> Refused {
    Refused::new(403, refusal.error_type(), refusal.to_string())
}

/// Both have `GET /things/{thing}/jobs`: only the scope of the credential tells them apart (PROTOCOL 2 fact 20).
enum Plane {
    Control,
    Data,
}

fn operation(head: &Parts, body: &[u8], service: &Service, settings: &ApiSettings) -> Result<Answer, Refused> {
    let path = http::segments(head.uri.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let method = head.method.as_str();
    let operation = model::find(method, &path);
    let call = Call { method, path: &path, operation, query, headers: &head.headers, body, service, settings };
    throttle::check(&call)?;
    call.check_head()?;
    jobs::operation(&call)
        .or_else(|| templates::operation(&call))
        .or_else(|| tags::operation(&call))
        .or_else(|| registry::operation(&call))
        .unwrap_or_else(|| Err(Refused::unknown_operation(method, &path)))
}

fn invalid(error: impl std::fmt::Display) -> ControlError {
    ControlError::InvalidRequest(error.to_string())
}
