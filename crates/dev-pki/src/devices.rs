//! Keys and certificates of devices in a folder, by a CA of its own: for a registry that takes certificates of any CA.
//!
//! ```text
//! DIR/ca.cert.pem  ca.key.pem  things/<thing>.cert.pem  things/<thing>.key.pem
//! ```

use super::files::{self, Access, Lock};
use super::issue::Authority;
use super::{LOCK_TIMEOUT, Made, Pair, PkiError, cert_path, ensure_things, key_path};
use iot_jobs::ThingName;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Makes what is missing or unfit, keeps what is fit; all of it is on disk afterwards. `progress` is told (done, total).
///
/// # Errors
/// When the folder cannot be read or written, or another maker holds it for too long.
pub fn ensure_devices(dir: &Path, things: &[ThingName], progress: &mut dyn FnMut(usize, usize)) -> Result<Made, PkiError> {
    issue_with(Authority::ensure, dir, things, progress)
}

/// The same with the CA that is there, which is never made anew.
///
/// # Errors
/// When there is no CA that can be used, the folder cannot be read or written, or another maker holds it for too long.
pub fn issue_devices(dir: &Path, things: &[ThingName], progress: &mut dyn FnMut(usize, usize)) -> Result<Made, PkiError> {
    issue_with(Authority::open, dir, things, progress)
}

/// Makes a CA in the folder, and the folder; whether it did: a CA that is there is kept.
///
/// # Errors
/// When the folder cannot be written, what is there is no CA that can be used, or another maker holds the folder for too long.
pub fn ensure_ca(dir: &Path) -> Result<bool, PkiError> {
    fs::create_dir_all(dir).map_err(|source| PkiError::File { doing: "make the folder", path: dir.into(), source })?;
    let _lock = Lock::acquire(&dir.join(".lock"), LOCK_TIMEOUT)?;
    files::sweep(dir);
    // Whoever has a CA may have certificates of it elsewhere: it is not replaced.
    if ["ca.cert.pem", "ca.key.pem"].iter().any(|file| dir.join(file).exists()) {
        return Authority::open(dir).map(|_| false);
    }
    Authority::ensure(dir)?;
    sync(dir)?;
    Ok(true)
}

fn issue_with(
    authority: fn(&Path) -> Result<Authority, PkiError>,
    dir: &Path,
    things: &[ThingName],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Made, PkiError> {
    let folder = make(dir)?;
    let _lock = Lock::acquire(&dir.join(".lock"), LOCK_TIMEOUT)?;
    files::sweep(dir);
    files::sweep(&folder);
    let made = ensure_things(&folder, &authority(dir)?, things, progress)?;
    sync(dir)?;
    Ok(made)
}

/// Certificates by the CA that is in `dir` (`ca.cert.pem`, `ca.key.pem`), each with a key of its own, in the order of the things; nothing
/// is written. `progress` is told how many there are.
///
/// # Errors
/// When there is no CA, or it cannot be used.
pub fn issue_things(dir: &Path, things: &[ThingName], progress: &mut dyn FnMut(usize)) -> Result<Vec<Pair>, PkiError> {
    let authority = Authority::open(dir)?;
    let mut pairs = Vec::with_capacity(things.len());
    for thing in things {
        pairs.push(authority.issue_pair(thing)?);
        progress(pairs.len());
    }
    Ok(pairs)
}

/// Certificate and key of a device.
#[must_use]
pub fn device_paths(dir: &Path, thing: &ThingName) -> (PathBuf, PathBuf) {
    let folder = dir.join("things");
    (cert_path(&folder, thing), key_path(&folder, thing))
}

/// Keeps a pair that somebody else made; it is on disk afterwards.
///
/// # Errors
/// When it cannot be written.
pub fn keep_device(dir: &Path, thing: &ThingName, cert_pem: &str, key_pem: &str) -> Result<(), PkiError> {
    make(dir)?;
    let (cert, key) = device_paths(dir, thing);
    files::write(&key, key_pem, Access::Private)?;
    files::write(&cert, cert_pem, Access::Public)?;
    sync(dir)
}

fn make(dir: &Path) -> Result<PathBuf, PkiError> {
    let folder = dir.join("things");
    fs::create_dir_all(&folder).map_err(|source| PkiError::File { doing: "make the folder", path: folder.clone(), source })?;
    Ok(folder)
}

/// One call for all files that were written, however many.
fn sync(dir: &Path) -> Result<(), PkiError> {
    let synced = File::open(dir).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
    synced.map_err(|source| PkiError::File { doing: "sync", path: dir.into(), source })
}

#[cfg(test)]
mod tests {
    use super::super::given;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_ca_is_kept_and_what_is_no_ca_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let things = [ThingName::new("a").unwrap()];
        let issue = || issue_devices(dir, &things, &mut |_, _| {}).map_err(|error| error.to_string());
        assert!(issue().unwrap_err().contains("ca.cert.pem"));
        assert!(ensure_ca(dir).unwrap());
        let ca = fs::read_to_string(dir.join("ca.cert.pem")).unwrap();
        assert_eq!(issue().unwrap(), Made { issued: 1, reused: 0 });
        assert!(!ensure_ca(dir).unwrap(), "there is one");
        assert_eq!(fs::read_to_string(dir.join("ca.cert.pem")).unwrap(), ca);
        assert_eq!(issue().unwrap(), Made { issued: 0, reused: 1 });
        fs::write(dir.join("ca.key.pem"), "none").unwrap();
        assert!(ensure_ca(dir).unwrap_err().to_string().contains("ca.cert.pem"));
        assert_eq!(fs::read_to_string(dir.join("ca.key.pem")).unwrap(), "none", "nothing is replaced");
    }

    #[test]
    fn certificates_of_a_ca_that_is_there_need_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let things = ["a", "b"].map(|name| ThingName::new(name).unwrap());
        assert!(issue_things(dir.path(), &things, &mut |_| {}).unwrap_err().to_string().contains("ca.cert.pem"));
        assert!(!dir.path().join("ca.cert.pem").exists(), "no CA is made by the way");
        ensure_devices(dir.path(), &[], &mut |_, _| {}).unwrap();
        let pairs = issue_things(dir.path(), &things, &mut |_| {}).unwrap();
        let (first, ca) = (&pairs[0], fs::read(dir.path().join("ca.cert.pem")).unwrap());
        assert!(pairs.len() == 2 && host::tls::certified_key(first.chain.clone(), first.key.clone_key()).is_ok());
        assert_eq!(
            (fs::read(dir.path().join("ca.cert.pem")).unwrap(), fs::read_dir(dir.path().join("things")).unwrap().count()),
            (ca, 0)
        );
    }

    #[test]
    fn pairs_are_made_once_and_keys_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let things = ["a", "b"].map(|name| ThingName::new(name).unwrap());
        let made = ensure_devices(dir.path(), &things, &mut |_, _| {}).unwrap();
        assert_eq!((made.issued, made.reused), (2, 0));
        let (cert, key) = device_paths(dir.path(), &things[0]);
        let pem = fs::read_to_string(&cert).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(ensure_devices(dir.path(), &things, &mut |_, _| {}).unwrap().reused, 2);
        assert_eq!(fs::read_to_string(&cert).unwrap(), pem);
        let other = ThingName::new("c").unwrap();
        keep_device(dir.path(), &other, &pem, &fs::read_to_string(&key).unwrap()).unwrap();
        let (cert, key) = device_paths(dir.path(), &other);
        assert_eq!(given::certificates(&cert).unwrap().len(), 1);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
