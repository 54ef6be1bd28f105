//! A shard's own schedule: many deadlines, one precise wake-up.
//!
//! tokio's timer has ticks of 1 ms, rounded up, which would add about 1.2 ms to every response time. Here the deadlines of a
//! shard's things sit in one heap, and one timerfd on `CLOCK_MONOTONIC` wakes the earliest of them.

use crate::clock;
use crate::instant::Mono;
use rustix::fd::OwnedFd;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::task::{Context, Poll, Waker};
use tokio::io::unix::AsyncFd;

/// The deadlines of one shard. Single-threaded: owned by the shard's thread.
pub struct Pacer {
    timer: AsyncFd<OwnedFd>,
    schedule: RefCell<Schedule>,
}

struct Schedule {
    /// At most one live entry a slot; an entry earlier than its slot's deadline is put back when it comes up.
    heap: BinaryHeap<Reverse<(Mono, usize)>>,
    slots: Vec<Slot>,
    /// What the timer is set to.
    armed: Mono,
}

struct Slot {
    deadline: Mono,
    queued: Mono,
    waker: Option<Waker>,
}

impl Pacer {
    /// `slots` deadlines, one a thing. Must be called inside the shard's runtime.
    ///
    /// # Errors
    /// When the kernel gives no timer descriptor.
    pub fn new(slots: usize) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let slot = || Slot { deadline: Mono::FAR_FUTURE, queued: Mono::FAR_FUTURE, waker: None };
        Ok(Self {
            timer: register(fd)?,
            schedule: RefCell::new(Schedule {
                heap: BinaryHeap::with_capacity(slots),
                slots: std::iter::repeat_with(slot).take(slots).collect(),
                armed: Mono::FAR_FUTURE,
            }),
        })
    }

    /// Wakes the task of `cx` at `deadline`, in place of whatever `slot` waited for before.
    pub fn wake_at(&self, slot: usize, deadline: Mono, cx: &Context<'_>) {
        let mut schedule = self.schedule.borrow_mut();
        let Schedule { heap, slots, armed } = &mut *schedule;
        let slot_state = &mut slots[slot];
        slot_state.deadline = deadline;
        match &mut slot_state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        if deadline < slot_state.queued {
            slot_state.queued = deadline;
            heap.push(Reverse((deadline, slot)));
            if deadline < *armed {
                *armed = deadline;
                self.arm(deadline);
            }
        }
    }

    /// Completes at `at`, or as soon as `early` says so when the task is woken for another reason.
    pub async fn sleep_until(&self, slot: usize, at: Mono, early: impl Fn() -> bool) {
        std::future::poll_fn(|cx| {
            if early() || clock::mono() >= at {
                return Poll::Ready(());
            }
            self.wake_at(slot, at, cx);
            Poll::Pending
        })
        .await;
    }

    /// Wakes the task of `slot`, if it waits for anything.
    pub fn wake(&self, slot: usize) {
        if let Some(waker) = &self.schedule.borrow().slots[slot].waker {
            waker.wake_by_ref();
        }
    }

    /// Wakes every task that waits for something.
    pub fn wake_all(&self) {
        for slot in &mut self.schedule.borrow_mut().slots {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    /// Runs the schedule; never ends of itself.
    ///
    /// # Errors
    /// When the timer descriptor breaks.
    pub async fn run(&self) -> io::Result<()> {
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0u8; 8];
            match ready.try_io(|fd| rustix::io::read(fd, &mut expirations).map_err(io::Error::from)) {
                Ok(Ok(_)) => self.fire(clock::mono()),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }

    fn fire(&self, now: Mono) {
        let mut schedule = self.schedule.borrow_mut();
        let Schedule { heap, slots, armed } = &mut *schedule;
        while let Some(&Reverse((at, slot))) = heap.peek().filter(|entry| entry.0.0 <= now) {
            heap.pop();
            let state = &mut slots[slot];
            if state.queued != at {
                continue;
            }
            state.queued = Mono::FAR_FUTURE;
            if state.deadline <= now {
                if let Some(waker) = &state.waker {
                    waker.wake_by_ref();
                }
            } else if state.deadline != Mono::FAR_FUTURE {
                state.queued = state.deadline;
                heap.push(Reverse((state.deadline, slot)));
            }
        }
        *armed = heap.peek().map_or(Mono::FAR_FUTURE, |entry| entry.0.0);
        self.arm(*armed);
    }

    fn arm(&self, at: Mono) {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A time of zero would disarm the timer: the first nanosecond after boot is long past anyway.
        let it_value = if at == Mono::FAR_FUTURE {
            never
        } else {
            Timespec { tv_sec: (at.0 / 1_000_000_000) as i64, tv_nsec: (at.0 % 1_000_000_000).max(1) as i64 }
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval: never, it_value })
            .expect("an absolute time within a second's nanoseconds is valid for a timerfd");
    }
}

