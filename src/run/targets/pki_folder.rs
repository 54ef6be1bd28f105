//! Where the certificates of local endpoints are kept from one run to the next.

use host::environment::variable;
use rustix::fs::{Access, access};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Beside the scenario, where that folder can be written.
const CERTS: &str = "certs";
/// In the user's data folder (XDG Base Directory Specification).
const USER_CERTS: &str = "fleetsim/certs";

/// The folder of the scenario `name`: below `said`, else below `certs/` where that can be written, else in the user's data folder.
///
/// # Errors
/// Why there is none, for people.
pub(super) fn pki_folder(said: Option<&Path>, name: &str) -> Result<PathBuf, String> {
    match said {
        Some(said) => Ok(said.join(name)),
        None => choose(Path::new(CERTS), data_home().as_deref(), name),
    }
}

fn choose(here: &Path, data_home: Option<&Path>, name: &str) -> Result<PathBuf, String> {
    let folder = here.join(name);
    match (why_not_written(&folder), data_home) {
        (None, _) => Ok(folder),
        (Some(_), Some(data_home)) => Ok(data_home.join(USER_CERTS).join(name)),
        (Some(why), None) => Err(format!(
            "{} cannot be written ({why}), and neither XDG_DATA_HOME nor HOME is set; name a folder with --certs or FLEETSIM_CERTS",
            folder.display()
        )),
    }
}

/// What keeps this user from writing there. Whatever else is wrong with the folder is told by who uses it.
fn why_not_written(folder: &Path) -> Option<std::io::Error> {
    let is_refusal = |error: &std::io::Error| {
        // A folder of /proc is not found when it is to be made.
        matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound)
    };
    let written = fs::create_dir_all(folder).and_then(|()| Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?));
    written.err().filter(is_refusal)
}

fn data_home() -> Option<PathBuf> {
    // The specification wants relative paths ignored.
    let said = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    said.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/share")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_directory_comes_before_the_users_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (here, home) = (dir.path().join("certs"), dir.path().join("home"));
        assert_eq!(choose(&here, Some(&home), "x").unwrap(), here.join("x"));
        // Nobody makes folders there, not even root.
        let nowhere = Path::new("/proc/self/certs");
        assert_eq!(choose(nowhere, Some(&home), "x").unwrap(), home.join("fleetsim/certs/x"));
        let why = choose(nowhere, None, "x").unwrap_err();
        assert!(why.contains("/proc/self/certs/x cannot be written") && why.contains("--certs"), "{why}");
        fs::write(dir.path().join("file"), "in the way").unwrap();
        assert_eq!(choose(&dir.path().join("file"), Some(&home), "x").unwrap(), dir.path().join("file/x"), "that is told as it is");
        assert_eq!(pki_folder(Some(Path::new("/said")), "x").unwrap(), Path::new("/said/x"));
    }
}
