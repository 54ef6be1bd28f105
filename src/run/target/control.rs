//! Where a run creates its jobs, and the groups of things they are for.

use super::super::ui::Ui;
use super::TargetError;
use crate::jobs::{GroupName, JobId, ThingName};
use crate::scenario::plan::Plan;
use crate::transport::control::{ControlClient, provision};
use std::collections::BTreeMap;

/// A control plane that knows the fleet.
pub(in crate::run) struct ControlPlane {
    pub client: ControlClient,
    /// Group of the things of each rollout's job.
    pub groups: BTreeMap<JobId, GroupName>,
}

/// Who is registered besides the groups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    Things,
    /// The things are there already.
    GroupsOnly,
}

/// Registers a group of targets for every rollout, and the things where they are to be; `suffix` tells the groups of one run from
/// those of another.
///
/// # Errors
/// With the first call that fails for good.
pub(super) async fn register(
    plan: &Plan,
    things: &[ThingName],
    client: ControlClient,
    register: Register,
    suffix: &str,
    ui: &Ui,
) -> Result<ControlPlane, TargetError> {
    let mut groups = BTreeMap::new();
    let mut members = Vec::new();
    for rollout in &plan.rollouts {
        let group = GroupName::new(&format!("targets-{}{suffix}", rollout.job))?;
        let targets: Vec<ThingName> =
            plan.targets_of(rollout).into_iter().map(|position| things[position as usize].clone()).collect();
        groups.insert(rollout.job.clone(), group.clone());
        members.push((group, targets));
    }
    let new = if register == Register::Things { things } else { &[] };
    let calls = new.len() + members.iter().map(|(_, targets)| targets.len()).sum::<usize>();
    match register {
        Register::Things => ui.tell(&format!("registering {} things", new.len())),
        Register::GroupsOnly if members.is_empty() => {}
        Register::GroupsOnly => ui.tell(&format!("putting things into {} groups", members.len())),
    }
    let progress = ui.progress("registrations", calls);
    provision(&client, new, &members, |done, _| progress.set(done)).await.map_err(TargetError::Provision)?;
    progress.finish();
    Ok(ControlPlane { client, groups })
}
