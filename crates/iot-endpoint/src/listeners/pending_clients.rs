//! Connections of clients that are not known yet: no certificate was verified, nor a signature. A listener has a number of places for them;
//! when all are taken, who keeps the endpoint waiting loses its place to who comes next. Whoever is known needs none.

use futures_util::task::AtomicWaker;
use host::{clock, poll_write_slices};
use iot_jobs::instant::Mono;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Places of one listener, where there are descriptors enough.
const PLACES_MAX: usize = 1024;
/// The least there are.
const PLACES_MIN: usize = 16;
/// What part of the process's descriptors the places of one listener may take: three of them leave more than half to those who are known.
const DESCRIPTORS_PART: u64 = 8;
/// How long a client that has said nothing, or nothing since its handshake, keeps its place when others want it.
const SILENCE_MAX: Duration = Duration::from_millis(300);
/// The same of one that has begun to speak.
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// The same of one whose address has more than its share, when a client of another address wants it.
const SHARE_PAUSE_MAX: Duration = Duration::from_millis(250);
/// The share of one address, in quarters of the places.
const SHARE_QUARTERS: usize = 3;
/// How often it is looked whether somebody has kept the endpoint waiting for too long.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// In the place of an instant: it does not wait for its client.
const NOT_WAITING: u64 = u64::MAX;

/// The places of one listener.
pub(crate) struct PendingClients {
    max: usize,
    places: Mutex<Places>,
    freed: Notify,
}

#[derive(Default)]
struct Places {
    count: u64,
    /// In the order in which they came.
    taken: BTreeMap<u64, Arc<PendingClient>>,
    by_address: HashMap<IpAddr, usize>,
    turned_away: u64,
}

/// One of them.
struct PendingClient {
    address: IpAddr,
    has_spoken: AtomicBool,
    /// Since when it is its turn to say or to take something, in nanoseconds, or [`NOT_WAITING`].
    waits_since: AtomicU64,
    /// It needs no place any more.
    has_left: AtomicBool,
    is_turned_away: AtomicBool,
    task: AtomicWaker,
}

/// What a socket calls when there is something to do.
impl Wake for PendingClient {
    fn wake(self: Arc<Self>) {
        self.end_pause();
        self.task.wake();
    }
}

impl PendingClient {
    fn new(address: IpAddr) -> Arc<Self> {
        Arc::new(Self {
            address,
            has_spoken: AtomicBool::new(false),
            waits_since: AtomicU64::new(NOT_WAITING),
            has_left: AtomicBool::new(false),
            is_turned_away: AtomicBool::new(false),
            task: AtomicWaker::new(),
        })
    }

    /// How long the endpoint has been waiting for it.
    fn pause(&self, now: Mono) -> Option<Duration> {
        let since = self.waits_since.load(Ordering::Relaxed);
        (since != NOT_WAITING).then(|| now.since(Mono(since)))
    }

