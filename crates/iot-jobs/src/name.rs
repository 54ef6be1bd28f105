//! Names and texts with their limits (PROTOCOL 3). A value of these types is already valid.

use super::limits;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Why a name or text is refused. Fits after "failed to".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A name or text is empty or too long.
    #[error("{what} must have 1 to {max} characters, this has {found}")]
    Length {
        /// Which name or text, such as "a job id".
        what: &'static str,
        /// The most characters it may have.
        max: usize,
        /// How many it has.
        found: usize,
    },
    /// A name or text has a character that its kind does not have.
    #[error("{what} may hold only {allowed}; found {found:?}")]
    Character {
        /// Which name or text, such as "a job id".
        what: &'static str,
        /// What its kind may hold, in words.
        allowed: &'static str,
        /// The first character that it may not hold.
        found: char,
    },
    /// `statusDetails` has too many pairs.
    #[error("statusDetails may have at most {max} pairs, this has {found}")]
    Pairs {
        /// The most it may have.
        max: usize,
        /// How many it has.
        found: usize,
    },
}

fn check(what: &'static str, text: &str, max: usize, allowed: &'static str, ok: fn(char) -> bool) -> Result<(), NameError> {
    let found = text.chars().count();
    if found == 0 || found > max {
        return Err(NameError::Length { what, max, found });
    }
    match text.chars().find(|&c| !ok(c)) {
        Some(found) => Err(NameError::Character { what, allowed, found }),
        None => Ok(()),
    }
}

/// Of a tag's key.
pub(crate) fn tag_char(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Number, Separator};
    matches!(c.general_category_group(), Letter | Separator | Number) || "_.:/=+-@".contains(c)
}

pub(crate) fn thing_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-')
}

pub(crate) fn job_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $max:expr, $allowed:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// # Errors
            /// When the text is empty, too long or has a character that is not allowed.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check($what, text, $max, $allowed, $ok)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().into()
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A thing of the registry, usually also the MQTT client id: 1 to 128 of `[a-zA-Z0-9:_-]`.
    ThingName, "a thing name", limits::THING_NAME_CHARS_MAX, "letters, digits, ':', '_' and '-'", thing_char
);
name!(
    /// A job: 1 to 64 of `[a-zA-Z0-9_-]`.
    JobId, "a job id", limits::JOB_ID_CHARS_MAX, "letters, digits, '_' and '-'", job_char
);
name!(
    /// A thing group: 1 to 128 of `[a-zA-Z0-9:_-]`.
    GroupName, "a thing group name", limits::THING_NAME_CHARS_MAX, "letters, digits, ':', '_' and '-'", thing_char
);

name!(
    /// A job template of the account: 1 to 64 of `[a-zA-Z0-9_-]`.
    TemplateId, "a job template id", limits::JOB_ID_CHARS_MAX, "letters, digits, '_' and '-'", job_char
);
name!(
    /// A namespace of jobs, such as `aws-gg-deployment`: 1 to 64 of `[a-zA-Z0-9_-]` (the length is inferred: a topic has to hold it).
    NamespaceId, "a namespace id", limits::NAMESPACE_CHARS_MAX, "letters, digits, '_' and '-'", job_char
);

/// Correlation of a reply with its request; echoed verbatim by the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientToken(pub Box<str>);

/// Ends every key and every value of [`StatusDetails`], which hold no control characters.
const END: char = '\0';

/// `statusDetails`: at most 10 pairs; keys 1 to 128 of `[a-zA-Z0-9:_-]`; values 1 to 1,024 characters without control characters.
///
/// One shared text, since a fleet has millions of them: the pairs in key order, key before value, each with a NUL behind it. Most have no
/// pair, and share nothing: an empty `Arc` would have one count for all threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct StatusDetails(Option<Arc<str>>);

