//! The end of a connection whose client may still be sending: a kernel that has to throw away what was not read throws away with it what was
//! written last. So what comes is read and discarded for a while.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a client that was told that its connection ends may take to notice.
const LINGER_MAX: Duration = Duration::from_secs(5);
/// How long nothing may come meanwhile.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// Read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// What is left to do for a connection that was shut down.
pub(super) struct Linger {
    end: Instant,
    pause: Pin<Box<Sleep>>,
    buffer: Box<[u8]>,
}

impl Linger {
    pub(super) fn begin() -> Self {
        let end = Instant::now() + LINGER_MAX;
        Self { end, pause: Box::pin(tokio::time::sleep(PAUSE_MAX)), buffer: vec![0; CHUNK_BYTES].into() }
    }

    /// Ready when the client has closed, too, or has had enough time.
    pub(super) fn poll(&mut self, stream: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && Instant::now() < self.end => {
                    self.pause.as_mut().reset((Instant::now() + PAUSE_MAX).min(self.end));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    ready!(self.pause.as_mut().poll(cx));
                    return Poll::Ready(());
                }
            }
        }
    }
}

/// Reads and discards until the client has closed, too, or has had enough time.
pub(super) async fn linger(stream: &mut (impl AsyncRead + Unpin)) {
    let mut linger = Linger::begin();
    std::future::poll_fn(|cx| linger.poll(stream, cx)).await;
}