#[expect(unsafe_code, reason = "tokio asks for a promise that the compiler cannot check")]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its descriptor open, and the same, for as long as it lives; the `AsyncFd` owns it.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;
    use std::time::Duration;
    use tokio::task::LocalSet;

    fn on_shard(test: impl AsyncFnOnce(Rc<Pacer>)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let pacer = Rc::new(Pacer::new(4).unwrap());
            let driver = Rc::clone(&pacer);
            tokio::task::spawn_local(async move { driver.run().await });
            test(pacer).await;
        });
    }

    #[test]
    fn wakes_in_order_of_deadlines_and_not_before() {
        on_shard(async |pacer| {
            let start = clock::mono();
            let waits = [30, 10, 20].map(Duration::from_millis);
            let sleeps = waits.iter().enumerate().map(|(slot, wait)| {
                let pacer = Rc::clone(&pacer);
                let at = start + *wait;
                tokio::task::spawn_local(async move {
                    pacer.sleep_until(slot, at, || false).await;
                    (slot, clock::mono() >= at, clock::mono())
                })
            });
            let mut woken = Vec::new();
            for sleep in sleeps.collect::<Vec<_>>() {
                woken.push(sleep.await.unwrap());
            }
            assert!(woken.iter().all(|(_, not_early, _)| *not_early));
            woken.sort_by_key(|(_, _, at)| *at);
            assert_eq!(woken.iter().map(|(slot, ..)| *slot).collect::<Vec<_>>(), [1, 2, 0]);
        });
    }

    #[test]
    fn a_deadline_moved_later_does_not_fire_early_and_one_moved_earlier_fires_in_time() {
        on_shard(async |pacer| {
            let start = clock::mono();
            let moved = Rc::clone(&pacer);
            let mut deadlines = [50, 5, 25].map(|ms| start + Duration::from_millis(ms)).into_iter();
            let mut last = Mono(0);
            // Each poll before the last replaces the deadline of the same slot; only the last one, 25 ms, counts.
            std::future::poll_fn(|cx| {
                for deadline in deadlines.by_ref() {
                    moved.wake_at(3, deadline, cx);
                    last = deadline;
                }
                if clock::mono() >= last { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            let elapsed = clock::mono().since(start);
            assert!(elapsed >= Duration::from_millis(25), "woke after {elapsed:?}");
        });
    }

    #[test]
    fn wake_all_ends_a_sleep_early() {
        on_shard(async |pacer| {
            let stop = Rc::new(std::cell::Cell::new(false));
            let (sleeper, flag) = (Rc::clone(&pacer), Rc::clone(&stop));
            let far = clock::mono() + Duration::from_secs(3600);
            let sleep = tokio::task::spawn_local(async move { sleeper.sleep_until(0, far, || flag.get()).await });
            tokio::task::yield_now().await;
            stop.set(true);
            pacer.wake_all();
            tokio::time::timeout(Duration::from_secs(5), sleep).await.expect("the sleeper ends").unwrap();
        });
    }
}
