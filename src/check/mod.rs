//! The preflight of a plan: can this host carry it, do the quotas of the account, what does it cost? Values first, faces (text, JSON, CSV)
//! after. What the plan asks of the account is counted elsewhere and comes in as a [`Demand`].

mod calibrate;
mod causes;
mod csv;
mod loads;
mod policy;
mod production;
mod quotas;
mod sizing;
mod text;

pub use calibrate::{CalibrateError, calibrate};
pub use causes::Cause;
pub use policy::{PolicyDenial, PolicyReport, denied_to_device};
pub use production::Production;
pub use quotas::{QuotaRow, QuotaState};
pub use sizing::{Calibration, Performance, Resource, Sizing};

use crate::billing::{Bill, BilledUnits, Prices};
use crate::exit;
use crate::preflight::{self, HostFacts, Need, ResourceShortage};
use crate::roster::Roster;
use crate::scenario::plan::{Plan, TargetPlan};
use fleet_forecast::Demand;
use iot_endpoint::DevicePolicy;
use iot_endpoint::quotas::QuotaSheet;
use load_metrics::format::{clock, grouped};
use serde::Serialize;
use std::time::Duration;

/// What is checked, and against what.
pub struct Subject<'a> {
    pub plan: &'a Plan,
    pub roster: &'a Roster,
    pub need: Need,
    pub host: HostFacts,
    /// What is wrong with the target's files and addresses.
    pub target_fault: Option<String>,
    /// What the local endpoint's things may do.
    pub policy: &'a DevicePolicy,
    pub quotas: &'a QuotaSheet,
    /// Where they come from: `aws`, `none` or a file.
    pub quotas_source: String,
    pub prices: &'a Prices,
    pub calibration: Option<Calibration>,
}

