//! The development PKI: a CA, the endpoint's certificate, one certificate a thing, and the control plane's credentials, kept in
//! one folder and used again by the next run.
//!
//! ```text
//! DIR/ca.cert.pem  ca.key.pem  server.cert.pem  server.key.pem  aws-credentials
//! DIR/things/<thing>.cert.pem  <thing>.key.pem
//! ```
//!
//! Certificates of others are read in [`given`], or out of one packed file ([`bundle`]).
//!
//! A file appears whole or not at all (written aside, then renamed), private keys are born with mode 0600, and a lock keeps two
//! makers apart. What is missing, broken, expired or of another CA is noticed and made anew: one thing's pair if it is one
//! thing's, everything if it is the CA.

#![warn(missing_docs)]

pub mod bundle;
mod device;
mod device_kinds;
mod devices;
mod files;
pub mod given;
mod issue;
mod mark;
mod rsa_key;
mod signer;
mod signing_request;

pub use device::{DeviceAuthority, DeviceCertificate, DeviceKeys};
pub use devices::{device_paths, ensure_ca, ensure_devices, issue_devices, issue_things, keep_device};
pub use files::AwsCredentials;
pub use mark::MadeFor;
pub use signer::signer_key;

use files::Lock;
use iot_jobs::ThingName;
use issue::Authority;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long another maker of the same store is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(120);
/// How often progress is reported, and the lock is tried.
const POLL: Duration = Duration::from_millis(50);

/// Why there is no PKI.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or folder cannot be used.
    #[error("{doing} {path}: {source}")]
    File {
        /// What was tried, a verb.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The cryptographic library made no certificate.
    #[error("make a certificate for {subject}: {source}")]
    Issue {
        /// Whose certificate it would have been.
        subject: String,
        /// Why it failed.
        source: rcgen::Error,
    },
    /// Another maker of the same store held it for too long.
    #[error("lock {path}: another process has held it for {} s", LOCK_TIMEOUT.as_secs())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file holds what it should not.
    #[error("use {path}: {why}")]
    Broken {
        /// The file, or the folder of such files.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What a store must hold.
#[derive(Clone, Debug, Default)]
pub struct StoreSpec {
    /// Things that need a certificate.
    pub things: Vec<ThingName>,
    /// Names and addresses of the server's certificate besides `localhost`, 127.0.0.1 and `::1`.
    pub server_names: Vec<String>,
}

/// A certificate chain, leaf first, and its key.
#[derive(Debug)]
pub struct Pair {
    /// Leaf first, then intermediates.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the leaf.
    pub key: PrivateKeyDer<'static>,
}

/// A folder that holds all its spec asked for.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    ca: CertificateDer<'static>,
    credentials: AwsCredentials,
}

/// What [`Store::ensure`] found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Certificates found fit and used again.
    pub reused: usize,
    /// Certificates made anew, because there were none or unfit ones.
    pub issued: usize,
}

impl Store {
    /// Makes what is missing or unfit, keeps what is fit. `progress` is told (done, total) from the caller's thread.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or another maker holds it for too long.
    pub fn ensure(dir: &Path, spec: &StoreSpec, progress: &mut dyn FnMut(usize, usize)) -> Result<(Self, Made), PkiError> {
        let things = dir.join("things");
        fs::create_dir_all(&things).map_err(|source| PkiError::File { doing: "make the folder", path: things.clone(), source })?;
        let _lock = Lock::acquire(&dir.join(".lock"), LOCK_TIMEOUT)?;
        files::sweep(dir);
        files::sweep(&things);
        let authority = Authority::ensure(dir)?;
        authority.ensure_server(dir, &spec.server_names)?;
        let credentials = AwsCredentials::ensure(&dir.join("aws-credentials"))?;
        let made = ensure_things(&things, &authority, &spec.things, progress)?;
        Ok((Self { dir: dir.into(), ca: authority.certificate(), credentials }, made))
    }

    /// The store that another maker has made in this folder, as it is.
    ///
    /// # Errors
    /// When there is none, or its CA or credentials cannot be used.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        let authority = Authority::open(dir)?;
        Ok(Self { dir: dir.into(), ca: authority.certificate(), credentials: AwsCredentials::open(&dir.join("aws-credentials"))? })
    }

    /// The folder of the store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The CA's certificate, by which clients trust the endpoint, and the endpoint things.
    #[must_use]
    pub fn ca_cert(&self) -> CertificateDer<'static> {
        self.ca.clone()
    }

    /// The control plane's access key.
    #[must_use]
    pub fn credentials(&self) -> &AwsCredentials {
        &self.credentials
    }

    /// The endpoint's own certificate.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn server(&self) -> Result<Pair, PkiError> {
        files::read_pair(&self.dir.join("server.cert.pem"), &self.dir.join("server.key.pem"))
    }

    /// Certificates of these things that ended yesterday, each with a key of its own; nothing is written.
    ///
    /// # Errors
    /// When the CA cannot be used.
    pub fn expired(&self, names: &[ThingName]) -> Result<Vec<Pair>, PkiError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let authority = Authority::open(&self.dir)?;
        names.iter().map(|name| authority.issue_expired(name)).collect()
    }

    /// The certificate that was made for a thing, without its key, from the store in this folder.
    ///
    /// # Errors
    /// When its file cannot be read, or holds none.
    pub fn certificate(dir: &Path, name: &ThingName) -> Result<DeviceCertificate, PkiError> {
        let path = cert_path(&dir.join("things"), name);
        let pem = fs::read_to_string(&path).map_err(|source| PkiError::File { doing: "read", path: path.clone(), source })?;
        DeviceCertificate::from_pem(&pem).map_err(|why| PkiError::Broken { path, why })
    }

    /// # Errors
    /// When the thing's files cannot be read.
    pub fn thing(&self, name: &ThingName) -> Result<Pair, PkiError> {
        files::read_pair(&cert_path(&self.dir.join("things"), name), &key_path(&self.dir.join("things"), name))
    }
}