impl StatusDetails {
    /// Of pairs with the same key the last one counts.
    ///
    /// # Errors
    /// When a limit of PROTOCOL 3 is not kept.
    pub fn new<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, NameError> {
        let mut pairs: Vec<(K, V)> = pairs.into_iter().collect();
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        pairs.dedup_by(|a, b| a.0.as_ref() == b.0.as_ref());
        if pairs.len() > limits::STATUS_DETAILS_PAIRS_MAX {
            return Err(NameError::Pairs { max: limits::STATUS_DETAILS_PAIRS_MAX, found: pairs.len() });
        }
        let mut text = String::new();
        for (key, value) in &pairs {
            let (key, value) = (key.as_ref(), value.as_ref());
            check(
                "a statusDetails key",
                key,
                limits::STATUS_DETAILS_KEY_CHARS_MAX,
                "letters, digits, ':', '_' and '-'",
                thing_char,
            )?;
            check("a statusDetails value", value, limits::STATUS_DETAILS_VALUE_CHARS_MAX, "printable characters", |c| {
                !in_category_c(c)
            })?;
            for part in [key, value] {
                text.push_str(part);
                text.push(END);
            }
        }
        Ok(Self((!text.is_empty()).then(|| text.into())))
    }

    /// Whether there is no pair; the wire then omits `statusDetails`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Pairs in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.as_deref().unwrap_or_default().split_terminator(END);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
}

impl TryFrom<BTreeMap<String, String>> for StatusDetails {
    type Error = NameError;

    fn try_from(pairs: BTreeMap<String, String>) -> Result<Self, NameError> {
        Self::new(pairs)
    }
}

impl Serialize for StatusDetails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// `\p{C}`: control and format characters, private use, and what no character is assigned to.
pub(crate) fn in_category_c(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_control() } else { c.general_category_group() == GeneralCategoryGroup::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_limits() {
        assert!(ThingName::new("meter:0001_a-b").is_ok());
        assert!(ThingName::new("").is_err());
        assert!(ThingName::new(&"x".repeat(129)).is_err());
        assert!(ThingName::new("a/b").is_err());
        assert!(JobId::new("fw-2026-03").is_ok());
        assert!(JobId::new("a:b").is_err());
        assert!(JobId::new(&"x".repeat(65)).is_err());
    }

    #[test]
    fn status_details_keep_their_limits() {
        let pairs = |n: usize| (0..n).map(|i| (format!("k{i}"), "v")).collect::<Vec<_>>();
        assert!(StatusDetails::new(pairs(10)).is_ok());
        assert!(matches!(StatusDetails::new(pairs(11)), Err(NameError::Pairs { found: 11, .. })));
        assert!(StatusDetails::new([("k", "a\nb")]).is_err());
        assert!(StatusDetails::new([("k", "")]).is_err());
        for unprintable in
            ['\0', '\u{7f}', '\u{85}', '\u{ad}', '\u{180e}', '\u{200b}', '\u{378}', '\u{e000}', '\u{ffff}', '\u{1d173}']
        {
            assert!(StatusDetails::new([("k", unprintable.to_string())]).is_err(), "{unprintable:?}");
        }
        assert!(StatusDetails::new([("k", "\u{fc} \u{2028} \u{1f600} \u{4e2d}")]).is_ok());
        assert!(StatusDetails::new([("k", "x".repeat(1024))]).is_ok());
        assert!(StatusDetails::new([("k", "x".repeat(1025))]).is_err());
        assert!(StatusDetails::new([("k y", "v")]).is_err());
    }

    #[test]
    fn status_details_are_pairs_in_key_order_of_which_the_last_of_a_key_counts() {
        let details = StatusDetails::new([("b", "2"), ("a", "1"), ("b", "3"), ("b:", " ")]).unwrap();
        assert_eq!(details.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "3"), ("b:", " ")]);
        assert_eq!((details.get("b"), details.get("c"), details.is_empty()), (Some("3"), None, false));
        let json = serde_json::to_string(&details).unwrap();
        assert_eq!(json, r#"{"a":"1","b":"3","b:":" "}"#);
        assert_eq!(serde_json::from_str::<StatusDetails>(&json).unwrap(), details);
        assert!(serde_json::from_str::<StatusDetails>(r#"{"a":"x\u0000y"}"#).is_err(), "damaged records are refused");
        assert_eq!((StatusDetails::default().iter().count(), StatusDetails::default().is_empty()), (0, true));
    }
}
