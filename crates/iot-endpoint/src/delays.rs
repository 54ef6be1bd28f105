//! What is to happen later: requests, answers and notifications that wait. A thread of its own keeps them to a fraction of a
//! millisecond, where a tick of the runtime's timer would add one.

use super::supervision::Failures;
use host::clock;
use iot_jobs::instant::Mono;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The thread looks around at least this often, and ends when nobody can add to its line any more.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// What may wait at once.
const WAITING_MAX: usize = 1_000_000;
/// Bytes of it.
const WAITING_BYTES_MAX: usize = 256 * 1024 * 1024;
/// When what could not be handed over is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(1);

struct Waiting<T> {
    due: Mono,
    /// What waits equally long leaves as it came.
    number: u64,
    bytes: usize,
    what: T,
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Waiting<T> {}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Waiting<T> {
    /// The earliest is the greatest: it leaves the heap first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

struct Line<T> {
    waiting: BinaryHeap<Waiting<T>>,
    /// Bytes of all these.
    bytes: usize,
    count: u64,
    dropped: u64,
}

struct Shared<T> {
    line: Mutex<Line<T>>,
    earlier: Condvar,
}

/// The waiting line.
pub(super) struct Delays<T> {
    shared: Arc<Shared<T>>,
}

impl<T: Send + 'static> Delays<T> {
    /// `deliver` takes what is due; what it gives back is tried again a little later.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub(super) fn start(failures: &Failures, mut deliver: impl FnMut(T) -> Option<T> + Send + 'static) -> io::Result<Self> {
        let line = Line { waiting: BinaryHeap::new(), bytes: 0, count: 0, dropped: 0 };
        let shared = Arc::new(Shared { line: Mutex::new(line), earlier: Condvar::new() });
        let line = Arc::downgrade(&shared);
        failures.spawn("delays", move || {
            while let Some(shared) = line.upgrade() {
                shared.deliver(&mut deliver);
            }
        })?;
        Ok(Self { shared })
    }

    /// Delivers `what`, of so many bytes, at `due`. When too much waits already it is dropped, and counted.
    pub(super) fn add(&self, due: Mono, bytes: usize, what: T) {
        let mut line = self.shared.lock();
        if line.waiting.len() >= WAITING_MAX || line.bytes + bytes > WAITING_BYTES_MAX {
            line.dropped += 1;
            if line.dropped == 1 {
                tracing::warn!(
                    "more than {WAITING_MAX} requests and messages wait, or {WAITING_BYTES_MAX} bytes of them: what comes now is dropped"
                );
            }
            return;
        }
        let is_first = line.waiting.peek().is_none_or(|first| due < first.due);
        line.push(due, bytes, what);
        drop(line);
        if is_first {
            self.shared.earlier.notify_one();
        }
    }

    /// What was dropped since too much waited.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }
}

impl<T> Line<T> {
    fn push(&mut self, due: Mono, bytes: usize, what: T) {
        self.count += 1;
        self.bytes += bytes;
        self.waiting.push(Waiting { due, number: self.count, bytes, what });
    }

    /// What is due, with its bytes.
    fn take_due(&mut self, now: Mono) -> Option<(usize, T)> {
        let first = self.waiting.peek_mut().filter(|first| first.due <= now)?;
        let Waiting { bytes, what, .. } = PeekMut::pop(first);
        self.bytes -= bytes;
        Some((bytes, what))
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers what is due, then waits for the next, or for an earlier one.
    fn deliver(&self, deliver: &mut impl FnMut(T) -> Option<T>) {
        let mut line = self.lock();
        let now = clock::mono();
        while let Some((bytes, what)) = line.take_due(now) {
            drop(line);
            let back = deliver(what);
            line = self.lock();
            if let Some(what) = back {
                line.push(clock::mono() + TRY_AGAIN, bytes, what);
            }
        }
        let wait = line.waiting.peek().map_or(CHECK_INTERVAL, |first| first.due.since(clock::mono()).min(CHECK_INTERVAL));
        drop(self.earlier.wait_timeout(line, wait).unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn what_waits_leaves_in_the_order_of_its_deadlines_and_in_time() {
        let (sender, receiver) = mpsc::channel();
        let delays = Delays::start(&Failures::default(), move |what: (Mono, char)| {
            sender.send((what, clock::mono())).unwrap();
            None
        })
        .unwrap();
        let start = clock::mono();
        for (ms, name) in [(30, 'c'), (10, 'a'), (30, 'd'), (20, 'b')] {
            let due = start + Duration::from_millis(ms);
            delays.add(due, 1, (due, name));
        }
        let told: Vec<_> = (0..4).map(|_| receiver.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
        assert_eq!(told.iter().map(|((_, name), _)| *name).collect::<String>(), "abcd");
        assert!(told.iter().all(|((due, _), at)| at >= due));
    }

    #[test]
    fn what_comes_back_is_tried_again() {
        let (sender, receiver) = mpsc::channel();
        let delays = Delays::start(&Failures::default(), move |tries: u32| {
            if tries == 0 {
                sender.send(clock::mono()).unwrap();
            }
            tries.checked_sub(1)
        })
        .unwrap();
        let start = clock::mono();
        delays.add(start, 1, 5);
        assert!(receiver.recv_timeout(Duration::from_secs(10)).unwrap().since(start) >= 5 * TRY_AGAIN);
    }

    #[test]
    fn the_line_has_an_end() {
        let delays = Delays::start(&Failures::default(), |_: ()| None).unwrap();
        for _ in 0..=WAITING_MAX {
            delays.add(Mono::FAR_FUTURE, 1, ());
        }
        assert_eq!(delays.dropped(), 1);
    }

    #[test]
    fn the_line_has_an_end_in_bytes_and_what_has_left_counts_no_more() {
        let (sender, receiver) = mpsc::channel();
        let delays = Delays::start(&Failures::default(), move |what: u32| {
            sender.send(what).unwrap();
            None
        })
        .unwrap();
        let half = WAITING_BYTES_MAX / 2;
        delays.add(Mono(0), half, 0);
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        (1..=3).for_each(|n| delays.add(Mono::FAR_FUTURE, half, n));
        assert_eq!(delays.dropped(), 1);
    }
}
