//! `things_from`: a file names the things.

use crate::bench::{Bench, assert_code, mqtt};

const QUICK: &str = "[end]\nidle = '500ms'\nlimit = '20s'";

fn listed(port: &str, rest: &str) -> String {
    mqtt(port, 1, "", rest).replace("things = 1\nthing_name = 't-{index}'", "things_from = 'fleet/list.csv'")
}

fn path(n: usize, kind: &str) -> String {
    format!("../pki/things/t-{n}.{kind}.pem")
}

#[test]
fn a_file_names_things_certificates_and_cohorts() {
    let bench = Bench::new(4);
    let rows: String =
        (0..4).map(|n| format!("{},t-{n},{},{}\n", path(n, "cert"), path(n, "key"), if n == 2 { "odd" } else { "even" })).collect();
    bench.write("fleet/list.csv", &format!("cert,thing,key,cohort\n{rows}"));
    let serve = bench.serve(&["--things", "4"]);
    let cohorts = format!("[[cohort]]\nname = 'even'\n[[cohort]]\nname = 'odd'\n{QUICK}");
    assert_code(&bench.scenario(&listed(&serve.mqtt_port, &cohorts), &[]), 0);
    assert_eq!(bench.connected(), 4);
    let rows = bench.cells("summary.csv", &["scope", "operation", "ok"]);
    let of = |scope: &str| rows.iter().find(|row| row[0] == scope && row[1] == "connect").map(|row| row[2].clone());
    assert_eq!((of("cohort:even").as_deref(), of("cohort:odd").as_deref()), (Some("3"), Some("1")), "{rows:?}");
    // The resolved scenario is one that means the same.
    let printed = bench.run(&["check", "s.toml", "--print-scenario"]);
    bench.write("printed.toml", &String::from_utf8(printed.stdout).unwrap());
    let again = bench.run(&["check", "printed.toml", "--print-scenario"]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), bench.text("printed.toml"), "{}", assert_code(&again, 0));

    assert_code(&bench.scenario(&listed(&serve.mqtt_port, &cohorts), &["--things", "2"]), 0);
    assert_eq!(bench.manifest()["totals"]["things"], 2);
    assert_eq!(bench.connected(), 2, "the first two");
    let told = assert_code(&bench.scenario(&listed(&serve.mqtt_port, &cohorts), &["--things", "5"]), 104);
    assert!(told.contains("names 4 things"), "{told}");
}

#[test]
fn mistakes_of_a_file_are_told_all_at_once_with_row_and_column() {
    let bench = Bench::new(0);
    bench.write("fleet/list.csv", "thing,cert,key,cohort\nt-0,a,,x\nt 1,a,b,x\nt-0,a,b\n");
    let told = assert_code(&bench.scenario(&listed("1", QUICK), &[]), 104);
    for mistake in ["row 2, column key is empty", "row 3, column thing", "row 4, it has 3 columns"] {
        assert!(told.contains(mistake), "{mistake}: {told}");
    }
    bench.write("fleet/list.csv", "thing,cohort\nt-0,all\nt-1,odd\n");
    let told = assert_code(&bench.scenario(&listed("1", QUICK), &[]), 104);
    assert!(told.contains("row 3, column cohort") && told.contains("\"odd\""), "{told}");
    assert!(told.contains("target.tls.cert is missing"), "nobody says where the certificates are: {told}");
}

#[test]
fn what_does_not_go_with_a_list_is_refused() {
    let bench = Bench::new(0);
    bench.write("fleet/list.csv", "thing,cert,key\nt-0,a,b\n");
    let emulator = "name = 's'\n[fleet]\nthings_from = 'fleet/list.csv'\nthing_name = 'x-{index}'\n[end]\nduration = '1s'\n";
    let told = assert_code(&bench.scenario(emulator, &[]), 104);
    assert!(told.contains("names certificates, which the emulator does not take"), "{told}");
    assert!(told.contains("thing_name and fleet.things_from"), "{told}");
    let twice = listed("1", QUICK).replace("ca = 'pki/ca.cert.pem'", "ca = 'c'\nbundle = 'b'");
    assert!(assert_code(&bench.scenario(&twice, &[]), 104).contains("in two ways"));
    let missing = listed("1", QUICK).replace("fleet/list.csv", "nowhere.csv");
    assert!(assert_code(&bench.scenario(&missing, &[]), 104).contains("nowhere.csv cannot be read"));
}

#[test]
fn the_local_endpoint_takes_a_list_of_names() {
    let bench = Bench::new(0);
    bench.write("names.csv", "thing\nmeter-a\nmeter-b\nmeter-c\n");
    let scenario = "name = 's'\n[fleet]\nthings_from = 'names.csv'\n[behavior.b]\nreaction = '0s'\nstep = '20ms'\n\
                    [[rollout]]\njob = 'fw'\nrate = '100/s'\n[end]\nlimit = '30s'\n";
    assert_code(&bench.scenario(scenario, &[]), 0);
    let mut things: Vec<String> = bench.cells("executions.csv", &["thing"]).into_iter().flatten().collect();
    things.sort();
    assert_eq!(things, ["meter-a", "meter-b", "meter-c"]);
}
