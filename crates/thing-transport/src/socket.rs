//! The socket of a session. The kernel tells it when bytes came in: how long they then lay there is the generator's own delay, and
//! belongs to no answer.

use host::{clock, poll_write_slices};
use iot_jobs::instant::Mono;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::cell::Cell;
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Room for the one control message that is asked for: its header, and a time.
const CONTROL_BYTES: usize = 64;
/// Between two looks at a clock: a thread that was interrupted longer than that does not know how the clocks lie.
const INTERRUPTED: Duration = Duration::from_micros(20);
/// Then it looks again.
const CLOCK_TRIES: usize = 3;
/// The clocks drift apart by less until the next answer; where it is more, the wall clock was stepped.
const STEPPED_NS: u64 = 1_000_000;
/// Bytes lie no longer than that before they are read, even where the generator was stopped for a while: after a step of the wall clock
/// its times mean nothing for as long.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// When the kernel had what was read last, on any connection of a shard: whoever reads asks at once.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Rc<Clocks>);

#[derive(Debug, Default)]
struct Clocks {
    last: Cell<Option<Mono>>,
    /// How much the wall clock is ahead of the monotonic one, in nanoseconds.
    ahead_ns: Cell<Option<i64>>,
    /// Times of the wall clock mean nothing before.
    trusted_from: Cell<Mono>,
}

impl Arrivals {
    /// Forgets what was read before.
    pub(crate) fn clear(&self) {
        self.0.last.set(None);
    }

    /// When the last bytes came that were read since [`Self::clear`]; now, where the kernel does not say.
    pub(crate) fn last_or_now(&self) -> Mono {
        self.0.last.get().unwrap_or_else(clock::mono)
    }

    fn note(&self, stamp: Option<TimeSpec>) {
        self.0
            .last
            .set(stamp.zip(both_clocks()).and_then(|(stamp, (now, wall_ns))| self.0.monotonic(stamp_ns(stamp), now, wall_ns)));
    }
}

/// The monotonic clock, and what the wall clock was then; none where the thread was interrupted at every try.
fn both_clocks() -> Option<(Mono, i64)> {
    (0..CLOCK_TRIES).find_map(|_| {
        let (before, wall_ns, after) = (clock::mono(), clock::epoch_ns(), clock::mono());
        (after.since(before) <= INTERRUPTED).then_some((before, wall_ns))
    })
}

fn stamp_ns(stamp: TimeSpec) -> i64 {
    stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec()
}

impl Clocks {
    /// A time of the wall clock on the monotonic one, where it can be told; both were just read.
    fn monotonic(&self, stamp_ns: i64, now: Mono, wall_ns: i64) -> Option<Mono> {
        let ahead_ns = wall_ns - now.0 as i64;
        if self.ahead_ns.replace(Some(ahead_ns)).is_some_and(|known| known.abs_diff(ahead_ns) > STEPPED_NS) {
            self.trusted_from.set(now + READ_WITHIN);
        }
        let age = Duration::from_nanos(u64::try_from(wall_ns - stamp_ns).ok()?);
        (now >= self.trusted_from.get() && age <= READ_WITHIN).then(|| now - age)
    }
}

/// A connected TCP stream that notes in [`Arrivals`] when the bytes came that it reads.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    arrivals: Arrivals,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, arrivals: &Arrivals) -> Self {
        // Where the kernel does not know, bytes come when they are read.
        let _ = setsockopt(&stream, sockopt::ReceiveTimestampns, &true);
        Self { stream, arrivals: arrivals.clone() }
    }

    /// What is below it.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    fn receive(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut control = [0; CONTROL_BYTES];
        let mut vectors = [IoSliceMut::new(bytes)];
        let received = recvmsg::<()>(self.stream.as_raw_fd(), &mut vectors, Some(&mut control), MsgFlags::empty())?;
        let stamp = received.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                _ => None,
            })
        });
        self.arrivals.note(stamp);
        Ok(received.bytes)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_io(Interest::READABLE, || self.receive(buffer.initialize_unfilled())) {
                Ok(count) => {
                    buffer.advance(count);
                    if (1..room).contains(&count) {
                        // There was no more: to ask again would be one system call for nothing.
                        let _: io::Result<()> = self.stream.try_io(Interest::READABLE, || Err(ErrorKind::WouldBlock.into()));
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        poll_write_slices(Pin::new(&mut self.stream), cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    async fn pair(arrivals: &Arrivals) -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(stream, arrivals), listener.accept().await.unwrap().0)
    }

    async fn timely<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(5), what).await.expect("bytes come")
    }

    #[tokio::test]
    async fn it_tells_when_bytes_came_however_late_they_are_read() {
        let arrivals = Arrivals::default();
        let (mut socket, mut peer) = pair(&arrivals).await;
        let mut bytes = [0; 8];
        // The first stamp of a host comes late where nobody had asked for any.
        for _ in 0..2 {
            let sent = clock::mono();
            peer.write_all(b"abc").await.unwrap();
            let written = clock::mono();
            std::thread::sleep(Duration::from_millis(30));
            arrivals.clear();
            assert_eq!(timely(socket.read(&mut bytes)).await.unwrap(), 3);
            let arrived = arrivals.last_or_now();
            assert!(arrived + Duration::from_millis(5) > sent, "{sent:?} {arrived:?}");
            if arrived < written + Duration::from_millis(5) {
                return;
            }
        }
        panic!("the time of reading was taken for that of coming");
    }

    #[tokio::test]
    async fn what_comes_after_a_short_read_is_read_too_and_then_the_end() {
        let arrivals = Arrivals::default();
        let (mut socket, mut peer) = pair(&arrivals).await;
        let mut bytes = [0; 4];
        for round in 0..100_u8 {
            peer.write_all(&[round; 5]).await.unwrap();
            timely(socket.read_exact(&mut bytes)).await.unwrap();
            timely(socket.read_exact(&mut bytes[..1])).await.unwrap();
            assert_eq!(bytes, [round; 4]);
        }
        peer.write_all(b"end").await.unwrap();
        drop(peer);
        assert_eq!(timely(socket.read(&mut bytes)).await.unwrap(), 3);
        assert_eq!(timely(socket.read(&mut bytes)).await.unwrap(), 0);
        assert_eq!(socket.read(&mut []).await.unwrap(), 0);
    }

    #[test]
    fn a_clock_that_was_stepped_dates_nothing() {
        let second = 1_000_000_000;
        let (mono, wall) = (Mono(100 * second), 5_000 * second as i64);
        let clocks = Clocks::default();
        assert_eq!(clocks.monotonic(wall - 250_000, mono, wall), Some(Mono(mono.0 - 250_000)));
        assert_eq!(clocks.monotonic(wall + 1, mono, wall), None, "of the future");
        assert_eq!(clocks.monotonic(wall - 61 * second as i64, mono, wall), None, "older than anything that is read");
        let stepped = wall + second as i64 / 2;
        assert_eq!(clocks.monotonic(wall - 250_000, mono, stepped), None, "the step is noticed");
        assert_eq!(clocks.monotonic(wall - 200_000, mono, stepped), None, "nor is what still came before it dated by it");
        let (later, after) = (mono + READ_WITHIN, stepped + READ_WITHIN.as_nanos() as i64);
        assert_eq!(clocks.monotonic(after - 1_000, later, after), Some(Mono(later.0 - 1_000)));
    }
}
