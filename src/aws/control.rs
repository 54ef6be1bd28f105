//! The control plane's client: what `run` creates things, groups and jobs with, on the local endpoint as on AWS.

use aws_signing::keyring::{KeyError, Keyring};
use aws_signing::request;
use aws_signing::sigv4::SignError;
use futures_util::future::try_join_all;
use host::address::first_to_connect;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use iot_jobs::wire::control::{self, Account};
use iot_jobs::wire::data_plane::HttpRequest;
use iot_jobs::wire::job_progress::JobProgress;
use iot_jobs::wire::registry::{self, MembershipBody};
use iot_jobs::{CreateJob, GroupName, JobId, ThingName};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

/// Of one call, connecting included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of one call, when it was throttled or broke on the way.
const TRIES_MAX: u32 = 5;
/// Where a few calls a second are allowed (PROTOCOL 15.2), a fleet waits for its turn.
const THROTTLED_TRIES_MAX: u32 = 60;
const RETRY_BASE: Duration = Duration::from_millis(100);
const RETRY_CAP: Duration = Duration::from_secs(2);
/// Connections kept alive; also the calls under way at once.
pub const CONNECTIONS: usize = 8;
/// Questions do not wait for changes: they have a lane of their own while a run goes on.
const QUESTIONS: usize = CONNECTIONS - 1;

