//! What is left of an account's quotas.

use super::ConnectQuota;
use super::bucket::Bucket;
use crate::quotas::Quotas;
use iot_jobs::instant::Mono;
use std::collections::{BTreeMap, HashMap};

/// Client ids that are remembered before those of the last second are looked for among them.
const CLIENT_IDS_MIN: usize = 1_024;

#[derive(Default)]
pub(super) struct Account {
    connections: u32,
    connects: Bucket,
    client_ids: ClientIds,
    pub(super) inbound: Bucket,
    pub(super) outbound: Bucket,
    pub(super) subscribes: Bucket,
    pub(super) reads: Bucket,
    pub(super) writes: Bucket,
    pub(super) registry: Bucket,
    operations: BTreeMap<&'static str, Bucket>,
}

impl Account {
    /// A refused CONNECT counts for its client id and the rate, as every request does (inferred), but is no connection.
    pub(super) fn connect(&mut self, quotas: &Quotas, client_id: &str, now: Mono) -> Result<(), ConnectQuota> {
        if quotas.connects_per_second.is_some_and(|rate| !self.connects.take(1, rate, now)) {
            return Err(ConnectQuota::PerSecond);
        }
        if quotas.connects_per_second_per_client_id.is_some_and(|rate| !self.client_ids.take(client_id, rate, now)) {
            return Err(ConnectQuota::PerClientId);
        }
        if quotas.connections.is_some_and(|quota| self.connections >= quota) {
            return Err(ConnectQuota::Connections);
        }
        self.connections += 1;
        Ok(())
    }

    pub(super) fn disconnect(&mut self) {
        self.connections = self.connections.saturating_sub(1);
    }

    pub(super) fn operation(&mut self, name: &'static str) -> &mut Bucket {
        self.operations.entry(name).or_default()
    }
}

/// The client ids of the last second, and some older ones: they are cleared when their number has doubled, so that each costs constant time.
#[derive(Default)]
struct ClientIds {
    buckets: HashMap<Box<str>, Bucket>,
    kept: usize,
}

impl ClientIds {
    fn take(&mut self, client_id: &str, rate: u32, now: Mono) -> bool {
        if let Some(bucket) = self.buckets.get_mut(client_id) {
            return bucket.take(1, rate, now);
        }
        if self.buckets.len() >= (2 * self.kept).max(CLIENT_IDS_MIN) {
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
            self.kept = self.buckets.len();
        }
        let mut bucket = Bucket::default();
        let is_enough = bucket.take(1, rate, now);
        self.buckets.insert(client_id.into(), bucket);
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: Mono = Mono(7_000_000_000);

    #[test]
    fn connects_have_a_rate_a_rate_per_client_id_and_a_number() {
        let quotas = Quotas {
            connects_per_second: Some(5),
            connects_per_second_per_client_id: Some(1),
            connections: Some(3),
            ..Quotas::default()
        };
        let mut account = Account::default();
        let mut connect = |id: &str, ms| account.connect(&quotas, id, START + Duration::from_millis(ms));
        assert_eq!(connect("a", 0), Ok(()));
        assert_eq!(connect("a", 0), Err(ConnectQuota::PerClientId));
        assert_eq!([connect("b", 0), connect("c", 0)], [Ok(()), Ok(())]);
        assert_eq!(connect("d", 0), Err(ConnectQuota::Connections));
        assert_eq!(connect("e", 0), Err(ConnectQuota::PerSecond));
        assert_eq!(connect("a", 999), Err(ConnectQuota::PerClientId));
        account.disconnect();
        assert_eq!(account.connect(&quotas, "a", START + Duration::from_millis(1_000)), Ok(()));
    }

    #[test]
    fn client_ids_of_long_ago_are_forgotten() {
        let mut ids = ClientIds::default();
        for n in 0..100_000u64 {
            // A thousand a second.
            assert!(ids.take(&format!("t-{n}"), 1, START + Duration::from_millis(n)));
        }
        assert!(ids.buckets.len() <= 2_048, "{}", ids.buckets.len());
        assert!(!ids.take("t-99999", 1, START + Duration::from_millis(100_000)), "the newest are not");
    }
}
