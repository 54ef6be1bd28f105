//! What was asked of the account, and on what assumptions, as `run.json` says it.

use crate::report::{ForecastTotals, QuotaTotals};
use fleet_forecast::{Demand, Enforcement};
use jobs_engine::quotas::{QuotaName, Quotas};
use std::time::Duration;
use strum::VariantArray as _;

pub(super) fn totals(
    demand: &Demand,
    quotas: &Quotas,
    enforcement: Enforcement,
    network: String,
    has_executions: bool,
) -> ForecastTotals {
    let seconds = |at: Duration| at.as_secs_f64();
    let quota = |name: &QuotaName| {
        let asked = demand.of(*name);
        (asked.total > 0).then(|| QuotaTotals {
            quota: format!("{}.{}", name.section(), name.key()),
            limit: quotas.get(*name),
            peak: asked.peak,
            peak_at_s: seconds(asked.peak_at),
            total: asked.total,
            refused: asked.refused,
            first_refused_s: asked.first_refused.map(seconds),
        })
    };
    let mut assumptions = vec![network, "a message, with its topic, has 300 bytes and those of its document".to_owned()];
    if !has_executions {
        assumptions.push("executions.csv is left empty for a fleet of this size: --executions writes it".into());
    }
    ForecastTotals {
        enforced: enforcement == Enforcement::Refuse,
        quotas: QuotaName::VARIANTS.iter().filter_map(quota).collect(),
        assumptions,
    }
}
