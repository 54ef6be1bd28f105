//! TLS, certificates that are mapped to permissions, and keys that stay where they are.

use crate::bench::{Bench, mqtt};
use crate::nats::{Fleet, Nats, RUN};

/// That of the manifest in deploy/: users are the common names of certificates, and things of the bench stand in for them.
fn config() -> String {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kubernetes.yaml")).unwrap();
    let (_, config) = manifest.split_once("nats.conf: |\n").unwrap();
    let (config, _) = config.split_once("---\n").unwrap();
    let here = [
        ("/tls/tls.crt", "pki/server.cert.pem"),
        ("/tls/tls.key", "pki/server.key.pem"),
        ("/tls/ca.crt", "pki/ca.cert.pem"),
        ("store_dir: \"/data\", ", ""),
        ("CN=leader", "CN=t-0"),
        ("CN=worker", "CN=t-1"),
        ("r7", RUN),
    ];
    here.iter().fold(config.to_owned(), |config, (there, here)| {
        assert!(config.contains(there), "{there}: {config}");
        config.replace(there, here)
    })
}

/// What the user of this common name may publish and subscribe to.
pub(crate) fn permissions(user: &str) -> (Vec<String>, Vec<String>) {
    let config = config().replace("CN=t-0", "CN=leader").replace("CN=t-1", "CN=worker");
    let (_, of_user) = config.split_once(&format!("CN={user}")).unwrap();
    let list = |key: &str| {
        let (_, rest) = of_user.split_once(&format!("{key}: [")).unwrap();
        let (list, _) = rest.split_once(']').unwrap();
        list.split(',').map(|subject| subject.trim().trim_matches('"').to_owned()).collect()
    };
    (list("publish"), list("subscribe"))
}

/// Over TLS, as this thing.
fn over<'a>(bench: &'a Bench, nats: &Nats, thing: &str) -> Fleet<'a> {
    let (cert, key) = (format!("pki/things/{thing}.cert.pem"), format!("pki/things/{thing}.key.pem"));
    let over = [
        "--over",
        &format!("tls://localhost:{}", nats.port),
        "--nats-ca",
        "pki/ca.cert.pem",
        "--nats-cert",
        &cert,
        "--nats-key",
        &key,
    ];
    Fleet { bench, over: over.map(String::from).to_vec(), slices: 2 }
}

#[test]
fn certificates_are_asked_for_and_each_may_do_what_its_part_needs_and_no_more() {
    let bench = Bench::new(4);
    let (serve, nats) = (bench.serve(&["--things", "4"]), Nats::with(&bench, Some(&config())));
    // Each slice has its certificates in a file of its own, or from a CA on its host: none of them comes from the leader.
    let rest = "[[cohort]]\nname = 'all'\nshare = 1.0\nworkflow = 'none'\n[end]\nduration = '4s'";
    bench.write("s.toml", &mqtt(&serve.mqtt_port, 4, "bundle = 'slice-{slice}.pem'", rest));
    for slice in 0..2 {
        let folder = format!("of-{slice}");
        for thing in (0..4).filter(|thing| thing % 2 == slice) {
            for kind in ["cert", "key"] {
                bench.write(
                    &format!("{folder}/things/t-{thing}.{kind}.pem"),
                    &bench.text(&format!("pki/things/t-{thing}.{kind}.pem")),
                );
            }
        }
        assert!(bench.run(&["certs", "pack", &folder, &format!("slice-{slice}.pem")]).status.success());
    }
    std::fs::remove_file(bench.path("slice-1.pem")).unwrap();

    let mut leader = over(&bench, &nats, "t-0").lead(&[]);
    leader.wait_for("workers: fleetsim worker");
    let workers = over(&bench, &nats, "t-1");
    let stranger = over(&bench, &nats, "t-2");
    let args = |fleet: &Fleet<'_>| fleet.over.clone();
    let refused = bench.run(
        &[
            &["worker", "--run", RUN, "--slice", "0/2", "--wait", "3s"][..],
            &args(&stranger).iter().map(String::as_str).collect::<Vec<_>>(),
        ]
        .concat(),
    );
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && told.contains("authorization violation"), "{told}");
    let nobody = bench.run(&[
        "worker",
        "--run",
        RUN,
        "--slice",
        "0/2",
        "--wait",
        "2s",
        "--over",
        &format!("tls://localhost:{}", nats.port),
        "--nats-ca",
        "pki/ca.cert.pem",
    ]);
    let told = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(nobody.status.code() == Some(1) && told.contains("connect to tls://localhost"), "{told}");

    let mut first = workers.worker(0);
    let issuing = args(&workers).into_iter().chain(["--certs".into(), "pki".into()]).collect();
    let mut second = Fleet { bench: &bench, over: issuing, slices: 2 }.worker(1);
    leader.assert_code(&[0, 98]);
    first.assert_code(&[0]);
    second.assert_code(&[0]);
    assert_eq!(workers.manifest("whole")["totals"]["operations"][0]["ok"], 4, "all four things were connected");
}
