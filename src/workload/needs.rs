//! What a run of a plan needs of its host.

use super::agents;
use crate::preflight::Need;
use crate::scenario::plan::Plan;
use crate::slice::Slice;

/// What a thing takes, of both processes together, with room to spare.
const MEMORY_PER_THING_BYTES: u64 = 64 << 10;
/// The same while it downloads.
const MEMORY_PER_DOWNLOAD_BYTES: u64 = 192 << 10;

/// What a run of this slice of the plan's fleet needs of its host.
#[must_use]
pub fn needs(plan: &Plan, slice: Slice) -> Need {
    let sources = plan.target.link().source_ips.iter().map(|range| range.count() as u64).sum::<u64>().max(1);
    let hosts = plan.target.remote().map_or(1, |remote| remote.hosts.len().max(1) as u64);
    let downloads = plan.cohorts.iter().any(|cohort| agents::fetches(plan, cohort));
    Need {
        connections: slice.things(plan.fleet.things),
        descriptors_per_thing: 1 + u64::from(downloads),
        memory_per_thing_bytes: MEMORY_PER_THING_BYTES + if downloads { MEMORY_PER_DOWNLOAD_BYTES } else { 0 },
        address_pairs: sources * hosts,
    }
}