/// All that was found; serialized, it is the object of `--json` (docs/PLANNING.md).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub scenario: String,
    /// Whether the host can carry it, the target is in order, the policy denies nothing that is needed, and no quota is passed.
    pub fits: bool,
    /// The same in a sentence, with what breaks first.
    pub summary: String,
    pub host: HostReport,
    pub target_fault: Option<String>,
    /// What the policy denies; absent without a local endpoint, or where nobody shows a certificate.
    pub policy: Option<PolicyReport>,
    pub quotas: QuotaReport,
    pub cost: CostReport,
    /// With `--calibrate`.
    pub sizing: Option<Sizing>,
    pub assumptions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostReport {
    pub facts: HostFacts,
    /// Of what there is not enough, each with its remedy.
    pub shortages: Vec<ResourceShortage>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuotaReport {
    pub source: String,
    pub published: Option<String>,
    /// The quota that is passed first in time.
    pub breaks_first: Option<String>,
    pub rows: Vec<QuotaRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostReport {
    pub currency: String,
    pub region: String,
    pub published: String,
    /// How long the run lasts.
    pub run_s: f64,
    /// The run itself, at AWS.
    pub run: Bill,
    /// The same rollouts by a fleet in the field; absent without rollouts.
    pub production: Option<ProductionCost>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProductionCost {
    #[serde(flatten)]
    pub quantities: Production,
    pub bill: Bill,
}

impl Report {
    /// Holds what was asked against what there is.
    #[must_use]
    pub fn new(subject: &Subject<'_>, demand: &Demand) -> Self {
        let Subject { plan, roster, need, host, target_fault, quotas: sheet, prices, .. } = subject;
        let rows = quotas::rows(plan, &sheet.quotas, demand);
        let breaks_first = first_exceeded(&rows).map(|row| row.quota.clone());
        let shortages = preflight::shortages(need, host);
        let policy = policy::judge(plan, roster, subject.policy);
        let denied = policy.as_ref().filter(|policy| policy.denied_things > 0);
        let is_local = matches!(plan.target, TargetPlan::Emulator(_));
        let sizing = subject.calibration.map(|calibration| sizing::sizing(calibration, need, host, demand, is_local));
        let production = Production::new(plan, roster, &sheet.quotas, demand.billed.executions);
        Self {
            scenario: plan.name.clone(),
            fits: shortages.is_empty() && target_fault.is_none() && denied.is_none() && breaks_first.is_none(),
            summary: summary(&shortages, target_fault.as_deref(), denied, &rows),
            assumptions: assumptions(subject, production.as_ref(), sizing.as_ref()),
            host: HostReport { facts: host.clone(), shortages },
            target_fault: target_fault.clone(),
            policy,
            quotas: QuotaReport { source: subject.quotas_source.clone(), published: sheet.published.clone(), breaks_first, rows },
            cost: CostReport {
                currency: prices.currency.clone(),
                region: prices.region.clone(),
                published: prices.published.clone(),
                run_s: demand.lasted.as_secs_f64(),
                run: Bill::new(prices, &BilledUnits::from(&demand.billed)),
                production: production
                    .map(|quantities| ProductionCost { bill: Bill::new(prices, &quantities.units()), quantities }),
            },
            sizing,
        }
    }

    /// By the order of the exit codes: what cannot be carried out, then, where that is an error, a quota that is passed or a policy that
    /// denies something.
    #[must_use]
    pub fn exit_code(&self, is_strict: bool) -> u8 {
        if !self.host.shortages.is_empty() || self.target_fault.is_some() {
            exit::ERROR
        } else if is_strict && (self.quotas.breaks_first.is_some() || self.is_denied()) {
            exit::FAIL
        } else {
            exit::PASS
        }
    }

    /// Whether the policy denies some thing something that it needs.
    fn is_denied(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.denied_things > 0)
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::text(self)
    }

    /// One object.
    ///
    /// # Panics
    /// Never: it has string keys and finite numbers.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has string keys and finite numbers")
    }

    /// A row for each quota.
    #[must_use]
    pub fn to_csv(&self) -> String {
        csv::csv(&self.quotas.rows)
    }
}

fn first_exceeded(rows: &[QuotaRow]) -> Option<&QuotaRow> {
    let exceeded = rows.iter().filter(|row| row.state == QuotaState::Exceeded);
    exceeded.min_by(|one, other| {
        let at = |row: &QuotaRow| row.first_refused_s.unwrap_or(row.peak_at_s);
        at(one).total_cmp(&at(other))
    })
}

/// What breaks first, or that nothing does.
fn summary(shortages: &[ResourceShortage], target_fault: Option<&str>, denied: Option<&PolicyReport>, rows: &[QuotaRow]) -> String {
    if let Some(shortage) = shortages.first() {
        return format!("this host cannot carry it: {shortage}");
    }
    if let Some(fault) = target_fault {
        return format!("the target is not in order: {}", fault.lines().last().unwrap_or_default().trim_start_matches([' ', '-']));
    }
    if let Some(denied) = denied {
        let (some, all) = (grouped(denied.denied_things), grouped(denied.things));
        let why = denied.denials.first().map_or("", |denial| &denial.explanation);
        return format!("the policy denies {some} of {all} things an action that they need: {why}");
    }
    if let Some(row) = first_exceeded(rows) {
        let at = clock(Duration::from_secs_f64(row.first_refused_s.unwrap_or(row.peak_at_s)));
        let limit = row.limit.map_or(0, u64::from);
        let cause = row.first_cause.as_ref().map(|cause| format!("; it comes from {}", cause.setting)).unwrap_or_default();
        let (peak, refused, total) = (grouped(row.peak), grouped(row.refused), grouped(row.total));
        return format!(
            "it does not fit: {} breaks first, {at} min after the first connect arrival ({peak} {}, the quota is {}; {refused} of {total} would be refused){cause}",
            row.quota,
            row.unit,
            grouped(limit)
        );
    }
    let used = rows.iter().filter_map(|row| Some((row, row.used_share?))).filter(|(row, _)| row.peak > 0);
    match used.max_by(|(_, one), (_, other)| one.total_cmp(other)) {
        Some((row, share)) => format!("it fits: no quota is exceeded; the closest is {} at {:.0} %", row.quota, share * 100.0),
        None => "it fits: no quota is used".into(),
    }
}

fn assumptions(subject: &Subject<'_>, production: Option<&Production>, sizing: Option<&Sizing>) -> Vec<String> {
    let mut list = vec![
        "nothing else uses the account: all of each quota is there for this fleet".to_owned(),
        "in the same month nothing else is billed, so that tiers begin at 0; the free tier (an account's first year) is shown apart, and not taken off".to_owned(),
    ];
    if matches!(subject.plan.target, TargetPlan::Emulator(_)) {
        list.push("the run costs nothing at the local endpoint; its figures are those of the same run at AWS".to_owned());
    }
    let minute = loads::minute(subject.plan);
    if minute != Duration::from_secs(60) {
        list.push(format!(
            "the endpoint's minute is {} long, so that rollouts go faster in this run than in production",
            sim_units::text::duration_text(minute)
        ));
    }
    list.extend(production.into_iter().flat_map(|production| production.assumptions.iter().cloned()));
    list.extend(sizing.into_iter().flat_map(|sizing| sizing.assumptions.iter().cloned()));
    list
}
