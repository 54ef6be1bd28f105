//! What AWS charges for what is asked of it: exact money, dated prices, bills by tier.

mod bill;
mod money;
mod prices;
mod units;

pub use bill::{Bill, BillLine, TierLine};
pub use money::Money;
pub use prices::{AWS_PRICES, BilledItem, ItemPrice, Prices, Tier};
pub use units::BilledUnits;
