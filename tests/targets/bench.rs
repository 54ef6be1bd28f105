//! What these tests have in common: a folder with certificates, runs in it, and certificates of every kind.

use aws_signing::keyring::Keyring;
use dev_pki::{Store, StoreSpec};
use fleetsim::aws::client::ControlEndpoint;
use fleetsim::aws::control::{ControlClient, provision};
use fleetsim::aws::server::Server;
use host::tls;
use iot_jobs::{CreateJob, GroupName, JobDocument, JobId, JobTarget, ThingName};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A folder of its own, with a store in `pki`.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

/// A run that must not outlive its test.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `fleetsim serve` on the store of a bench.
pub(crate) struct Serve {
    _process: Guard,
    pub(crate) mqtt_port: String,
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "who uses it signs, too"))]
    pub(crate) https_port: String,
    pub(crate) api: String,
}

impl Bench {
    /// With certificates for things `t-0`, `t-1`, ...
    pub(crate) fn new(things: usize) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        let things = (0..things).map(|n| ThingName::new(&format!("t-{n}")).unwrap()).collect();
        let spec = StoreSpec { things, server_names: vec!["127.0.0.2".into()] };
        Store::ensure(&bench.path("pki"), &spec, &mut |_, _| {}).unwrap();
        bench
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), text).unwrap();
    }

    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetsim"));
        command.args(args).current_dir(self.dir.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        for name in ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IOT", "AWS_CA_BUNDLE"]
        {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs the scenario, without a UI, into `out`.
    pub(crate) fn scenario(&self, text: &str, more: &[&str]) -> Output {
        self.write("s.toml", text);
        let _ = fs::remove_dir_all(self.path("out"));
        self.run(&[&["run", "s.toml", "--ui", "none", "--out", "out"], more].concat())
    }

    pub(crate) fn openssl(&self, args: &str) {
        let output =
            Command::new("openssl").args(args.split(' ')).current_dir(self.dir.path()).output().expect("openssl is installed");
        assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn serve(&self, more: &[&str]) -> Serve {
        let options = "serve --dir pki --mqtt-port 0 --https-port 0 --api-port 0 --thing-name t-{index}".split(' ');
        let mut process = Guard(
            self.command(&options.chain(more.iter().copied()).collect::<Vec<_>>())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        let port = |key: &str| text(key).rsplit(':').next().unwrap().to_owned();
        Serve { _process: process, mqtt_port: port("mqtt"), https_port: port("https"), api: text("api") }
    }

    pub(crate) fn manifest(&self) -> Value {
        serde_json::from_str(&self.text("out/run.json")).unwrap()
    }

    /// The columns of a CSV of the results, as rows of cells.
    pub(crate) fn cells(&self, file: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let mut reader = csv::Reader::from_path(self.path("out").join(file)).unwrap();
        let headers = reader.headers().unwrap().clone();
        let places: Vec<usize> =
            columns.iter().map(|column| headers.iter().position(|header| header == *column).expect(column)).collect();
        let records = reader.records().map(Result::unwrap);
        records.map(|record| places.iter().map(|place| record[*place].to_owned()).collect()).collect()
    }

    /// Waits for a run that goes on.
    pub(crate) fn wait_until_connected(&self, things: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let things = things.to_string();
        let seconds = self.path("out/timeseries.csv");
        // The file is there a moment before its first line is.
        let has_lines = || std::fs::read_to_string(&seconds).is_ok_and(|text| text.contains('\n'));
        while !(has_lines() && self.cells("timeseries.csv", &["connected"]).iter().any(|row| row[0] == things)) {
            assert!(Instant::now() < deadline, "the things do not connect");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Things that were connected at least once.
    pub(crate) fn connected(&self) -> u64 {
        let operations = self.manifest()["totals"]["operations"].clone();
        let rows = operations.as_array().unwrap();
        let connect = rows.iter().find(|row| row["scope"] == "all" && row["operation"] == "connect");
        connect.map_or(0, |row| row["ok"].as_u64().unwrap())
    }
}

/// A scenario of kind mqtt for so many things, with the certificates of the store unless told otherwise.
pub(crate) fn mqtt(port: &str, things: usize, tls: &str, rest: &str) -> String {
    format!(
        "name = 's'\n[target]\nkind = 'mqtt'\nhost = '127.0.0.1'\nport = {port}\n[target.tls]\nca = 'pki/ca.cert.pem'\n{tls}\n\
         [fleet]\nthings = {things}\nthing_name = 't-{{index}}'\ntimeouts = {{ connect = '2s' }}\n\
         reconnect = {{ policy = 'fixed', base = '100ms' }}\n{rest}\n"
    )
}

pub(crate) const EACH_ITS_OWN: &str = "cert = 'pki/things/{thing}.cert.pem'\nkey = 'pki/things/{thing}.key.pem'";

/// Creates a job for all things through the API listener, as somebody else would.
pub(crate) fn create_job(bench: &Bench, serve: &Serve, things: usize, job: &str, document: &str) {
    let ca = CertificateDer::from_pem_file(bench.path("pki/ca.cert.pem")).unwrap();
    let tls = Arc::new(tls::client_config(tls::roots([ca]).unwrap(), None).unwrap());
    let file = bench.text("pki/aws-credentials");
    let value = |key: &str| file.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).unwrap();
    let server = Server {
        addresses: vec![serve.api.parse().unwrap()],
        authority: serve.api.clone(),
        tls: Some((tls, ServerName::try_from("localhost").unwrap())),
    };
    let endpoint = ControlEndpoint { server, region: "us-east-1".into() };
    let client = ControlClient::new(endpoint, Arc::new(Keyring::of(value("aws_access_key_id"), value("aws_secret_access_key"))));
    let group = GroupName::new("all").unwrap();
    let members = (0..things).map(|n| ThingName::new(&format!("t-{n}")).unwrap()).collect();
    let document = JobDocument::from_valid_json(document);
    let create = CreateJob::new(JobId::new(job).unwrap(), vec![JobTarget::Group(group.clone())], document);
    let work = async {
        provision(&client, &[], &[(group, members)], |_, _| {}).await?;
        client.create_job(&create).await
    };
    tokio::runtime::Runtime::new().unwrap().block_on(work).unwrap();
}

/// The account that `serve` is, for a command in the folder of a bench.
pub(crate) fn in_account(command: &mut Command, serve: &Serve) {
    command
        .env("AWS_ENDPOINT_URL_IOT", format!("https://{}", serve.api))
        .env("AWS_CA_BUNDLE", "pki/ca.cert.pem")
        .env("AWS_SHARED_CREDENTIALS_FILE", "pki/aws-credentials")
        .env("AWS_CONFIG_FILE", "no-config")
        .env("AWS_EC2_METADATA_DISABLED", "true");
}

#[track_caller]
pub(crate) fn assert_code(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}
