//! What AWS charges: the numbers, which live in one dated file beside this one, and files of the same form.

use super::money::Money;
use config_text::{Code, Located, Problems, Reader};
use std::ops::RangeInclusive;
use strum::{EnumCount, IntoStaticStr, VariantArray};

/// The prices of AWS, as a text to copy and change.
pub const AWS_PRICES: &str = include_str!("aws-prices.toml");

/// What a price may be for at most.
const PER_DIGITS_MAX: u32 = 9;
const UNITS: RangeInclusive<i64> = 1..=i64::MAX;

/// What the bill has a line for; its word is the table of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum BilledItem {
    ConnectionMinutes,
    Messages,
    RemoteActions,
    RegistryOperations,
}

impl BilledItem {
    #[must_use]
    pub fn key(self) -> &'static str {
        self.into()
    }

    /// For people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ConnectionMinutes => "connection minutes",
            Self::Messages => "messages of 5 KB",
            Self::RemoteActions => "remote actions (job executions)",
            Self::RegistryOperations => "registry operations",
        }
    }
}

/// Prices of one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    pub currency: String,
    pub region: String,
    /// When they were published, as the file writes it.
    pub published: String,
    items: [ItemPrice; BilledItem::COUNT],
}

/// What one kind of unit costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemPrice {
    /// A price is for 10^this many units.
    pub per_digits: u32,
    /// Units of a month that cost nothing in an account's first year.
    pub free: u64,
    /// At least one; the last has no end.
    pub tiers: Vec<Tier>,
}

/// A price and the units of a month up to which it holds, from where the tier before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    pub up_to: Option<u64>,
    pub price: Money,
}

impl Prices {
    /// Those of AWS.
    ///
    /// # Panics
    /// Never: a test reads the embedded text.
    #[must_use]
    pub fn aws() -> Self {
        Self::load("aws-prices.toml", AWS_PRICES).expect("the embedded prices are well formed")
    }

    /// Reads a file of the form of [`AWS_PRICES`].
    ///
    /// # Errors
    /// With everything that is wrong, in the order of the text.
    pub fn load(source_name: &str, text: &str) -> Result<Self, Problems> {
        config_text::load(source_name, text, &[], |root| {
            let word = |key, help: &str| {
                let found = root.string(key).map(|word| word.value);
                if found.is_none() && !root.has(key) {
                    root.missing(key, help);
                }
                found.unwrap_or_default()
            };
            let prices = Self {
                currency: word("currency", "say which currency the prices are in, as in currency = \"USD\""),
                region: word("region", "say which region the prices are for, as in region = \"us-east-1\""),
                published: word("published", "say when the prices were read, as in published = \"2026-09-20\""),
                items: std::array::from_fn(|n| item_price(&root, BilledItem::VARIANTS[n])),
            };
            root.finish();
            prices
        })
    }

    #[must_use]
    pub fn of(&self, item: BilledItem) -> &ItemPrice {
        &self.items[item as usize]
    }
}

fn item_price(root: &Reader<'_>, item: BilledItem) -> ItemPrice {
    let Some(reader) = root.table(item.key()) else {
        if !root.has(item.key()) {
            root.missing(item.key(), "print AWS's prices, change them, and leave no table out: fleetsim check --print-prices");
        }
        return ItemPrice::default();
    };
    let per = reader.integer("per", UNITS);
    if per.is_none() && !reader.has("per") {
        reader.missing("per", "say how many units a price is for, as in per = 1_000_000");
    }
    let price = ItemPrice {
        per_digits: per.map_or(0, |per| digits(&reader, &per)),
        free: reader.integer("free", 0..=i64::MAX).map_or(0, |free| free.value as u64),
        tiers: tiers(&reader),
    };
    reader.finish();
    price
}

/// The power of ten; another number would make parts of the currency that no decimal has.
fn digits(reader: &Reader<'_>, per: &Located<i64>) -> u32 {
    let found = (0..=PER_DIGITS_MAX).find(|digits| 10i64.pow(*digits) == per.value);
    if found.is_none() {
        let message = format!("{} must be 1, 10, 100 ... 1000000000, not {}", reader.name("per"), per.value);
        reader.gathered.push(Code::BadValue, &per.place, message, None);
    }
    found.unwrap_or(0)
}

