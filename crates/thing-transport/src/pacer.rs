//! A shard's own schedule: many deadlines, one precise wake-up.
//!
//! tokio's timer has ticks of 1 ms, rounded up, which would add about 1.2 ms to every response time. Here the deadlines of a
//! shard's things sit in one queue. While the shard is awake, what is due is woken whenever a thing goes to rest; a timerfd on
//! `CLOCK_MONOTONIC` is set only when the shard goes to sleep. To wake up costs more than all else here, so that deadlines that are
//! dense share a wake-up: one that is near ([`EARLY_MAX`]) is woken with those that are due, and what comes from the network between
//! them waits for it: the kernel has noted when it came.

use crate::memory::Span;
use host::clock;
use iot_jobs::instant::Mono;
use rustix::fd::OwnedFd;
use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use sim_units::agenda::Agenda;
use std::cell::RefCell;
use std::io;
use std::num::NonZeroU64;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use thing_agent::EARLY_MAX;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// A shard that was just woken sleeps as long where somebody is due within that time: a deadline may be late by this, and so may an
/// answer be read. What is alone is not held back.
const BETWEEN_WAKE_UPS: Duration = Duration::from_micros(600);

/// Deadlines this near are in order, the others lie apart: of 10,000 things that speak once a second, 670 are.
const BUCKET: Duration = Duration::from_millis(67);

thread_local! {
    /// The pacer of this thread's shard.
    static PACER: RefCell<Weak<Pacer>> = const { RefCell::new(Weak::new()) };
}

/// The runtime of a shard, the only one a [`Pacer`] works in: it tells the pacer when its thread goes to sleep and wakes. To be made
/// on that thread.
///
/// # Errors
/// When the kernel gives no descriptors.
pub fn shard_runtime() -> io::Result<LocalRuntime> {
    // The kernel would add 50 us to a short sleep, and one that has no such setting does.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    Builder::new_current_thread()
        .enable_all()
        .on_thread_park(|| with_pacer(Pacer::before_sleep))
        .on_thread_unpark(|| with_pacer(Pacer::after_sleep))
        .build_local(LocalOptions::default())
}

fn with_pacer(then: impl FnOnce(&Pacer)) {
    if let Some(pacer) = PACER.with_borrow(Weak::upgrade) {
        then(&pacer);
    }
}

/// The deadlines of one shard. Single-threaded: owned by the shard's thread.
pub struct Pacer {
    timer: AsyncFd<OwnedFd>,
    schedule: RefCell<Schedule>,
}

struct Schedule {
    /// A slot knows two of its entries, and heeds no other; one that is earlier than its slot's deadline is put back when it comes up.
    entries: Agenda<usize>,
    slots: Vec<Slot>,
    /// What the timer is set to.
    armed: Mono,
    /// When the shard woke for the last time.
    woke: Mono,
    /// Entries that come up together; kept for its room.
    due: Vec<(Mono, usize)>,
}

/// Values that a task needs for its turn.
pub(crate) type Needs = [Span; 5];

struct Slot {
    deadline: Mono,
    /// The next of its entries.
    queued: Mono,
    /// The one after it: an answer's deadline stays there while request after request comes and goes before it.
    queued_later: Mono,
    waker: Option<Waker>,
    needs: Needs,
}

impl Slot {
    fn new() -> Self {
        Self {
            deadline: Mono::FAR_FUTURE,
            queued: Mono::FAR_FUTURE,
            queued_later: Mono::FAR_FUTURE,
            waker: None,
            needs: [Span::EMPTY; _],
        }
    }

    /// Takes note of an entry that has come up; of one that it does not know it knows nothing.
    fn comes_up(&mut self, at: Mono) -> bool {
        let is_known = self.queued == at;
        if is_known {
            self.queued = std::mem::replace(&mut self.queued_later, Mono::FAR_FUTURE);
        }
        is_known
    }

    /// Whether the deadline needs an entry of its own: what comes up before it will do.
    fn queue(&mut self) -> bool {
        let is_first = self.deadline < self.queued;
        if is_first {
            self.queued_later = std::mem::replace(&mut self.queued, self.deadline);
        }
        is_first
    }
}

