//! What units cost: tier by tier, with and without the free tier, exact.

use super::money::Money;
use super::prices::{BilledItem, ItemPrice, Prices};
use super::units::BilledUnits;
use serde::Serialize;
use strum::VariantArray;

/// A bill of a month in which nothing else is billed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// One for each kind of unit.
    pub lines: Vec<BillLine>,
    pub total: Money,
    /// What the total is less in an account's first year.
    pub free_tier: Money,
}

/// Units of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BillLine {
    pub item: &'static str,
    /// For people.
    #[serde(skip)]
    pub label: &'static str,
    pub quantity: u64,
    pub amount: Money,
    /// The tiers it reaches into.
    pub tiers: Vec<TierLine>,
    /// What the amount is less in an account's first year.
    pub free_tier: Money,
}

/// Units at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TierLine {
    pub quantity: u64,
    pub price: Money,
    /// Units that the price is for.
    pub per: u64,
    pub amount: Money,
}

impl Bill {
    /// What so many units of each kind cost.
    #[must_use]
    pub fn new(prices: &Prices, units: &BilledUnits) -> Self {
        let line = |item: &BilledItem| {
            let (price, quantity) = (prices.of(*item), units.of(*item));
            let amount = |quantity| tiers(price, quantity).iter().map(|tier| tier.amount).sum::<Money>();
            let charged = amount(quantity);
            BillLine {
                item: item.key(),
                label: item.label(),
                quantity,
                amount: charged,
                tiers: tiers(price, quantity),
                free_tier: charged - amount(quantity.saturating_sub(price.free)),
            }
        };
        let lines: Vec<BillLine> = BilledItem::VARIANTS.iter().map(line).collect();
        Self { total: lines.iter().map(|line| line.amount).sum(), free_tier: lines.iter().map(|line| line.free_tier).sum(), lines }
    }
}

fn tiers(price: &ItemPrice, quantity: u64) -> Vec<TierLine> {
    let mut begins = 0;
    let mut lines = Vec::new();
    for tier in &price.tiers {
        let ends = tier.up_to.unwrap_or(u64::MAX).min(quantity);
        if ends > begins {
            let (quantity, per) = (ends - begins, 10u64.pow(price.per_digits));
            lines.push(TierLine { quantity, price: tier.price, per, amount: tier.price.of_units(quantity, price.per_digits) });
            begins = ends;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(item: BilledItem, quantity: u64) -> BillLine {
        let mut units = BilledUnits::default();
        let counted = match item {
            BilledItem::ConnectionMinutes => &mut units.connection_minutes,
            BilledItem::Messages => &mut units.messages,
            BilledItem::RemoteActions => &mut units.executions,
            BilledItem::RegistryOperations => &mut units.registry_operations,
        };
        *counted = quantity;
        let bill = Bill::new(&Prices::aws(), &units);
        assert_eq!(bill.lines.len(), 4);
        let line = bill.lines.into_iter().find(|line| line.item == item.key()).unwrap();
        assert_eq!((bill.total, bill.free_tier), (line.amount, line.free_tier));
        line
    }

    fn amount(item: BilledItem, quantity: u64) -> String {
        line(item, quantity).amount.to_string()
    }

    /// The examples of PROTOCOL 16: 23 messages, one remote action, an always-on device over 30 days.
    #[test]
    fn the_reference_has_the_same_amounts() {
        assert_eq!(amount(BilledItem::Messages, 11 + 3 * 4), "0.000023");
        assert_eq!(amount(BilledItem::RemoteActions, 1), "0.003");
        assert_eq!(amount(BilledItem::ConnectionMinutes, 30 * 24 * 60), "0.003456", "0.0035 USD");
        // PROTOCOL-CORE 6.3, for 100,000 devices: 512, 768, 288 and 216 units each; 10 messages of a provisioning.
        let of_devices = |units: u64| amount(BilledItem::Messages, units * 100_000);
        assert_eq!([512, 768, 288, 216, 10].map(of_devices), ["51.20", "76.80", "28.80", "21.60", "1.00"]);
        // 2,880 messages and 2,880 shadow operations each: 288 + 360, the latter at the price of registry operations.
        assert_eq!([2_880 * 100_000].map(|units| amount(BilledItem::Messages, units)), ["288.00"]);
        assert_eq!([2_880 * 100_000].map(|units| amount(BilledItem::RegistryOperations, units)), ["360.00"]);
    }

    #[test]
    fn tiers_are_filled_one_after_the_other() {
        assert_eq!(amount(BilledItem::RemoteActions, 250_000), "750.00");
        assert_eq!(amount(BilledItem::RemoteActions, 250_001), "750.0015");
        assert_eq!(amount(BilledItem::RemoteActions, 1_000_000), "1875.00");
        // 1,000 + 4,000 x 0.80 + 1,000 x 0.70.
        assert_eq!(amount(BilledItem::Messages, 6_000_000_000), "4900.00");
        let line = line(BilledItem::Messages, 5_000_000_001);
        let quantities: Vec<u64> = line.tiers.iter().map(|tier| tier.quantity).collect();
        assert_eq!(quantities, [1_000_000_000, 4_000_000_000, 1]);
        assert_eq!(line.amount.to_string(), "4200.0000007");
        assert!(super::tiers(Prices::aws().of(BilledItem::Messages), 0).is_empty());
    }

    #[test]
    fn the_free_tier_takes_off_what_would_have_cost_most_late() {
        let free = |item, quantity| line(item, quantity).free_tier.to_string();
        assert_eq!(free(BilledItem::RemoteActions, 49), "0.147", "all of it");
        assert_eq!(free(BilledItem::RemoteActions, 1_000), "0.15");
        assert_eq!(free(BilledItem::RemoteActions, 250_020), "0.12", "20 at 0.0015 and 30 at 0.003");
        assert_eq!(free(BilledItem::ConnectionMinutes, 3_000_000), "0.18");
    }
}