fn tiers(reader: &Reader<'_>) -> Vec<Tier> {
    if !reader.has("tier") {
        reader.missing("tier", "list the prices, as in tier = [{ up_to = 250_000, price = \"0.003\" }, { price = \"0.0015\" }]");
    }
    let readers = reader.tables("tier");
    let (count, mut begins) = (readers.len(), 0);
    let mut tiers = Vec::with_capacity(count);
    for (n, tier) in readers.into_iter().enumerate() {
        let price = tier.with("price", "a price such as \"0.08\"", Money::parse);
        if price.is_none() && !tier.has("price") {
            tier.missing("price", "say what the units of this tier cost, as in price = \"0.08\"");
        }
        let up_to = tier.integer("up_to", UNITS);
        let is_last = n + 1 == count;
        let complaint = match &up_to {
            Some(_) if is_last => Some("the last tier has no end: leave its up_to out"),
            None if !is_last && !tier.has("up_to") => Some("a tier before the last one needs up_to"),
            Some(end) if end.value <= begins => Some("a tier must end above the one before"),
            _ => None,
        };
        if let Some(complaint) = complaint {
            tier.conflict(
                &tier.place_of("up_to"),
                format!("{}: {complaint}", tier.name("up_to")),
                "tiers go up, the last one without end",
            );
        }
        begins = up_to.as_ref().map_or(begins, |end| end.value);
        tiers.push(Tier { up_to: up_to.map(|end| end.value as u64), price: price.map_or(Money::default(), |price| price.value) });
        tier.finish();
    }
    if count == 0 && reader.has("tier") {
        reader.conflict(&reader.place_of("tier"), format!("{} is empty", reader.name("tier")), "say at least { price = \"0.08\" }");
    }
    tiers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_prices_are_those_of_the_reference() {
        let prices = Prices::aws();
        assert_eq!((&*prices.currency, &*prices.region, &*prices.published), ("USD", "us-east-1", "2026-09-20"));
        let price = |text| Money::parse(text).unwrap();
        let messages = prices.of(BilledItem::Messages);
        assert_eq!((messages.per_digits, messages.free), (6, 500_000));
        let ends: Vec<_> = messages.tiers.iter().map(|tier| (tier.up_to, tier.price)).collect();
        assert_eq!(ends, [(Some(1_000_000_000), price("1")), (Some(5_000_000_000), price("0.8")), (None, price("0.7"))]);
        let actions = prices.of(BilledItem::RemoteActions);
        assert_eq!((actions.per_digits, actions.free, actions.tiers.len()), (0, 50, 2));
        // Every price says how sure it is.
        for line in AWS_PRICES.lines().filter(|line| line.contains("price = ") && !line.starts_with('#')) {
            assert!(["page transcription", "inferred", "secondary"].iter().any(|word| line.contains(word)), "{line}");
        }
    }

    #[test]
    fn everything_wrong_is_told_with_its_line() {
        let text = AWS_PRICES
            .replace("currency = \"USD\"\n", "")
            .replace("\"0.08\"", "\"-0.08\"")
            .replace("per = 1\n", "per = 12\n")
            .replace("free = 50\n", "fre = 50\n")
            .replace("up_to = 5_000_000_000", "up_to = 5")
            .replace("price = \"1.25\"", "price = 1.25");
        let message = Prices::load("p.toml", &text).unwrap_err().to_string();
        for part in [
            "currency is missing",
            "\"-0.08\" is not a price: it is below 0",
            "remote_actions.per must be 1, 10, 100",
            "unknown key \"remote_actions.fre\"",
            "a tier must end above the one before",
            "registry_operations.tier.price must be a price such as \"0.08\", not a number (1.25)",
        ] {
            assert!(message.contains(part), "{part}\n{message}");
        }
        let none = Prices::load("p.toml", "currency = 'USD'\nregion = 'x'\npublished = 'y'\n[messages]\nper = 1\ntier = []\n");
        let message = none.unwrap_err().to_string();
        for part in ["connection_minutes is missing", "messages.tier is empty", "--print-prices"] {
            assert!(message.contains(part), "{part}\n{message}");
        }
        let open =
            AWS_PRICES.replace("up_to = 250_000, ", "").replace("{ price = \"0.0015\" }", "{ up_to = 9, price = \"0.0015\" }");
        let message = Prices::load("p.toml", &open).unwrap_err().to_string();
        assert!(message.contains("needs up_to") && message.contains("leave its up_to out"), "{message}");
    }
}
