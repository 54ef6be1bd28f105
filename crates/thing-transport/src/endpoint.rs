//! Where things connect to, and from where: the same to everyone, whether AWS, the local endpoint or a broker.

use crate::credentials;
use crate::credentials::Credentials;
use crate::error::{Failure, RouteError};
use aws_signing::request::Signing;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};

/// An address resolved once, and the name the endpoint must prove there.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Where to connect to.
    pub address: SocketAddr,
    /// Sent as SNI, verified in the certificate.
    pub server_name: ServerName<'static>,
    /// What a `host` header says: a port stands in it where it is not 443.
    pub authority: Arc<str>,
}

/// What all sessions have in common.
#[derive(Clone)]
pub struct Endpoint {
    /// At least one.
    destinations: Arc<[Destination]>,
    /// Empty: the kernel chooses.
    sources: Arc<[IpAddr]>,
    /// Without a client certificate; see [`Credentials::config`].
    pub tls: Arc<ClientConfig>,
    /// Whether things keep a TLS ticket for their next connection.
    resumption: bool,
    /// Present where nobody shows a certificate.
    pub signing: Option<Arc<Signing>>,
}

/// The way of one thing.
pub struct Route<'a> {
    /// Where it leads.
    pub destination: &'a Destination,
    source: Option<IpAddr>,
}

impl Endpoint {
    /// `None` when there is no destination.
    #[must_use]
    pub fn new(destinations: Vec<Destination>, sources: Vec<IpAddr>, tls: Arc<ClientConfig>, resumption: bool) -> Option<Self> {
        let is_empty = destinations.is_empty();
        let (destinations, sources) = (destinations.into(), sources.into());
        (!is_empty).then(|| Self { destinations, sources, tls, resumption, signing: None })
    }

    /// The same for things that sign.
    #[must_use]
    pub fn signed(self, signing: Signing) -> Self {
        Self { signing: Some(Arc::new(signing)), ..self }
    }

    /// One address, from wherever the kernel likes.
    #[must_use]
    pub fn single(address: SocketAddr, server_name: ServerName<'static>, tls: Arc<ClientConfig>) -> Self {
        let destinations = [Destination { address, server_name, authority: address.to_string().into() }].into();
        Self { destinations, sources: [].into(), tls, resumption: false, signing: None }
    }

    /// The TLS of one thing, for all its connections; it shows `credentials`, unless it is to sign.
    #[must_use]
    pub fn config(&self, credentials: Option<&Credentials>) -> Arc<ClientConfig> {
        let shown = credentials.filter(|_| self.signing.is_none());
        match (shown, self.resumption) {
            (None, false) => Arc::clone(&self.tls),
            (None, true) => credentials::resuming(ClientConfig::clone(&self.tls)),
            (Some(shown), false) => shown.config(&self.tls),
            (Some(shown), true) => shown.resuming_config(&self.tls),
        }
    }

    /// The thing at `position` always takes the same way; all pairs of source and destination carry alike.
    #[must_use]
    pub fn route(&self, position: u32) -> Route<'_> {
        let (position, destinations) = (position as usize, self.destinations.len());
        let source = (!self.sources.is_empty()).then(|| self.sources[position / destinations % self.sources.len()]);
        Route { destination: &self.destinations[position % destinations], source }
    }
}

impl Route<'_> {
    /// # Errors
    /// When an address or a port cannot be had, or the connection is refused.
    /// Connects, with `TCP_NODELAY`.
    ///
    pub async fn dial(&self) -> Result<TcpStream, Failure> {
        let address = self.destination.address;
        let stream = match self.source {
            None => TcpStream::connect(address).await,
            Some(source) => bound(source, address).map_err(|error| self.explain(error))?.connect(address).await,
        };
        let stream = stream.map_err(|error| self.explain(error))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn explain(&self, error: io::Error) -> Failure {
        Box::new(RouteError { source_ip: self.source, destination: self.destination.address, error }).into()
    }
}

/// Whether connections can leave from this address.
///
/// # Errors
/// When the host does not have it.
pub fn check_source(source: IpAddr) -> io::Result<()> {
    std::net::UdpSocket::bind((source, 0)).map(drop)
}

/// The port is chosen when the connection is made, so that a port serves once for every destination, not once in all.
fn bound(source: IpAddr, destination: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if destination.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(socket)
}
