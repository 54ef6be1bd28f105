//! The quotas of AWS, as they are embedded.

use iot_endpoint::quotas::QuotasChoice;
use jobs_engine::quotas::Quotas;

/// What an AWS account may do by default.
///
/// # Panics
/// Never: the quotas are embedded.
#[must_use]
pub(crate) fn defaults() -> Quotas {
    QuotasChoice::Aws.load().expect("the quotas of AWS are embedded")
}
