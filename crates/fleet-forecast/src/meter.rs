//! The account's quotas, asked as the endpoint asks them, and what is asked of them counted.

use crate::demand::{Billed, Demand, QuotaDemand};
use iot_jobs::RequestKind;
use iot_jobs::instant::Mono;
use iot_jobs::limits::{metered_minutes, metered_units};
use jobs_engine::quotas::{ConnectQuota, ConnectionMeter, Meters, QuotaName, Quotas};
use std::time::Duration;
use strum::EnumCount as _;

/// Whether what is over a quota is refused, or only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// As the endpoint does.
    Refuse,
    /// Everything is let through.
    Count,
}

pub(crate) struct AccountMeter {
    meters: Meters,
    enforcement: Enforcement,
    origin: Mono,
    demand: Demand,
    windows: [Window; QuotaName::COUNT],
    connections: u64,
}

/// The window that is being counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    second: u64,
    count: u64,
}

impl Window {
    /// Counts within the second of `now`; how many those are.
    fn count(&mut self, amount: u64, second: u64) -> u64 {
        if self.second != second {
            *self = Self { second, count: 0 };
        }
        self.count += amount;
        self.count
    }
}

/// One connection as quotas see it.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Since when it is held.
    since: Mono,
    /// Whether the quota of connections counts it: not, where it was let in all the same.
    is_counted: bool,
    meter: Option<Box<ConnectionMeter>>,
    messages: Window,
    bytes: Window,
}

impl AccountMeter {
    pub(crate) fn new(quotas: Quotas, enforcement: Enforcement, origin: Mono) -> Self {
        Self {
            meters: Meters::new(quotas),
            enforcement,
            origin,
            demand: Demand::default(),
            windows: [Window::default(); QuotaName::COUNT],
            connections: 0,
        }
    }

    pub(crate) fn demand(&self) -> &Demand {
        &self.demand
    }

    pub(crate) fn billed(&mut self) -> &mut Billed {
        &mut self.demand.billed
    }

    pub(crate) fn end(&mut self, now: Mono) {
        self.demand.lasted = now.since(self.origin);
    }

    fn second(&self, now: Mono) -> u64 {
        now.since(self.origin).as_secs()
    }

    /// What is asked of the account's quota `name`.
    fn ask(&mut self, name: QuotaName, amount: u64, now: Mono) {
        let second = self.second(now);
        let count = self.windows[name as usize].count(amount, second);
        let demand = self.demand.of_mut(name);
        demand.total += amount;
        peak(demand, count, Duration::from_secs(second));
    }

    /// What was over the quota; whether it passes all the same.
    fn over(&mut self, name: QuotaName, amount: u64, now: Mono) -> bool {
        let since = now.since(self.origin);
        let demand = self.demand.of_mut(name);
        demand.refused += amount;
        demand.first_refused.get_or_insert(since);
        self.enforcement == Enforcement::Count
    }

    /// A CONNECT of the client `client_id`, whose own window is handed in; `None`: it is not let in.
    pub(crate) fn connect(&mut self, client_id: &str, own: &mut Window, now: Mono) -> Option<Connection> {
        self.ask(QuotaName::ConnectsPerSecond, 1, now);
        let second = self.second(now);
        let count = own.count(1, second);
        let of_client = self.demand.of_mut(QuotaName::ConnectsPerSecondPerClientId);
        of_client.total += 1;
        peak(of_client, count, Duration::from_secs(second));
        self.demand.billed.connects += 1;
        let asked = self.meters.connect(client_id, now);
        let over = match asked {
            Ok(()) => None,
            Err(ConnectQuota::Connections) => Some(QuotaName::Connections),
            Err(ConnectQuota::PerSecond) => Some(QuotaName::ConnectsPerSecond),
            Err(ConnectQuota::PerClientId) => Some(QuotaName::ConnectsPerSecondPerClientId),
        };
        if over.is_some_and(|name| !self.over(name, 1, now)) {
            return None;
        }
        self.connections += 1;
        let since = now.since(self.origin);
        let (connections, held) = (self.connections, self.demand.of_mut(QuotaName::Connections));
        held.total += 1;
        peak(held, connections, since);
        Some(Connection { since: now, is_counted: asked.is_ok(), meter: self.meters.connection(), ..Connection::default() })
    }

