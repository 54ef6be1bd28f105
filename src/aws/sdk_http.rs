//! HTTP for AWS's SDK, which finds credentials: each of its few requests has a connection of its own.

use super::locate::{self, LocateError};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::header::HOST;
use http::{HeaderValue, Response, Uri};
use http_body_util::{BodyExt as _, Limited};
use std::time::Duration;

/// Where the SDK names none: to be connected, name lookup and TLS included; and from there to the whole answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Credentials are some kilobytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How requests of the SDK are sent.
#[derive(Clone, Debug)]
pub(super) struct SdkHttp {
    /// PEM file of roots besides those that Mozilla trusts.
    pub(super) ca_bundle: Option<String>,
}

impl HttpClient for SdkHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            ca_bundle: self.ca_bundle.clone(),
            connect_timeout: settings.connect_timeout().unwrap_or(CONNECT_TIMEOUT),
            answer_timeout: settings.read_timeout().unwrap_or(ANSWER_TIMEOUT),
        })
    }
}

#[derive(Clone, Debug)]
struct Connector {
    ca_bundle: Option<String>,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.ask(request).await })
    }
}

impl Connector {
    async fn ask(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let uri = std::mem::take(request.uri_mut());
        let connect = async {
            let server =
                locate::server(&uri, || locate::roots_of_all(self.ca_bundle.as_deref())).await.map_err(|error| match error {
                    LocateError::Resolve { .. } => ConnectorError::io(error.into()),
                    error => ConnectorError::user(error.into()),
                })?;
            let sender = server.connect().await.map_err(|why| ConnectorError::io(why.into()))?;
            Ok((server.authority, sender))
        };
        let (authority, mut sender) = within(self.connect_timeout, "connection", &uri, connect).await?;
        *request.uri_mut() = uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
        let host = HeaderValue::from_str(&authority).map_err(|error| ConnectorError::user(error.into()))?;
        request.headers_mut().entry(HOST).or_insert(host);
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| ConnectorError::io(error.into()))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(ConnectorError::io)?.to_bytes();
            let response = Response::from_parts(head, SdkBody::from(body));
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        };
        within(self.answer_timeout, "answer", &uri, exchange).await
    }
}

async fn within<T>(
    limit: Duration,
    what: &str,
    uri: &Uri,
    work: impl Future<Output = Result<T, ConnectorError>>,
) -> Result<T, ConnectorError> {
    let late = |_elapsed| ConnectorError::timeout(format!("{uri}: no {what} within {limit:?}").into());
    tokio::time::timeout(limit, work).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use dev_pki::{Store, StoreSpec};
    use host::tls;
    use rustls::ServerConfig;
    use std::net::SocketAddr;
    use std::path::Path;
    use std::sync::Arc;
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// What comes to it goes back as the body of the answer.
    async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut request = vec![0; 4096];
        let count = stream.read(&mut request).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {count}\r\nx-kind: echo\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&request[..count]).await.unwrap();
        stream.shutdown().await.unwrap();
    }

    fn connector(ca_bundle: Option<&Path>) -> Connector {
        let ca_bundle = ca_bundle.map(|path| path.to_str().unwrap().to_owned());
        Connector { ca_bundle, connect_timeout: Duration::from_secs(5), answer_timeout: Duration::from_secs(5) }
    }

    async fn ask(connector: &Connector, url: &str) -> Result<(u16, String), ConnectorError> {
        let mut request = HttpRequest::new(SdkBody::from("who am I"));
        request.set_method("POST").unwrap();
        request.set_uri(url).unwrap();
        let response = connector.call(request).await?;
        assert_eq!(response.headers().get("x-kind"), Some("echo"));
        let body = String::from_utf8(response.body().bytes().unwrap().to_vec()).unwrap();
        Ok((response.status().as_u16(), body))
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_request_reaches_its_server_with_path_host_and_body() {
        let (listener, address) = listener().await;
        let server = tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
        let (status, seen) = ask(&connector(None), &format!("http://{address}/v2/credentials?id=7")).await.unwrap();
        server.await.unwrap();
        assert_eq!(status, 200);
        assert!(seen.starts_with("POST /v2/credentials?id=7 HTTP/1.1\r\n") && seen.ends_with("\r\n\r\nwho am I"), "{seen}");
        assert!(seen.contains(&format!("host: {address}\r\n")), "{seen}");
    }

    #[tokio::test]
    async fn over_tls_the_server_must_prove_its_name_to_the_roots_of_the_bundle() {
        let dir = tempfile::tempdir().unwrap();
        let spec = StoreSpec::default();
        let (store, _) = Store::ensure(dir.path(), &spec, &mut |_, _| {}).unwrap();
        let pair = store.server().unwrap();
        let builder = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(pair.chain, pair.key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (listener, address) = listener().await;
        let server = tokio::spawn(async move {
            loop {
                if let Ok(stream) = acceptor.accept(listener.accept().await.unwrap().0).await {
                    echo(stream).await;
                }
            }
        });
        let url = format!("https://localhost:{}/", address.port());
        let (status, _) = ask(&connector(Some(&dir.path().join("ca.cert.pem"))), &url).await.unwrap();
        assert_eq!(status, 200);
        let stranger = ask(&connector(None), &url).await.unwrap_err();
        assert!(stranger.is_io() && format!("{stranger:?}").contains("UnknownIssuer"), "{stranger:?}");
        server.abort();
    }

    #[tokio::test]
    async fn what_goes_wrong_is_of_the_kind_by_which_the_sdk_decides() {
        let (silent, address) = listener().await;
        let late =
            ask(&Connector { answer_timeout: Duration::from_millis(50), ..connector(None) }, &format!("http://{address}/")).await;
        assert!(late.as_ref().is_err_and(ConnectorError::is_timeout), "{late:?}");
        drop(silent);
        let refused = ask(&connector(None), &format!("http://{address}/")).await;
        assert!(refused.as_ref().is_err_and(ConnectorError::is_io), "{refused:?}");
        let unreadable = ask(&connector(Some(Path::new("/no/such/file"))), "https://localhost/").await;
        assert!(unreadable.as_ref().is_err_and(ConnectorError::is_user), "{unreadable:?}");
    }
}
