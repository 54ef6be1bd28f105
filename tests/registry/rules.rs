//! The rules, in virtual time (PROTOCOL 14; errors as in botocore's `iot/2015-05-28` model).

use iot_jobs::instant::{Mono, Now};
use iot_jobs::{GroupName, ThingName};
use jobs_engine::registry::{
    AttributePayload, CertificateId, CertificateMode, CertificateStatus, ErrorKind, GroupProperties, Key, NewCertificate, Pem,
    PolicyName, PolicyTarget, Record, Registry, RegistryError, ResourceId, ThingSpec, TypeName, TypeProperties, UpdateThing,
};
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Now {
    Now { mono: Mono(0), epoch_ms: 1_772_000_000_000 + seconds * 1000 }
}

fn registry() -> Registry {
    let mut registry = Registry::new(MINUTE);
    for name in ["a", "b"] {
        registry.create_thing(&thing(name), ThingSpec::default(), id(1)).unwrap();
    }
    registry
}

fn id(n: u128) -> ResourceId {
    ResourceId::from_random(n)
}

fn thing(name: &str) -> ThingName {
    ThingName::new(name).unwrap()
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn policy(name: &str) -> PolicyName {
    PolicyName::new(name).unwrap()
}

fn payload(pairs: &[(&str, &str)], merge: bool) -> AttributePayload {
    AttributePayload { attributes: pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(), merge }
}

fn kind<T>(result: Result<T, RegistryError>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

const CERTIFICATE: CertificateId = CertificateId([7; 32]);

fn with_certificate(registry: &mut Registry, status: CertificateStatus) {
    let new = NewCertificate {
        id: CERTIFICATE,
        pem: Pem::Text("pem".into()),
        status,
        mode: CertificateMode::Default,
        not_before_ms: 0,
        not_after_ms: i64::MAX,
    };
    registry.add_certificate(new, at(0)).unwrap();
}

#[test]
fn a_thing_is_created_again_only_as_it_is() {
    let mut registry = registry();
    let spec = |attributes| ThingSpec { thing_type: None, attributes };
    let first = registry.create_thing(&thing("t"), spec(payload(&[("k", "v")], false)), id(5)).unwrap();
    assert_eq!(registry.create_thing(&thing("t"), spec(payload(&[("k", "v")], false)), id(6)), Ok(first));
    let error = registry.create_thing(&thing("t"), spec(payload(&[("k", "w")], false)), id(6)).unwrap_err();
    assert_eq!((error.kind, error.resource.unwrap().id), (ErrorKind::ResourceAlreadyExists, first.to_string()));
    assert_eq!(
        kind(registry.create_thing(&thing("u"), spec(payload(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")], false)), id(7))),
        Some(ErrorKind::InvalidRequest),
        "four attributes without a type"
    );
    for (name, value) in [("a b", "v"), ("", "v"), ("k", "a b"), ("k", &*"x".repeat(801))] {
        assert_eq!(
            kind(registry.create_thing(&thing("u"), spec(payload(&[(name, value)], false)), id(7))),
            Some(ErrorKind::InvalidRequest)
        );
    }
}

#[test]
fn an_update_merges_replaces_and_minds_the_version() {
    let mut registry = registry();
    let update =
        |attributes, expected_version| UpdateThing { attributes: Some(attributes), expected_version, ..UpdateThing::default() };
    registry.update_thing(&thing("a"), update(payload(&[("k", "1"), ("l", "2")], false), Some(1))).unwrap();
    registry.update_thing(&thing("a"), update(payload(&[("k", ""), ("m", "3")], true), None)).unwrap();
    let found: Vec<(&str, &str)> = registry.thing(&thing("a")).unwrap().attributes.iter().collect();
    assert_eq!(found, [("l", "2"), ("m", "3")]);
    assert_eq!(kind(registry.update_thing(&thing("a"), update(payload(&[], false), Some(1)))), Some(ErrorKind::VersionConflict));
    assert_eq!(registry.thing(&thing("a")).unwrap().version, 3);
    assert_eq!(kind(registry.update_thing(&thing("none"), UpdateThing::default())), Some(ErrorKind::ResourceNotFound));
    assert_eq!(kind(registry.delete_thing(&thing("a"), Some(2))), Some(ErrorKind::VersionConflict));
    assert_eq!(registry.delete_thing(&thing("a"), Some(3)), Ok(()));
    assert_eq!(registry.delete_thing(&thing("a"), Some(3)), Ok(()), "what does not exist is deleted already");
}

#[test]
fn a_type_is_deprecated_for_five_minutes_and_nobodys_before_it_goes() {
    let mut registry = registry();
    let name = TypeName::new("meter").unwrap();
    registry.create_type(&name, TypeProperties::default(), id(1), at(0)).unwrap();
    let spec = ThingSpec { thing_type: Some(name.clone()), ..ThingSpec::default() };
    registry.create_thing(&thing("t"), spec.clone(), id(2)).unwrap();
    assert_eq!(kind(registry.delete_type(&name, at(9_000))), Some(ErrorKind::InvalidRequest), "not deprecated");
    registry.deprecate_type(&name, false, at(10)).unwrap();
    registry.deprecate_type(&name, false, at(200)).unwrap();
    assert_eq!(kind(registry.create_thing(&thing("u"), spec, id(3))), Some(ErrorKind::InvalidRequest));
    assert_eq!(kind(registry.delete_type(&name, at(309))), Some(ErrorKind::InvalidRequest), "not for five minutes");
    assert_eq!(kind(registry.delete_type(&name, at(310))), Some(ErrorKind::InvalidRequest), "a thing has it");
    registry.update_thing(&thing("t"), UpdateThing { remove_type: true, ..UpdateThing::default() }).unwrap();
    assert_eq!(registry.delete_type(&name, at(310)), Ok(()));
    assert_eq!(kind(registry.delete_type(&name, at(310))), Some(ErrorKind::ResourceNotFound));
}

#[test]
fn a_hierarchy_of_groups_has_seven_levels_and_a_thing_once() {
    let mut registry = registry();
    let mut create = |name: &str, parent: Option<&str>| {
        registry.create_group(&group(name), parent.map(group), GroupProperties::default(), id(1), at(0))
    };
    create("g1", None).unwrap();
    for level in 2..=7 {
        create(&format!("g{level}"), Some(&format!("g{}", level - 1))).unwrap();
    }
    assert_eq!(kind(create("g8", Some("g7"))), Some(ErrorKind::InvalidRequest));
    assert_eq!(kind(create("x", Some("none"))), Some(ErrorKind::InvalidRequest));
    assert_eq!(kind(create("g2", None)), Some(ErrorKind::ResourceAlreadyExists), "another parent");
    create("other", None).unwrap();
    let ancestors: Vec<String> = registry.ancestors(&group("g4")).iter().map(ToString::to_string).collect();
    assert_eq!(ancestors, ["g1", "g2", "g3"]);
    assert_eq!(registry.descendants(&group("g5")).unwrap(), [group("g5"), group("g6"), group("g7")]);
    assert_eq!(kind(registry.check_membership(&thing("a"), &[group("g3")], &group("g6"))), Some(ErrorKind::InvalidRequest));
    assert_eq!(registry.check_membership(&thing("a"), &[group("g3")], &group("other")), Ok(()));
    let ten: Vec<GroupName> = (0..10).map(|n| group(&format!("h{n}"))).collect();
    assert_eq!(kind(registry.check_membership(&thing("a"), &ten, &group("other"))), Some(ErrorKind::InvalidRequest));
    assert_eq!(kind(registry.delete_group(&group("g6"), None)), Some(ErrorKind::InvalidRequest), "it has a child");
    assert_eq!(kind(registry.delete_group(&group("g7"), Some(2))), Some(ErrorKind::VersionConflict));
    assert_eq!(registry.update_group(&group("g7"), GroupProperties::default(), Some(1)), Ok(2));
    assert_eq!(registry.delete_group(&group("g7"), Some(2)), Ok(()));
    assert_eq!(registry.delete_group(&group("g7"), None), Ok(()));
}

#[test]
fn a_certificate_has_standing_while_it_is_active_and_one_thing_can_have_it_for_itself() {
    let mut registry = registry();
    assert!(registry.standing(CERTIFICATE).is_none());
    with_certificate(&mut registry, CertificateStatus::Active);
    assert!(registry.standing(CERTIFICATE).unwrap().unwrap().things.is_empty());
    registry.attach_thing(CERTIFICATE, &thing("a"), false).unwrap();
    registry.attach_thing(CERTIFICATE, &thing("b"), false).unwrap();
    assert!(registry.standing(CERTIFICATE).unwrap().unwrap().things.iter().eq(&[thing("a"), thing("b")]));
    assert_eq!(kind(registry.attach_thing(CERTIFICATE, &thing("a"), true)), Some(ErrorKind::InvalidRequest));
    registry.detach_thing(CERTIFICATE, &thing("b")).unwrap();
    registry.attach_thing(CERTIFICATE, &thing("a"), true).unwrap();
    assert_eq!(kind(registry.attach_thing(CERTIFICATE, &thing("b"), false)), Some(ErrorKind::InvalidRequest));
    for (status, word) in [(CertificateStatus::Inactive, "INACTIVE"), (CertificateStatus::Revoked, "REVOKED")] {
        registry.update_certificate(CERTIFICATE, status, at(1)).unwrap();
        assert!(registry.standing(CERTIFICATE).unwrap().unwrap_err().contains(word));
    }
    assert_eq!(kind(registry.delete_thing(&thing("a"), None)), Some(ErrorKind::InvalidRequest), "it has a principal");
}

#[test]
fn a_certificate_goes_when_it_is_inactive_and_detached_and_stays_refused() {
    let mut registry = registry();
    with_certificate(&mut registry, CertificateStatus::Active);
    registry.attach_thing(CERTIFICATE, &thing("a"), false).unwrap();
    registry.create_policy(&policy("p"), "{}", at(0)).unwrap();
    registry.attach_policy(&policy("p"), &PolicyTarget::Certificate(CERTIFICATE)).unwrap();
    assert_eq!(kind(registry.delete_certificate(CERTIFICATE, true)), Some(ErrorKind::CertificateState));
    registry.update_certificate(CERTIFICATE, CertificateStatus::Inactive, at(1)).unwrap();
    assert_eq!(kind(registry.delete_certificate(CERTIFICATE, true)), Some(ErrorKind::DeleteConflict), "a thing is attached");
    registry.detach_thing(CERTIFICATE, &thing("a")).unwrap();
    assert_eq!(kind(registry.delete_certificate(CERTIFICATE, false)), Some(ErrorKind::DeleteConflict), "a policy is attached");
    assert_eq!(registry.delete_certificate(CERTIFICATE, true), Ok(()));
    assert_eq!(kind(registry.delete_certificate(CERTIFICATE, true)), Some(ErrorKind::ResourceNotFound));
    assert!(registry.standing(CERTIFICATE).unwrap().is_err(), "its common name must not open the door again");
    assert_eq!(registry.delete_policy(&policy("p")), Ok(()), "nothing is attached any more");
}

#[test]
fn a_policy_has_five_versions_and_goes_when_it_is_alone() {
    let mut registry = registry();
    let p = policy("p");
    registry.create_policy(&p, "{}", at(0)).unwrap();
    assert_eq!(kind(registry.create_policy(&p, "{}", at(0))), Some(ErrorKind::ResourceAlreadyExists));
    for version in 2..=5 {
        assert_eq!(registry.create_policy_version(&p, "{}", version == 3, at(1)), Ok(version));
    }
    assert_eq!(kind(registry.create_policy_version(&p, "{}", false, at(1))), Some(ErrorKind::VersionsLimitExceeded));
    assert_eq!(registry.policy(&p).unwrap().default_version, 3);
    assert_eq!(kind(registry.delete_policy_version(&p, 3)), Some(ErrorKind::DeleteConflict));
    assert_eq!(kind(registry.delete_policy(&p)), Some(ErrorKind::DeleteConflict));
    [1, 2, 4, 5].into_iter().for_each(|version| registry.delete_policy_version(&p, version).unwrap());
    assert_eq!(registry.create_policy_version(&p, "{}", false, at(2)), Ok(6), "numbers are not used again");
    registry.delete_policy_version(&p, 6).unwrap();
    with_certificate(&mut registry, CertificateStatus::Active);
    let target = PolicyTarget::Certificate(CERTIFICATE);
    for n in 0..10 {
        registry.create_policy(&policy(&format!("p{n}")), "{}", at(0)).unwrap();
        registry.attach_policy(&policy(&format!("p{n}")), &target).unwrap();
    }
    assert_eq!(kind(registry.attach_policy(&p, &target)), Some(ErrorKind::LimitExceeded));
    assert_eq!(kind(registry.delete_policy(&policy("p0"))), Some(ErrorKind::DeleteConflict), "attached");
    registry.detach_policy(&policy("p0"), &target).unwrap();
    assert_eq!(registry.delete_policy(&policy("p0")), Ok(()));
    assert_eq!(registry.delete_policy(&p), Ok(()));
}

/// What is told as changed is all there is: a registry that was put together from it answers alike.
#[test]
fn a_registry_is_restored_from_what_it_told() {
    let mut registry = registry();
    let mut kept: BTreeMap<Key, Record> = BTreeMap::new();
    let mut keep = |registry: &mut Registry| {
        while let Some((key, record)) = registry.poll_dirty() {
            match record {
                Some(record) => drop(kept.insert(key, record)),
                None => drop(kept.remove(&key)),
            }
        }
        kept.clone()
    };
    keep(&mut registry);
    registry.create_type(&TypeName::new("meter").unwrap(), TypeProperties::default(), id(1), at(0)).unwrap();
    registry.create_group(&group("g"), None, GroupProperties::default(), id(2), at(0)).unwrap();
    registry.create_policy(&policy("p"), "{}", at(0)).unwrap();
    with_certificate(&mut registry, CertificateStatus::Active);
    registry.attach_thing(CERTIFICATE, &thing("a"), false).unwrap();
    registry.attach_policy(&policy("p"), &PolicyTarget::Certificate(CERTIFICATE)).unwrap();
    registry.attach_policy(&policy("p"), &PolicyTarget::Group(group("g"))).unwrap();
    registry.delete_thing(&thing("b"), None).unwrap();
    let kept = keep(&mut registry);
    assert_eq!(kept.len(), 5, "{kept:?}");
    // Through the text that files hold.
    let text = serde_json::to_string(&kept.iter().collect::<Vec<_>>()).unwrap();
    let read: Vec<(Key, Record)> = serde_json::from_str(&text).unwrap();
    let mut restored = Registry::new(MINUTE);
    for (key, record) in read.into_iter().rev() {
        assert!(restored.restore(key, record));
    }
    assert!(restored.standing(CERTIFICATE).unwrap().unwrap().things.contains("a"));
    assert_eq!(restored.thing(&thing("a")), registry.thing(&thing("a")));
    assert_eq!(restored.targets_of(&policy("p")).unwrap().count(), 2);
    assert_eq!(restored.principals_of(&thing("a")).unwrap().count(), 1);
    assert_eq!(kind(restored.thing(&thing("b"))), Some(ErrorKind::ResourceNotFound));
    assert_eq!(restored.poll_dirty(), None, "what was put back is kept already");
    assert!(!restored.restore(Key::Thing(thing("x")), Record::DeletedCertificate));
}
