//! A WebSocket as a stream of bytes, either side of it: MQTT packets may be in pieces over frames, and several in one.

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use iot_jobs::limits;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Of one frame, and of one message in several: more than the largest packet.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// What is read at once; kept while the connection lasts.
const READ_BYTES: usize = 2 * 1024;

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

/// A WebSocket over `S`.
pub struct FrameStream<S> {
    stream: WebSocketStream<S>,
    /// Of a message that was read in part.
    rest: Bytes,
    /// The peer was told why it ends; whatever comes now means nothing.
    is_refused: bool,
    is_closing: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> FrameStream<S> {
    /// The server's side, once it has agreed; `read` has come behind the request for the upgrade.
    pub async fn accepted(stream: S, read: Vec<u8>) -> Self {
        Self::over(WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config())).await)
    }

    /// The client's side: asks for the upgrade, and waits for the answer.
    ///
    /// # Errors
    /// With what was answered instead, or how the connection broke.
    pub async fn request(stream: S, request: Request) -> Result<Self, Error> {
        let (stream, _) = client_async_with_config(request, stream, Some(config())).await?;
        Ok(Self::over(stream))
    }

    fn over(stream: WebSocketStream<S>) -> Self {
        Self { stream, rest: Bytes::new(), is_refused: false, is_closing: false }
    }

    /// The stream below, for what is known of the connection.
    pub fn get_ref(&self) -> &S {
        self.stream.get_ref()
    }

    /// The next bytes; none when the peer has closed. What is no binary message ends the connection, and the peer is told.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            let code = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => continue,
                Some(Ok(Message::Binary(bytes))) => return Poll::Ready(Ok(bytes)),
                Some(Ok(Message::Text(_))) => CloseCode::Unsupported,
                // The answer to it leaves when this side closes, too.
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(Bytes::new())),
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => return Poll::Ready(Ok(Bytes::new())),
                // tungstenite answers pings by itself.
                Some(Ok(_)) => continue,
                Some(Err(Error::Io(error))) => return Poll::Ready(Err(error)),
                Some(Err(Error::Capacity(_))) => CloseCode::Size,
                Some(Err(_)) => CloseCode::Protocol,
            };
            self.refuse(code);
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, format!("WebSocket: close with {code}"))));
        }
    }

    /// Says why the connection ends, as far as that can be said at once.
    fn refuse(&mut self, code: CloseCode) {
        self.is_refused = true;
        let message = Message::Close(Some(CloseFrame { code, reason: "".into() }));
        if let Err(error) = Pin::new(&mut self.stream).start_send(message) {
            tracing::debug!(%error, "WebSocket close");
        }
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::new(ErrorKind::BrokenPipe, error),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for FrameStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_refused {
            return Pin::new(self.stream.get_mut()).poll_read(cx, buffer);
        }
        if self.rest.is_empty() {
            self.rest = ready!(self.poll_message(cx))?;
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        if self.rest.is_empty() {
            self.rest = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for FrameStream<S> {
    /// All of `bytes`, in one binary message.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.stream).poll_ready(cx)).map_err(io_error)?;
        // A message is as long as the limit for messages at most, so that it always fits in what may wait.
        let bytes = &bytes[..bytes.len().min(MESSAGE_BYTES_MAX)];
        Pin::new(&mut self.stream).start_send(Message::Binary(Bytes::copy_from_slice(bytes))).map_err(io_error)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_closing {
            // One that is closed already has nothing more to say.
            let _ = ready!(Pin::new(&mut self.stream).poll_close(cx));
            self.is_closing = true;
        }
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}

const _: () = assert!(MESSAGE_BYTES_MAX > limits::PACKET_BYTES_MAX);
