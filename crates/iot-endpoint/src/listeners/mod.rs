//! The listeners: async shells around the engine, one module a way in.

pub(super) mod api;
mod bodies;
mod data_plane;
mod http;
mod https;
mod linger;
pub(super) mod mqtt;
pub(super) mod mutual;
pub(super) mod pending_clients;
mod read_deadline;
mod websocket;

use pending_clients::{PendingClients, Place, Watched};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long accepting rests when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection of a client that is not known yet.
struct Accepted {
    stream: Watched<TcpStream>,
    place: Place,
    peer: SocketAddr,
}

/// The next connection, whatever happens to the ones before, with a place for it.
async fn accept(listener: &TcpListener, pending_clients: &Arc<PendingClients>) -> Accepted {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let place = pending_clients.admit(peer.ip()).await;
                return Accepted { stream: place.watch(stream), place, peer };
            }
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
