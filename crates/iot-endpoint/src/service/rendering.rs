//! What is rendered beside the calls: documents with URLs to sign take their time, so a thread of their own fills them, one after the other.
//! What else there is for a thing meanwhile waits behind its own, so that its order stays; nobody else's does.

use crate::supervision::Failures;
use iot_jobs::ThingName;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Tasks that may wait at once; further ones are dropped and counted.
const WAITING_MAX: usize = 65_536;

/// Renders, and hands over what it has rendered.
type Task = Box<dyn FnOnce() + Send>;

/// The waiting line, and the thread that works it off.
pub(super) struct Rendering(Arc<Shared>);

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    changed: Condvar,
}

#[derive(Default)]
struct Line {
    tasks: VecDeque<(ThingName, Task)>,
    /// Tasks of each thing that have not been done yet.
    by_thing: HashMap<ThingName, usize>,
    dropped: u64,
    is_closed: bool,
}

impl Rendering {
    /// # Errors
    /// When the host gives no thread.
    pub(super) fn start(failures: &Failures) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = Arc::clone(&shared);
        failures.spawn("rendering", move || worker.work())?;
        Ok(Self(shared))
    }

    /// Whether something for this thing is still to be rendered.
    pub(super) fn has(&self, thing: &ThingName) -> bool {
        self.0.lock().by_thing.contains_key(thing)
    }

    /// Does `task` after those that were added before. Says whether there was room for it.
    pub(super) fn add(&self, thing: &ThingName, task: impl FnOnce() + Send + 'static) -> bool {
        let mut line = self.0.lock();
        if line.tasks.len() >= WAITING_MAX {
            line.dropped += 1;
            if line.dropped == 1 {
                tracing::warn!("more than {WAITING_MAX} messages with documents wait: what comes now is dropped");
            }
            return false;
        }
        *line.by_thing.entry(thing.clone()).or_default() += 1;
        line.tasks.push_back((thing.clone(), Box::new(task)));
        drop(line);
        self.0.changed.notify_one();
        true
    }

    /// What was dropped since too much waited.
    pub(super) fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

impl Drop for Rendering {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until nobody can add a task any more.
    fn work(&self) {
        let mut line = self.lock();
        while !line.is_closed {
            let Some((thing, task)) = line.tasks.pop_front() else {
                line = self.changed.wait(line).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(line);
            task();
            line = self.lock();
            line.done(&thing);
        }
    }
}

impl Line {
    fn done(&mut self, thing: &ThingName) {
        if let Some(count) = self.by_thing.get_mut(thing) {
            *count -= 1;
            if *count == 0 {
                self.by_thing.remove(thing);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn tasks_are_done_in_their_order_and_their_things_are_known_until_then() {
        let rendering = Rendering::start(&Failures::default()).unwrap();
        let [slow, other] = ["slow", "other"].map(|name| ThingName::new(name).unwrap());
        let (go, gate) = mpsc::channel::<()>();
        let (done, order) = mpsc::channel();
        let first = done.clone();
        assert!(rendering.add(&slow, move || {
            gate.recv().unwrap();
            first.send(0).unwrap();
        }));
        for n in 1..4 {
            let done = done.clone();
            assert!(rendering.add(&slow, move || done.send(n).unwrap()));
        }
        assert!(rendering.has(&slow) && !rendering.has(&other));
        go.send(()).unwrap();
        let told: Vec<i32> = (0..4).map(|_| order.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
        assert_eq!(told, [0, 1, 2, 3]);
        while rendering.has(&slow) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_line_has_an_end() {
        let rendering = Rendering::start(&Failures::default()).unwrap();
        let thing = ThingName::new("t").unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        rendering.add(&thing, move || {
            begun.send(()).unwrap();
            let _ = gate.recv();
        });
        has_begun.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!((0..WAITING_MAX).all(|_| rendering.add(&thing, || {})));
        assert!(!rendering.add(&thing, || {}) && rendering.dropped() == 1);
        drop(go);
    }
}
