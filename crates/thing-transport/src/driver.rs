//! Turns one agent over one wire: what arrives goes in, what the agent wants goes out, its events go to the observer, and then it
//! rests until the earliest deadline. It holds no jobs logic.

use crate::error::Failure;
use crate::fetch::Fetcher;
use crate::memory::Span;
use crate::observer::Observer;
use crate::pacer::Needs;
use crate::shard::{Member, Order, Scratch};
use crate::wire::{Closed, End, Turn, Wire};
use host::clock;
use iot_jobs::instant::Mono;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;
use thing_agent::{Event, JobsAgent, Transmit};
use thing_faults::Fault;

/// Rounds in a row before other things of the shard get their turn.
const ROUNDS_PER_TURN: usize = 16;
/// A thing that is woken so long after its deadline was not scheduled: its shard stood still.
const STOOD_STILL: Duration = Duration::from_millis(100);
/// A thing that waits for nothing looks up this often.
const IDLE: Duration = Duration::from_secs(3_600);

/// One connection of one thing.
pub(crate) struct Driver<'a, O, W> {
    thing: Member<'a, O>,
    agent: &'a mut JobsAgent,
    wire: W,
    fetcher: Fetcher,
    /// Until when the thing rests.
    rests_until: Mono,
}

impl<'a, O: Observer, W: Wire<O>> Driver<'a, O, W> {
    /// The agent has been told that it is connected, or that its session goes on.
    pub(crate) fn new(thing: Member<'a, O>, agent: &'a mut JobsAgent, wire: W) -> Self {
        Self { thing, agent, wire, fetcher: Fetcher::default(), rests_until: Mono::FAR_FUTURE }
    }

    /// Until the connection ends. `on_event` sees every event of the agent before the observer does, and why the endpoint granted not
    /// everything; that the thing is up it sees once that is certain.
    pub(crate) async fn run(&mut self, mut on_event: impl FnMut(&Event, Option<&'static str>, Member<'_, O>)) -> End {
        self.thing.shard.pacer.needs(self.thing.id.slot, self.needs());
        let end = std::future::poll_fn(|cx| self.poll(cx, &mut on_event)).await;
        self.fetcher.give_up(self.thing);
        end
    }

    /// The connection is over.
    pub(crate) fn into_wire(self) -> W {
        self.wire
    }

    /// What every turn touches.
    fn needs(&self) -> Needs {
        let id = self.thing.id;
        [Span::of(self), Span::of(&*self.agent), self.wire.stream(), Span::of(id), Span::of(id.name.as_str())]
    }

    fn poll(&mut self, cx: &mut Context<'_>, on_event: &mut impl FnMut(&Event, Option<&'static str>, Member<'_, O>)) -> Poll<End> {
        // An answer wakes it as well, of which the pacer knows nothing: 5 % of requests that come now and then.
        self.needs().into_iter().for_each(Span::prefetch);
        let shard = self.thing.shard;
        let mut scratch = shard.scratch.borrow_mut();
        self.turn(cx, &mut scratch, on_event).unwrap_or_else(|failure| {
            // The buffer is the shard's: what this session leaves in it would go out on the connection of another one.
            scratch.outbound.clear();
            Poll::Ready(End::Failed(failure))
        })
    }

