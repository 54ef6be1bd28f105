//! An AWS account: its endpoint, and its control plane for the rollouts. The things are there already.

use super::super::jobs::groups::TargetGroups;
use super::super::timestamp::stamp;
use super::super::ui::Ui;
use super::certificates::Files;
use super::control::{ControlPlane, Register, register};
use super::remote::reach;
use super::{Target, TargetError};
use crate::aws::account::{Account, AccountChoice};
use crate::aws::control::{ControlClient, DATA_ATS};
use crate::aws::locate::{AdvertisedEndpoint, locate, url_of};
use crate::roster::Roster;
use crate::scenario::plan::{AwsPlan, Plan, Transport};
use crate::slice::Slice;
use std::sync::Arc;

/// An account is only asked for what is not said, and what is to be created there.
pub(super) async fn bring_up(
    plan: &Plan,
    aws: &AwsPlan,
    files: Files,
    roster: &Roster,
    slice: Slice,
    ui: &Ui,
) -> Result<Target, TargetError> {
    let signs = plan.transports().into_iter().any(Transport::is_signed);
    let choice = AccountChoice { region: aws.region.as_deref(), profile: aws.profile.as_deref() };
    let account = match aws.remote.hosts.is_empty() || !plan.rollouts.is_empty() || signs {
        true => Some(Account::find(choice).await.map_err(TargetError::Account)?),
        false => None,
    };
    let client = match &account {
        Some(account) if aws.remote.hosts.is_empty() || !plan.rollouts.is_empty() => {
            ui.tell(&format!("control plane: {}, region {}", url_of(account), account.region));
            Some(ControlClient::paced(locate(account).await?, Arc::clone(&account.keyring)))
        }
        _ => None,
    };
    let told = match &client {
        Some(client) if aws.remote.hosts.is_empty() => {
            let address = client.describe_endpoint(DATA_ATS).await.map_err(TargetError::Describe)?;
            ui.tell(&format!("endpoint: {address}"));
            Some(AdvertisedEndpoint::parse(&address).map_err(TargetError::Account)?)
        }
        _ => None,
    };
    let endpoints = reach(plan, &aws.remote, &files, told, account.as_ref()).await?;
    let control = match client.filter(|_| !plan.rollouts.is_empty()) {
        // Groups stay behind: those of an earlier run have other things in them.
        Some(client) => {
            let groups = TargetGroups::of(plan, roster, &format!("-{}", stamp()))?;
            Some(match slice.index() {
                0 => ControlPlane { slice, ..register(roster.names(), groups, client, Register::GroupsOnly, ui).await? },
                _ => ControlPlane::new(client, groups, slice),
            })
        }
        None => None,
    };
    Ok(files.into_target(endpoints, control)?)
}
