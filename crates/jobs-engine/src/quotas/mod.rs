//! Account and connection quotas, enforced (PROTOCOL 13.2 to 13.5 and 15). Pure: every question brings its time, and is answered in
//! constant time. What is unlimited costs a comparison, and takes no lock.

mod account;
mod bucket;
mod limits;

pub use limits::{Quota, QuotaName, Quotas};

use account::Account;
use bucket::Bucket;
use iot_jobs::RequestKind;
use iot_jobs::instant::Mono;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which quota a CONNECT is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectQuota {
    /// Connections at once.
    Connections,
    /// CONNECT packets a second.
    PerSecond,
    /// CONNECT packets a second with this client id.
    PerClientId,
}

/// The quotas and what is left of them.
pub struct Meters {
    quotas: Quotas,
    account: Mutex<Account>,
}

/// What is left of the quotas of one connection.
#[derive(Debug, Default)]
pub struct ConnectionMeter {
    publishes: Bucket,
    bytes: Bucket,
}

impl Meters {
    /// Meters on which nothing was used yet.
    pub fn new(quotas: Quotas) -> Self {
        Self { quotas, account: Mutex::default() }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A CONNECT has come. Who is let in has to say [`Self::disconnect`] in the end.
    pub fn connect(&self, client_id: &str, now: Mono) -> Result<(), ConnectQuota> {
        self.account().connect(&self.quotas, client_id, now)
    }

    /// A connection that [`Self::connect`] let in has ended.
    pub fn disconnect(&self) {
        self.account().disconnect();
    }

    /// Absent where a connection has no quotas.
    pub fn connection(&self) -> Option<Box<ConnectionMeter>> {
        let has_quotas = self.quotas.publishes_per_second.is_some() || self.quotas.bytes_per_second.is_some();
        has_quotas.then(Box::default)
    }

    /// Filters that one SUBSCRIBE may have, of the `filters` it has; the rest is over the account's rate.
    pub fn subscribe(&self, filters: usize, now: Mono) -> usize {
        let Some(rate) = self.quotas.subscribes_per_second else { return filters };
        let mut account = self.account();
        (0..filters).take_while(|_| account.subscribes.take(1, rate, now)).count()
    }

    /// Subscriptions a connection may have.
    pub fn subscriptions(&self) -> usize {
        self.quotas.subscriptions.map_or(usize::MAX, |quota| quota as usize)
    }

    /// Whether messages count for anything; where they do not, nobody needs to know the time.
    pub fn counts_messages(&self) -> bool {
        self.quotas.inbound_publishes_per_second.is_some() || self.quotas.publishes_per_second.is_some()
    }

    /// Whether a message that came in is handled at all.
    pub fn inbound(&self, meter: Option<&mut ConnectionMeter>, now: Mono) -> bool {
        self.connection_publish(meter, now)
            && self.quotas.inbound_publishes_per_second.is_none_or(|rate| self.account().inbound.take(1, rate, now))
    }

    /// Whether a message may go out to one subscriber.
    pub fn outbound(&self, meter: Option<&mut ConnectionMeter>, now: Mono) -> bool {
        self.connection_publish(meter, now)
            && self.quotas.outbound_publishes_per_second.is_none_or(|rate| self.account().outbound.take(1, rate, now))
    }

    /// Whether a connection may carry one more message; both directions count together.
    pub fn connection_publish(&self, meter: Option<&mut ConnectionMeter>, now: Mono) -> bool {
        match (meter, self.quotas.publishes_per_second) {
            (Some(meter), Some(rate)) => meter.publishes.take(1, rate, now),
            _ => true,
        }
    }

    /// The service sends a message of its own on a reserved topic, which counts as one that came in, and cannot be refused.
    pub fn emitted(&self, now: Mono) {
        if let Some(rate) = self.quotas.inbound_publishes_per_second {
            self.account().inbound.drain(1, rate, now);
        }
    }

    /// How long a connection has to rest after as many bytes.
    pub fn rest(&self, meter: &mut ConnectionMeter, bytes: usize, now: Mono) -> Duration {
        let Some(rate) = self.quotas.bytes_per_second else { return Duration::ZERO };
        meter.bytes.spend(u32::try_from(bytes).unwrap_or(u32::MAX), rate, now)
    }

    /// Whether the account may make one more request of the data plane.
    pub fn request(&self, kind: RequestKind, now: Mono) -> bool {
        let is_read = matches!(kind, RequestKind::GetPending | RequestKind::Describe);
        let rate = if is_read { self.quotas.reads_per_second } else { self.quotas.writes_per_second };
        rate.is_none_or(|rate| {
            let mut account = self.account();
            let bucket = if is_read { &mut account.reads } else { &mut account.writes };
            bucket.take(1, rate, now)
        })
    }

    /// Whether the account may make one more call of an operation of the jobs control plane.
    pub fn control_plane(&self, operation: &'static str, now: Mono) -> bool {
        self.operation(operation, self.quotas.get(QuotaName::of_jobs_call(operation)), now)
    }

    /// Whether the account may make one more call of an operation on things, groups, types, certificates and policies.
    pub fn registry(&self, operation: &'static str, now: Mono) -> bool {
        match QuotaName::of_registry_call(operation) {
            QuotaName::RegistryCallsPerSecond => {
                self.quotas.registry_calls_per_second.is_none_or(|rate| self.account().registry.take(1, rate, now))
            }
            name => self.operation(operation, self.quotas.get(name), now),
        }
    }

    /// Each operation has a bucket of its own.
    fn operation(&self, operation: &'static str, rate: Quota, now: Mono) -> bool {
        rate.is_none_or(|rate| self.account().operation(operation).take(1, rate, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(7_000_000_000);

    /// Some of AWS's (PROTOCOL 15).
    fn aws() -> Quotas {
        Quotas {
            publishes_per_second: Some(100),
            bytes_per_second: Some(524_288),
            subscriptions: Some(50),
            reads_per_second: Some(200),
            writes_per_second: Some(200),
            create_job_per_second: Some(10),
            control_plane_per_second: Some(10),
            ..Quotas::default()
        }
    }

    fn count(mut ask: impl FnMut() -> bool) -> usize {
        (0..10_000).take_while(|_| ask()).count()
    }

    #[test]
    fn each_plane_has_a_bucket_of_its_own() {
        let meters = Meters::new(aws());
        assert_eq!(count(|| meters.request(RequestKind::Describe, START)), 200);
        assert!(!meters.request(RequestKind::GetPending, START), "reads share one");
        assert_eq!(count(|| meters.request(RequestKind::Update, START)), 200, "writes have another");
        assert!(!meters.request(RequestKind::StartNext, START));
        assert!(meters.request(RequestKind::StartNext, START + Duration::from_millis(5)));
        assert_eq!(count(|| meters.control_plane("CreateJob", START)), 10);
        assert_eq!(count(|| meters.control_plane("DescribeJob", START)), 10, "each operation has its own");
        assert_eq!(count(|| meters.registry("CreateThing", START)), 10_000);
        let meters = Meters::new(Quotas { create_job_per_second: Some(3), control_plane_per_second: Some(7), ..Quotas::default() });
        assert_eq!(["CreateJob", "CancelJob"].map(|operation| count(|| meters.control_plane(operation, START))), [3, 7]);
    }

    #[test]
    fn operations_of_the_registry_have_rates_of_their_own_or_one_together() {
        let (things_per_second, registry_calls_per_second) = (Some(100), Some(7));
        let meters = Meters::new(Quotas { things_per_second, registry_calls_per_second, ..Quotas::default() });
        assert_eq!(count(|| meters.registry("CreateThing", START)), 100);
        assert_eq!(count(|| meters.registry("AttachThingPrincipal", START)), 100, "each has its own");
        assert_eq!(count(|| meters.registry("AttachPolicy", START)), 10_000, "it has no rate here");
        assert_eq!(count(|| meters.registry("DescribeThing", START) && meters.registry("CreatePolicy", START)), 3);
    }

    #[test]
    fn a_connection_counts_both_directions_together() {
        let meters = Meters::new(aws());
        let mut meter = meters.connection().unwrap();
        let mut other = meters.connection().unwrap();
        assert_eq!(count(|| meters.inbound(Some(&mut meter), START) && meters.outbound(Some(&mut meter), START)), 50);
        assert!(!meters.inbound(Some(&mut meter), START) && !meters.outbound(Some(&mut meter), START));
        assert!(meters.inbound(Some(&mut other), START));
        assert_eq!(meters.rest(&mut meter, 524_288, START), Duration::ZERO);
        assert_eq!(meters.rest(&mut meter, 262_144, START), Duration::from_millis(500));
    }

    #[test]
    fn what_the_service_emits_counts_as_inbound() {
        let meters = Meters::new(Quotas { inbound_publishes_per_second: Some(10), ..Quotas::default() });
        (0..7).for_each(|_| meters.emitted(START));
        assert_eq!(count(|| meters.inbound(None, START)), 3);
        (0..7).for_each(|_| meters.emitted(START));
        assert!(meters.inbound(None, START + Duration::from_millis(100)), "without a debt");
    }

    #[test]
    fn what_goes_out_has_a_rate_of_the_account_over_all_connections() {
        let meters =
            Meters::new(Quotas { outbound_publishes_per_second: Some(10), publishes_per_second: Some(7), ..Quotas::default() });
        let (mut meter, mut other) = (meters.connection().unwrap(), meters.connection().unwrap());
        assert_eq!(
            count(|| meters.outbound(Some(&mut meter), START)),
            7,
            "what the connection is over does not count for the account"
        );
        assert_eq!(count(|| meters.outbound(Some(&mut other), START)), 3);
        assert!(!meters.outbound(None, START) && meters.outbound(None, START + Duration::from_millis(100)));
        assert_eq!(count(|| meters.inbound(None, START)), 10_000, "what comes in is counted apart");
    }

    #[test]
    fn a_subscribe_over_the_rate_gets_as_many_filters_as_there_are_left() {
        let meters = Meters::new(Quotas { subscribes_per_second: Some(10), ..Quotas::default() });
        assert_eq!([8, 8, 8].map(|filters| meters.subscribe(filters, START)), [8, 2, 0]);
        assert_eq!(meters.subscriptions(), usize::MAX);
    }

    #[test]
    fn without_quotas_all_may_pass_and_connections_have_no_meter() {
        let meters = Meters::new(Quotas { subscriptions: Some(50), ..Quotas::default() });
        assert!(meters.connection().is_none());
        assert_eq!(count(|| meters.request(RequestKind::Update, START) && meters.inbound(None, START)), 10_000);
        assert_eq!(count(|| meters.connect("t", START).is_ok()), 10_000);
        assert_eq!(meters.subscriptions(), 50);
    }
}
