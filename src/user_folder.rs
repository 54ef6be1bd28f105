//! What is kept in the working folder, and where that cannot be written in the user's data folder (XDG Base Directory Specification).

use host::environment::variable;
use rustix::fs::{Access, access};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// In the user's data folder.
const PROGRAM: &str = "fleetsim";

/// `here`, a path below the working folder, where it can be made and written; else the same path in the user's data folder. `flags` says
/// how to name another folder.
///
/// # Errors
/// Why there is none, for people.
pub(crate) fn here_or_users(here: &Path, flags: &str) -> Result<PathBuf, String> {
    choose(here, data_home().as_deref(), flags)
}

fn choose(here: &Path, data_home: Option<&Path>, flags: &str) -> Result<PathBuf, String> {
    match (why_not_written(here), data_home) {
        (None, _) => Ok(here.to_owned()),
        (Some(_), Some(data_home)) => Ok(data_home.join(PROGRAM).join(here)),
        (Some(why), None) => Err(format!(
            "{} cannot be written ({why}), and neither XDG_DATA_HOME nor HOME is set; name a folder with {flags}",
            here.display()
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
    fn the_working_folder_comes_before_the_users_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (here, home) = (dir.path().join("certs/x"), dir.path().join("home"));
        assert_eq!(choose(&here, Some(&home), "--certs").unwrap(), here);
        // Nobody makes folders in /proc, not even root.
        let nowhere = Path::new("../../../../../../../../../../proc/self/certs");
        assert_eq!(choose(nowhere, Some(&home), "--certs").unwrap(), home.join("fleetsim").join(nowhere));
        let why = choose(nowhere, None, "--certs").unwrap_err();
        assert!(why.contains("/proc/self/certs cannot be written") && why.contains("--certs"), "{why}");
        fs::write(dir.path().join("file"), "in the way").unwrap();
        let here = dir.path().join("file/x");
        assert_eq!(choose(&here, Some(&home), "--certs").unwrap(), here, "that is told as it is");
    }
}
