//! What a bill counts.

use super::prices::BilledItem;
use fleet_forecast::Billed;
use serde::{Deserialize, Serialize};

/// Units of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct BilledUnits {
    pub messages: u64,
    pub connection_minutes: u64,
    /// Job executions that were queued, retries included.
    pub executions: u64,
    pub registry_operations: u64,
}

impl BilledUnits {
    #[must_use]
    pub fn of(&self, item: BilledItem) -> u64 {
        match item {
            BilledItem::ConnectionMinutes => self.connection_minutes,
            BilledItem::Messages => self.messages,
            BilledItem::RemoteActions => self.executions,
            BilledItem::RegistryOperations => self.registry_operations,
        }
    }
}

impl From<&Billed> for BilledUnits {
    fn from(billed: &Billed) -> Self {
        Self {
            messages: billed.messages(),
            connection_minutes: billed.connection_minutes,
            executions: billed.executions,
            registry_operations: billed.registry,
        }
    }
}