impl Pacer {
    /// `slots` deadlines, one a thing. Must be called inside the runtime of [`shard_runtime`], once.
    ///
    /// # Errors
    /// When the kernel gives no timer descriptor.
    pub fn new(slots: usize) -> io::Result<Rc<Self>> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let pacer = Rc::new(Self {
            timer: register(fd)?,
            schedule: RefCell::new(Schedule {
                entries: Agenda::new(BUCKET),
                slots: std::iter::repeat_with(Slot::new).take(slots).collect(),
                armed: Mono::FAR_FUTURE,
                woke: Mono(0),
                due: Vec::new(),
            }),
        });
        PACER.set(Rc::downgrade(&pacer));
        Ok(pacer)
    }

    /// Wakes the task of `cx` at `deadline`, or up to [`EARLY_MAX`] before, in place of whatever `slot` waited for before; and, as it is about `now`, whoever is due.
    pub fn wake_at(&self, slot: usize, deadline: Mono, now: Mono, cx: &Context<'_>) {
        let mut schedule = self.schedule.borrow_mut();
        let Schedule { entries, slots, .. } = &mut *schedule;
        let slot_state = &mut slots[slot];
        slot_state.deadline = deadline;
        match &mut slot_state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        if slot_state.queue() {
            entries.add(deadline, slot);
        }
        schedule.fire(now);
    }

    /// From now on the task of `slot` needs these for its turns.
    pub(crate) fn needs(&self, slot: usize, needs: Needs) {
        self.schedule.borrow_mut().slots[slot].needs = needs;
    }

    /// Completes at `at`, or as soon as `early` says so when the task is woken for another reason.
    pub async fn sleep_until(&self, slot: usize, at: Mono, early: impl Fn() -> bool) {
        std::future::poll_fn(|cx| {
            let now = clock::mono();
            if early() || now >= at {
                return Poll::Ready(());
            }
            self.wake_at(slot, at, now, cx);
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
            self.timer.readable().await?.clear_ready();
            // Not read: setting it anew clears what it counts.
            let now = clock::mono();
            let mut schedule = self.schedule.borrow_mut();
            schedule.armed = Mono::FAR_FUTURE;
            schedule.wake_up(now);
        }
    }

    /// Nobody has anything to do until the earliest deadline, unless that has just come.
    fn before_sleep(&self) {
        let mut schedule = self.schedule.borrow_mut();
        let now = clock::mono();
        let mut is_due = schedule.fire(now);
        if let Some(until) = schedule.shared_wake_up(now).filter(|_| !is_due) {
            // A signal that ends it early does no harm.
            let _ = clock_nanosleep_absolute(ClockId::Monotonic, &timespec(until));
            is_due = schedule.wake_up(clock::mono());
        }
        let next = schedule.next();
        if !is_due && next != schedule.armed {
            schedule.armed = next;
            self.arm(next);
        }
    }

    fn after_sleep(&self) {
        self.schedule.borrow_mut().woke = clock::mono();
    }

    fn arm(&self, at: Mono) {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = if at == Mono::FAR_FUTURE { never } else { timespec(at) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval: never, it_value })
            .expect("an absolute time within a second's nanoseconds is valid for a timerfd");
    }
}

impl Schedule {
    /// The shard has slept until `now`: wakes who is due, and who is so soon that it may have its turn now.
    fn wake_up(&mut self, now: Mono) -> bool {
        self.fire(now + EARLY_MAX)
    }

    /// Wakes who is due. Says whether there was anyone.
    fn fire(&mut self, now: Mono) -> bool {
        let mut due = std::mem::take(&mut self.due);
        due.extend(std::iter::from_fn(|| self.entries.pop(now)));
        self.prefetch(&due);
        let mut woke = false;
        for (at, slot) in due.drain(..) {
            let state = &mut self.slots[slot];
            if !state.comes_up(at) {
                continue;
            }
            if state.deadline <= now {
                state.deadline = Mono::FAR_FUTURE;
                if let Some(waker) = &state.waker {
                    waker.wake_by_ref();
                    woke = true;
                }
            } else if state.queue() {
                self.entries.add(state.deadline, slot);
            }
        }
        self.due = due;
        woke
    }

