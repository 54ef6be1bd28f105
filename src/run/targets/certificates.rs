//! The certificates of the things, where they are somebody's files: all read, and found fit, before the first connection.

use super::super::ui::Ui;
use super::control::ControlPlane;
use super::{Faults, Target, TargetError, off_thread};
use crate::roster::Roster;
use crate::scenario::plan::{CertificatesPlan, FleetList, Plan, RemotePlan};
use crate::slice::Slice;
use dev_pki::bundle::Bundle;
use dev_pki::given;
use host::tls::{self, PairError};
use iot_jobs::ThingName;
use iot_jobs::wire::signature::SignerKey;
use rustls::RootCertStore;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thing_transport::credentials::Credentials;
use thing_transport::endpoint::Endpoint;

/// What all files gave.
pub(super) struct Files {
    pub roots: RootCertStore,
    /// Of each thing, by place; of none that signs.
    pub credentials: Vec<Option<Credentials>>,
    /// Whose signatures of files count.
    pub signer: Option<SignerKey>,
}

impl Files {
    /// A target of somebody else's.
    ///
    /// # Errors
    /// When the provider lacks what TLS needs.
    pub(super) fn into_target(self, endpoints: Vec<Endpoint>, control: Option<ControlPlane>) -> Result<Target, rustls::Error> {
        let tls = Arc::new(tls::client_config(self.roots, None)?);
        Ok(Target {
            endpoints,
            tls,
            credentials: self.credentials,
            expired: BTreeMap::new(),
            signer: self.signer,
            control,
            local: None,
        })
    }
}

/// Which files a fleet wants.
pub(super) struct Wanted {
    ca: Option<PathBuf>,
    signer: Option<PathBuf>,
    certificates: CertificatesPlan,
    /// The folder of a CA that makes them, in place of all else.
    issuer: Option<PathBuf>,
    list: Option<FleetList>,
    things: Arc<[ThingName]>,
    /// Whether the thing at that place shows a certificate.
    shows: Vec<bool>,
    first_index: u64,
}

impl Wanted {
    /// Those of the things of a slice; `given` is a packed file, or the folder of a CA, in place of what the scenario says.
    pub(super) fn new(plan: &Plan, remote: &RemotePlan, roster: &Roster, slice: Slice, given: Option<&Path>) -> Self {
        let shows = roster.shows_certificate(plan).into_iter().zip(0..);
        let issuer = given.filter(|given| given.is_dir()).map(Path::to_owned);
        let bundle = given.filter(|_| issuer.is_none()).map(|given| CertificatesPlan::Bundle(given.display().to_string()));
        let certificates = match bundle.unwrap_or_else(|| remote.certificates.clone()) {
            CertificatesPlan::Bundle(path) if slice.count() > 1 => {
                CertificatesPlan::Bundle(path.replace("{slice}", &slice.index().to_string()))
            }
            certificates => certificates,
        };
        Self {
            ca: remote.ca.as_ref().map(PathBuf::from),
            signer: remote.signer.as_ref().map(PathBuf::from),
            certificates,
            issuer,
            list: plan.fleet.list.clone(),
            things: Arc::clone(roster.names()),
            shows: shows.map(|(shows, place)| shows && slice.has(place)).collect(),
            first_index: plan.fleet.first_index,
        }
    }

    /// Certificate and key of the thing at `position`.
    fn paths(&self, position: usize) -> (PathBuf, PathBuf) {
        let index = (self.first_index + position as u64).to_string();
        let path = |template: &str| template.replace("{thing}", self.things[position].as_str()).replace("{index}", &index).into();
        match (&self.certificates, &self.list) {
            (CertificatesPlan::Files { cert, key }, _) => (path(cert), path(key)),
            (_, Some(list)) => {
                let files = list.things[position].files.as_ref().expect("a list with files has them in every row");
                (files.cert.clone(), files.key.clone())
            }
            _ => unreachable!("certificates are in files, in a bundle or in the list"),
        }
    }
}

/// Reads them off this thread: a wish to stop is heard meanwhile.
///
/// # Errors
/// With everything that is wrong, `faults` included.
pub(super) async fn load(wanted: Wanted, mut faults: Faults, ui: &Ui) -> Result<Files, TargetError> {
    let progress = ui.progress("certificates read", wanted.things.len());
    off_thread(move || {
        let files = read(&wanted, &mut faults, &mut |done| progress.set(done));
        progress.finish();
        faults.into_result().map(|()| files)
    })
    .await
}

