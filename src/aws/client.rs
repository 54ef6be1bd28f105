//! The control plane's client: signs a call, sends it over a few kept-alive connections, and makes it again where it was throttled or
//! broke on the way.

use super::calls::{Call, pace_of};
use super::pace::{Pace, backoff};
use super::server::Server;
use aws_signing::keyring::{KeyError, Keyring};
use aws_signing::request::{self, PRINCIPAL};
use aws_signing::sigv4::SignError;
use host::clock;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use iot_jobs::instant::Mono;
use iot_jobs::wire::control;
use iot_jobs::wire::data_plane::HttpRequest;
use jobs_engine::quotas::Quotas;
use rand::RngExt as _;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Of one try, connecting included.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of one call that break on the way.
const TRIES_MAX: u32 = 5;
/// How long a call that is throttled waits for its turn.
const THROTTLED_LIMIT: Duration = Duration::from_secs(180);
/// What is to be made is there.
pub const ALREADY_EXISTS: &str = "ResourceAlreadyExistsException";
/// Connections kept alive; also the calls under way at once.
pub const CONNECTIONS: usize = 8;

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("call {operation}: {status} {error_type}: {message}")]
    Refused { operation: &'static str, status: u16, error_type: String, message: String },
    #[error("call {operation}: {why}")]
    Broken { operation: &'static str, why: String },
    #[error("call {operation}: no answer within {} s", TRY_TIMEOUT.as_secs())]
    Timeout { operation: &'static str },
    #[error("call {operation}: {source}")]
    Sign { operation: &'static str, source: SignError },
    #[error("call {operation}: {source}")]
    Key { operation: &'static str, source: KeyError },
}

impl CallError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status >= 500,
            Self::Broken { .. } | Self::Timeout { .. } => true,
            Self::Sign { .. } | Self::Key { .. } => false,
        }
    }

    /// The service wants to be asked more slowly.
    fn is_throttled(&self) -> bool {
        matches!(self, Self::Refused { status, error_type, .. } if *status == 429 || error_type.starts_with("Throttling"))
    }

    /// The call may have been carried out all the same.
    fn is_unsure(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Timeout { .. })
    }

    /// Whether the service refused it with this error, by AWS's name of it.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Self::Refused { error_type, .. } if error_type == name)
    }

    /// For an answer that is not what it should be.
    #[must_use]
    pub fn unreadable(operation: &'static str, why: impl Into<String>) -> Self {
        Self::Broken { operation, why: why.into() }
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// Where a control plane is.
pub struct ControlEndpoint {
    pub server: Server,
    pub region: String,
}

/// A few kept-alive connections to the control plane.
pub struct Client {
    endpoint: ControlEndpoint,
    keyring: Arc<Keyring>,
    /// How fast operations are called to begin with; absent: as they come.
    quotas: Option<Quotas>,
    paces: Mutex<HashMap<&'static str, Pace>>,
    idle: Mutex<Vec<Sender>>,
    turns: Semaphore,
}

impl Client {
    /// Connects on first use.
    #[must_use]
    pub fn new(endpoint: ControlEndpoint, keyring: Arc<Keyring>, quotas: Option<Quotas>) -> Self {
        let (paces, idle) = (Mutex::default(), Mutex::default());
        Self { endpoint, keyring, quotas, paces, idle, turns: Semaphore::new(CONNECTIONS) }
    }

    /// Host and port of the control plane, as its calls name them.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.endpoint.server.authority
    }

    /// The body of the answer. Where an earlier try may have been carried out, a refusal because what it makes is there is none, and the
    /// body is empty.
    ///
    /// # Errors
    /// When the call is refused, is throttled for too long, or breaks too often.
    pub async fn call(&self, call: &Call) -> Result<Bytes, CallError> {
        let begun = clock::mono();
        let (mut tries, mut broken, mut is_unsure) = (0, 0, false);
        loop {
            wait(self.pace(call.operation, Pace::turn)).await;
            let error = match self.attempt(call).await {
                Ok(body) => {
                    self.pace(call.operation, Pace::accepted);
                    return Ok(body);
                }
                Err(error) => error,
            };
            if is_unsure && call.is_of_its_own_name() && error.is(ALREADY_EXISTS) {
                return Ok(Bytes::new());
            }
            tries += 1;
            let goes_on = if error.is_throttled() {
                self.pace(call.operation, Pace::throttled);
                clock::mono().since(begun) < THROTTLED_LIMIT
            } else {
                broken += 1;
                error.is_retryable() && broken < TRIES_MAX
            };
            if !goes_on {
                return Err(error);
            }
            tracing::debug!(%error, tries, "a call is made again");
            is_unsure |= error.is_unsure();
            let pause = backoff(tries, rand::rng().random());
            wait(pause).await;
        }
    }

    fn pace<T>(&self, operation: &'static str, change: impl FnOnce(&mut Pace, Mono) -> T) -> T {
        let now = clock::mono();
        // Whoever panicked has left a pace that is as good as any.
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let ceiling = || self.quotas.as_ref().map(|quotas| pace_of(quotas, operation));
        change(paces.entry(operation).or_insert_with(|| Pace::new(ceiling(), now)), now)
    }

    async fn attempt(&self, call: &Call) -> Result<Bytes, CallError> {
        let operation = call.operation;
        let _turn = self.turns.acquire().await.map_err(|_closed| CallError::unreadable(operation, "the client is closed"))?;
        let attempt = tokio::time::timeout(TRY_TIMEOUT, self.attempt_now(call)).await;
        attempt.unwrap_or(Err(CallError::Timeout { operation }))
    }

    async fn attempt_now(&self, call: &Call) -> Result<Bytes, CallError> {
        let operation = call.operation;
        let broken = |why: String| CallError::Broken { operation, why };
        let key = self.keyring.key().await.map_err(|source| CallError::Key { operation, source })?;
        let ControlEndpoint { server, region } = &self.endpoint;
        let mut headers = HeaderMap::new();
        if let Some(principal) = &call.principal {
            headers.insert(PRINCIPAL, HeaderValue::from_str(principal).map_err(|error| broken(error.to_string()))?);
        }
        let request = HttpRequest { method: call.method.clone(), path: call.uri.clone(), body: call.body.clone() };
        let request = request::signed_with(&server.authority, request, &headers, &key, region, control::SIGNING_NAME)
            .map_err(|source| CallError::Sign { operation, source })?;
        let mut sender = match self.take_idle() {
            Some(sender) => sender,
            None => server.connect().await.map_err(broken)?,
        };
        sender.ready().await.map_err(|error| broken(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        let outcome = read(operation, response).await;
        if !matches!(outcome, Err(CallError::Broken { .. })) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        outcome
    }

    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|sender| !sender.is_closed())
    }
}

/// A timer of no length would take a tick all the same.
async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

async fn read(operation: &'static str, response: Response<Incoming>) -> Result<Bytes, CallError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| CallError::Broken { operation, why: error.to_string() })?.to_bytes();
    if head.status.is_success() {
        return Ok(body);
    }
    let named = head.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    // AWS may put a colon and a URL behind the name.
    let error_type = named.and_then(|value| value.split(':').next()).unwrap_or("an error without a name");
    let message = control::parse_error(&body).unwrap_or_else(|| "no message".into());
    Err(CallError::Refused { operation, status: head.status.as_u16(), error_type: error_type.to_owned(), message })
}
