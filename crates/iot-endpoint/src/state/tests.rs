use super::*;
use iot_jobs::GroupName;
use rand::RngExt as _;
use std::os::unix::fs::FileExt as _;

fn member(thing: u32) -> RecordKey {
    RecordKey::Member(GroupName::new("all").unwrap(), thing)
}

fn placed(n: u32) -> Change {
    Change::Engine(member(n), Some(Record::Member { place: n.into() }))
}

/// What a start reads.
fn reopened(path: &Path) -> Result<BTreeMap<RecordKey, Record>, StateError> {
    Opened::open(path)?.read(Table::Engine)
}

/// A state with records and removals, closed in good order.
fn written(path: &Path) {
    let state = Opened::open(path).unwrap().start(&Failures::default()).unwrap();
    for n in 0..40 {
        state.write(vec![placed(n), Change::Engine(member(n / 2), None)]);
    }
    state.close();
}

#[tokio::test]
async fn what_was_committed_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let state = Opened::open(&path).unwrap().start(&Failures::default()).unwrap();
    assert!(state.committed().await, "nothing is a commit of its own");
    for n in 0..1_000u32 {
        let record = (n < 995).then_some(Record::Member { place: n.into() });
        state.write(vec![Change::Engine(member(n % 10), record)]);
    }
    assert!(state.committed().await);
    state.close();
    let expected = (0..5).map(|n| (member(n), Record::Member { place: 990 + u64::from(n) })).collect();
    assert_eq!(reopened(&path).unwrap(), expected);
}

#[test]
fn what_cannot_be_a_state_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let refusal = |path: &Path| reopened(path).unwrap_err().to_string();
    for foreign in ["not a store", "redb, or whatever an earlier version wrote, which is longer than a header"] {
        std::fs::write(&path, foreign).unwrap();
        let error = refusal(&path);
        assert!(
            error.starts_with("open the state") && error.contains("state:") && error.contains("no state of this version"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign, "it is left as it was");
    }
    assert!(refusal(dir.path()).starts_with("open the state"));
    assert!(refusal(Path::new("/dev/null")).contains("no regular file"));
    std::fs::remove_file(&path).unwrap();
    let opened = Opened::open(&path).unwrap();
    assert!(refusal(&path).contains("another process has it open"));
    let state = opened.start(&Failures::default()).unwrap();
    state.write(vec![Change::Engine(RecordKey::Events, Some(Record::Group))]);
    state.close();
    let error = Opened::open(&path).unwrap().read::<RecordKey, u32>(Table::Engine).unwrap_err().to_string();
    assert!(error.contains("of another version"), "{error}");
}

/// Every byte of a file that was closed in good order counts: changed in whatever way, it is refused.
#[test]
fn a_file_that_was_damaged_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    written(&good);
    let whole = std::fs::read(&good).unwrap();
    let mut rng = rand::rng();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= rng.random_range(1..=255u8);
        std::fs::write(&bad, &bytes).unwrap();
        assert!(matches!(reopened(&bad), Err(StateError::Unusable { .. })), "byte {at}");
        std::fs::write(&bad, &whole[..at]).unwrap();
        assert!(at == 0 || matches!(reopened(&bad), Err(StateError::Unusable { .. })), "cut at {at}");
    }
    for round in 0..500 {
        let mut bytes = whole.clone();
        let at = rng.random_range(0..bytes.len());
        let until = rng.random_range(at..bytes.len());
        match round % 3 {
            0 => bytes[at..=until].fill(rng.random()),
            1 => drop(bytes.drain(at..=until)),
            _ => bytes[at..=until].iter_mut().for_each(|byte| *byte = rng.random()),
        }
        if bytes != whole && !bytes.is_empty() {
            std::fs::write(&bad, &bytes).unwrap();
            assert!(matches!(reopened(&bad), Err(StateError::Unusable { .. })), "bytes {at} to {until}, in the way {}", round % 3);
        }
    }
    std::fs::write(&bad, &whole).unwrap();
    assert_eq!(reopened(&bad).unwrap(), reopened(&good).unwrap());
}

/// What a process that was killed had begun behind its last commit is no damage.
#[test]
fn what_was_begun_and_not_finished_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    written(&path);
    let expected = reopened(&path).unwrap();
    let length = path.metadata().unwrap().len();
    for garbage in [&b"\x01"[..], &[0; 4_096], &[0xff; 40]] {
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(garbage, length).unwrap();
        drop(file);
        assert_eq!(reopened(&path).unwrap(), expected);
        assert_eq!(path.metadata().unwrap().len(), length);
    }
}

#[test]
fn a_compacted_file_has_what_counts_and_the_commits_since() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let (mut log, _) = Log::open(open_locked(&path).unwrap()).unwrap();
    let commit = |n: u32| {
        let mut commit = Commit::default();
        placed(n).put(&mut commit).unwrap();
        Change::Engine(member(n.wrapping_sub(1)), None).put(&mut commit).unwrap();
        commit
    };
    (0..200).for_each(|n| log.append(&commit(n)).unwrap());
    let before = log.end();
    let compaction = Compaction::start(&path, &log).unwrap();
    log.append(&commit(200)).unwrap();
    compaction.finish(&path, &mut log).unwrap();
    log.append(&commit(201)).unwrap();
    assert!(log.end() < before / 10, "{} of {before} bytes", log.end());
    assert!(reopened(&path).unwrap_err().to_string().contains("another process has it open"), "the lock goes with the file");
    drop(log);
    assert_eq!(reopened(&path).unwrap(), BTreeMap::from([(member(201), Record::Member { place: 201 })]));
    assert!(!compaction::aside(&path).exists());
    assert!(compaction::is_due(65 << 20, 1 << 20) && !compaction::is_due(65 << 20, 32 << 20) && !compaction::is_due(1 << 20, 1));
}
