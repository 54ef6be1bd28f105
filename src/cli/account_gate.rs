//! Before a command lets a fleet loose on an AWS account: which account, how much, at what price; and somebody has to say yes.

use super::check::count_demand;
use super::{complain, usage};
use crate::aws::account::{Account, AccountChoice};
use crate::aws::confirm::{allow, confirm};
use crate::aws::control::{ControlClient, DATA_ATS};
use crate::aws::locate::{locate, url_of};
use crate::billing::{Money, Prices};
use crate::check::{QuotaState, Report, Subject};
use crate::roster::Roster;
use crate::run::{needs_account, runtime};
use crate::scenario::plan::{AwsPlan, Plan, TargetPlan};
use crate::slice::Slice;
use crate::workload::needs;
use crate::{exit, preflight};
use clap::Args;
use iot_endpoint::DevicePolicy;
use iot_endpoint::quotas::{self, QuotasChoice};
use load_metrics::format::grouped;
use std::sync::Arc;

/// In the currency of the prices: what nobody has to allow.
const COST_MAX: &str = "10";

#[derive(Args)]
pub(super) struct GateArgs {
    /// Do not ask before a run against an AWS account
    #[arg(long, short)]
    yes: bool,
    /// Confirm this number of things, where it is above 1,000 in an AWS account
    #[arg(long, value_name = "N")]
    allow_things: Option<u64>,
    /// Confirm this cost of a run in an AWS account, where it is above 10 USD
    #[arg(long, value_name = "AMOUNT", value_parser = Money::parse)]
    allow_cost: Option<Money>,
}

impl GateArgs {
    /// Lets a plan pass that is for another target, or that somebody said yes to. It runs `times` times.
    ///
    /// # Errors
    /// With the exit code, once it was said why.
    pub(super) fn pass(&self, plan: &Plan, times: u32) -> Result<(), u8> {
        let TargetPlan::Aws(aws) = &plan.target else { return Ok(()) };
        allow(plan.fleet.things, self.allow_things).map_err(usage)?;
        let mut lines = account_lines(plan, aws).map_err(|why| {
            complain(format_args!("failed to {why}"));
            exit::ERROR
        })?;
        lines.push(format!("things:    {}", grouped(plan.fleet.things)));
        lines.extend(self.demand_lines(plan, times)?);
        confirm(&lines, self.yes).map_err(usage)
    }

    /// What is asked of the account's default quotas, and what it costs.
    fn demand_lines(&self, plan: &Plan, times: u32) -> Result<Vec<String>, u8> {
        let failed = |why: &dyn std::fmt::Display| {
            complain(format_args!("failed to {why}"));
            exit::ERROR
        };
        let quotas = QuotasChoice::Aws.load_sheet().map_err(|error| failed(&error))?;
        let roster = Roster::new(plan).map_err(|error| failed(&format_args!("name a thing: {error}")))?;
        let prices = Prices::aws();
        let subject = Subject {
            plan,
            roster: &roster,
            need: needs(plan, Slice::WHOLE),
            host: preflight::facts(),
            target_fault: None,
            quotas: &quotas,
            quotas_source: QuotasChoice::Aws.as_str().to_owned(),
            prices: &prices,
            policy: &DevicePolicy::built_in(),
            calibration: None,
        };
        let report = Report::new(&subject, &count_demand(plan, &quotas)?);
        let passed: Vec<&str> =
            report.quotas.rows.iter().filter(|row| row.state == QuotaState::Exceeded).map(|row| row.quota.as_str()).collect();
        let quotas = if passed.is_empty() { "none is exceeded".to_owned() } else { format!("exceeded: {}", passed.join(", ")) };
        let (total, currency) = (report.cost.run.total, &prices.currency);
        let most = Money::parse(COST_MAX).map_err(usage)?.max(self.allow_cost.unwrap_or_default());
        let all = (0..times).map(|_| total).sum::<Money>();
        if all > most {
            return Err(usage(format_args!(
                "a run costs {total} {currency} ({times} in all {all}), more than {most}: confirm with --allow-cost {all}"
            )));
        }
        let each = if times > 1 { format!(", {times} runs {all} {currency}") } else { String::new() };
        Ok(vec![
            format!("quotas:    {quotas} (by `fleetsim check`, at an account's defaults)"),
            format!("cost:      {total} {currency}{each} (prices of {} for {})", prices.published, prices.region),
        ])
    }
}

fn account_lines(plan: &Plan, aws: &AwsPlan) -> Result<Vec<String>, String> {
    let hosts = aws.remote.hosts.join(", ");
    if !needs_account(plan, aws) {
        return Ok(vec![
            "account:   not asked: nothing is created in it, and things show certificates".into(),
            format!("endpoint:  {hosts}"),
        ]);
    }
    let runtime = runtime().map_err(|error| format!("start the runtime: {error}"))?;
    runtime.block_on(async {
        let choice = AccountChoice { region: aws.region.as_deref(), profile: aws.profile.as_deref() };
        let account = Account::find(choice).await.map_err(|error| format!("use the AWS account: {error}"))?;
        let identity = account.identity().await?;
        let endpoint = if hosts.is_empty() { describe(&account).await? } else { hosts };
        Ok(vec![
            format!("account:   {identity}"),
            format!("region:    {}", account.region),
            format!("endpoint:  {endpoint}; control plane {}", url_of(&account)),
        ])
    })
}

async fn describe(account: &Account) -> Result<String, String> {
    let endpoint = locate(account).await.map_err(|error| format!("use the AWS account: {error}"))?;
    let client = ControlClient::paced(endpoint, Arc::clone(&account.keyring), quotas::aws());
    let asked = client.describe_endpoint(DATA_ATS).await;
    asked.map_err(|error| format!("ask the AWS account for its endpoint: {error}; target.host does without asking"))
}