    fn begin_pause(&self, now: Mono) {
        let _ = self.waits_since.compare_exchange(NOT_WAITING, now.0, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn end_pause(&self) {
        self.waits_since.store(NOT_WAITING, Ordering::Relaxed);
    }

    fn is_known(&self) -> bool {
        self.has_left.load(Ordering::Relaxed) && !self.is_turned_away.load(Ordering::Relaxed)
    }

    fn turn_away(&self) {
        self.is_turned_away.store(true, Ordering::Relaxed);
        self.task.wake();
    }
}

impl PendingClients {
    /// For a process that may have so many descriptors.
    pub(crate) fn new(descriptors: u64) -> Arc<Self> {
        let part = usize::try_from(descriptors / DESCRIPTORS_PART).unwrap_or(PLACES_MAX);
        Arc::new(Self { max: part.clamp(PLACES_MIN, PLACES_MAX), places: Mutex::default(), freed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when there is a place for a client of this address.
    pub(super) async fn admit(self: &Arc<Self>, address: IpAddr) -> Place {
        loop {
            if let Some(place) = self.try_admit(address.to_canonical(), clock::mono()) {
                return place;
            }
            let _ = tokio::time::timeout(LOOK_INTERVAL, self.freed.notified()).await;
        }
    }

    fn try_admit(self: &Arc<Self>, address: IpAddr, now: Mono) -> Option<Place> {
        let mut places = self.lock();
        if places.taken.len() >= self.max {
            let number = places.find_slow(address, self.max * SHARE_QUARTERS / 4, now)?;
            places.turn_away(number);
        }
        let (number, pending_client) = places.take(address);
        drop(places);
        Some(Place { pending_clients: Arc::clone(self), pending_client, number })
    }

    /// Those whose places were given to others.
    pub(crate) fn turned_away(&self) -> u64 {
        self.lock().turned_away
    }
}

impl Places {
    fn take(&mut self, address: IpAddr) -> (u64, Arc<PendingClient>) {
        self.count += 1;
        let pending_client = PendingClient::new(address);
        self.taken.insert(self.count, Arc::clone(&pending_client));
        *self.by_address.entry(address).or_default() += 1;
        (self.count, pending_client)
    }

    fn leave(&mut self, number: u64) -> Option<Arc<PendingClient>> {
        let pending_client = self.taken.remove(&number)?;
        if let Some(count) = self.by_address.get_mut(&pending_client.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&pending_client.address);
            }
        }
        Some(pending_client)
    }

    /// Who has kept the endpoint waiting for longest, and for too long when a client of `address` comes; those who never said a word first.
    fn find_slow(&self, address: IpAddr, share: usize, now: Mono) -> Option<u64> {
        let limit = |pending_client: &PendingClient, has_spoken: bool| match self.by_address.get(&pending_client.address) {
            Some(count) if *count > share && pending_client.address != address => SHARE_PAUSE_MAX,
            _ if has_spoken => PAUSE_MAX,
            _ => SILENCE_MAX,
        };
        let slow = self.taken.iter().filter_map(|(number, pending_client)| {
            let has_spoken = pending_client.has_spoken.load(Ordering::Relaxed);
            let pause = pending_client.pause(now).filter(|pause| *pause >= limit(pending_client, has_spoken))?;
            Some((has_spoken, std::cmp::Reverse(pause), *number))
        });
        slow.min().map(|(.., number)| number)
    }

    fn turn_away(&mut self, number: u64) {
        let Some(pending_client) = self.leave(number) else { return };
        pending_client.turn_away();
        self.turned_away += 1;
        if self.turned_away == 1 {
            let places = self.taken.len() + 1;
            tracing::warn!(address = %pending_client.address, places, "all places for unknown clients are taken: the slowest lose theirs");
        }
    }
}

/// The place of a connection, until its client is known or has gone.
pub(super) struct Place {
    pending_clients: Arc<PendingClients>,
    pending_client: Arc<PendingClient>,
    number: u64,
}

impl Place {
    pub(super) fn address(&self) -> IpAddr {
        self.pending_client.address
    }

    /// The handshake is over: the client has said nothing yet of what it wants.
    pub(super) fn begin(&self) {
        self.pending_client.has_spoken.store(false, Ordering::Relaxed);
    }

    /// The client is known: it does not need its place any more.
    pub(super) fn leave(&self) {
        if !self.pending_client.has_left.swap(true, Ordering::Relaxed) {
            self.pending_clients.lock().leave(self.number);
            self.pending_clients.freed.notify_one();
        }
    }

    /// Whether the client is known.
    pub(super) fn is_known(&self) -> bool {
        self.pending_client.is_known()
    }

    /// A stream of its bytes, which fails when its place was given to another.
    pub(super) fn watch<S>(&self, stream: S) -> Watched<S> {
        Watched { stream, pending_client: Some(Arc::clone(&self.pending_client)) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A stream that tells how long its client keeps the endpoint waiting, as long as that is unknown.
pub(super) struct Watched<S> {
    stream: S,
    pending_client: Option<Arc<PendingClient>>,
}

impl<S> Watched<S> {
    /// The stream itself.
    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: Unpin> Watched<S> {
    /// Asks the stream. What it cannot do at once waits for the client.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.pending_client.take_if(|pending_client| pending_client.is_known());
        let Some(pending_client) = &self.pending_client else { return poll(Pin::new(&mut self.stream), cx) };
        pending_client.task.register(cx.waker());
        if pending_client.is_turned_away.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::new(ErrorKind::ConnectionAborted, "its place was given to another client")));
        }
        let waker = Waker::from(Arc::clone(pending_client));
        let polled = poll(Pin::new(&mut self.stream), &mut Context::from_waker(&waker));
        if polled.is_pending() {
            pending_client.begin_pause(clock::mono());
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let polled = me.poll(cx, |stream, cx| stream.poll_read(cx, buffer));
        if let (Poll::Ready(_), Some(pending_client)) = (&polled, &me.pending_client) {
            pending_client.end_pause();
            pending_client.has_spoken.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.get_mut().poll(cx, |stream, cx| poll_write_slices(stream, cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll(cx, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests;
