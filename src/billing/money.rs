//! Amounts of money: decimal, exact, never rounded.

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

/// Digits that a price may have behind the point.
const PLACES_MAX: u32 = 6;
/// The highest price.
const PRICE_MAX: i64 = 10_000;

/// An amount in the currency of the prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(Decimal);

impl Money {
    /// A price as people write it: `"0.08"`.
    ///
    /// # Errors
    /// With what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is not a price: {why}; write it like \"0.08\""));
        match Decimal::from_str_exact(text.trim()) {
            Err(_) => wrong("it is not a decimal number"),
            Ok(price) if price.is_sign_negative() && !price.is_zero() => wrong("it is below 0"),
            Ok(price) if price > Decimal::from(PRICE_MAX) => wrong(&format!("it is above {PRICE_MAX}")),
            Ok(price) if price.scale() > PLACES_MAX => wrong(&format!("it has more than {PLACES_MAX} digits after the point")),
            Ok(price) => Ok(Self(price)),
        }
    }

    /// What `quantity` units cost at this price for each 10^`per_digits` of them. Exact: the point moves, nothing is divided.
    ///
    /// # Panics
    /// When that is more than 10^28 smallest parts, which no fleet on earth reaches.
    #[must_use]
    pub fn of_units(self, quantity: u64, per_digits: u32) -> Self {
        let amount = Decimal::try_from_i128_with_scale(self.0.mantissa() * i128::from(quantity), self.0.scale() + per_digits);
        Self(amount.expect("a bill has fewer than 10^28 smallest parts").normalize())
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Money {
    /// All digits there are, and at least two behind the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut exact = self.0.normalize();
        if exact.scale() < 2 {
            exact.rescale(2);
        }
        f.pad(&exact.to_string())
    }
}

impl Serialize for Money {
    /// As text: a number of JSON would be read as a binary fraction.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        Money::parse(text).unwrap()
    }

    #[test]
    fn amounts_are_exact_to_the_last_digit() {
        assert_eq!(money("1.00").of_units(23, 6).to_string(), "0.000023");
        assert_eq!(money("0.003").of_units(10_000, 0).to_string(), "30.00");
        assert_eq!(money("0.08").of_units(43_200, 6).to_string(), "0.003456");
        let third = money("0.000001").of_units(1, 9);
        assert_eq!(third.to_string(), "0.000000000000001");
        assert_eq!(std::iter::repeat_n(third, 3).sum::<Money>().to_string(), "0.000000000000003");
        assert_eq!((money("10") + third - third), money("10.0"));
        assert_eq!(money("0.8").of_units(u64::MAX >> 1, 6).to_string(), "7378697629483.8206456");
    }

    #[test]
    fn what_is_no_price_says_why() {
        for (text, why) in [
            ("-0.08", "below 0"),
            ("many", "not a decimal number"),
            ("", "not a decimal number"),
            ("1e3", "not a decimal number"),
            ("10001", "above 10000"),
            ("0.0000001", "more than 6 digits"),
        ] {
            let error = Money::parse(text).unwrap_err();
            assert!(error.contains(why) && error.contains("write it like"), "{error}");
        }
    }
}
