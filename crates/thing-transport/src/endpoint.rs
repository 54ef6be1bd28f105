//! Where things connect to, and from where: the same to everyone, whether AWS, the local endpoint or a broker.

use crate::credentials;
use crate::credentials::Credentials;
use crate::error::{Failure, RouteError};
use crate::ports;
use aws_signing::request::Signing;
use host::address::first_to_connect;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpStream;

/// An address resolved once, and the name the endpoint must prove there.
#[derive(Debug)]
pub struct Destination {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The same host in the other family, where it is there, too; each thing has one of them.
    pub others: Arc<[SocketAddr]>,
    /// Sent as SNI, verified in the certificate.
    pub server_name: ServerName<'static>,
    /// What a `host` header says: a port stands in it where it is not 443.
    pub authority: Arc<str>,
    /// Whether the other family won the last time: it is tried first from then on (RFC 8305, section 4, on a history).
    prefers_other: AtomicBool,
}

impl Destination {
    /// One address, and those of the same host in the other family.
    #[must_use]
    pub fn new(address: SocketAddr, others: Arc<[SocketAddr]>, server_name: ServerName<'static>, authority: Arc<str>) -> Self {
        Self { address, others, server_name, authority, prefers_other: AtomicBool::new(false) }
    }
}

/// What all sessions have in common.
#[derive(Clone)]
pub struct Endpoint {
    /// At least one.
    destinations: Arc<[Destination]>,
    /// All of one family. Empty: the kernel chooses.
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
    /// Of the things that share the destination, which one.
    turn: u32,
    source: Option<IpAddr>,
}

impl Endpoint {
    /// `None` when there is no destination. Sources are of the family of all destinations, which have no others then.
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
        let destinations = [Destination::new(address, [].into(), server_name, address.to_string().into())].into();
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
        let (place, destinations) = (position as usize, self.destinations.len());
        let turn = place / destinations;
        let source = (!self.sources.is_empty()).then(|| self.sources[turn % self.sources.len()]);
        Route { destination: &self.destinations[place % destinations], turn: turn as u32, source }
    }
}

impl Route<'_> {
    /// Connects, with `TCP_NODELAY`; where the host has addresses of both families, as RFC 8305 says.
    ///
    /// # Errors
    /// When an address or a port cannot be had, or the connection is refused.
    pub async fn dial(&self) -> Result<TcpStream, Failure> {
        let Destination { address, others, .. } = self.destination;
        let stream = match others.get(self.turn as usize % others.len().max(1)) {
            None => self.dial_one(address).await?,
            // On the heap: most things have one address, and no room for a race.
            Some(other) => Box::pin(self.race(*other)).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn race(&self, other: SocketAddr) -> Result<TcpStream, Failure> {
        let Destination { address, prefers_other, .. } = self.destination;
        let mut order = [*address, other];
        if prefers_other.load(Ordering::Relaxed) {
            order.reverse();
        }
        let connect = |address| async move { Ok::<_, Failure>((self.dial_one(&address).await?, address)) };
        let (stream, reached) = first_to_connect(&order, connect).await?;
        prefers_other.store(reached == other, Ordering::Relaxed);
        Ok(stream)
    }

    async fn dial_one(&self, address: &SocketAddr) -> Result<TcpStream, Failure> {
        let connect = async { ports::socket(*address, self.source)?.connect(*address).await };
        connect.await.map_err(|error| self.explain(*address, error))
    }

    fn explain(&self, destination: SocketAddr, error: io::Error) -> Failure {
        Box::new(RouteError { source_ip: self.source, destination, error }).into()
    }
}

/// Whether connections can leave from this address.
///
/// # Errors
/// When the host does not have it.
pub fn check_source(source: IpAddr) -> io::Result<()> {
    std::net::UdpSocket::bind((source, 0)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::tls;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use tokio::net::TcpListener;

    /// A host with both families, of which those listen that have a listener.
    fn endpoint(port: u16) -> Endpoint {
        let tls = Arc::new(tls::client_config(tls::amazon_roots(), None).unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        let others: Arc<[SocketAddr]> = [SocketAddr::from((Ipv4Addr::LOCALHOST, port))].into();
        let destination = Destination::new((Ipv6Addr::LOCALHOST, port).into(), others, name, "localhost".into());
        Endpoint::new(vec![destination], vec![], tls, false).unwrap()
    }

    async fn reached(endpoint: &Endpoint) -> Option<IpAddr> {
        endpoint.route(0).dial().await.ok().map(|stream| stream.peer_addr().unwrap().ip())
    }

    #[tokio::test]
    async fn the_other_family_is_tried_and_remembered() {
        let ipv4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = ipv4.local_addr().unwrap().port();
        let endpoint = endpoint(port);
        assert_eq!(reached(&endpoint).await, Some(Ipv4Addr::LOCALHOST.into()), "nothing listens on ::1");
        // A host without IPv6 has shown all it can.
        let Ok(ipv6) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await else { return };
        assert_eq!(reached(&endpoint).await, Some(Ipv4Addr::LOCALHOST.into()), "what won is tried first");
        drop(ipv4);
        assert_eq!(reached(&endpoint).await, Some(Ipv6Addr::LOCALHOST.into()));
        drop(ipv6);
        assert_eq!(reached(&endpoint).await, None);
    }
}
