//! What `run.json` says of a forecast besides.

use serde::{Deserialize, Serialize};

/// The part of the manifest that only a forecast has.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ForecastTotals {
    /// Whether what is over a quota was refused; otherwise it was only counted.
    pub enforced: bool,
    /// Every quota that something was asked of.
    pub quotas: Vec<QuotaTotals>,
    pub assumptions: Vec<String>,
}

/// A quota and what was asked of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct QuotaTotals {
    /// Table and key of the quota file.
    pub quota: String,
    /// Absent: unlimited.
    pub limit: Option<u32>,
    pub peak: u64,
    pub peak_at_s: f64,
    pub total: u64,
    /// Of the total.
    pub refused: u64,
    pub first_refused_s: Option<f64>,
}
