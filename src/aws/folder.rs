//! The files of a fleet besides its journal: certificates and keys, one by one or packed, and the list of its things for a scenario.

use dev_pki::{DeviceCertificate, PkiError, bundle};
use iot_jobs::ThingName;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What `fleet.things_from` names.
pub const LIST: &str = "fleet.csv";
/// Certificates and keys of all things, for `target.tls.bundle`.
const BUNDLE: &str = "things.pem";
const THINGS: &str = "things";

/// A file of a fleet that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{0}")]
    Pki(#[from] PkiError),
    #[error("{doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("use {}: {why}", path.display())]
    Certificate { path: PathBuf, why: String },
}

/// The folder of a fleet.
pub struct FleetFolder<'a>(pub &'a Path);

/// A certificate as it is registered.
pub struct OwnCertificate {
    pub pem: String,
    /// SHA-256 of its DER, as the registry names it.
    pub id: String,
}

impl FleetFolder<'_> {
    /// Keys and certificates of these things, on disk when this returns: what is missing is made.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn ensure_own(&self, things: &[ThingName], progress: &mut dyn FnMut(usize, usize)) -> Result<(), FolderError> {
        self.unpack()?;
        dev_pki::ensure_devices(self.0, things, progress)?;
        Ok(())
    }

    /// # Errors
    /// When it cannot be read, or is no certificate.
    pub fn own(&self, thing: &ThingName) -> Result<OwnCertificate, FolderError> {
        let (path, _) = dev_pki::device_paths(self.0, thing);
        let pem = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let certificate = DeviceCertificate::from_pem(&pem).map_err(|why| FolderError::Certificate { path, why })?;
        Ok(OwnCertificate { id: hex::encode(Sha256::digest(&certificate.der)), pem })
    }

    /// Keeps what CreateKeysAndCertificate answered: on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, thing: &ThingName, cert_pem: &str, key_pem: &str) -> Result<(), FolderError> {
        Ok(dev_pki::keep_device(self.0, thing, cert_pem, key_pem)?)
    }

    /// Unpacks a bundle of before, so that each thing has its files again.
    ///
    /// # Errors
    /// When it cannot be read, or files cannot be written.
    pub fn unpack(&self) -> Result<(), FolderError> {
        let packed = self.0.join(BUNDLE);
        if packed.exists() {
            bundle::unpack(&packed, self.0)?;
            fs::remove_file(&packed).map_err(failed("remove", &packed))?;
        }
        Ok(())
    }

    /// Lists the things for a scenario; where they are packed, their files are in the bundle alone afterwards. Returns what a scenario
    /// has to say.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn finish(&self, things: &[ThingName], is_packed: bool) -> Result<String, FolderError> {
        let (list, packed, folder) = (self.0.join(LIST), self.0.join(BUNDLE), self.0.join(THINGS));
        let row = |thing: &ThingName| match is_packed {
            true => format!("{thing}\n"),
            false => format!("{thing},{THINGS}/{thing}.cert.pem,{THINGS}/{thing}.key.pem\n"),
        };
        let header = if is_packed { "thing\n" } else { "thing,cert,key\n" };
        let text: String = std::iter::once(header.to_owned()).chain(things.iter().map(row)).collect();
        if is_packed {
            bundle::pack(self.0, &packed)?;
            fs::remove_dir_all(&folder).map_err(failed("remove", &folder))?;
        }
        let aside = list.with_extension("part");
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &list)).map_err(failed("write", &list))?;
        let tls = if is_packed { format!("\n[target.tls]\nbundle = {:?}", packed.display().to_string()) } else { String::new() };
        Ok(format!("[fleet]\nthings_from = {:?}{tls}", list.display().to_string()))
    }

    /// There are no such things any more.
    ///
    /// # Errors
    /// When the list cannot be removed.
    pub fn forget(&self) -> Result<(), FolderError> {
        let list = self.0.join(LIST);
        match fs::remove_file(&list) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &list)(error)),
            _ => Ok(()),
        }
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::File { doing, path, source }
}