    /// A connection has ended.
    pub(crate) fn disconnect(&mut self, connection: &Connection, now: Mono) {
        if connection.is_counted {
            self.meters.disconnect();
        }
        self.connections = self.connections.saturating_sub(1);
        self.demand.billed.connection_minutes += metered_minutes(now.since(connection.since));
    }

    /// Filters that a SUBSCRIBE gets of those it has.
    pub(crate) fn subscribe(&mut self, filters: usize, now: Mono) -> usize {
        self.ask(QuotaName::SubscribesPerSecond, filters as u64, now);
        let second = Duration::from_secs(self.second(now));
        let of_connection = self.demand.of_mut(QuotaName::Subscriptions);
        of_connection.total += filters as u64;
        peak(of_connection, filters as u64, second);
        self.demand.billed.subscribes += 1;
        let most = self.meters.subscriptions();
        if filters > most && !self.over(QuotaName::Subscriptions, (filters - most) as u64, now) {
            return most;
        }
        let granted = self.meters.subscribe(filters, now);
        let is_whole = granted == filters || self.over(QuotaName::SubscribesPerSecond, (filters - granted) as u64, now);
        if is_whole { filters } else { granted }
    }

    /// A message of a thing over MQTT. Says whether it is handled, and how long its connection then rests.
    pub(crate) fn inbound(&mut self, connection: &mut Connection, bytes: usize, now: Mono) -> Option<Duration> {
        self.ask(QuotaName::InboundPublishesPerSecond, 1, now);
        self.demand.billed.publishes_in += metered_units(bytes);
        let rest = self.carried(connection, bytes, now)?;
        let is_within = self.meters.inbound(None, now) || self.over(QuotaName::InboundPublishesPerSecond, 1, now);
        is_within.then_some(rest)
    }

    /// The service sends a message of its own, for whoever hears it.
    pub(crate) fn emitted(&mut self, now: Mono) {
        self.ask(QuotaName::InboundPublishesPerSecond, 1, now);
        self.meters.emitted(now);
    }

    /// A message to a thing. Says whether it leaves, and how long its connection then rests.
    pub(crate) fn outbound(&mut self, connection: &mut Connection, bytes: usize, now: Mono) -> Option<Duration> {
        let rest = self.carried(connection, bytes, now)?;
        self.ask(QuotaName::OutboundPublishesPerSecond, 1, now);
        if !self.meters.outbound(None, now) && !self.over(QuotaName::OutboundPublishesPerSecond, 1, now) {
            return None;
        }
        self.demand.billed.publishes_out += metered_units(bytes);
        // A thing acknowledges all that it hears.
        self.demand.billed.pubacks += 1;
        Some(rest)
    }

    /// What one connection carries, in either direction.
    fn carried(&mut self, connection: &mut Connection, bytes: usize, now: Mono) -> Option<Duration> {
        let second = self.second(now);
        let since = Duration::from_secs(second);
        for (name, amount, window) in [
            (QuotaName::PublishesPerSecond, 1, &mut connection.messages),
            (QuotaName::BytesPerSecond, bytes as u64, &mut connection.bytes),
        ] {
            let count = window.count(amount, second);
            let demand = self.demand.of_mut(name);
            demand.total += amount;
            peak(demand, count, since);
        }
        if !self.meters.connection_publish(connection.meter.as_deref_mut(), now)
            && !self.over(QuotaName::PublishesPerSecond, 1, now)
        {
            return None;
        }
        let rest = connection.meter.as_deref_mut().map_or(Duration::ZERO, |meter| self.meters.rest(meter, bytes, now));
        let is_free = rest.is_zero() || self.over(QuotaName::BytesPerSecond, bytes as u64, now);
        Some(if is_free { Duration::ZERO } else { rest })
    }

