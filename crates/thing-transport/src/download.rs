//! The file of a job, over HTTPS and beside the session: hashed as it comes and never held, under a bandwidth cap, with deadlines
//! (PROTOCOL 17.3).

use crate::ports;
use host::address::{bare, by_family, first_to_connect, interleaved};
use host::{beside, clock};
use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use iot_jobs::instant::Mono;
use iot_jobs::wire::codesign::{self, FileRef, Malformed};
use iot_jobs::wire::signature::{FileHash, SignerKey};
use iot_jobs::{ExecutionStatus, JobDocument, JobId};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// No thing has room for more.
pub const FILE_BYTES_MAX: u64 = 1 << 30;
/// Beyond both time-outs, a download may last what its bytes take at this rate, or at half its own cap.
const SLOWEST_BYTES_PER_S: u64 = 64 * 1024;
/// What hyper and the kernel may hold of a body that is read slowly.
const BUFFER_BYTES: usize = 16 * 1024;
const SOCKET_BUFFER_BYTES: u32 = 64 * 1024;
/// Read of the body of an error.
const ERROR_BYTES_MAX: usize = 2 * 1024;

/// How the things of a cohort fetch files.
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// Without a client certificate, and without ALPN.
    pub tls: Arc<ClientConfig>,
    /// Who must have signed; nobody, where signatures are not verified.
    pub signer: Option<SignerKey>,
    /// Bytes per second of each thing, of jobs that have a cap.
    pub bandwidth: BTreeMap<JobId, u64>,
    /// Of name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// No byte for this long is no download.
    pub answer_timeout: Duration,
}

/// Why there is no good file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFailure {
    /// The document does not name its file as PROTOCOL 17.3 has it.
    #[error("{0}")]
    Document(#[from] Malformed),
    /// Signatures are verified, and there is none.
    #[error("the document names a file without a codesign")]
    Unsigned,
    /// It cannot be fetched over HTTPS.
    #[error("the file's URL is no https URL")]
    Url,
    /// So many bytes, more than [`FILE_BYTES_MAX`].
    #[error("a file of {0} bytes is more than fits, {FILE_BYTES_MAX}")]
    TooLarge(u64),
    /// It does not verify.
    #[error("the signature is not the signer's for this file")]
    Signature,
    /// Name, TCP or TLS.
    #[error("no connection to the file's host: {0}")]
    Connect(String),
    /// Another status than 200, with the code of the error as S3 writes it.
    #[error("the file's host answered {status} {code}")]
    Status {
        /// Of the answer.
        status: u16,
        /// Of the error, as S3 writes it.
        code: String,
    },
    /// Another length than the document says, in bytes.
    #[error("the file has {found} bytes, not {expected}")]
    Length {
        /// By the document.
        expected: u64,
        /// That came, or were announced.
        found: u64,
    },
    /// The connection, or HTTP on it.
    #[error("the download broke off: {0}")]
    Broken(String),
    /// Nothing came for so long.
    #[error("no byte of the file came for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// Not within the time its bytes may take.
    #[error("the file was not there after {} s", .0.as_secs_f32())]
    Late(Duration),
    /// Nobody waits for it any more.
    #[error("the download was given up with its session or its work")]
    Abandoned,
}

impl FileFailure {
    /// How an execution with such a file ends: what is structurally wrong or signed by somebody else is refused, what may have been
    /// damaged on its way has failed (inferred). TLS lets no byte be damaged unseen, so a whole file with a wrong signature is
    /// somebody else's.
    #[must_use]
    pub fn status(&self) -> ExecutionStatus {
        match self {
            Self::Document(_) | Self::Unsigned | Self::Url | Self::TooLarge(_) | Self::Signature => ExecutionStatus::Rejected,
            Self::Connect(_)
            | Self::Status { .. }
            | Self::Length { .. }
            | Self::Broken(_)
            | Self::Stalled(_)
            | Self::Late(_)
            | Self::Abandoned => ExecutionStatus::Failed,
        }
    }

