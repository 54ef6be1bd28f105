//! Making certificates, and telling fit ones from unfit ones.

use super::files::{self, Access};
use super::mark::MadeFor;
use super::rsa_key::RsaKey;
use super::signing_request::SigningRequest;
use super::{Pair, PkiError, read_pair_of};
use iot_jobs::ThingName;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::net::IpAddr;
use std::path::Path;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Validity of everything that is issued: longer than anyone uses a development PKI.
const VALID_FOR: Duration = Duration::days(3650);
/// Clocks of client and server may differ.
const VALID_BEFORE: Duration = Duration::days(1);
/// What expires sooner than this is made anew.
const EXPIRY_MARGIN: Duration = Duration::days(1);
/// How long ago the certificates ended that are issued expired.
const EXPIRED_SINCE: Duration = Duration::days(1);
/// Subject and end of the certificates that AWS IoT issues to devices.
const DEVICE_SUBJECT: &str = "AWS IoT Certificate";
const DEVICE_VALID_UNTIL: OffsetDateTime = datetime!(2049-12-31 23:59:59 UTC);
/// Always in the server's certificate.
const SERVER_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The CA with its key, ready to sign.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// The issuer's key once more, for what the issuer cannot make.
    signer: KeyPair,
}

impl Authority {
    /// The CA of `dir`, made when absent or unfit. A new CA makes every older certificate unfit.
    pub(super) fn ensure(dir: &Path) -> Result<Self, PkiError> {
        let (cert, key) = (dir.join("ca.cert.pem"), dir.join("ca.key.pem"));
        if cert.exists() || key.exists() {
            match Self::load(&cert, &key) {
                Ok(authority) => return Ok(authority),
                Err(why) => {
                    tracing::warn!(ca = %cert.display(), %why, "the CA is not usable: it and all certificates are made again");
                }
            }
        }
        let failed = |source| PkiError::Issue { subject: "the CA".into(), source };
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = params("fleetsim development CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&pair).map_err(failed)?;
        // The key first: a certificate without its key would look like a store.
        files::write(&key, &pair.serialize_pem(), Access::Private)?;
        files::write(&cert, &certificate.pem(), Access::Public)?;
        let signer = same_key(&pair).map_err(failed)?;
        Ok(Self { certificate: certificate.der().clone(), issuer: Issuer::new(params, pair), signer })
    }

    fn load(cert: &Path, key: &Path) -> Result<Self, String> {
        let (certificate, pair) = read_pair_of(cert, key).map_err(|error| error.to_string())?;
        let parsed = parse(&certificate)?;
        check_validity(&parsed)?;
        check_key(&parsed, &pair)?;
        if !parsed.is_ca() {
            return Err("the certificate is no CA's".into());
        }
        let signer = same_key(&pair).map_err(|error| error.to_string())?;
        let issuer = Issuer::from_ca_cert_der(&certificate, pair).map_err(|error| error.to_string())?;
        Ok(Self { certificate: certificate.clone(), issuer, signer })
    }

    /// The CA that is there.
    pub(super) fn open(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join("ca.cert.pem");
        Self::load(&path, &dir.join("ca.key.pem")).map_err(|why| PkiError::Broken { path, why })
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// The endpoint's certificate with every name it needs.
    pub(super) fn ensure_server(&self, dir: &Path, names: &[String]) -> Result<(), PkiError> {
        let (cert, key) = (dir.join("server.cert.pem"), dir.join("server.key.pem"));
        let wanted: Vec<&str> = SERVER_NAMES.into_iter().chain(names.iter().map(String::as_str)).collect();
        if cert.exists() {
            match self.check(&cert, &key, |certificate| check_server_names(certificate, &wanted)) {
                Ok(()) => return Ok(()),
                Err(why) => {
                    tracing::warn!(certificate = %cert.display(), %why, "the server's certificate is not usable: it is made again");
                }
            }
        }
        let failed = |source| PkiError::Issue { subject: "the server".into(), source };
        let mut params = CertificateParams::new(wanted.iter().map(ToString::to_string).collect::<Vec<_>>()).map_err(failed)?;
        fill(&mut params, "fleetsim endpoint");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, "the server", &cert, &key)
    }

    /// Whether the thing's pair is fit for use with this CA; if not, why.
    pub(super) fn check_thing(&self, name: &ThingName, cert: &Path, key: &Path) -> Result<(), String> {
        self.check(cert, key, |certificate| {
            let found = certificate.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
            if found != Some(name.as_str()) {
                return Err(format!("its common name is {found:?}"));
            }
            match MadeFor::of(certificate) {
                Some(MadeFor::Thing) => Ok(()),
                Some(MadeFor::Registry) => Err("it was issued by the registry".into()),
                None => Err("an earlier version made it, or somebody else".into()),
            }
        })
    }

    pub(super) fn issue_thing(&self, name: &ThingName, cert: &Path, key: &Path) -> Result<(), PkiError> {
        self.issue(thing_params(name), name.as_str(), cert, key)
    }

    /// A pair that was good for a day, until [`EXPIRED_SINCE`] ago.
    pub(super) fn issue_expired(&self, name: &ThingName) -> Result<Pair, PkiError> {
        let mut params = thing_params(name);
        params.not_after = wall_clock() - EXPIRED_SINCE;
        params.not_before = params.not_after - Duration::days(1);
        self.pair(name, params)
    }

    /// A thing's pair that is in no file.
    pub(super) fn issue_pair(&self, name: &ThingName) -> Result<Pair, PkiError> {
        self.pair(name, thing_params(name))
    }

    fn pair(&self, name: &ThingName, params: CertificateParams) -> Result<Pair, PkiError> {
        let failed = |source| PkiError::Issue { subject: name.to_string(), source };
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = params.signed_by(&pair, &self.issuer).map_err(failed)?;
        Ok(Pair { chain: vec![certificate.der().clone()], key: PrivatePkcs8KeyDer::from(pair.serialize_der()).into() })
    }

    /// A certificate in PEM, and the key it is for.
    pub(super) fn issue_device(&self) -> Result<(String, RsaKey), String> {
        let key = RsaKey::generate(&mut rand::rng())?;
        let pair = KeyPair::try_from(&PrivatePkcs8KeyDer::from(&*key.pkcs8)).map_err(|error| error.to_string())?;
        let certificate = device_params().signed_by(&pair, &self.issuer).map_err(|error| error.to_string())?;
        Ok((certificate.pem(), key))
    }

    /// A certificate in PEM for subject and key of a signing request.
    pub(super) fn sign_device(&self, request_pem: &str) -> Result<String, String> {
        let request = SigningRequest::parse(request_pem)?;
        let mut params = device_params();
        params.key_identifier_method = request.key_identifier();
        let template = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .and_then(|stand_in| params.signed_by(&stand_in, &self.issuer))
            .map_err(|error| error.to_string())?;
        request.issue_like(template.der(), &self.signer)
    }

    /// Certificate and key of a thing, as PEM; nothing is written.
    pub(super) fn make_thing(&self, name: &ThingName) -> Result<String, PkiError> {
        self.make(thing_params(name), name.as_str()).map(|(cert, key)| cert + &key)
    }

    fn issue(&self, params: CertificateParams, subject: &str, cert: &Path, key: &Path) -> Result<(), PkiError> {
        let (cert_pem, key_pem) = self.make(params, subject)?;
        files::write(key, &key_pem, Access::Private)?;
        files::write(cert, &cert_pem, Access::Public)
    }

    fn make(&self, params: CertificateParams, subject: &str) -> Result<(String, String), PkiError> {
        let failed = |source| PkiError::Issue { subject: subject.to_owned(), source };
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = params.signed_by(&pair, &self.issuer).map_err(failed)?;
        Ok((certificate.pem(), pair.serialize_pem()))
    }

    /// Signature checks would cost ten thousand things seconds; the authority key identifier and the key tell as much.
    fn check(&self, cert: &Path, key: &Path, more: impl FnOnce(&X509Certificate<'_>) -> Result<(), String>) -> Result<(), String> {
        let (certificate, pair) = read_pair_of(cert, key).map_err(|error| error.to_string())?;
        let parsed = parse(&certificate)?;
        let ca = parse(&self.certificate)?;
        if parsed.issuer().as_raw() != ca.subject().as_raw() || authority_key(&parsed) != subject_key(&ca) {
            return Err("it is of another CA".into());
        }
        check_validity(&parsed)?;
        check_key(&parsed, &pair)?;
        more(&parsed)
    }
}

fn same_key(pair: &KeyPair) -> Result<KeyPair, rcgen::Error> {
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(pair.serialize_der()))
}

pub(super) fn wall_clock() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(host::clock::epoch_ms())
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    fill(&mut params, common_name);
    params
}

