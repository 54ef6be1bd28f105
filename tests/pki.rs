//! The certificate store on a real disk: made, used again, and mended when something is wrong with it.

use dev_pki::{Made, Store, StoreSpec};
use iot_jobs::ThingName;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn names(count: usize) -> Vec<ThingName> {
    (0..count).map(|i| ThingName::new(&format!("t-{i}")).unwrap()).collect()
}

fn ensure(dir: &Path, count: usize) -> (Store, Made) {
    Store::ensure(dir, &StoreSpec { things: names(count), server_names: vec![] }, &mut |_, _| {}).unwrap()
}

fn bytes(dir: &Path, file: &str) -> Vec<u8> {
    fs::read(dir.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn a_store_is_made_once_and_then_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, made) = ensure(dir.path(), 5);
    assert_eq!(made, Made { reused: 0, issued: 5 });
    let files = [
        "ca.cert.pem",
        "ca.key.pem",
        "server.cert.pem",
        "server.key.pem",
        "aws-credentials",
        "things/t-3.cert.pem",
        "things/t-3.key.pem",
    ];
    let before = files.map(|file| bytes(dir.path(), file));
    let (again, made) = ensure(dir.path(), 7);
    assert_eq!(made, Made { reused: 5, issued: 2 });
    assert_eq!(before, files.map(|file| bytes(dir.path(), file)));
    assert_eq!(store.credentials(), again.credentials());
    assert_eq!(store.ca_cert(), again.ca_cert());
    let opened = Store::open(dir.path()).unwrap();
    assert_eq!((opened.credentials(), opened.ca_cert()), (store.credentials(), store.ca_cert()));
    assert_eq!(opened.thing(&names(1)[0]).unwrap().chain, store.thing(&names(1)[0]).unwrap().chain);
    fs::write(dir.path().join("aws-credentials"), "[other]").unwrap();
    let told = Store::open(dir.path()).unwrap_err().to_string();
    assert!(told.contains("aws-credentials: it has no credentials of profile [default]"), "{told}");
    assert!(Store::open(&dir.path().join("things")).unwrap_err().to_string().contains("ca.cert.pem"));
}

#[test]
fn private_keys_are_private() {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), 1);
    for file in ["ca.key.pem", "server.key.pem", "aws-credentials", "things/t-0.key.pem"] {
        assert_eq!(fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

/// A disk that was full, or a kill, in the middle of a file.
#[test]
fn what_was_begun_and_not_finished_is_not_left() {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), 1);
    let left = ["ca.key.part", "things/t-0.key.part", "things/t-9.cert.part"];
    left.iter().for_each(|file| fs::write(dir.path().join(file), "half").unwrap());
    ensure(dir.path(), 1);
    assert!(left.iter().all(|file| !dir.path().join(file).exists()));
    // A file whose place is taken by a folder can be written aside, and no further.
    fs::remove_file(dir.path().join("things/t-0.cert.pem")).unwrap();
    fs::create_dir(dir.path().join("things/t-0.cert.pem")).unwrap();
    let spec = StoreSpec { things: names(1), server_names: vec![] };
    let error = Store::ensure(dir.path(), &spec, &mut |_, _| {}).unwrap_err().to_string();
    assert!(error.starts_with("write") && error.contains("t-0.cert.pem"), "{error}");
    let parts = fs::read_dir(dir.path().join("things"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "part"));
    assert_eq!(parts.count(), 0);
}

#[test]
fn progress_reaches_the_total() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    Store::ensure(dir.path(), &StoreSpec { things: names(20), server_names: vec![] }, &mut |done, total| seen.push((done, total)))
        .unwrap();
    assert_eq!(seen.last(), Some(&(20, 20)));
    assert!(seen.is_sorted());
}

/// Spoils a store of three things, and says how many certificates of things are issued anew.
fn reissued(spoil: impl FnOnce(&Path)) -> usize {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), 3);
    spoil(dir.path());
    let (store, made) = ensure(dir.path(), 3);
    for name in names(3) {
        let pair = store.thing(&name).unwrap();
        thing_transport::credentials::Credentials::new(pair.chain, pair.key).expect("key and certificate belong together");
    }
    assert_eq!(ensure(dir.path(), 3).1.issued, 0, "after mending it is fit");
    made.issued
}

#[test]
fn what_is_broken_about_one_thing_is_mended_for_that_thing() {
    let cut = |file: &'static str| {
        move |dir: &Path| {
            let whole = bytes(dir, file);
            fs::write(dir.join(file), &whole[..whole.len() / 2]).unwrap();
        }
    };
    assert_eq!(reissued(|_| {}), 0);
    assert_eq!(reissued(cut("things/t-1.cert.pem")), 1);
    assert_eq!(reissued(cut("things/t-1.key.pem")), 1);
    assert_eq!(reissued(|dir| fs::remove_file(dir.join("things/t-1.key.pem")).unwrap()), 1);
    assert_eq!(reissued(|dir| fs::write(dir.join("things/t-1.cert.pem"), "").unwrap()), 1);
    assert_eq!(reissued(|dir| fs::rename(dir.join("things/t-2.key.pem"), dir.join("things/t-1.key.pem")).unwrap()), 2);
    let swap_certificates = |dir: &Path| {
        for kind in ["cert", "key"] {
            fs::copy(dir.join(format!("things/t-2.{kind}.pem")), dir.join(format!("things/t-1.{kind}.pem"))).unwrap();
        }
    };
    assert_eq!(reissued(swap_certificates), 1, "a fit pair of another thing");
}

#[test]
fn another_ca_makes_everything_anew() {
    assert_eq!(reissued(|dir| fs::remove_file(dir.join("ca.key.pem")).unwrap()), 3);
    assert_eq!(reissued(|dir| fs::write(dir.join("ca.cert.pem"), "garbage").unwrap()), 3);
    let foreign = |dir: &Path| {
        let other = tempfile::tempdir().unwrap();
        ensure(other.path(), 0);
        for file in ["ca.cert.pem", "ca.key.pem"] {
            fs::copy(other.path().join(file), dir.join(file)).unwrap();
        }
    };
    assert_eq!(reissued(foreign), 3);
}

#[test]
fn the_server_gets_a_certificate_with_every_name_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), 0);
    let before = bytes(dir.path(), "server.cert.pem");
    let spec = StoreSpec { things: vec![], server_names: vec!["10.1.2.3".into(), "iot.example".into()] };
    Store::ensure(dir.path(), &spec, &mut |_, _| {}).unwrap();
    let named = bytes(dir.path(), "server.cert.pem");
    assert_ne!(before, named);
    ensure(dir.path(), 0);
    assert_eq!(named, bytes(dir.path(), "server.cert.pem"), "more names than needed are fine");
}

#[test]
fn what_is_not_ours_stays() {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), 1);
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    fs::write(dir.path().join("things/other.cert.pem"), "mine").unwrap();
    fs::remove_file(dir.path().join("ca.key.pem")).unwrap();
    ensure(dir.path(), 1);
    assert_eq!(bytes(dir.path(), "notes.txt"), b"mine");
    assert_eq!(bytes(dir.path(), "things/other.cert.pem"), b"mine");
}

#[test]
fn two_makers_at_once_end_with_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let made: Vec<Made> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..3).map(|_| scope.spawn(|| ensure(dir.path(), 30).1)).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert_eq!(made.iter().map(|made| made.issued).sum::<usize>(), 30);
}
