//! Files of the store: whole or absent, private keys private from the first byte.

use super::{POLL, Pair, PkiError};
use host::clock;
use rand::RngExt;
use rustix::fs::{FlockOperation, flock};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// Who may read a file.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Public = 0o644,
    Private = 0o600,
}

/// What a file is called until it is whole.
const ASIDE: &str = "part";

/// Writes aside and renames: a reader, and a run after a crash, sees all of it or nothing. What could not be written leaves nothing.
pub(super) fn write(path: &Path, text: &str, access: Access) -> Result<(), PkiError> {
    let aside = path.with_extension(ASIDE);
    let result = write_aside(&aside, text, access).and_then(|()| fs::rename(&aside, path));
    result.map_err(|source| {
        // It may not even be there.
        let _ = fs::remove_file(&aside);
        PkiError::File { doing: "write", path: path.into(), source }
    })
}

fn write_aside(aside: &Path, text: &str, access: Access) -> io::Result<()> {
    match fs::remove_file(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(access as u32).open(aside)?;
    file.write_all(text.as_bytes())
}

/// Removes what a maker that was killed left behind. Whoever holds the lock of the store may do that.
pub(super) fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|extension| extension == ASIDE) {
            let _ = fs::remove_file(path);
        }
    }
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), PkiError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| PkiError::File { doing: "sync", path: dir.into(), source })
}

pub(super) fn read_pair(cert: &Path, key: &Path) -> Result<Pair, PkiError> {
    let broken = |path: &Path, error: rustls::pki_types::pem::Error| PkiError::Broken { path: path.into(), why: error.to_string() };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| broken(cert, error))?;
    if chain.is_empty() {
        return Err(PkiError::Broken { path: cert.into(), why: "it holds no certificate".into() });
    }
    Ok(Pair { chain, key: PrivateKeyDer::from_pem_file(key).map_err(|error| broken(key, error))? })
}

/// Held while a store is made; the kernel releases it when its holder dies.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn acquire(path: &Path, timeout: Duration) -> Result<Self, PkiError> {
        let failed = |source| PkiError::File { doing: "lock", path: path.into(), source };
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(Access::Private as u32).open(path).map_err(failed)?;
        let deadline = clock::mono() + timeout;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if clock::mono() < deadline => {
                    std::thread::sleep(POLL);
                }
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => return Err(PkiError::Locked { path: path.into() }),
                Err(error) => return Err(failed(error.into())),
            }
        }
    }
}

/// The one key of the local control plane, in AWS's shared-credentials format.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// `aws_access_key_id`: `AKIA` and 16 characters where it is made here.
    pub access_key_id: String,
    /// `aws_secret_access_key`: 40 characters where it is made here.
    pub secret_access_key: String,
}

impl std::fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsCredentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl AwsCredentials {
    pub(super) fn ensure(path: &Path) -> Result<Self, PkiError> {
        match fs::read_to_string(path) {
            Ok(text) => {
                if let Some(credentials) = Self::parse(&text) {
                    return Ok(credentials);
                }
                tracing::warn!(path = %path.display(), "no usable credentials of profile [default]: they are made again");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(PkiError::File { doing: "read", path: path.into(), source }),
        }
        let credentials = Self::generate();
        let text = format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            credentials.access_key_id, credentials.secret_access_key
        );
        write(path, &text, Access::Private)?;
        Ok(credentials)
    }

    /// Those that are there.
    pub(super) fn open(path: &Path) -> Result<Self, PkiError> {
        let text = fs::read_to_string(path).map_err(|source| PkiError::File { doing: "read", path: path.into(), source })?;
        let broken = || PkiError::Broken { path: path.into(), why: "it has no credentials of profile [default]".into() };
        Self::parse(&text).ok_or_else(broken)
    }

    fn parse(text: &str) -> Option<Self> {
        let profile =
            text.lines().map(str::trim).skip_while(|line| *line != "[default]").skip(1).take_while(|line| !line.starts_with('['));
        let (mut id, mut secret) = (None, None);
        for (key, value) in profile.filter_map(|line| line.split_once('=')) {
            match key.trim() {
                "aws_access_key_id" => id = Some(value.trim().to_owned()),
                "aws_secret_access_key" => secret = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        Some(Self {
            access_key_id: id.filter(|id| !id.is_empty())?,
            secret_access_key: secret.filter(|secret| !secret.is_empty())?,
        })
    }

    /// Shaped like AWS's: 20 and 40 characters.
    fn generate() -> Self {
        fn draw(alphabet: &[u8], length: usize) -> String {
            let mut rng = rand::rng();
            (0..length).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())])).collect()
        }
        Self {
            access_key_id: format!("AKIA{}", draw(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
            secret_access_key: draw(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 40),
        }
    }
}
