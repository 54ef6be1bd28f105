//! A kept-alive connection of HTTP/1.1, and what is asked on it, one request at a time.

use crate::error::Failure;
use crate::socket::Socket;
use aws_signing::request::{self, Signing, SigningError};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use iot_jobs::instant::Mono;
use iot_jobs::wire::control;
use iot_jobs::wire::data_plane::{self, HttpRequest, SIGNING_NAME};
use iot_jobs::{ClientToken, RequestKind};
use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::client::TlsStream;

/// What hyper may hold of an answer's head; it takes no less.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Of an answer: more than the largest document, written as a string.
const BODY_BYTES_MAX: usize = 256 * 1024;

type Sender = SendRequest<Full<Bytes>>;
type Link = Connection<TokioIo<TlsStream<Socket>>, Full<Bytes>>;
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
    /// Gone when the other side has closed it: what waits for it fails only then.
    link: Option<Box<Link>>,
    /// An answer has come on this connection.
    is_proven: bool,
    /// The exchange that is open has it.
    sender: Option<Sender>,
    open: Option<Open>,
    /// Answers come in the order of requests: these wait for the one that is open.
    waiting: VecDeque<Asked>,
}

impl Exchanges {
    pub(super) async fn new(
        stream: TlsStream<Socket>,
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
            link: Some(Box::new(link)),
            is_proven: false,
            sender: Some(sender),
            open: None,
            waiting: VecDeque::new(),
        })
    }

    /// Whether nothing is asked, and nothing waits to be.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// Whether an answer has come on this connection.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven
    }

    pub(super) fn push(&mut self, asked: Asked) {
        self.waiting.push_back(asked);
    }

    /// When [`Self::poll`] must be called at the latest.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.open.as_ref().map(|open| open.deadline)
    }

    /// Whether nothing can be asked any more.
    pub(super) fn is_closed(&self) -> bool {
        self.link.is_none()
    }

    /// The next answer.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Mono) -> Result<Poll<Answered>, Failure> {
        if self.open.is_none()
            && !self.waiting.is_empty()
            && let Some(sender) = self.sender.take()
        {
            self.begin(sender, now);
        }
        let Some(mut open) = self.open.take() else {
            self.drive(cx)?;
            return Ok(Poll::Pending);
        };
        let mut exchanged = open.exchange.as_mut().poll(cx);
        if exchanged.is_pending() {
            // What it has handed over leaves now, and what has come is handed to it.
            self.drive(cx)?;
            exchanged = open.exchange.as_mut().poll(cx);
        }
        match exchanged {
            Poll::Ready((sender, result)) => {
                self.sender = Some(sender);
                let Answer { status, error_type, body } = result?;
                self.is_proven = true;
                let Open { kind, client_token, line, .. } = open;
                Ok(Poll::Ready(Answered { kind, client_token, line, status, error_type, body }))
            }
            Poll::Pending => {
                self.open = Some(open);
                Ok(Poll::Pending)
            }
        }
    }

    /// An answer that is not there in time leaves the connection of no use: the next one could not be told from it.
    ///
    /// # Errors
    /// When that is so.
    pub(super) fn check_deadline(&self, now: Mono) -> Result<(), Failure> {
        match &self.open {
            Some(open) if now >= open.deadline => Err(Failure::Timeout("answer")),
            _ => Ok(()),
        }
    }

    /// Says goodbye, or resets the connection.
    pub(super) async fn close(self, is_reset: bool) {
        let Some(link) = self.link else { return };
        let mut stream = link.into_parts().io.into_inner();
        // Whether the peer hears it changes nothing for a thing that is leaving.
        let _ = match is_reset {
            true => stream.get_ref().0.get_ref().set_zero_linger(),
            false => stream.shutdown().await,
        };
    }

    fn begin(&mut self, sender: Sender, now: Mono) {
        let Some(asked) = self.waiting.pop_front() else { return };
        if self.waiting.is_empty() {
            // Thousands of idle things keep no buffers.
            self.waiting = VecDeque::new();
        }
        let Asked { kind, client_token, line, request } = asked;
        let exchange = Box::pin(exchange(sender, request, Arc::clone(&self.authority), self.signing.clone()));
        self.open = Some(Open { kind, client_token, line, deadline: now + self.answer_timeout, exchange });
    }

    /// Lets bytes come and go.
    fn drive(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let Poll::Ready(end) = Pin::new(&mut **link).poll(cx) else { return Ok(()) };
        self.link = None;
        end.map_err(|error| broken(&error))
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
        Some(signing) => request::signed_by(signing, authority, request, SIGNING_NAME).await?,
        None => request::plain(authority, request).map_err(SigningError::from)?,
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
