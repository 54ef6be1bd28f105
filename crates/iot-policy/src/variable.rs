//! Variables of policies and keys of conditions: which there are, and what they are for a request (PROTOCOL-CORE 1.5 and 1.7).

use crate::client::{Certificate, Client, is_substitutable};
use crate::request::Request;
use std::borrow::Cow;
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A variable, or the key of a condition: both have the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// As it was written.
    name: Box<str>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    ClientId,
    SourceIp,
    DomainName,
    CertificateId,
    ThingName,
    ThingTypeName,
    /// Of a thing; the name's case counts.
    Attribute(Box<str>),
    IsAttached,
    /// A part of the certificate, and which of its values.
    Part(Box<str>, Which),
    ConnectAttributes,
    LastWillTopic,
    CurrentTime,
    EpochTime,
    /// One that there is not: it never has a value.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// From 0.
    Nth(usize),
    All,
}

const CERTIFICATE: &str = "iot:certificate.";
const ATTRIBUTES: &str = "iot:connection.thing.attributes[";

impl Variable {
    /// The case of a name does not count, but for that of an attribute.
    pub(crate) fn parse(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let what = match &*lower {
            "iot:clientid" => What::ClientId,
            "aws:sourceip" => What::SourceIp,
            "iot:domainname" => What::DomainName,
            "iot:certificateid" => What::CertificateId,
            "iot:connection.thing.thingname" => What::ThingName,
            "iot:connection.thing.thingtypename" => What::ThingTypeName,
            "iot:connection.thing.isattached" => What::IsAttached,
            "iot:connectattributes" => What::ConnectAttributes,
            "iot:lastwilltopic" => What::LastWillTopic,
            "aws:currenttime" => What::CurrentTime,
            "aws:epochtime" => What::EpochTime,
            lower => {
                if let Some(attribute) = lower.strip_prefix(ATTRIBUTES).and_then(|rest| rest.strip_suffix(']')) {
                    What::Attribute(name[ATTRIBUTES.len()..ATTRIBUTES.len() + attribute.len()].into())
                } else if let Some(part) = lower.strip_prefix(CERTIFICATE) {
                    let (part, which) = which(part);
                    What::Part(part.into(), which)
                } else {
                    What::Unknown
                }
            }
        };
        Self { name: name.into(), what }
    }

    /// As it was written.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is one of the thing that the client is.
    pub(crate) fn is_of_thing(&self) -> bool {
        matches!(self.what, What::ThingName | What::ThingTypeName | What::Attribute(_) | What::IsAttached)
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.what == What::Unknown
    }

    /// The part of the certificate that it names, in lower case.
    pub(crate) fn part(&self) -> Option<&str> {
        match &self.what {
            What::Part(part, _) => Some(part),
            _ => None,
        }
    }

    /// Whether its value changes while nothing else does.
    pub(crate) fn is_time(&self) -> bool {
        matches!(self.what, What::CurrentTime | What::EpochTime)
    }

    /// The attribute of a thing that it names.
    pub(crate) fn attribute(&self) -> Option<&str> {
        match &self.what {
            What::Attribute(name) => Some(name),
            _ => None,
        }
    }

    /// What stands in its place in a resource; absent: it has no value, and its statement does not apply. The values of a certificate are
    /// not substituted where they could be taken for wildcards.
    pub(crate) fn substitute<'a>(&self, client: &'a Client, request: &Request<'_>) -> Option<Cow<'a, str>> {
        match &self.what {
            What::Part(_, Which::All) | What::ConnectAttributes | What::LastWillTopic => None,
            What::Part(part, Which::Nth(n)) => {
                client.certificate.as_deref()?.values(part).nth(*n).filter(|value| is_substitutable(value)).map(Cow::Borrowed)
            }
            _ => self.value(client, request),
        }
    }

    /// All its values, as a condition's key; absent: it is not in the request.
    pub(crate) fn values<'a>(&self, client: &'a Client, request: &Request<'_>) -> Option<Vec<Cow<'a, str>>> {
        match &self.what {
            What::Part(part, which) => parts(client.certificate.as_deref()?, part, *which),
            What::ConnectAttributes => connect_attributes(request),
            _ => self.value(client, request).map(|value| vec![value]),
        }
    }

    /// The value of one that has not several.
    fn value<'a>(&self, client: &'a Client, request: &Request<'_>) -> Option<Cow<'a, str>> {
        fn text(text: Option<&str>) -> Option<Cow<'_, str>> {
            text.map(Cow::Borrowed)
        }
        match &self.what {
            What::ClientId => text(client.id.as_deref()),
            What::SourceIp => client.source_ip.map(|ip| ip.to_string().into()),
            What::DomainName => text(client.domain_name.as_deref()),
            What::CertificateId => client.certificate.as_deref().map(|certificate| certificate.id_text().into()),
            What::ThingName => text(client.thing().map(|thing| &*thing.name)),
            What::ThingTypeName => text(client.thing().and_then(|thing| thing.type_name.as_deref())),
            What::Attribute(name) => text(client.thing().and_then(|thing| thing.attribute(name))),
            What::IsAttached => text(client.is_attached()),
            What::LastWillTopic => {
                let topic = request.connect.and_then(|connect| connect.will_topic);
                topic.map(|topic| [request.home.prefix(), "topic/", topic].concat().into())
            }
            What::CurrentTime => {
                let at = OffsetDateTime::from_unix_timestamp(request.epoch_s).ok()?;
                at.format(&Rfc3339).ok().map(Cow::Owned)
            }
            What::EpochTime => Some(request.epoch_s.to_string().into()),
            What::Part(..) | What::ConnectAttributes | What::Unknown => None,
        }
    }
}

/// The index is that of the example of PROTOCOL-CORE 1.5: the plain name is the first value, `.1` the second.
fn which(part: &str) -> (&str, Which) {
    match part.rsplit_once('.') {
        Some((name, "list")) => (name, Which::All),
        Some((name, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => match index.parse() {
            Ok(index) => (name, Which::Nth(index)),
            Err(_) => (name, Which::Nth(usize::MAX)),
        },
        _ => (part, Which::Nth(0)),
    }
}

fn parts<'a>(certificate: &'a Certificate, part: &str, which: Which) -> Option<Vec<Cow<'a, str>>> {
    let values: Vec<Cow<'a, str>> = match which {
        Which::Nth(n) => certificate.values(part).nth(n).map(Cow::Borrowed).into_iter().collect(),
        Which::All => certificate.values(part).map(Cow::Borrowed).collect(),
    };
    Some(values).filter(|values| !values.is_empty())
}

fn connect_attributes<'a>(request: &Request<'_>) -> Option<Vec<Cow<'a, str>>> {
    let connect = request.connect?;
    let persistent = connect.is_persistent.then_some("PersistentConnect");
    let will = connect.will_topic.map(|_| "LastWill");
    Some(persistent.into_iter().chain(will).map(Cow::Borrowed).collect())
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{{}}}", self.name)
    }
}
