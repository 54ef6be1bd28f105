//! What policies can ask of a certificate: names, alternative names and the serial number (PROTOCOL-CORE 1.5).

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{X509Certificate, X509Name};

/// Parts of a distinguished name, by their object identifiers.
const NAMES: [(&str, &str); 13] = [
    ("2.5.4.46", "DistinguishedNameQualifier"),
    ("2.5.4.6", "Country"),
    ("2.5.4.10", "Organization"),
    ("2.5.4.11", "OrganizationalUnit"),
    ("2.5.4.8", "State"),
    ("2.5.4.3", "CommonName"),
    ("2.5.4.5", "SerialNumber"),
    ("2.5.4.12", "Title"),
    ("2.5.4.4", "Surname"),
    ("2.5.4.42", "GivenName"),
    ("2.5.4.43", "Initials"),
    ("2.5.4.65", "Pseudonym"),
    ("2.5.4.44", "GenerationQualifier"),
];
/// Characters that a value has a backslash before.
const ESCAPED: [char; 8] = [',', '"', '\\', '+', '=', '<', '>', ';'];

/// The parts that `is_wanted`, by their names in lower case; with all of them named where any of those that list the names is wanted.
pub(super) fn parts(certificate: &X509Certificate<'_>, is_wanted: impl Fn(&str) -> bool) -> Vec<(Box<str>, Box<str>)> {
    let mut found = Vec::new();
    of_name("Subject", certificate.subject(), &mut found);
    of_name("Issuer", certificate.issuer(), &mut found);
    for extension in certificate.extensions() {
        let (whose, names) = match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => ("Subject", &names.general_names),
            ParsedExtension::IssuerAlternativeName(names) => ("Issuer", &names.general_names),
            _ => continue,
        };
        found.extend(names.iter().filter_map(|name| Some((alternative(whose, name)?, alternative_value(name)?))));
    }
    found.push(("SerialNumber".into(), hex::encode(certificate.raw_serial())));
    let mut keys: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    keys.dedup();
    found.extend(keys.into_iter().map(|key| ("AvailableKeys".to_owned(), key)));
    let is_kept = |(name, _): &(String, String)| is_wanted(&name.to_ascii_lowercase());
    found.into_iter().filter(is_kept).map(|(name, value)| (name.into(), value.into())).collect()
}

fn of_name(whose: &str, name: &X509Name<'_>, found: &mut Vec<(String, String)>) {
    for attribute in name.iter_attributes() {
        let oid = attribute.attr_type().to_id_string();
        let known = NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
        if let (Some(part), Ok(value)) = (known, attribute.as_str()) {
            found.push((format!("{whose}.{part}"), escape(value)));
        }
    }
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if ESCAPED.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn alternative(whose: &str, name: &GeneralName<'_>) -> Option<String> {
    let kind = match name {
        GeneralName::RFC822Name(_) => "RFC822Name",
        GeneralName::DNSName(_) => "DNSName",
        GeneralName::DirectoryName(_) => "DirectoryName",
        GeneralName::URI(_) => "UniformResourceIdentifier",
        GeneralName::IPAddress(_) => "IPAddress",
        _ => return None,
    };
    Some(format!("{whose}.AlternativeName.{kind}"))
}

fn alternative_value(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::RFC822Name(text) | GeneralName::DNSName(text) | GeneralName::URI(text) => Some((*text).to_owned()),
        GeneralName::DirectoryName(name) => Some(name.to_string()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};
    use x509_parser::prelude::FromDer as _;

    #[test]
    fn names_alternative_names_and_the_serial_number_are_told() {
        let mut params = CertificateParams::new(["press.example".to_owned(), "10.0.0.7".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a,b");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "hall");
        params.serial_number = Some(vec![0x0a, 0xff].into());
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let all = parts(&certificate, |_| true);
        let values = |name: &str| all.iter().filter(|(found, _)| **found == *name).map(|(_, value)| &**value).collect::<Vec<_>>();
        assert_eq!(values("Subject.CommonName"), ["a\\,b"]);
        assert_eq!(values("Issuer.OrganizationalUnit"), ["hall"]);
        assert_eq!(values("Subject.AlternativeName.DNSName"), ["press.example"]);
        assert_eq!(values("Subject.AlternativeName.IPAddress"), ["10.0.0.7"]);
        assert_eq!(values("SerialNumber"), ["0aff"]);
        assert!(values("AvailableKeys").contains(&"Subject.CommonName"));
        assert_eq!(parts(&certificate, |name| name == "subject.commonname").len(), 1);
    }
}