    /// A word that `errors.csv` counts by.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Document(_) | Self::Unsigned => "document",
            Self::Url => "url",
            Self::TooLarge(_) => "too_large",
            Self::Signature => "signature",
            Self::Connect(_) => "connect",
            Self::Status { .. } => "status",
            Self::Length { .. } => "length",
            Self::Broken(_) => "broken",
            Self::Stalled(_) => "stalled",
            Self::Late(_) => "late",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether it took too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Stalled(_) | Self::Late(_))
    }

    /// Refused by the file's host rather than broken on the way, or found bad.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { .. })
    }

    fn broken(error: impl std::fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A download under way; it is given up when dropped.
#[derive(Debug)]
pub struct Download {
    task: JoinHandle<Result<(), FileFailure>>,
    received: Rc<Cell<u64>>,
    length: Option<u64>,
    /// When it began.
    pub started: Mono,
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Download {
    /// Begins to fetch what the document names; `None` where it names nothing. Must be called within a runtime of one thread.
    ///
    /// # Errors
    /// When the document does not name its file as it should.
    pub fn start(document: &JobDocument, job: &JobId, settings: &FileSettings) -> Result<Option<Self>, FileFailure> {
        let Some(file) = codesign::parse(document.as_json())? else { return Ok(None) };
        if file.signed.is_none() && settings.signer.is_some() {
            return Err(FileFailure::Unsigned);
        }
        let length = file.signed.as_ref().map(|signed| signed.bytes);
        if let Some(bytes) = length.filter(|bytes| *bytes > FILE_BYTES_MAX) {
            return Err(FileFailure::TooLarge(bytes));
        }
        let transfer = Transfer {
            file,
            tls: Arc::clone(&settings.tls),
            signer: settings.signer,
            bandwidth: settings.bandwidth.get(job).copied(),
            connect_timeout: settings.connect_timeout,
            answer_timeout: settings.answer_timeout,
            received: Rc::default(),
        };
        let received = Rc::clone(&transfer.received);
        Ok(Some(Self { task: tokio::task::spawn_local(transfer.run()), received, length, started: clock::mono() }))
    }

    /// Bytes so far, and how many there are to be where that is said.
    #[must_use]
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.received.get(), self.length)
    }

    /// Whether the file is there.
    ///
    /// # Errors
    /// When it is not good.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FileFailure>> {
        Pin::new(&mut self.task).poll(cx).map(|joined| joined.unwrap_or_else(|error| Err(FileFailure::broken(error))))
    }
}

struct Transfer {
    file: FileRef,
    tls: Arc<ClientConfig>,
    signer: Option<SignerKey>,
    bandwidth: Option<u64>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    received: Rc<Cell<u64>>,
}

impl Transfer {
    async fn run(self) -> Result<(), FileFailure> {
        let limit = self.connect_timeout + self.answer_timeout + transfer_time(self.expected(), self.bandwidth);
        timeout(limit, self.fetch()).await.unwrap_or(Err(FileFailure::Late(limit)))
    }

    fn expected(&self) -> Option<u64> {
        self.file.signed.as_ref().map(|signed| signed.bytes)
    }

    async fn fetch(&self) -> Result<(), FileFailure> {
        let (host, port, request) = request(&self.file.url)?;
        let connecting = timeout(self.connect_timeout, dial(&host, port, &self.tls));
        let stream = connecting.await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
        let stream = stream.map_err(|error| FileFailure::Connect(error.to_string()))?;
        let mut client = http1::Builder::new();
        client.max_buf_size(BUFFER_BYTES);
        let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(FileFailure::broken)?;
        let transfer = async {
            let (head, body) =
                self.with_idle_timeout(sender.send_request(request)).await?.map_err(FileFailure::broken)?.into_parts();
            if head.status != StatusCode::OK {
                return Err(FileFailure::Status { status: head.status.as_u16(), code: self.read_error(body).await });
            }
            self.receive(body).await
        };
        beside(connection, transfer).await
    }

    async fn with_idle_timeout<T>(&self, wait: impl Future<Output = T>) -> Result<T, FileFailure> {
        timeout(self.answer_timeout, wait).await.map_err(|_elapsed| FileFailure::Stalled(self.answer_timeout))
    }

    async fn read_error(&self, body: Incoming) -> String {
        let read = self.with_idle_timeout(Limited::new(body, ERROR_BYTES_MAX).collect()).await;
        let bytes = read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
        error_text(&String::from_utf8_lossy(&bytes))
    }

