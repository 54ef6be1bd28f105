//! The listeners: async shells around the engine, one module a way in.

pub(super) mod api;
mod data_plane;
mod http;
mod https;
pub(super) mod mqtt;
pub(super) mod mutual;
mod read_deadline;
mod websocket;

use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long accepting rests when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The next connection, whatever happens to the ones before; answers leave it at once (TCP_NODELAY).
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await.and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
