//! How long a worker goes on handing over what it has: for as long as that gets on. Pure.

use iot_jobs::instant::Mono;
use std::time::Duration;

/// Without a single acknowledgement, while the server can be reached.
const STUCK_AFTER: Duration = Duration::from_secs(120);
/// From the first signal to end: less than the 60 s that the manifests in deploy/ leave until the kill.
const GRACE: Duration = Duration::from_secs(50);
/// Where nobody leads any more; and where the server cannot be reached, and somebody wants an end.
const PARTING: Duration = Duration::from_secs(10);

/// How handing over stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeliveryState {
    /// Messages that the server has acknowledged.
    pub acknowledged: u64,
    pub is_up: bool,
    pub is_leaderless: bool,
    /// When somebody first wanted this process to end.
    pub stopped: Option<Mono>,
}

/// Waits for the last acknowledgement.
#[derive(Debug)]
pub(super) struct DeliveryDeadline {
    /// How long the server may be away.
    away: Duration,
    acknowledged: u64,
    /// Since when nothing was acknowledged, while the server could be reached.
    stuck: Mono,
    /// Since when it cannot be reached.
    unreached: Option<Mono>,
    leaderless: Option<Mono>,
}

impl DeliveryDeadline {
    #[must_use]
    pub(super) fn new(away: Duration, now: Mono) -> Self {
        Self { away, acknowledged: 0, stuck: now, unreached: None, leaderless: None }
    }

    /// Why it is given up, once it is.
    pub(super) fn poll(&mut self, state: DeliveryState, now: Mono) -> Option<String> {
        let DeliveryState { acknowledged, is_up, is_leaderless, stopped } = state;
        if acknowledged != self.acknowledged || !is_up {
            (self.acknowledged, self.stuck) = (acknowledged, now);
        }
        self.unreached = (!is_up).then(|| self.unreached.unwrap_or(now));
        self.leaderless = is_leaderless.then(|| self.leaderless.unwrap_or(now));
        let away = if stopped.is_some() { self.away.min(PARTING) } else { self.away };
        let limits = [
            (Some(self.stuck), STUCK_AFTER, "nothing was acknowledged"),
            (self.unreached, away, "the NATS server was not back"),
            (self.leaderless, PARTING, "nobody led any more, and it was not acknowledged"),
            (stopped, GRACE, "somebody wanted it to end, and it was not acknowledged"),
        ];
        limits.into_iter().find_map(|(since, limit, what)| {
            since.is_some_and(|since| now.since(since) >= limit).then(|| format!("{what} within {} s", limit.as_secs()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: Duration = Duration::from_secs(600);
    const GOING: DeliveryState = DeliveryState { acknowledged: 0, is_up: true, is_leaderless: false, stopped: None };

    fn at(s: u64) -> Mono {
        Mono(1_000_000_000_000 + s * 1_000_000_000)
    }

    /// When it is given up, looked at every second, and why.
    fn given_up(state: impl Fn(u64) -> DeliveryState) -> Option<(u64, String)> {
        let mut deadline = DeliveryDeadline::new(AWAY, at(0));
        (0..3_000).find_map(|s| Some((s, deadline.poll(state(s), at(s))?)))
    }

    #[test]
    fn it_may_take_as_long_as_it_likes_where_it_gets_on() {
        assert_eq!(given_up(|s| DeliveryState { acknowledged: s / 100, ..GOING }), None);
        let stops = |s: u64| DeliveryState { acknowledged: s.min(500), ..GOING };
        assert_eq!(given_up(stops), Some((620, "nothing was acknowledged within 120 s".into())));
    }

    #[test]
    fn time_without_a_server_is_counted_apart() {
        let away_for =
            |lasts: u64| move |s: u64| DeliveryState { is_up: !(100..100 + lasts).contains(&s), acknowledged: s / 1_000, ..GOING };
        assert_eq!(given_up(away_for(3_000)), Some((700, "the NATS server was not back within 600 s".into())));
        assert_eq!(given_up(away_for(500)).unwrap().0, 599 + 120, "since it is back");
    }

    #[test]
    fn the_grace_ends_before_the_kill_of_a_scheduler() {
        let seconds_after = |text: &str, key: &str| {
            let (_, rest) = text.split_once(key).unwrap();
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
        };
        let kubernetes = include_str!("../../../deploy/kubernetes.yaml");
        assert!(GRACE.as_secs() < seconds_after(kubernetes, "terminationGracePeriodSeconds: "));
        assert!(GRACE.as_secs() < seconds_after(include_str!("../../../deploy/slurm.sh"), "--signal=B:TERM@"));
    }

    #[test]
    fn whoever_wants_an_end_gets_one_after_a_grace() {
        let acknowledged = |s| DeliveryState { acknowledged: s, ..GOING };
        let stopped = |s| DeliveryState { stopped: (s >= 20).then(|| at(20)), ..acknowledged(s) };
        assert_eq!(given_up(stopped).unwrap().0, 70);
        assert_eq!(given_up(|s| DeliveryState { is_up: s < 25, ..stopped(s) }).unwrap().0, 35);
        assert_eq!(given_up(|s| DeliveryState { is_leaderless: s >= 30, ..acknowledged(s) }).unwrap().0, 40);
    }
}
