//! A server of one page, on a thread of its own: a connection is one request, and has seconds.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus::TEXT_FORMAT;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

/// Where the page is.
pub(super) const PATH: &str = "/metrics";
/// As tools show the thread.
const THREAD: &str = "metrics";
/// Connections at once; whoever comes then waits for one to end.
const CONNECTIONS_MAX: usize = 8;
/// From the beginning of a connection to the last byte of its answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Of a request without its body, which is never read. Hyper takes no less.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// After a connection that could not be taken, as without a free descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// A server, until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn start(listener: TcpListener, page: impl Fn() -> String + Send + Sync + 'static) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = async move {
            tokio::select! {
                never = serve(listener, Arc::new(page)) => never,
                // Dropped or said, it is the same.
                _ = stopped => Ok(()),
            }
        };
        let serve = move || {
            if let Err(error) = runtime.block_on(serving) {
                tracing::error!(%error, "metrics are not served");
            }
        };
        let thread = thread::Builder::new().name(THREAD.into()).spawn(serve)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // One that has panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(listener: TcpListener, page: Arc<impl Fn() -> String + Send + Sync + 'static>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the places are never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = Arc::clone(&page);
                tokio::spawn(async move {
                    // A connection that takes too long, or breaks, is its client's matter.
                    let _ = timeout(CONNECTION_TIMEOUT, converse(stream, &*page)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the metrics");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, page: &impl Fn() -> String) -> hyper::Result<()> {
    let service =
        service_fn(async |request: Request<Incoming>| Ok::<_, Infallible>(respond(request.method(), request.uri().path(), page)));
    let mut server = http1::Builder::new();
    server.keep_alive(false).header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    server.serve_connection(TokioIo::new(stream), service).await
}

fn respond(method: &Method, path: &str, page: impl Fn() -> String) -> Response<Full<Bytes>> {
    let text = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    };
    if path != PATH {
        return text(StatusCode::NOT_FOUND, format!("metrics are at {PATH}\n"));
    }
    if method != Method::GET {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("GET {PATH} is all there is\n"));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let mut response = text(StatusCode::OK, page());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::time::Instant;

    fn server() -> Server {
        Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), || "up 1\n".to_owned()).unwrap()
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(2 * CONNECTION_TIMEOUT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_page_is_all_there_is() {
        let server = server();
        for (request, status, word) in [
            ("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n", "200 OK", "up 1\n"),
            ("GET /metrics?name[]=x HTTP/1.0\r\n\r\n", "200 OK", "up 1\n"),
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", "404 Not Found", "/metrics"),
            ("POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n", "405 Method Not Allowed", "allow: GET"),
            ("HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n", "405 Method Not Allowed", "allow: GET"),
            ("nonsense\r\n\r\n", "400 Bad Request", ""),
        ] {
            let answer = ask(server.address(), request);
            assert!(answer.split_once(' ').is_some_and(|(_, rest)| rest.starts_with(status)), "{request:?}: {answer}");
            assert!(answer.contains(word), "{request:?}: {answer}");
        }
        assert!(ask(server.address(), "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").contains("version=0.0.4"));
    }

    #[test]
    fn who_says_nothing_keeps_others_waiting_for_seconds_only_and_an_end_is_at_once() {
        let server = server();
        let silent: Vec<_> = (0..CONNECTIONS_MAX).map(|_| std::net::TcpStream::connect(server.address()).unwrap()).collect();
        assert!(ask(server.address(), "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").contains("up 1"));
        let address = server.address();
        let again: Vec<_> = (0..CONNECTIONS_MAX).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < CONNECTION_TIMEOUT, "connections that are open do not hold it");
        assert!(std::net::TcpListener::bind(address).is_ok(), "the port is free again");
        drop((silent, again));
    }
}
