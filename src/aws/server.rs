//! A service of an account: where it is, and connections to it over HTTP/1.1.

use host::address::first_to_connect;
use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

/// Where a service is.
pub struct Server {
    /// At least one, in the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
    /// What the `host` header says: a port stands in it where it is not the scheme's own.
    pub authority: String,
    /// `None`: HTTP, as local stand-ins for AWS and the metadata services of containers and instances speak it.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Server {
    /// A new connection; it ends when its sender is dropped, or the server closes it. There is no deadline.
    ///
    /// # Errors
    /// When no address can be reached, or the server does not prove who it is.
    pub async fn connect<B>(&self) -> Result<SendRequest<B>, String>
    where
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let dial = async {
            let tcp = first_to_connect(&self.addresses, TcpStream::connect).await?;
            tcp.set_nodelay(true)?;
            Ok::<_, io::Error>(match &self.tls {
                Some((tls, name)) => Either::Left(TlsConnector::from(Arc::clone(tls)).connect(name.clone(), tcp).await?),
                None => Either::Right(tcp),
            })
        };
        let failed = |error: &dyn Display| format!("{}: {error}", self.authority);
        let stream = dial.await.map_err(|error| failed(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a service of the account");
            }
        });
        Ok(sender)
    }
}
