//! A stream whose other side has deadlines: for its next request, for the head of one that has begun, for taking what is written; and at the
//! end for noticing that it is over.

use super::linger::Linger;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a connection is kept that says nothing: as an MQTT session at most (inferred; AWS's number was not found).
const IDLE_TIMEOUT: Duration = Duration::from_secs(1_200);
/// The same of a connection whose client is not known yet.
const UNKNOWN_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the first byte of a request to the end of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take nothing of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A head has been completed since the last look.
const HEAD_READ: u8 = 1;
/// A request is being answered: what comes is its body.
const RESPONDING: u8 = 2;
/// The client is known.
const KNOWN: u8 = 4;

/// How far the requests of a connection are, told by whoever answers them.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

/// A request is being answered while this lives.
pub(super) struct ResponseGuard<'a>(&'a Progress);

impl Progress {
    /// The head of a request is complete.
    pub(super) fn begin(&self) -> ResponseGuard<'_> {
        self.0.fetch_or(HEAD_READ | RESPONDING, Ordering::Relaxed);
        ResponseGuard(self)
    }

    /// The client is known from now on.
    pub(super) fn know(&self) {
        self.0.fetch_or(KNOWN, Ordering::Relaxed);
    }

    fn idle_timeout(&self) -> Duration {
        if self.0.load(Ordering::Relaxed) & KNOWN == 0 { UNKNOWN_IDLE_TIMEOUT } else { IDLE_TIMEOUT }
    }

    fn take_head_read(&self) -> bool {
        self.0.fetch_and(!HEAD_READ, Ordering::Relaxed) & HEAD_READ != 0
    }

    fn is_answering(&self) -> bool {
        self.0.load(Ordering::Relaxed) & RESPONDING != 0
    }
}

impl Drop for ResponseGuard<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_and(!RESPONDING, Ordering::Relaxed);
    }
}

pub(super) struct ReadDeadline<S> {
    stream: S,
    progress: Progress,
    /// When something came or went last.
    last: Instant,
    /// When the first byte of a head came that is not complete.
    head: Option<Instant>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// When all that was to be written has left.
    linger: Option<Linger>,
}

impl<S> ReadDeadline<S> {
    pub(super) fn new(stream: S, progress: Progress) -> Self {
        Self { stream, progress, last: Instant::now(), head: None, reading: None, writing: None, linger: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// What became of a write: one that waits too long fails.
    fn limit_write<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            // A flush of nothing is no sign of life.
            if self.writing.take().is_some() {
                self.last = Instant::now();
            }
            return polled;
        }
        let sleep = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client did not take its answer in time")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadDeadline<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.progress.take_head_read() {
            me.head = None;
        }
        let polled = Pin::new(&mut me.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            me.last = Instant::now();
            if !me.progress.is_answering() {
                me.head.get_or_insert(me.last);
            }
            return polled;
        }
        let deadline = me.head.map_or(me.last + me.progress.idle_timeout(), |head| head + HEAD_TIMEOUT);
        let sleep = me.reading.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "no request came in time")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ReadDeadline<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.stream).poll_write(cx, bytes);
        if polled.is_ready() {
            me.last = Instant::now();
        }
        me.limit_write(polled, cx)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.stream).poll_write_vectored(cx, slices);
        if polled.is_ready() {
            me.last = Instant::now();
        }
        me.limit_write(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.stream).poll_flush(cx);
        me.limit_write(polled, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let linger = match &mut me.linger {
            Some(linger) => linger,
            None => {
                let polled = Pin::new(&mut me.stream).poll_shutdown(cx);
                ready!(me.limit_write(polled, cx))?;
                me.linger.insert(Linger::begin())
            }
        };
        linger.poll(&mut me.stream, cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::duplex;

    /// Whoever reads flushes, too, later by as much as a busy machine wants.
    #[tokio::test]
    async fn a_flush_of_nothing_puts_no_deadline_off() {
        let (_client, stream) = duplex(64);
        let mut stream = ReadDeadline::new(stream, Progress::default());
        let last = stream.last;
        std::thread::sleep(Duration::from_millis(5));
        poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx)).await.unwrap();
        assert_eq!(stream.last, last);
        poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"x")).await.unwrap();
        assert!(stream.last > last);
    }
}
