//! What a run asked of an account, second by second, as its files tell.

use crate::report::sheet::{Notes, Sheet};
use jobs_engine::quotas::{QuotaName, Quotas};
use load_metrics::Operation;
use std::collections::BTreeMap;

/// Quotas whose demand is the starts of operations.
const OF_OPERATIONS: [(QuotaName, &[Operation]); 3] = [
    (QuotaName::ConnectsPerSecond, &[Operation::ConnectMqtt]),
    (QuotaName::ReadsPerSecond, &[Operation::GetPending, Operation::Describe]),
    (QuotaName::WritesPerSecond, &[Operation::StartNext, Operation::Update]),
];

/// A quota and the most that was asked of it: in a second, or at once.
pub(super) struct QuotaUse {
    /// Table and key of the quota file.
    pub(super) name: String,
    pub(super) limit: u64,
    pub(super) peak: u64,
    pub(super) peak_at_s: f64,
}

impl QuotaUse {
    pub(super) fn share(&self) -> f64 {
        self.peak as f64 / self.limit.max(1) as f64
    }
}

/// Beside the quotas that an account has by default: from the rows of `timeseries.csv`, and from those of `operations.csv` that are about the whole fleet.
pub(super) fn quota_uses(timeseries: &Sheet, operations: &Sheet, account: &Quotas, notes: &mut Notes) -> Vec<QuotaUse> {
    let mut series = |columns: &[&str]| {
        let rows = columns.iter().flat_map(|column| timeseries.figures(column, notes));
        rows.fold(BTreeMap::<u64, f64>::new(), |mut sums, row| {
            *sums.entry(row.end).or_default() += row.value;
            sums
        })
    };
    let connected = series(&["connected"]);
    // What the service emits on reserved topics counts, too (PROTOCOL 15.1).
    let messages = series(&["messages_in_per_s", "messages_out_per_s"]);
    let mut by_quota = vec![(QuotaName::Connections, connected), (QuotaName::InboundPublishesPerSecond, messages)];
    let started: BTreeMap<String, Sheet> = operations.grouped("operation").into_iter().collect();
    for (quota, operations) in OF_OPERATIONS {
        let mut rates: BTreeMap<u64, f64> = BTreeMap::new();
        for rows in operations.iter().filter_map(|operation| started.get(operation.as_str())) {
            for row in rows.figures("started", notes) {
                *rates.entry(row.end).or_default() += row.value / row.seconds.max(1) as f64;
            }
        }
        by_quota.push((quota, rates));
    }
    by_quota.into_iter().filter_map(|(quota, rates)| quota_use(quota, &rates, account)).collect()
}

fn quota_use(quota: QuotaName, rates: &BTreeMap<u64, f64>, account: &Quotas) -> Option<QuotaUse> {
    let limit = account.get(quota)?;
    let (end, peak) = rates.iter().max_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, peak)| **peak > 0.0)?;
    let name = format!("{}.{}", quota.section(), quota.key());
    Some(QuotaUse { name, limit: limit.into(), peak: peak.ceil() as u64, peak_at_s: *end as f64 })
}
