//! An AWS account: its endpoint, and its control plane for the rollouts. The things are there already.

use super::super::jobs::cleanup::Cleanup;
use super::super::ui::Ui;
use super::certificates::Files;
use super::control::{ControlPlane, Register, register};
use super::remote::reach;
use super::{Target, TargetError};
use crate::aws::account::{Account, AccountChoice};
use crate::aws::control::{ControlClient, DATA_ATS};
use crate::aws::inventory::Kind;
use crate::aws::journal::{self, JournalError};
use crate::aws::locate::{AdvertisedEndpoint, locate, url_of};
use crate::aws::plan::group_of;
use crate::aws::selection::Place;
use crate::roster::Roster;
use crate::scenario::plan::{AwsPlan, Plan, Transport};
use crate::slice::Slice;
use crate::workload::groups::TargetGroups;
use iot_endpoint::quotas;
use iot_jobs::wire::control::Account as AccountId;
use iot_jobs::{GroupName, ThingName};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A fleet that `aws provision` made.
struct MadeFleet {
    dir: PathBuf,
    /// Who its group's things are, where they are those of the run.
    whole: Option<(GroupName, AccountId)>,
}

/// An account is only asked for what is not said, and what is to be created there.
pub(super) async fn bring_up(
    plan: &Plan,
    aws: &AwsPlan,
    files: Files,
    roster: &Roster,
    slice: Slice,
    ui: &Ui,
) -> Result<Target, TargetError> {
    let account = match needs_account(plan, aws) {
        true => {
            let choice = AccountChoice { region: aws.region.as_deref(), profile: aws.profile.as_deref() };
            Some(Account::find(choice).await.map_err(TargetError::Account)?)
        }
        false => None,
    };
    let client = match &account {
        Some(account) if aws.remote.hosts.is_empty() || !plan.rollouts.is_empty() => {
            ui.tell(&format!("control plane: {}, region {}", url_of(account), account.region));
            Some((ControlClient::paced(locate(account).await?, Arc::clone(&account.keyring), quotas::aws()), account))
        }
        _ => None,
    };
    let told = match &client {
        Some((client, _)) if aws.remote.hosts.is_empty() => {
            let address = client.describe_endpoint(DATA_ATS).await.map_err(TargetError::Describe)?;
            ui.tell(&format!("endpoint: {address}"));
            Some(AdvertisedEndpoint::parse(&address).map_err(TargetError::Account)?)
        }
        _ => None,
    };
    let endpoints = reach(plan, &aws.remote, &files, told, account.as_ref()).await?;
    let control = match client.filter(|_| !plan.rollouts.is_empty()) {
        Some((client, account)) => Some(control(plan, roster, slice, client, account, ui).await?),
        None => None,
    };
    Ok(files.into_target(endpoints, control)?)
}

/// Whether an account has to be asked, or its keys are.
pub(crate) fn needs_account(plan: &Plan, aws: &AwsPlan) -> bool {
    aws.remote.hosts.is_empty() || !plan.rollouts.is_empty() || plan.transports().into_iter().any(Transport::is_signed)
}

/// The rollouts' groups are there afterwards: that of the fleet, where `aws provision` made it, else those that the run makes.
async fn control(
    plan: &Plan,
    roster: &Roster,
    slice: Slice,
    client: ControlClient,
    account: &Account,
    ui: &Ui,
) -> Result<ControlPlane, TargetError> {
    let fleet = made_fleet(plan, roster, account)?;
    let whole = fleet.as_ref().and_then(|fleet| fleet.whole.as_ref());
    let groups = TargetGroups::of(plan, roster, whole.map(|(group, _)| group))?;
    if let Some((_, account)) = whole {
        client.know(account.clone());
    }
    if slice.index() != 0 {
        return Ok(ControlPlane::new(Arc::new(client), groups, slice));
    }
    let client = Arc::new(client);
    let failed = |error: JournalError| TargetError::Account(error.to_string());
    let cleanup =
        Cleanup::new(Arc::clone(&client), groups.made().cloned().collect(), fleet.map(|fleet| fleet.dir)).map_err(failed)?;
    let control = register(roster.names(), groups, client, Register::GroupsOnly, ui).await?;
    Ok(ControlPlane { slice, cleanup: Some(Arc::new(cleanup)), ..control })
}

/// The fleet whose list of things the scenario names.
fn made_fleet(plan: &Plan, roster: &Roster, account: &Account) -> Result<Option<MadeFleet>, TargetError> {
    let Some(dir) = plan.fleet.list.as_ref().and_then(|list| Path::new(&list.path).parent()) else { return Ok(None) };
    let inventory = journal::read(dir).map_err(|error| TargetError::Account(error.to_string()))?;
    let Some((inventory, fleet)) = inventory.as_ref().and_then(|inventory| Some((inventory, inventory.fleet.as_ref()?))) else {
        return Ok(None);
    };
    Place { region: &account.region, endpoint: &url_of(account) }.check(fleet).map_err(TargetError::Account)?;
    let mut names: Vec<&str> = roster.names().iter().map(ThingName::as_str).collect();
    names.sort_unstable();
    let is_whole = inventory.present(Kind::Thing).map(|(name, _)| name).eq(names) && inventory.is_made(Kind::ThingGroup, &fleet.id);
    let whole = inventory.account.clone().filter(|_| is_whole).map(|account| (group_of(fleet), account));
    Ok(Some(MadeFleet { dir: dir.into(), whole }))
}
