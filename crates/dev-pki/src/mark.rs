//! What a certificate that was made here is for. It says so in a Netscape comment, which openssl prints and TLS ignores; a signing
//! request cannot ask for one.

use rcgen::CustomExtension;
use x509_parser::oid_registry::OID_X509_EXT_CERT_COMMENT;
use x509_parser::prelude::X509Certificate;

/// `nsComment`.
const COMMENT: [u64; 7] = [2, 16, 840, 1, 113_730, 1, 13];

/// Whom a certificate of the store's CA was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeFor {
    /// The thing that its common name names.
    Thing,
    /// Whoever asked the registry for one: its common name says nothing.
    Registry,
}

impl MadeFor {
    const ALL: [Self; 2] = [Self::Thing, Self::Registry];

    /// What the certificate itself says; none of somebody else's says any of it.
    #[must_use]
    pub fn of(certificate: &X509Certificate<'_>) -> Option<Self> {
        let comment = certificate.iter_extensions().find(|extension| extension.oid == OID_X509_EXT_CERT_COMMENT)?;
        Self::ALL.into_iter().find(|made_for| made_for.content() == comment.value)
    }

    pub(super) fn extension(self) -> CustomExtension {
        CustomExtension::from_oid_content(&COMMENT, self.content())
    }

    fn content(self) -> Vec<u8> {
        let text = match self {
            Self::Thing => "fleetsim: a thing's, by its common name",
            Self::Registry => "fleetsim: issued by the registry",
        };
        yasna::construct_der(|writer| writer.write_ia5_string(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_certificate_says_is_what_those_say_that_were_made_before() {
        assert_eq!(MadeFor::Thing.content(), b"\x16\x27fleetsim: a thing's, by its common name");
        assert_eq!(MadeFor::Registry.content(), b"\x16\x20fleetsim: issued by the registry");
    }
}
