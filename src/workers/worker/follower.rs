//! What a worker makes of what its leader tells, and of a leader that tells nothing any more. Pure.

use crate::workers::message::{Heartbeat, Order};
use iot_jobs::instant::Mono;
use std::time::Duration;

/// A leader that tells nothing for so long, while the server can be reached, is gone.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(30);

/// What is to be done, once each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// All slices start then; RFC 3339, and by the monotonic clock where the leader's is this host's.
    Start(String, Option<Mono>),
    /// The whole fleet is connected.
    Connected,
    /// What `end.expect` waits for is done.
    Met,
    /// One wish to stop: the first drains, the second aborts.
    Stop,
    /// There is nobody who leads.
    LeaderGone,
}

/// Follows the leader of a run.
#[derive(Debug)]
pub(super) struct Follower {
    /// Of the attempt at the run that this worker has joined.
    nonce: String,
    heard: Mono,
    is_up: bool,
    has_started: bool,
    is_connected: bool,
    is_met: bool,
    /// Wishes to stop that were passed on.
    stops: u8,
    is_gone: bool,
}

impl Follower {
    #[must_use]
    pub(super) fn new(nonce: String, now: Mono) -> Self {
        Self { nonce, heard: now, is_up: true, has_started: false, is_connected: false, is_met: false, stops: 0, is_gone: false }
    }

    /// The leader has spoken.
    pub(super) fn take(&mut self, heartbeat: Heartbeat, now: Mono) -> Vec<Act> {
        if heartbeat.nonce != self.nonce {
            return self.leaderless();
        }
        self.heard = now;
        let mut acts = Vec::new();
        if let Some(start_at) = heartbeat.start_at.filter(|_| !self.has_started) {
            self.has_started = true;
            acts.push(Act::Start(start_at, heartbeat.origin));
        }
        if heartbeat.connected && !self.is_connected {
            self.is_connected = true;
            acts.push(Act::Connected);
        }
        if heartbeat.met && !self.is_met {
            self.is_met = true;
            acts.push(Act::Met);
        }
        let wished = match heartbeat.order {
            Order::GoOn => 0,
            Order::Drain => 1,
            Order::Abort => 2,
        };
        acts.extend((self.stops..wished).map(|_| Act::Stop));
        self.stops = self.stops.max(wished);
        acts
    }

    /// What time alone has changed. `is_up`: the server can be reached; `has_parent`: who started this process is still there, where that is
    /// the leader.
    pub(super) fn poll(&mut self, is_up: bool, has_parent: bool, now: Mono) -> Vec<Act> {
        if is_up && !self.is_up {
            self.heard = self.heard.max(now);
        }
        self.is_up = is_up;
        let is_gone = !has_parent || (is_up && now.since(self.heard) >= GONE_AFTER);
        if is_gone { self.leaderless() } else { Vec::new() }
    }

    /// Nobody leads this attempt any more.
    fn leaderless(&mut self) -> Vec<Act> {
        if std::mem::replace(&mut self.is_gone, true) {
            return Vec::new();
        }
        let stop = (self.stops == 0).then_some(Act::Stop);
        self.stops = self.stops.max(1);
        [Act::LeaderGone].into_iter().chain(stop).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Mono {
        Mono(1_000_000_000_000 + s * 1_000_000_000)
    }

    fn follower_at(s: u64) -> Follower {
        Follower::new("n".into(), at(s))
    }

    fn heartbeat(order: Order, start: Option<&str>, connected: bool) -> Heartbeat {
        Heartbeat {
            nonce: "n".into(),
            order,
            start_at: start.map(Into::into),
            origin: Some(at(9)),
            connected,
            met: order != Order::GoOn,
        }
    }

    #[test]
    fn each_word_of_the_leader_counts_once_however_often_it_is_told() {
        let mut follower = follower_at(0);
        assert_eq!(follower.take(heartbeat(Order::GoOn, None, false), at(1)), []);
        assert_eq!(follower.take(heartbeat(Order::GoOn, Some("t"), false), at(2)), [Act::Start("t".into(), Some(at(9)))]);
        assert_eq!(follower.take(heartbeat(Order::GoOn, Some("t"), true), at(3)), [Act::Connected]);
        assert_eq!(follower.take(heartbeat(Order::Drain, Some("t"), true), at(4)), [Act::Met, Act::Stop]);
        assert_eq!(follower.take(heartbeat(Order::Drain, Some("t"), true), at(5)), []);
        assert_eq!(follower.take(heartbeat(Order::Abort, Some("t"), true), at(6)), [Act::Stop]);
        assert_eq!(follower.take(heartbeat(Order::Abort, Some("t"), true), at(7)), []);
        let mut late = follower_at(0);
        let at_once = late.take(heartbeat(Order::Abort, Some("t"), true), at(1));
        let start = Act::Start("t".into(), Some(at(9)));
        assert_eq!(at_once, [start, Act::Connected, Act::Met, Act::Stop, Act::Stop], "who heard none of it hears all of it");
    }

    #[test]
    fn a_leader_that_is_gone_ends_the_work_and_a_server_that_is_away_does_not() {
        let mut follower = follower_at(0);
        follower.take(heartbeat(Order::GoOn, None, false), at(10));
        assert_eq!(follower.poll(true, true, at(39)), []);
        assert_eq!(follower.poll(false, true, at(400)), []);
        assert_eq!(follower.poll(true, true, at(401)), [], "it has time again");
        assert_eq!(follower.poll(true, true, at(430)), []);
        assert_eq!(follower.poll(true, true, at(431)), [Act::LeaderGone, Act::Stop]);
        assert_eq!(follower.poll(true, true, at(500)), []);
        let mut child = follower_at(0);
        assert_eq!(child.poll(false, false, at(1)), [Act::LeaderGone, Act::Stop], "a child knows at once");
        let mut replaced = follower_at(0);
        let other = Heartbeat { nonce: "of another attempt".into(), ..heartbeat(Order::Abort, Some("t"), true) };
        assert_eq!(
            replaced.take(other.clone(), at(1)),
            [Act::LeaderGone, Act::Stop],
            "nobody starts by the word of another leader"
        );
        assert_eq!(replaced.take(other, at(2)), []);
        let mut drained = follower_at(0);
        drained.take(heartbeat(Order::Drain, None, false), at(1));
        assert_eq!(drained.poll(true, true, at(31)), [Act::LeaderGone], "it drains already");
    }
}
