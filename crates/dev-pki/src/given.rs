//! Certificates and keys that somebody gives us: found fit or unfit before anybody uses them.

use super::Pair;
use super::issue::{parse, wall_clock};
use host::stdio;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// All certificates of a PEM file, at least one.
///
/// # Errors
/// Why there are none, with the path.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates_of(&read(path)?).map_err(|why| format!("{}: {why}", path.display()))
}

/// A certificate chain, leaf first, in its time, and a private key: PKCS#8, SEC1 or PKCS#1, in one file with it or in another.
///
/// # Errors
/// Why not, with the path.
pub fn pair(cert: &Path, key: &Path) -> Result<Pair, String> {
    let pem = read(cert)?;
    let chain = certificates_of(&pem)
        .and_then(|chain| check_time(&chain).map(|()| chain))
        .map_err(|why| format!("{}: {why}", cert.display()))?;
    // What stands in one file is read once: it may be standard input.
    let pem = if key == cert { pem } else { read(key)? };
    let key = private_key(PrivateKeyDer::from_pem_slice(&pem)).map_err(|why| format!("{}: {why}", key.display()))?;
    Ok(Pair { chain, key })
}

/// The same out of one text.
///
/// # Errors
/// Why not.
pub fn pair_of(text: &str) -> Result<Pair, String> {
    let chain = certificates_of(text.as_bytes())?;
    check_time(&chain)?;
    Ok(Pair { chain, key: private_key(PrivateKeyDer::from_pem_slice(text.as_bytes()))? })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    stdio::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if chain.is_empty() => Err("it holds no certificate".into()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(why(&error)),
    }
}

fn private_key(read: Result<PrivateKeyDer<'static>, pem::Error>) -> Result<PrivateKeyDer<'static>, String> {
    read.map_err(|error| match error {
        pem::Error::NoItemsFound => "it holds no private key in PEM that is not encrypted (PKCS#8, SEC1 or PKCS#1)".into(),
        error => why(&error),
    })
}

fn why(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        error => format!("it is no PEM: {error}"),
    }
}

fn check_time(chain: &[CertificateDer<'_>]) -> Result<(), String> {
    let now = wall_clock();
    for certificate in chain {
        let parsed = parse(certificate)?;
        let (from, until) = (parsed.validity().not_before.to_datetime(), parsed.validity().not_after.to_datetime());
        if until < now {
            return Err(format!("it expired at {until}"));
        }
        if from > now {
            return Err(format!("it is not valid before {from}"));
        }
    }
    Ok(())
}
