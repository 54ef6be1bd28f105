//! Who asks: what is known of a client, for variables and conditions (PROTOCOL-CORE 1.5).

use std::net::IpAddr;
use std::sync::Arc;

/// A certificate's values that are not substituted when they are longer (PROTOCOL-CORE 1.5).
const VALUE_CHARS_MAX: usize = 1_024;
/// Values of one part of a name that count.
const VALUES_MAX: usize = 5;

/// A client that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// As in its CONNECT; absent on HTTPS.
    pub id: Option<Box<str>>,
    /// Which thing it is, where that can be told.
    pub attachment: Attachment,
    /// Absent for who does not show one.
    pub certificate: Option<Arc<Certificate>>,
    /// Where it connects from.
    pub source_ip: Option<IpAddr>,
    /// The host name that it connected to; absent without SNI.
    pub domain_name: Option<Box<str>>,
}

/// What the certificate's attachments make of the client (PROTOCOL-CORE 1.5, rule T).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Attachment {
    /// Variables of things have no value on HTTPS, whatever the certificate is attached to.
    #[default]
    Https,
    /// The certificate is attached to nothing.
    Unattached,
    /// It is attached, and the client id is the name of none of those things.
    OtherName {
        /// One of the things that it is attached to.
        attached: Box<str>,
    },
    /// The client is this thing.
    Is(Box<Thing>),
}

/// What is known of the thing that a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thing {
    /// Its name.
    pub name: Box<str>,
    /// The name of its type; absent: it has none.
    pub type_name: Option<Box<str>>,
    /// Names and values; those that policies name are enough.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}

/// What a certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its DER; 64 hexadecimal digits as a variable.
    pub id: [u8; 32],
    /// Its parts, each named as in a policy behind `iot:Certificate.`, such as `Subject.CommonName`, in the order of the certificate; a
    /// part may come several times. Those that policies name are enough.
    pub parts: Vec<(Box<str>, Box<str>)>,
}

/// Which of the things that a certificate is attached to a client with this id is: the one of that name, or, where the certificate is
/// attached exclusively, its only one whatever the id (PROTOCOL-CORE 1.5, rule T).
///
/// # Errors
/// One of the things, when the certificate is attached, and the client is none of them; `None` when it is attached to nothing.
pub fn attach<'a>(
    mut things: impl Iterator<Item = &'a str>,
    is_exclusive: bool,
    client_id: &str,
) -> Result<&'a str, Option<&'a str>> {
    let first = things.next().ok_or(None)?;
    if is_exclusive || first == client_id {
        return Ok(first);
    }
    things.find(|name| *name == client_id).ok_or(Some(first))
}

impl Client {
    pub(crate) fn thing(&self) -> Option<&Thing> {
        match &self.attachment {
            Attachment::Is(thing) => Some(thing),
            _ => None,
        }
    }

    /// `true` or `false`; absent on HTTPS.
    pub(crate) fn is_attached(&self) -> Option<&'static str> {
        match self.attachment {
            Attachment::Https => None,
            Attachment::Unattached | Attachment::OtherName { .. } => Some("false"),
            Attachment::Is(_) => Some("true"),
        }
    }
}

impl Thing {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }
}

impl Certificate {
    pub(crate) fn id_text(&self) -> String {
        hex::encode(self.id)
    }

    /// The values of a part, the first five; its name ignores case.
    pub(crate) fn values(&self, part: &str) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(part)).map(|(_, value)| &**value).take(VALUES_MAX)
    }
}

/// Whether a value of a certificate may stand in a pattern: whoever has the certificate made must not get wildcards in.
pub(crate) fn is_substitutable(value: &str) -> bool {
    !value.contains(['*', '$', '+', '?', '#']) && value.chars().count() <= VALUE_CHARS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_the_thing_of_its_id_or_the_only_one_of_an_exclusive_certificate() {
        let attached = |things: &[&'static str], exclusive, id: &str| attach(things.iter().copied(), exclusive, id);
        assert_eq!(attached(&[], false, "a"), Err(None));
        assert_eq!(attached(&["a", "b"], false, "b"), Ok("b"));
        assert_eq!(attached(&["a", "b"], false, "B"), Err(Some("a")), "case counts");
        assert_eq!(attached(&["a"], true, "x"), Ok("a"));
    }
}