    /// What those who are due have not touched for long, asked for before it is needed, and of all at once.
    fn prefetch(&self, due: &[(Mono, usize)]) {
        let slots = || due.iter().map(|(_, slot)| &self.slots[*slot]);
        slots().for_each(|slot| Span::of(slot).prefetch());
        for slot in slots() {
            slot.waker.iter().for_each(|waker| Span::at(waker.data()).prefetch());
            slot.needs.iter().for_each(|need| need.prefetch());
        }
    }

    /// When the next deadline is.
    fn next(&mut self) -> Mono {
        self.entries.peek().unwrap_or(Mono::FAR_FUTURE)
    }

    /// Until when everything waits, where somebody is due within that time anyway.
    fn shared_wake_up(&mut self, now: Mono) -> Option<Mono> {
        let at = self.woke + BETWEEN_WAKE_UPS;
        (now < at && self.next() <= at).then_some(at)
    }
}

/// Never zero, which would disarm a timer: the first nanosecond after boot is long past anyway.
fn timespec(at: Mono) -> Timespec {
    Timespec { tv_sec: (at.0 / 1_000_000_000) as i64, tv_nsec: (at.0 % 1_000_000_000).max(1) as i64 }
}

#[expect(unsafe_code, reason = "tokio asks for a promise that the compiler cannot check")]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its descriptor open, and the same, for as long as it lives; the `AsyncFd` owns it.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    fn on_shard(test: impl AsyncFnOnce(Rc<Pacer>)) {
        shard_runtime().unwrap().block_on(async {
            let pacer = Pacer::new(4).unwrap();
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
                    moved.wake_at(3, deadline, start, cx);
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
    fn deadlines_near_a_wake_up_share_the_next_and_a_lone_one_is_not_held_back() {
        let woke = Mono(1_000_000_000);
        let mut schedule =
            Schedule { entries: Agenda::new(BUCKET), slots: vec![Slot::new()], armed: Mono::FAR_FUTURE, woke, due: Vec::new() };
        assert_eq!((schedule.shared_wake_up(woke), schedule.next()), (None, Mono::FAR_FUTURE), "an answer alone");
        let (near, lone) = (woke + BETWEEN_WAKE_UPS / 5, woke + BETWEEN_WAKE_UPS * 5);
        schedule.entries.add(lone, 0);
        assert_eq!((schedule.shared_wake_up(woke), schedule.next()), (None, lone));
        schedule.entries.add(near, 0);
        let at = woke + BETWEEN_WAKE_UPS;
        assert_eq!(schedule.shared_wake_up(woke), Some(at));
        assert_eq!(schedule.shared_wake_up(at), None, "a shard that was busy for as long does not sleep");
    }

    #[test]
    fn who_is_due_soon_is_woken_with_who_is_due() {
        on_shard(async |pacer| {
            let wakes =
                [Duration::ZERO, EARLY_MAX, EARLY_MAX + Duration::from_nanos(1)].map(|wait| (wait, Arc::new(Wakes::default())));
            let now = clock::mono() + Duration::from_secs(3_600);
            for (slot, (wait, count)) in wakes.iter().enumerate() {
                let waker = Waker::from(Arc::clone(count));
                pacer.wake_at(slot, now + *wait, clock::mono(), &Context::from_waker(&waker));
            }
            let mut schedule = pacer.schedule.borrow_mut();
            assert!(schedule.wake_up(now));
            assert_eq!(wakes.map(|(_, count)| count.0.load(Ordering::Relaxed)), [1, 1, 0]);
        });
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn requests_that_come_and_go_before_a_far_deadline_leave_no_entries() {
        on_shard(async |pacer| {
            let cx = Context::from_waker(Waker::noop());
            let begin = clock::mono();
            for request in 0..100 {
                let at = begin + Duration::from_secs(request);
                let (request, answer, next) = (at, at + Duration::from_secs(30), at + Duration::from_millis(500));
                for deadline in [request, answer, next] {
                    pacer.wake_at(0, deadline, begin, &cx);
                    pacer.schedule.borrow_mut().fire(deadline.min(next));
                }
            }
            let mut schedule = pacer.schedule.borrow_mut();
            assert!(std::iter::from_fn(|| schedule.entries.pop(Mono::FAR_FUTURE)).count() <= 2);
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
