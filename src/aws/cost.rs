//! What calls cost, in money and in time.

use super::calls::{Call, pace_of};
use crate::billing::{Bill, BilledUnits, Prices};
use jobs_engine::quotas::Quotas;
use load_metrics::format::grouped;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many calls of each operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    calls: BTreeMap<&'static str, u64>,
    billed: u64,
}

impl Estimate {
    #[must_use]
    pub fn of(calls: impl Iterator<Item = Call>) -> Self {
        let mut estimate = Self::default();
        for call in calls {
            *estimate.calls.entry(call.operation).or_default() += 1;
            estimate.billed += u64::from(call.is_billed());
        }
        estimate
    }

    /// How long the calls take at least, at these quotas, and which operation it is that takes longest.
    #[must_use]
    pub fn at_least(&self, quotas: &Quotas) -> Option<(Duration, &'static str)> {
        let seconds = |(operation, count): (&&'static str, &u64)| (*count / u64::from(pace_of(quotas, operation)), *operation);
        let longest = self.calls.iter().map(seconds).max();
        longest.map(|(seconds, operation)| (Duration::from_secs(seconds), operation))
    }

    /// For people: a line for calls, time and money each. The quotas are kept to, or not.
    #[must_use]
    pub fn lines(&self, prices: &Prices, quotas: &Quotas, keeps_quotas: bool) -> Vec<String> {
        let all: u64 = self.calls.values().sum();
        let each: Vec<String> = self.calls.iter().map(|(operation, count)| format!("{operation} {}", grouped(*count))).collect();
        let mut lines = vec![format!("calls:     {}: {}", grouped(all), each.join(", "))];
        lines.extend(self.at_least(quotas).map(|(time, operation)| {
            let (quota, s) = (pace_of(quotas, operation), time.as_secs());
            let kept = if keeps_quotas { "none is exceeded, which takes" } else { "not kept to; at the default ones it takes" };
            format!("quotas:    {kept} {s} s at least, for {operation} at {quota} a second")
        }));
        let bill = Bill::new(prices, &BilledUnits { registry_operations: self.billed, ..BilledUnits::default() });
        lines.push(format!(
            "cost:      {} {} for {} registry operations (prices of {} for {}); what is there costs nothing until it connects",
            bill.total,
            prices.currency,
            grouped(self.billed),
            prices.published,
            prices.region
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::ThingName;

    #[test]
    fn calls_are_counted_billed_and_take_their_time() {
        let thing = ThingName::new("a").unwrap();
        let calls = (0..40).flat_map(|_| [Call::create_thing(&thing, "t", ("a", "b")), Call::register_certificate("pem")]);
        let estimate = Estimate::of(calls);
        let quotas = Quotas { certificates_per_second: Some(10), ..Quotas::default() };
        assert_eq!(estimate.at_least(&quotas), Some((Duration::from_secs(4), "RegisterCertificateWithoutCA")));
        let lines = estimate.lines(&Prices::aws(), &quotas, true);
        assert_eq!(lines[0], "calls:     80: CreateThing 40, RegisterCertificateWithoutCA 40");
        assert!(lines[2].contains("0.00005 USD for 40 registry operations"), "{lines:?}");
        assert_eq!(Estimate::default().at_least(&quotas), None);
    }
}
