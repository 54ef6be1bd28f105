//! Requests that wait before the engine sees them. A thread of its own keeps them to a fraction of a millisecond, where a tick of the
//! runtime's timer would add one.

use super::sessions::Delivery;
use crate::clock;
use crate::instant::Mono;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::WeakSender;

/// The thread looks around at least this often, and ends when nobody can add to its line any more.
const LOOK_AROUND: Duration = Duration::from_millis(500);

struct Waiting {
    due: Mono,
    /// What waits equally long leaves as it came.
    number: u64,
    to: WeakSender<Delivery>,
    what: Delivery,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    /// The earliest is the greatest: it leaves the heap first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

#[derive(Default)]
struct Line {
    waiting: BinaryHeap<Waiting>,
    count: u64,
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    earlier: Condvar,
}

/// The waiting line.
pub(super) struct Delays {
    shared: Arc<Shared>,
}

impl Delays {
    /// # Errors
    /// When the host gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let line = Arc::downgrade(&shared);
        std::thread::Builder::new().name("delays".into()).spawn(move || {
            while let Some(shared) = line.upgrade() {
                shared.deliver();
            }
        })?;
        Ok(Self { shared })
    }

    /// Hands `what` to its session at `due`; a session that has ended gets nothing.
    pub(super) fn add(&self, due: Mono, to: WeakSender<Delivery>, what: Delivery) {
        let mut line = self.shared.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.count += 1;
        let number = line.count;
        let is_first = line.waiting.peek().is_none_or(|first| due < first.due);
        line.waiting.push(Waiting { due, number, to, what });
        drop(line);
        if is_first {
            self.shared.earlier.notify_one();
        }
    }
}

impl Shared {
    /// Delivers what is due, then waits for the next, or for an earlier one.
    fn deliver(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::mono();
        while let Some(first) = line.waiting.peek_mut().filter(|first| first.due <= now) {
            let Waiting { to, what, .. } = std::collections::binary_heap::PeekMut::pop(first);
            if let Some(session) = to.upgrade()
                && session.try_send(what).is_err()
            {
                tracing::warn!("a delayed request was dropped: its session is gone, or does not keep up");
            }
        }
        let wait = line.waiting.peek().map_or(LOOK_AROUND, |first| first.due.since(clock::mono()).min(LOOK_AROUND));
        drop(self.earlier.wait_timeout(line, wait).unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::message::Message;
    use tokio::sync::mpsc;

    fn message(text: &str) -> Delivery {
        Delivery::Message(Arc::new(Message::of_service(text, Vec::new())))
    }

    #[test]
    fn what_waits_leaves_in_the_order_of_its_deadlines_and_in_time() {
        let delays = Delays::start().unwrap();
        let (sender, mut receiver) = mpsc::channel(8);
        let start = clock::mono();
        for (ms, text) in [(30, "c"), (10, "a"), (30, "d"), (20, "b")] {
            delays.add(start + Duration::from_millis(ms), sender.downgrade(), message(text));
        }
        let mut told = String::new();
        while told.len() < 4 {
            let Some(Delivery::Message(message)) = receiver.blocking_recv() else { panic!("the line has ended") };
            told += &message.topic;
        }
        assert_eq!(told, "abcd");
        assert!(clock::mono().since(start) >= Duration::from_millis(30));
    }

    #[test]
    fn an_ended_session_gets_nothing_and_holds_nobody_up() {
        let delays = Delays::start().unwrap();
        let (gone, _) = mpsc::channel(1);
        let (sender, mut receiver) = mpsc::channel(1);
        let now = clock::mono();
        delays.add(now, gone.downgrade(), message("x"));
        delays.add(now, sender.downgrade(), message("y"));
        assert!(matches!(receiver.blocking_recv(), Some(Delivery::Message(message)) if &*message.topic == "y"));
    }
}
