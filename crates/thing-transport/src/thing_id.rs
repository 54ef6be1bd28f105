//! Who a thing is, here and there.

use iot_jobs::ThingName;

/// Who a thing is, here and there.
#[derive(Clone, Debug)]
pub struct ThingId {
    /// In topics and paths; its client id.
    pub name: ThingName,
    /// Place in the fleet, from 0.
    pub position: u32,
    /// Place in the shard, from 0: its slot in the pacer.
    pub slot: usize,
    /// Place among the run's cohorts.
    pub cohort: u16,
    /// Place among the run's transports.
    pub transport: u8,
}
