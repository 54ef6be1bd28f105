//! A kept-alive connection of HTTP/1.1, and what is asked on it, one request at a time.

use crate::instant::Mono;
use crate::jobs::{ClientToken, RequestKind};
use crate::transport::call::{self, SigningError};
use crate::transport::endpoint::Signing;
use crate::transport::error::Failure;
use crate::wire::control;
use crate::wire::data_plane::{self, HttpRequest, SIGNING_NAME};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What hyper may hold of an answer's head; it takes no less.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Of an answer: more than the largest document, written as a string.
const BODY_BYTES_MAX: usize = 256 * 1024;

type Sender = SendRequest<Full<Bytes>>;
type Link = Connection<TokioIo<TlsStream<TcpStream>>, Full<Bytes>>;
type Exchange = dyn Future<Output = (Sender, Result<Answer, Failure>)>;

/// A request that is to leave.
pub(super) struct Asked {
    pub kind: RequestKind,
    /// HTTP carries none: it is kept here.
    pub client_token: Option<ClientToken>,
    /// Method and path.
    pub line: String,
    pub request: HttpRequest,
}

/// The answer to a request.
pub(super) struct Answered {
    pub kind: RequestKind,
    pub client_token: Option<ClientToken>,
    /// Method and path of the request.
    pub line: String,
    pub status: u16,
    /// `x-amzn-ErrorType`.
    pub error_type: Option<String>,
    pub body: Bytes,
}

struct Answer {
    status: u16,
    error_type: Option<String>,
    body: Bytes,
}

struct Open {
    kind: RequestKind,
    client_token: Option<ClientToken>,
    line: String,
    deadline: Mono,
    exchange: Pin<Box<Exchange>>,
}

pub(super) struct Exchanges {
    authority: Arc<str>,
    signing: Option<Arc<Signing>>,
    answer_timeout: Duration,
    link: Pin<Box<Link>>,
    is_closed: bool,
    /// An answer has come on this connection.
    is_proven: bool,
    /// With the exchange that is open.
    sender: Option<Sender>,
    open: Option<Open>,
    /// Answers come in the order of requests: these wait for the one that is open.
    waiting: VecDeque<Asked>,
}

impl Exchanges {
    pub(super) async fn new(
        stream: TlsStream<TcpStream>,
        authority: &Arc<str>,
        signing: Option<&Arc<Signing>>,
        answer_timeout: Duration,
    ) -> Result<Self, Failure> {
        let mut client = http1::Builder::new();
        client.max_buf_size(HEAD_BYTES_MAX);
        let (sender, link) = client.handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        Ok(Self {
            authority: Arc::clone(authority),
            signing: signing.map(Arc::clone),
            answer_timeout,
            link: Box::pin(link),
            is_closed: false,
            is_proven: false,
            sender: Some(sender),
            open: None,
            waiting: VecDeque::new(),
        })
    }

    pub(super) fn push(&mut self, asked: Asked) {
        self.waiting.push_back(asked);
    }

    /// When [`Self::poll`] must be called at the latest.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.open.as_ref().map(|open| open.deadline)
    }

    /// The next answer.
    ///
    /// # Errors
    /// When the connection is of no use any more. An answer that is not there in time leaves it that way: the next one could not be
    /// told from it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Mono) -> Result<Poll<Answered>, Failure> {
        if self.open.is_none()
            && let Some(sender) = self.sender.take()
        {
            match self.waiting.pop_front() {
                Some(asked) => self.begin(asked, sender, now),
                None => self.sender = Some(sender),
            }
        }
        let Some(open) = &mut self.open else {
            return if !self.is_over(cx)? {
                Ok(Poll::Pending)
            } else if self.is_proven {
                Err(Failure::ClosedIdle { away: None })
            } else {
                Err(Failure::Closed)
            };
        };
        let mut exchanged = open.exchange.as_mut().poll(cx);
        if exchanged.is_pending() {
            // What it has handed over leaves now, and what has come is handed to it.
            let deadline = open.deadline;
            self.is_over(cx)?;
            if now >= deadline {
                return Err(Failure::Timeout("answer"));
            }
            let Some(open) = &mut self.open else { return Ok(Poll::Pending) };
            exchanged = open.exchange.as_mut().poll(cx);
        }
        let Poll::Ready((sender, result)) = exchanged else { return Ok(Poll::Pending) };
        self.sender = Some(sender);
        let Some(Open { kind, client_token, line, .. }) = self.open.take() else { return Ok(Poll::Pending) };
        let Answer { status, error_type, body } = result?;
        self.is_proven = true;
        Ok(Poll::Ready(Answered { kind, client_token, line, status, error_type, body }))
    }

    fn begin(&mut self, asked: Asked, sender: Sender, now: Mono) {
        let Asked { kind, client_token, line, request } = asked;
        let exchange = Box::pin(exchange(sender, request, Arc::clone(&self.authority), self.signing.clone()));
        self.open = Some(Open { kind, client_token, line, deadline: now + self.answer_timeout, exchange });
        if self.waiting.is_empty() {
            // Thousands of idle things keep no buffers.
            self.waiting = VecDeque::new();
        }
    }

    /// Drives the connection; says whether the other side has closed it.
    fn is_over(&mut self, cx: &mut Context<'_>) -> Result<bool, Failure> {
        if !self.is_closed
            && let Poll::Ready(end) = self.link.as_mut().poll(cx)
        {
            self.is_closed = true;
            end.map_err(|error| broken(&error))?;
        }
        Ok(self.is_closed)
    }
}

async fn exchange(
    mut sender: Sender,
    request: HttpRequest,
    authority: Arc<str>,
    signing: Option<Arc<Signing>>,
) -> (Sender, Result<Answer, Failure>) {
    let result = ask(&mut sender, request, &authority, signing.as_deref()).await;
    (sender, result)
}

async fn ask(sender: &mut Sender, request: HttpRequest, authority: &str, signing: Option<&Signing>) -> Result<Answer, Failure> {
    let request = match signing {
        Some(signing) => call::signed_by(signing, authority, request, SIGNING_NAME).await?,
        None => call::plain(authority, request).map_err(SigningError::from)?,
    };
    sender.ready().await.map_err(|error| broken(&error))?;
    let (head, body) = sender.send_request(request).await.map_err(|error| broken(&error))?.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| unread(&*error))?.to_bytes();
    let status = head.status.as_u16();
    let error_type = head.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
    if data_plane::is_forbidden(status, error_type.as_deref()) {
        let message = control::parse_error(&body).unwrap_or_else(|| "no message".into());
        let error_type = error_type.unwrap_or_else(|| "an error without a name".into());
        return Err(Failure::Forbidden { status, why: format!("{error_type}: {message}") });
    }
    Ok(Answer { status, error_type, body })
}

fn unread(error: &(dyn Error + Send + Sync + 'static)) -> Failure {
    match error.downcast_ref::<hyper::Error>() {
        Some(error) => broken(error),
        None if error.is::<LengthLimitError>() => Failure::Protocol(format!("an answer of more than {BODY_BYTES_MAX} bytes")),
        None => Failure::Protocol(error.to_string()),
    }
}

/// How the connection broke, as other sessions tell it.
fn broken(error: &hyper::Error) -> Failure {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match source {
        Some(source) => match source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => io::Error::new(source.kind(), tls.clone()).into(),
            None => io::Error::from(source.kind()).into(),
        },
        None if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => Failure::Closed,
        None => Failure::Protocol(error.to_string()),
    }
}
