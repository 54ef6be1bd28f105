//! Listeners behind mutual TLS: accept, handshake, then the protocol that ALPN names, or that of the port (PROTOCOL 12.2).

use super::Accepted;
use super::http::CONNECTIONS_MAX;
use super::https;
use super::linger::linger;
use super::mqtt::{self, MqttSettings};
use super::pending_clients::{PendingClients, Place, Watched};
use crate::identity::Presented;
use crate::refusals::{self, Refusals};
use crate::service::Service;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// From accept to the end of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) type TlsStream = tokio_rustls::server::TlsStream<Watched<TcpStream>>;

/// What a connection speaks after its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Mqtt,
    Http,
}

/// What ALPN calls them. A client that offers names must offer one of these; most of port 8883 and 8443 offer none.
const NAMES: [(&[u8], Protocol); 4] = [
    (b"x-amzn-mqtt-ca", Protocol::Mqtt),
    (b"mqtt", Protocol::Mqtt),
    (b"x-amzn-http-ca", Protocol::Http),
    (b"http/1.1", Protocol::Http),
];

/// The names for a server's configuration, those of AWS first.
pub(crate) fn alpn_protocols() -> Vec<Vec<u8>> {
    NAMES.iter().map(|(name, _)| name.to_vec()).collect()
}

/// A listening socket, and the places for those who are not known yet.
pub(crate) struct GuardedListener {
    pub(crate) listener: TcpListener,
    pub(crate) pending_clients: Arc<PendingClients>,
}

/// Accepts for ever. `by_default` is spoken where ALPN says nothing.
pub(crate) async fn serve(
    guarded: GuardedListener,
    by_default: Protocol,
    tls: Arc<ServerConfig>,
    service: Arc<Service>,
    settings: MqttSettings,
) {
    let acceptor = TlsAcceptor::from(tls);
    let http_connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Accepted { stream, place, peer } = super::accept(&guarded.listener, &guarded.pending_clients).await;
        let (service, http_connections) = (Arc::clone(&service), Arc::clone(&http_connections));
        // On the heap and out of the task, which is kept as large as the largest of what it does.
        let known = Box::pin(known(acceptor.clone(), stream, peer, place, Arc::clone(&service)));
        tokio::spawn(async move {
            let Some(stream) = known.await else { return };
            match protocol(&stream).unwrap_or(by_default) {
                Protocol::Mqtt => mqtt::run(stream, service, settings).await,
                Protocol::Http => match http_connections.try_acquire_owned() {
                    Ok(permit) => Box::pin(https::run(stream, service, settings.auto_register, permit)).await,
                    Err(_) => tracing::warn!("more than {CONNECTIONS_MAX} HTTPS connections: one is closed"),
                },
            }
        });
    }
}

/// A client whose certificate says who it is: it needs no place among those who are not known.
async fn known(
    acceptor: TlsAcceptor,
    stream: Watched<TcpStream>,
    peer: SocketAddr,
    place: Place,
    service: Arc<Service>,
) -> Option<Box<TlsStream>> {
    let stream = handshake(&acceptor, stream, peer, &service.refusals).await.map(Box::new);
    drop(place);
    stream
}

/// What a client has shown: the handshake does not end without a certificate.
pub(super) fn presented(stream: &TlsStream) -> Option<Presented> {
    let (socket, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(<[_]>::first)?;
    let source_ip = socket.get_ref().peer_addr().ok().map(|peer| peer.ip().to_canonical());
    Some(Presented::new(certificate.clone().into_owned(), source_ip, connection.server_name()))
}

fn protocol(stream: &TlsStream) -> Option<Protocol> {
    let spoken = stream.get_ref().1.alpn_protocol()?;
    NAMES.iter().find(|(name, _)| *name == spoken).map(|(_, protocol)| *protocol)
}

/// One that fails is told to `refusals`.
pub(super) async fn handshake(
    acceptor: &TlsAcceptor,
    stream: Watched<TcpStream>,
    peer: SocketAddr,
    refusals: &Refusals,
) -> Option<TlsStream> {
    let why = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream).into_fallible()).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err((error, mut stream))) => {
            // The alert says why, if it arrives.
            if stream.shutdown().await.is_ok() {
                linger(&mut stream).await;
            }
            refusals::explain(&error)
        }
        Err(_elapsed) => Some(format!("it was not over within {} s", HANDSHAKE_TIMEOUT.as_secs())),
    };
    match why {
        Some(why) => refusals.note(refusals::RefusedAt::Handshake, &peer.to_string(), &why),
        None => tracing::debug!(%peer, "a client closed its connection during the TLS handshake"),
    }
    None
}
