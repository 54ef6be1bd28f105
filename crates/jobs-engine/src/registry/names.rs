//! Names and ids of the registry that jobs have no use for.

use super::error::RegistryError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::{Builder, Uuid};

const NAME_CHARS_MAX: usize = 128;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $type(Arc<str>);

        impl $type {
            /// # Errors
            /// `InvalidRequest` when the text is empty, too long or has a character that is not allowed.
            pub fn new(text: &str) -> Result<Self, RegistryError> {
                let length = text.chars().count();
                let fits = |c: char| c.is_ascii_alphanumeric() || $allowed.contains(c);
                if length == 0 || length > NAME_CHARS_MAX || !text.chars().all(fits) {
                    return Err(RegistryError::invalid(format!(
                        "{} has 1 to {NAME_CHARS_MAX} letters, digits or characters of {:?}; {text:?} does not",
                        $what, $allowed
                    )));
                }
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
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
    /// 1 to 128 of `[a-zA-Z0-9:_-]`.
    TypeName, "a thing type name", ":_-"
);
name!(
    /// 1 to 128 of `[a-zA-Z0-9_+=,.@-]`.
    PolicyName, "a policy name", "_+=,.@-"
);

/// A certificate's id: the SHA-256 of its DER; 64 hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CertificateId(pub [u8; 32]);

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CertificateId {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let mut id = [0; 32];
        match hex::decode_to_slice(text, &mut id) {
            Ok(()) => Ok(Self(id)),
            Err(_) => Err(RegistryError::invalid(format!("a certificate id has 64 hexadecimal digits, not {text:?}"))),
        }
    }
}

/// The id of a thing, type or group: a UUID that tells two of the same name apart, when one was deleted in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceId(u128);

impl ResourceId {
    /// A version 4 UUID of these random bits.
    #[must_use]
    pub fn from_random(bits: u128) -> Self {
        Self(Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().as_u128())
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).fmt(f)
    }
}