    /// Round and round while anything changes; then rest.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        on_event: &mut impl FnMut(&Event, Option<&'static str>, Member<'_, O>),
    ) -> Result<Poll<End>, Failure> {
        let Self { thing, agent, wire, fetcher, rests_until } = self;
        // Answers may have come while the generator stood still: the sockets are looked at before anything is given up.
        let mut now = clock::mono();
        if now > std::mem::replace(rests_until, Mono::FAR_FUTURE) + STOOD_STILL {
            let _: Poll<()> = pin!(tokio::task::yield_now()).poll(cx);
            return Ok(Poll::Pending);
        }
        for _ in 0..ROUNDS_PER_TURN {
            match thing.shard.order.get() {
                Order::Run => {}
                Order::Drain => {
                    agent.handle_drain();
                    wire.handle_drain();
                }
                Order::Close => return Ok(Poll::Ready(End::Ordered)),
            }
            if let Some(event) = thing.shard.cuts.struck(thing.id.slot) {
                return Err(Failure::Cut { event });
            }
            let turn = &mut Turn { thing: *thing, agent, scratch, cx, now };
            // What has come in time is heeded before what is due.
            let has_read = wire.read(turn)?;
            wire.handle_timeout(turn)?;
            turn.agent.handle_timeout(turn.now);
            if let Some(closed) = wire.closed() {
                fetcher.follow(turn.thing, turn.agent, turn.cx);
                emit_events(wire, turn, on_event);
                return wait_for_file(turn, closed);
            }
            let hang_up = transmit(wire, fetcher, turn);
            fetcher.follow(turn.thing, turn.agent, turn.cx);
            let flushed = hang_up.map_or_else(|| wire.flush(turn), Err);
            emit_events(wire, turn, on_event);
            let is_at_rest = !flushed? && !has_read;
            if is_at_rest {
                *rests_until = rest(wire, turn);
                return Ok(Poll::Pending);
            }
            now = clock::mono();
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }
}

/// Hands over all that the agent wants to say and the wire has room for. Says why the connection is to be dropped, if it is.
fn transmit<O: Observer>(wire: &mut impl Wire<O>, fetcher: &mut Fetcher, turn: &mut Turn<'_, '_, O>) -> Option<Failure> {
    while wire.has_room() {
        let now = wire.leaves_at(turn.now);
        let Some(transmit) = turn.agent.poll_transmit(now) else { break };
        match transmit {
            Transmit::Subscribe(subscriptions) => wire.subscribe(subscriptions, now, turn),
            Transmit::Publish(request) => wire.publish(&request, None, now, turn),
            Transmit::Faulty(request, fault) => wire.publish(&request, Some(fault), now, turn),
            Transmit::Flood(count) => wire.flood(count, now, turn),
            Transmit::Fetch { job, document } => fetcher.start(turn.thing, turn.agent, &job, &document),
            Transmit::Crash { away } => {
                return Some(Failure::OnPurpose { fault: Fault::CrashInProgress, away: Some(away) });
            }
            Transmit::Disconnect(why) => return Some(Failure::of_subscribing(why, wire.refusal())),
        }
    }
    None
}

fn emit_events<O: Observer>(
    wire: &mut impl Wire<O>,
    turn: &mut Turn<'_, '_, O>,
    on_event: &mut impl FnMut(&Event, Option<&'static str>, Member<'_, O>),
) {
    while let Some(event) = turn.agent.poll_event() {
        if !wire.defers(&event) {
            on_event(&event, wire.refusal(), turn.thing);
            wire.handle_event(&event, turn.thing);
        }
        turn.thing.shard.observer.agent(turn.thing.id, event);
    }
    if let Some(event) = wire.poll_deferred(turn.now) {
        on_event(&event, None, turn.thing);
    }
}

/// The other side has closed the connection. A file that is on its way is waited for: it has a connection of its own, and would begin
/// anew in another session.
fn wait_for_file<O>(turn: &Turn<'_, '_, O>, closed: Closed) -> Result<Poll<End>, Failure> {
    if turn.agent.is_fetching() {
        turn.thing.shard.pacer.wake_at(turn.thing.id.slot, turn.now + IDLE, turn.now, turn.cx);
        return Ok(Poll::Pending);
    }
    Err(match closed {
        Closed::Idle => Failure::ClosedIdle { away: turn.agent.poll_timeout().map(|(at, _)| at.since(turn.now)) },
        Closed::Early => Failure::Closed,
    })
}

/// Until the earliest deadline, which may be over already.
fn rest<O: Observer>(wire: &impl Wire<O>, turn: &Turn<'_, '_, O>) -> Mono {
    // Without room the agent's plans wait for an acknowledgement, or for its deadline.
    let planned = turn.agent.poll_timeout().filter(|_| wire.has_room()).map(|(at, _)| at);
    let deadline = [wire.poll_timeout(turn.now), planned].into_iter().flatten().min().unwrap_or(turn.now + IDLE);
    turn.thing.shard.pacer.wake_at(turn.thing.id.slot, deadline, turn.now, turn.cx);
    deadline
}