/// How a job stands for who waits for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// There is none of that name.
    Missing,
    /// It has executions that have not ended, or will have some.
    Open,
    Over,
}

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ControlCallError {
    #[error("call {operation}: {status} {error_type}: {message}")]
    Refused { operation: &'static str, status: u16, error_type: String, message: String },
    #[error("call {operation}: {why}")]
    Broken { operation: &'static str, why: String },
    #[error("call {operation}: no answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout { operation: &'static str },
    #[error("call {operation}: {source}")]
    Sign { operation: &'static str, source: SignError },
    #[error("call {operation}: {source}")]
    Key { operation: &'static str, source: KeyError },
}

impl ControlCallError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status >= 500 || self.is_throttled(),
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

    fn is_of_status(&self, code: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == code)
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// Where a control plane is.
pub struct ControlEndpoint {
    /// At least one, in the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
    /// What the `host` header says: a port stands in it where it is not the scheme's own.
    pub authority: String,
    pub region: String,
    /// `None`: HTTP, as local stand-ins for AWS speak it.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// A few kept-alive connections to the control plane.
pub struct ControlClient {
    endpoint: ControlEndpoint,
    keyring: Arc<Keyring>,
    /// Known once a resource was made.
    account: OnceLock<Account>,
    connections: Vec<Mutex<Option<Sender>>>,
}

impl ControlClient {
    /// Connects on first use.
    #[must_use]
    pub fn new(endpoint: ControlEndpoint, keyring: Arc<Keyring>) -> Self {
        let connections = std::iter::repeat_with(|| Mutex::new(None)).take(CONNECTIONS).collect();
        Self { endpoint, keyring, account: OnceLock::new(), connections }
    }

    /// Where devices of this account connect to: a host of AWS, or `host:port` of a stand-in.
    ///
    /// # Errors
    /// When the call is refused, breaks too often, or has an answer that cannot be read.
    pub async fn describe_endpoint(&self) -> Result<String, ControlCallError> {
        let operation = "DescribeEndpoint";
        let body = self.call(0, operation, &Method::GET, "/endpoint?endpointType=iot:Data-ATS", b"").await?;
        text_of(operation, &body, "endpointAddress")
    }

    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn create_thing(&self, lane: usize, thing: &ThingName) -> Result<(), ControlCallError> {
        self.call(lane, "CreateThing", &Method::POST, &format!("/things/{thing}"), b"{}").await.map(drop)
    }

    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn create_group(&self, group: &GroupName) -> Result<(), ControlCallError> {
        let operation = "CreateThingGroup";
        let body = self.call(0, operation, &Method::POST, &format!("/thing-groups/{group}"), b"{}").await?;
        let arn = text_of(operation, &body, "thingGroupArn")?;
        let account = Account::of_arn(&arn).ok_or_else(|| unreadable(operation, format!("{arn:?} is no ARN of AWS IoT")))?;
        // All groups are of one account: whoever comes first says which.
        let _ = self.account.set(account);
        Ok(())
    }

    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn add_thing_to_group(&self, lane: usize, thing: &ThingName, group: &GroupName) -> Result<(), ControlCallError> {
        let body = registry::encode(&MembershipBody::new(thing, group));
        self.call(lane, "AddThingToThingGroup", &Method::PUT, "/thing-groups/addThingToThingGroup", &body).await.map(drop)
    }

    /// Jobs are created in the order of the calls. Their targets must have been made by this client.
    ///
    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn create_job(&self, job: &CreateJob) -> Result<(), ControlCallError> {
        let operation = "CreateJob";
        let account = self.account.get().ok_or_else(|| unreadable(operation, "no group of targets was made before".into()))?;
        let body = iot_jobs::wire::create_job::encode_create_job(account, job);
        self.call(0, operation, &Method::PUT, &format!("/jobs/{}", job.job_id), &body).await.map(drop)
    }

    /// Whether every execution that a job for `targets` things will have has ended. A job that was deleted is over.
    ///
    /// # Errors
    /// When the call is refused, breaks too often, or has an answer that cannot be read.
    pub async fn job_state(&self, job: &JobId, targets: u64) -> Result<JobState, ControlCallError> {
        let operation = "DescribeJob";
        match self.call(QUESTIONS, operation, &Method::GET, &format!("/jobs/{job}"), b"").await {
            Ok(body) => JobProgress::parse(&body)
                .map(|job_progress| if job_progress.is_over(targets) { JobState::Over } else { JobState::Open })
                .map_err(|error| unreadable(operation, error.to_string())),
            Err(error) if error.is_of_status(404) => Ok(JobState::Missing),
            Err(error) => Err(error),
        }
    }

    /// `lane` picks the connection; calls of one lane go one after the other.
    async fn call(
        &self,
        lane: usize,
        operation: &'static str,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<Bytes, ControlCallError> {
        let mut connection = self.connections[lane % self.connections.len()].lock().await;
        let mut tries = 0;
        let mut is_unsure = false;
        loop {
            let once = self.call_once(&mut connection, operation, method, path, body);
            let result = match tokio::time::timeout(CALL_TIMEOUT, once).await {
                Ok(result) => result,
                Err(_elapsed) => Err(ControlCallError::Timeout { operation }),
            };
            tries += 1;
            match result {
                Err(error) if error.is_throttled() && tries < THROTTLED_TRIES_MAX => {
                    tokio::time::sleep(RETRY_CAP.min(RETRY_BASE * 2u32.pow(tries.min(10)))).await;
                }
                // An earlier try was carried out, and its answer lost.
                Err(error) if is_unsure && error.is_of_status(409) => return Ok(Bytes::new()),
                Err(error) if error.is_retryable() && tries < TRIES_MAX => {
                    is_unsure |= error.is_unsure();
                    *connection = None;
                    tokio::time::sleep(RETRY_BASE * 2u32.pow(tries)).await;
                }
                result => return result,
            }
        }
    }

    async fn call_once(
        &self,
        connection: &mut Option<Sender>,
        operation: &'static str,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<Bytes, ControlCallError> {
        let broken = |why: String| ControlCallError::Broken { operation, why };
        let mut sender = match connection.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await.map_err(broken)?,
        };
        sender.ready().await.map_err(|error| broken(error.to_string()))?;
        let key = self.keyring.key().await.map_err(|source| ControlCallError::Key { operation, source })?;
        let ControlEndpoint { authority, region, .. } = &self.endpoint;
        let request = HttpRequest { method: method.clone(), path: path.to_owned(), body: body.to_vec() };
        let request = request::signed(authority, request, &key, region, control::SIGNING_NAME)
            .map_err(|source| ControlCallError::Sign { operation, source })?;
        let response = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        let outcome = read(operation, response).await;
        *connection = Some(sender);
        outcome
    }

    async fn connect(&self) -> Result<Sender, String> {
        let dial = async {
            let tcp = first_to_connect(&self.endpoint.addresses, TcpStream::connect).await?;
            tcp.set_nodelay(true)?;
            Ok::<_, io::Error>(match &self.endpoint.tls {
                Some((tls, name)) => Either::Left(TlsConnector::from(Arc::clone(tls)).connect(name.clone(), tcp).await?),
                None => Either::Right(tcp),
            })
        };
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.endpoint.authority);
        let stream = dial.await.map_err(|error| failed(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // Ends when the sender is dropped, or the peer closes.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "control-plane connection");
            }
        });
        Ok(sender)
    }
}

async fn read(operation: &'static str, response: Response<Incoming>) -> Result<Bytes, ControlCallError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| ControlCallError::Broken { operation, why: error.to_string() })?.to_bytes();
    if head.status.is_success() {
        return Ok(body);
    }
    let error_type =
        head.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).unwrap_or("an error without a name");
    let message = control::parse_error(&body).unwrap_or_else(|| "no message".into());
    Err(ControlCallError::Refused { operation, status: head.status.as_u16(), error_type: error_type.to_owned(), message })
}

fn unreadable(operation: &'static str, why: String) -> ControlCallError {
    ControlCallError::Broken { operation, why }
}

/// A text member of an answer.
fn text_of(operation: &'static str, body: &[u8], member: &str) -> Result<String, ControlCallError> {
    control::text_member(body, member).ok_or_else(|| unreadable(operation, format!("the answer has no {member}")))
}

/// Registers things and puts them into their groups, in parallel, telling progress (calls done, calls in all).
///
/// # Errors
/// With the first call that fails for good.
pub async fn provision(
    client: &ControlClient,
    things: &[ThingName],
    groups: &[(GroupName, Vec<ThingName>)],
    progress: impl Fn(usize, usize),
) -> Result<(), ControlCallError> {
    let total = things.len() + groups.iter().map(|(_, members)| members.len()).sum::<usize>();
    let done = std::cell::Cell::new(0);
    let step = || {
        done.set(done.get() + 1);
        progress(done.get(), total);
    };
    for (group, _) in groups {
        client.create_group(group).await?;
    }
    let step = &step;
    let registering = (0..CONNECTIONS).map(|lane| async move {
        for thing in things.iter().skip(lane).step_by(CONNECTIONS) {
            client.create_thing(lane, thing).await?;
            step();
        }
        Ok(())
    });
    try_join_all(registering).await?;
    let joining = (0..CONNECTIONS).map(|lane| async move {
        for (group, members) in groups {
            for thing in members.iter().skip(lane).step_by(CONNECTIONS) {
                client.add_thing_to_group(lane, thing, group).await?;
                step();
            }
        }
        Ok(())
    });
    try_join_all(joining).await?;
    Ok(())
}