fn thing_params(name: &ThingName) -> CertificateParams {
    let mut params = params(name.as_str());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.custom_extensions = vec![MadeFor::Thing.extension()];
    params
}

fn fill(params: &mut CertificateParams, common_name: &str) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = wall_clock();
    params.not_before = now - VALID_BEFORE;
    params.not_after = now + VALID_FOR;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
}

fn device_params() -> CertificateParams {
    let mut params = params(DEVICE_SUBJECT);
    params.not_after = DEVICE_VALID_UNTIL;
    params.is_ca = IsCa::ExplicitNoCa;
    params.custom_extensions = vec![MadeFor::Registry.extension()];
    params
}

pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| format!("it is no X.509 certificate: {error}"))
}

fn check_validity(certificate: &X509Certificate<'_>) -> Result<(), String> {
    let until = certificate.validity().not_after.to_datetime();
    if until < wall_clock() + EXPIRY_MARGIN { Err(format!("it expires at {until}")) } else { Ok(()) }
}

fn check_key(certificate: &X509Certificate<'_>, pair: &KeyPair) -> Result<(), String> {
    if certificate.public_key().subject_public_key.data.as_ref() == pair.der_bytes() {
        Ok(())
    } else {
        Err("its private key belongs to another certificate".into())
    }
}

fn check_server_names(certificate: &X509Certificate<'_>, wanted: &[&str]) -> Result<(), String> {
    let names = certificate.subject_alternative_name().ok().flatten().map(|extension| &extension.value.general_names);
    let has = |wanted: &str| {
        names.is_some_and(|names| {
            names.iter().any(|name| match (name, wanted.parse::<IpAddr>()) {
                (GeneralName::DNSName(dns), Err(_)) => *dns == wanted,
                (GeneralName::IPAddress(bytes), Ok(IpAddr::V4(ip))) => *bytes == ip.octets(),
                (GeneralName::IPAddress(bytes), Ok(IpAddr::V6(ip))) => *bytes == ip.octets(),
                _ => false,
            })
        })
    };
    match wanted.iter().find(|name| !has(name)) {
        Some(missing) => Err(format!("it does not name {missing}")),
        None => Ok(()),
    }
}

fn authority_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    })
}

fn subject_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}
