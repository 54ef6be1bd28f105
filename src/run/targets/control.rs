//! Where a run creates its jobs, and the groups of things they are for.

use super::super::jobs::cleanup::Cleanup;
use super::super::ui::Ui;
use super::TargetError;
use crate::aws::control::{ControlClient, provision};
use crate::slice::Slice;
use crate::workload::groups::TargetGroups;
use iot_jobs::{JobDocument, ThingName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A control plane that knows the fleet.
#[derive(Clone)]
pub(in crate::run) struct ControlPlane {
    pub client: Arc<ControlClient>,
    /// Who the rollouts are for.
    pub groups: Arc<TargetGroups>,
    /// What this process drives of the fleet.
    pub slice: Slice,
    /// Whether it creates the jobs; who does not looks how they stand.
    pub creates: bool,
    /// In place of the plan's, by place of the rollout: documents that name a file.
    pub documents: BTreeMap<usize, JobDocument>,
    /// What becomes of jobs and groups when the run is over; absent where they end with their endpoint, or another process sees to it.
    pub cleanup: Option<Arc<Cleanup>>,
}

impl ControlPlane {
    /// Of several processes the first one creates the jobs.
    pub(super) fn new(client: Arc<ControlClient>, groups: TargetGroups, slice: Slice) -> Self {
        Self { client, groups: Arc::new(groups), slice, creates: slice.index() == 0, documents: BTreeMap::new(), cleanup: None }
    }
}

/// Who is registered besides the groups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    Things,
    /// The things are there already.
    GroupsOnly,
}

/// Registers the groups of targets, and the things where they are to be, through the control plane.
///
/// # Errors
/// With the first call that fails for good.
pub(super) async fn register(
    things: &[ThingName],
    groups: TargetGroups,
    client: Arc<ControlClient>,
    register: Register,
    ui: &Ui,
) -> Result<ControlPlane, TargetError> {
    let members = groups.members(things);
    let new = if register == Register::Things { things } else { &[] };
    let calls = new.len() + members.iter().map(|(_, targets)| targets.len()).sum::<usize>();
    match register {
        Register::Things => ui.tell(&format!("registering {} things", new.len())),
        Register::GroupsOnly => members.iter().for_each(|(group, targets)| {
            ui.tell(&format!("making thing group {group} of {} things", targets.len()));
        }),
    }
    let progress = ui.progress("registrations", calls);
    provision(&client, new, &members, |done, _| progress.set(done)).await.map_err(TargetError::Provision)?;
    progress.finish();
    Ok(ControlPlane::new(client, groups, Slice::WHOLE))
}