/// What can be read of it; `faults` has the rest.
pub(super) fn read(wanted: &Wanted, faults: &mut Faults, progress: &mut dyn FnMut(usize)) -> Files {
    let roots = match &wanted.ca {
        None => Ok(tls::amazon_roots()),
        Some(path) => given::certificates(path)
            .and_then(|ca| tls::roots(ca).map_err(|error| format!("{}: it is no certificate of a CA: {error}", path.display()))),
    };
    let roots = roots.unwrap_or_else(|fault| {
        faults.add(fault);
        RootCertStore::empty()
    });
    let credentials = match &wanted.certificates {
        _ if wanted.issuer.is_some() => issued(wanted, faults, progress),
        CertificatesPlan::None => vec![None; wanted.things.len()],
        CertificatesPlan::Bundle(path) => of_bundle(Path::new(path), wanted, faults, progress),
        CertificatesPlan::Files { .. } | CertificatesPlan::Listed => of_files(wanted, faults, progress),
    };
    let signer = wanted
        .signer
        .as_ref()
        .and_then(|path| signer_key(path).map_err(|why| faults.add(format!("{}: {why}", path.display()))).ok());
    Files { roots, credentials, signer }
}

fn signer_key(path: &Path) -> Result<SignerKey, String> {
    dev_pki::signer_key(&std::fs::read(path).map_err(|error| error.to_string())?)
}

/// Files that things share are read once.
fn of_files(wanted: &Wanted, faults: &mut Faults, progress: &mut dyn FnMut(usize)) -> Vec<Option<Credentials>> {
    let mut loaded: HashMap<(PathBuf, PathBuf), Option<Credentials>> = HashMap::new();
    let mut credentials = Vec::with_capacity(wanted.things.len());
    for (position, shows) in wanted.shows.iter().enumerate() {
        if !shows {
            credentials.push(None);
            continue;
        }
        let found = loaded.entry(wanted.paths(position)).or_insert_with_key(|(cert, key)| {
            let told = |why: PairError| match why {
                PairError::Certificate(_) => format!("{}: {why}", cert.display()),
                PairError::Key | PairError::Mismatch => format!("{} (for {}): {why}", key.display(), cert.display()),
            };
            let fit = given::pair(cert, key).and_then(|pair| Credentials::new(pair.chain, pair.key).map_err(told));
            fit.map_err(|fault| faults.add(fault)).ok()
        });
        credentials.push(found.clone());
        progress(position + 1);
    }
    credentials
}

fn issued(wanted: &Wanted, faults: &mut Faults, progress: &mut dyn FnMut(usize)) -> Vec<Option<Credentials>> {
    let Some(issuer) = &wanted.issuer else { return Vec::new() };
    let shown: Vec<ThingName> =
        wanted.things.iter().zip(&wanted.shows).filter(|(_, shows)| **shows).map(|(thing, _)| thing.clone()).collect();
    let pairs = dev_pki::issue_things(issuer, &shown, progress).unwrap_or_else(|error| {
        faults.add(error);
        Vec::new()
    });
    let mut pairs = pairs.into_iter();
    let mut of_thing = |shows: &bool| {
        let pair = if *shows { pairs.next() } else { None }?;
        Credentials::new(pair.chain, pair.key).map_err(|why| faults.add(format!("{}: {why}", issuer.display()))).ok()
    };
    wanted.shows.iter().map(&mut of_thing).collect()
}

fn of_bundle(path: &Path, wanted: &Wanted, faults: &mut Faults, progress: &mut dyn FnMut(usize)) -> Vec<Option<Credentials>> {
    let bundle = match Bundle::read(path) {
        Ok(bundle) => bundle,
        Err(error) => {
            faults.add(error);
            return Vec::new();
        }
    };
    let mut credentials = Vec::with_capacity(wanted.things.len());
    for (n, (thing, shows)) in wanted.things.iter().zip(&wanted.shows).enumerate() {
        let mut of_thing = || {
            let pem = bundle.get(thing).ok_or_else(|| "it is not in the bundle".to_owned());
            let fit =
                pem.and_then(given::pair_of).and_then(|pair| Credentials::new(pair.chain, pair.key).map_err(|why| why.to_string()));
            fit.map_err(|why| faults.add(format!("{}: {thing}: {why}", path.display()))).ok()
        };
        credentials.push(if *shows { of_thing() } else { None });
        progress(n + 1);
    }
    credentials
}
