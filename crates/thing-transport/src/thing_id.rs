//! Who a thing is, here and there.

use iot_jobs::ThingName;

/// Who a thing is, here and there.
#[derive(Clone, Debug)]
pub struct ThingId {
    /// In topics and paths.
    pub name: ThingName,
    /// What it calls itself in CONNECT; absent: its name.
    pub client_id: Option<Box<str>>,
    /// Place in the fleet, from 0.
    pub position: u32,
    /// Place in the shard, from 0: its slot in the pacer.
    pub slot: usize,
    /// Place among the run's cohorts.
    pub cohort: u16,
    /// Place among the run's transports.
    pub transport: u8,
}

impl ThingId {
    /// What it calls itself in CONNECT.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or(self.name.as_str())
    }
}