    async fn receive(&self, mut body: Incoming) -> Result<(), FileFailure> {
        let (expected, announced) = (self.expected(), body.size_hint().exact());
        if let (Some(expected), Some(found)) = (expected, announced.filter(|bytes| Some(*bytes) != expected)) {
            return Err(FileFailure::Length { expected, found });
        }
        let most = expected.unwrap_or(FILE_BYTES_MAX);
        let mut hash = self.signer.map(|_| FileHash::default());
        let started = clock::mono();
        loop {
            let Some(frame) = self.with_idle_timeout(body.frame()).await? else { break };
            let Ok(bytes) = frame.map_err(FileFailure::broken)?.into_data() else { continue };
            let received = self.received.get() + bytes.len() as u64;
            self.received.set(received);
            if received > most {
                return Err(
                    expected.map_or(FileFailure::TooLarge(received), |expected| FileFailure::Length { expected, found: received })
                );
            }
            if let Some(hash) = &mut hash {
                hash.update(&bytes);
            }
            // Its buffer is free while the cap is waited for.
            drop(bytes);
            if let Some(bandwidth) = self.bandwidth {
                let due = started + Duration::from_secs_f64(received as f64 / bandwidth as f64);
                tokio::time::sleep(due.since(clock::mono())).await;
            }
        }
        let found = self.received.get();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(FileFailure::Length { expected, found });
        }
        let Some((signer, hash)) = self.signer.zip(hash) else { return Ok(()) };
        let signature = self.file.signed.as_ref().map(|signed| &signed.signature[..]);
        if signer.verifies(&hash.finish(), signature.unwrap_or_default()) { Ok(()) } else { Err(FileFailure::Signature) }
    }
}

/// What the bytes may take at most.
fn transfer_time(expected: Option<u64>, bandwidth: Option<u64>) -> Duration {
    let rate = bandwidth.map_or(SLOWEST_BYTES_PER_S, |cap| SLOWEST_BYTES_PER_S.min(cap / 2).max(1));
    Duration::from_secs(expected.unwrap_or(FILE_BYTES_MAX) / rate)
}

fn request(url: &str) -> Result<(String, u16, Request<Empty<Bytes>>), FileFailure> {
    let uri: Uri = url.parse().map_err(|_no_url| FileFailure::Url)?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https")).ok_or(FileFailure::Url)?;
    // The brackets of an IPv6 address are the URL's.
    let host = bare(authority.host()).to_owned();
    let port = authority.port_u16().unwrap_or(443);
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(path).header(HOST, authority.as_str()).header(CONNECTION, HeaderValue::from_static("close"));
    Ok((host, port, request.body(Empty::new()).map_err(|_no_request| FileFailure::Url)?))
}

async fn dial(host: &str, port: u16, tls: &Arc<ClientConfig>) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let addresses = interleaved(by_family(tokio::net::lookup_host((host, port)).await?.collect()));
    if addresses.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let tcp = first_to_connect(&addresses, |address| async move {
        let socket = ports::socket(address, None)?;
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
        socket.connect(address).await
    })
    .await?;
    TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await
}

/// `Code` and `Message` of an error as S3 writes it, as far as they are there.
fn error_text(body: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value.to_owned())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (code, _) => code.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_are_fetched() {
        let (host, port, request) = request("https://127.0.0.1:4443/objects/b/k?X-Amz-Date=1").unwrap();
        assert_eq!((&*host, port, request.uri().to_string().as_str()), ("127.0.0.1", 4443, "/objects/b/k?X-Amz-Date=1"));
        assert_eq!(request.headers()[HOST], "127.0.0.1:4443");
        let (host, port, _) = super::request("https://[::1]/k").unwrap();
        assert_eq!((&*host, port), ("::1", 443));
        for url in ["http://127.0.0.1/k", "ftp://h/k", "/objects/b/k", "", "${aws:iot:s3-presigned-url:https://s3/b/k}", "https://"]
        {
            assert_eq!(super::request(url).unwrap_err(), FileFailure::Url, "{url}");
        }
    }

    #[test]
    fn every_download_has_its_time() {
        let mib = 1 << 20;
        assert_eq!(transfer_time(Some(mib), None), Duration::from_secs(16));
        assert_eq!(transfer_time(Some(mib), Some(16 * 1024)), Duration::from_secs(128));
        assert_eq!(transfer_time(Some(0), Some(1)), Duration::ZERO);
        assert!(transfer_time(None, None) < Duration::from_secs(5 * 3600));
    }
}