    /// A request of the data plane. Says whether it is not throttled.
    pub(crate) fn request(&mut self, kind: RequestKind, now: Mono) -> bool {
        let name = match kind {
            RequestKind::GetPending | RequestKind::Describe => QuotaName::ReadsPerSecond,
            RequestKind::StartNext | RequestKind::Update => QuotaName::WritesPerSecond,
        };
        self.ask(name, 1, now);
        self.meters.request(kind, now) || self.over(name, 1, now)
    }

    /// A call of the control plane.
    pub(crate) fn control_plane(&mut self, operation: &'static str, now: Mono) {
        let name = QuotaName::of_jobs_call(operation);
        self.ask(name, 1, now);
        if !self.meters.control_plane(operation, now) {
            // Whoever makes such calls makes them again a little later: nothing but time is lost.
            self.over(name, 1, now);
        }
    }

    /// What was asked once, and not by a rate: `count` of what the quota `name`, which is `most`, is about.
    pub(crate) fn held(&mut self, name: QuotaName, count: u64, most: Option<u32>, now: Mono) {
        let since = now.since(self.origin);
        let demand = self.demand.of_mut(name);
        demand.total += 1;
        peak(demand, count, since);
        if most.is_some_and(|most| count > u64::from(most)) {
            self.over(name, 1, now);
        }
    }
}

fn peak(demand: &mut QuotaDemand, count: u64, at: Duration) {
    if count > demand.peak {
        (demand.peak, demand.peak_at) = (count, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Mono = Mono(7_000_000_000);

    fn at(ms: u64) -> Mono {
        ORIGIN + Duration::from_millis(ms)
    }

    fn meter(enforcement: Enforcement) -> AccountMeter {
        let quotas = Quotas { writes_per_second: Some(10), connects_per_second: Some(3), ..Quotas::default() };
        AccountMeter::new(quotas, enforcement, ORIGIN)
    }

    #[test]
    fn what_is_over_a_quota_is_refused_or_only_counted() {
        for (enforcement, passing) in [(Enforcement::Refuse, 10), (Enforcement::Count, 12)] {
            let mut meter = meter(enforcement);
            let passed = (0..12).filter(|_| meter.request(RequestKind::Update, at(2_500))).count();
            assert_eq!(passed, passing);
            let expected = QuotaDemand {
                peak: 12,
                peak_at: Duration::from_secs(2),
                total: 12,
                refused: 2,
                first_refused: Some(Duration::from_millis(2_500)),
            };
            assert_eq!(*meter.demand().of(QuotaName::WritesPerSecond), expected);
        }
    }

    #[test]
    fn a_peak_is_that_of_a_whole_second() {
        let mut meter = meter(Enforcement::Count);
        for ms in [900, 999, 1_000, 1_001, 1_999, 2_000] {
            meter.request(RequestKind::Describe, at(ms));
        }
        let reads = meter.demand().of(QuotaName::ReadsPerSecond);
        assert_eq!((reads.peak, reads.peak_at, reads.total, reads.refused), (3, Duration::from_secs(1), 6, 0));
    }

    #[test]
    fn connections_are_held_and_billed_by_begun_minutes() {
        let mut meter = meter(Enforcement::Refuse);
        let mut own = Window::default();
        let connections: Vec<Connection> = (0..4).filter_map(|_| meter.connect("t", &mut own, at(0))).collect();
        assert_eq!(connections.len(), 3);
        meter.disconnect(&connections[0], at(60_000));
        meter.disconnect(&connections[1], at(61_000));
        let held = meter.demand().of(QuotaName::Connections);
        assert_eq!((held.peak, held.total, meter.demand().billed.connection_minutes), (3, 3, 3));
        assert_eq!(meter.demand().of(QuotaName::ConnectsPerSecondPerClientId).peak, 4);
    }
}