fn cert_path(things: &Path, name: &ThingName) -> PathBuf {
    things.join(format!("{name}.cert.pem"))
}

fn key_path(things: &Path, name: &ThingName) -> PathBuf {
    things.join(format!("{name}.key.pem"))
}

fn ensure_things(
    dir: &Path,
    authority: &Authority,
    names: &[ThingName],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Made, PkiError> {
    let present = listing(dir)?;
    let unfit = Unfit::default();
    let is_issued = for_each(names, progress, |name| {
        let (cert, key) = (cert_path(dir, name), key_path(dir, name));
        let is_fit = present.contains(&format!("{name}.cert.pem"))
            && authority.check_thing(name, &cert, &key).map_err(|why| unfit.add(name, why)).is_ok();
        if !is_fit {
            authority.issue_thing(name, &cert, &key)?;
        }
        Ok(!is_fit)
    })?;
    files::sync_dir(dir)?;
    unfit.tell();
    let issued = is_issued.into_iter().filter(|is_issued| *is_issued).count();
    Ok(Made { reused: names.len() - issued, issued })
}

/// Does it for each thing, on every core; what came of it, in order. `progress` is told (done, total) from this thread.
fn for_each<T: Send>(
    names: &[ThingName],
    progress: &mut dyn FnMut(usize, usize),
    work: impl Fn(&ThingName) -> Result<T, PkiError> + Sync,
) -> Result<Vec<T>, PkiError> {
    let done = AtomicUsize::new(0);
    let counted = |name: &ThingName| {
        let result = work(name)?;
        done.fetch_add(1, Ordering::Relaxed);
        Ok(result)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(names.len().max(1));
    let all = |slice: &[ThingName]| slice.iter().map(counted).collect::<Result<Vec<T>, PkiError>>();
    std::thread::scope(|scope| {
        let workers: Vec<_> = names.chunks(names.len().div_ceil(threads).max(1)).map(|slice| scope.spawn(|| all(slice))).collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            progress(done.load(Ordering::Relaxed), names.len());
            std::thread::sleep(POLL.min(Duration::from_millis(5 + names.len() as u64 / 100)));
        }
        progress(done.load(Ordering::Relaxed), names.len());
        let mut results = Vec::with_capacity(names.len());
        for worker in workers {
            results.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(results)
    })
}

/// Pairs of things that were there and could not be used: one line of the log, however many they are.
#[derive(Default)]
struct Unfit {
    count: AtomicUsize,
    example: OnceLock<String>,
}

impl Unfit {
    fn add(&self, name: &ThingName, why: String) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.example.get_or_init(|| format!("{name}: {why}"));
    }

    fn tell(&self) {
        if let Some(example) = self.example.get() {
            tracing::warn!(things = self.count.load(Ordering::Relaxed), %example, "certificates of things are not usable: they are made again");
        }
    }
}

fn listing(dir: &Path) -> Result<BTreeSet<String>, PkiError> {
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<_>>();
    read().map_err(|source| PkiError::File { doing: "list", path: dir.into(), source })
}

/// A leaf certificate with its key as the maker of certificates wants it.
fn read_pair_of(cert: &Path, key: &Path) -> Result<(CertificateDer<'static>, rcgen::KeyPair), PkiError> {
    let Pair { mut chain, key: der } = files::read_pair(cert, key)?;
    let pair = rcgen::KeyPair::try_from(&der).map_err(|error| PkiError::Broken { path: key.into(), why: error.to_string() })?;
    Ok((chain.swap_remove(0), pair))
}

/// A bar on stderr for a work that takes long enough to be noticed; nothing when there is no terminal, or little to do.
#[must_use]
pub fn progress_bar(total: usize, what: &'static str) -> indicatif::ProgressBar {
    /// Fewer are made before anybody looks.
    const NOTICED_FROM: usize = 500;
    if total < NOTICED_FROM {
        return indicatif::ProgressBar::hidden();
    }
    let style =
        indicatif::ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} ({eta} left)").expect("the template is well formed");
    indicatif::ProgressBar::new(total as u64).with_style(style).with_message(what)
}
