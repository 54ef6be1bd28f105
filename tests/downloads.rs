//! Downloads from hosts that misbehave: every one ends, in time, with its reason.

use dev_pki::{Store, StoreSpec};
use host::tls;
use iot_jobs::wire::codesign::{self, Signed};
use iot_jobs::wire::signature::{FileHash, FileSigner};
use iot_jobs::{ExecutionStatus, JobDocument, JobId, ThingName};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thing_transport::download::{Download, FileFailure, FileSettings};

type Tls = StreamOwned<ServerConnection, TcpStream>;

const FILE: &[u8] = &[7; 5_000];
const WAIT: Duration = Duration::from_millis(400);

/// A host whose every connection meets `behaviour`, once it has sent its request.
struct Host {
    _dir: tempfile::TempDir,
    port: u16,
    settings: FileSettings,
    signer: FileSigner,
}

impl Host {
    fn new(behaviour: fn(Tls)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let spec = StoreSpec { things: Vec::<ThingName>::new(), server_names: vec![] };
        let (store, _) = Store::ensure(dir.path(), &spec, &mut |_, _| {}).unwrap();
        let pair = store.server().unwrap();
        let config = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(pair.chain, pair.key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || {
                    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
                    if read_head(&mut stream) {
                        behaviour(stream);
                    }
                });
            }
        });
        let signer = FileSigner::generate(&mut rand::rng());
        let settings = FileSettings {
            tls: Arc::new(tls::client_config(tls::roots([store.ca_cert()]).unwrap(), None).unwrap()),
            signer: Some(signer.public()),
            bandwidth: [].into(),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: WAIT,
        };
        Self { _dir: dir, port, settings, signer }
    }

    fn signed(&self, file: &[u8]) -> Signed {
        let mut hash = FileHash::default();
        hash.update(file);
        Signed { bytes: file.len() as u64, signature: self.signer.sign(&hash.finish()) }
    }

    fn document(&self, signed: &Signed) -> JobDocument {
        let mut members = codesign::members("b", "k", "us-east-1", Some(signed));
        members.insert(codesign::URL.into(), format!("https://127.0.0.1:{}/objects/b/k?X-Amz-Signature=1", self.port).into());
        JobDocument::from_valid_json(&serde_json::Value::Object(members).to_string())
    }

    /// What a download of the document comes to.
    fn download(&self, document: &JobDocument) -> Result<(), FileFailure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let job = JobId::new("fw").unwrap();
            let Some(mut download) = Download::start(document, &job, &self.settings)? else { panic!("it names a file") };
            let end = std::future::poll_fn(|cx| download.poll(cx));
            tokio::time::timeout(Duration::from_secs(20), end).await.expect("every download ends")
        })
    }

    fn fetch(&self) -> Result<(), FileFailure> {
        self.download(&self.document(&self.signed(FILE)))
    }
}

fn read_head(stream: &mut Tls) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return false;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("get /objects/b/k?x-amz-signature=1 http/1.1") && head.contains("host: 127.0.0.1:"), "{head}");
    true
}

fn send(stream: &mut Tls, head: &str, body: &[u8]) {
    let bytes = [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat();
    // The other side may have gone on purpose.
    let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
}

fn close(mut stream: Tls) {
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn is_failed(failure: &FileFailure) {
    assert_eq!(failure.status(), ExecutionStatus::Failed, "{failure}");
}

fn is_rejected(failure: &FileFailure) {
    assert_eq!(failure.status(), ExecutionStatus::Rejected, "{failure}");
}

#[test]
fn a_good_file_is_good_however_it_comes() {
    let whole = Host::new(|mut stream| send(&mut stream, "200 OK\r\ncontent-length: 5000", FILE));
    assert_eq!(whole.fetch(), Ok(()));
    let until_the_end = Host::new(|mut stream| {
        send(&mut stream, "200 OK", FILE);
        close(stream);
    });
    assert_eq!(until_the_end.fetch(), Ok(()));
    let chunked = Host::new(|mut stream| {
        let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        let body: Vec<u8> = FILE.chunks(999).map(chunk).chain([b"0\r\n\r\n".to_vec()]).flatten().collect();
        send(&mut stream, "200 OK\r\ntransfer-encoding: chunked", &body);
    });
    assert_eq!(chunked.fetch(), Ok(()));
}

#[test]
fn a_file_of_another_length_is_noticed_before_its_end() {
    let length = |found| Err(FileFailure::Length { expected: 5_000, found });
    let shorter = Host::new(|mut stream| send(&mut stream, "200 OK\r\ncontent-length: 4999", &FILE[1..]));
    assert_eq!(shorter.fetch(), length(4_999));
    let empty = Host::new(|mut stream| send(&mut stream, "200 OK\r\ncontent-length: 0", b""));
    assert_eq!(empty.fetch(), length(0));
    // It announces more than would ever come, and none of it is read.
    let huge = Host::new(|mut stream| send(&mut stream, &format!("200 OK\r\ncontent-length: {}", u64::MAX - 1), FILE));
    assert!(matches!(huge.fetch(), Err(FileFailure::Length { expected: 5_000, .. } | FileFailure::Broken(_))));
    let endless = Host::new(|mut stream| {
        send(&mut stream, "200 OK", b"");
        while stream.write_all(&[0; 4_096]).and_then(|()| stream.flush()).is_ok() {}
    });
    let failure = endless.fetch().unwrap_err();
    assert!(matches!(failure, FileFailure::Length { expected: 5_000, found } if found < 100_000), "{failure}");
    is_failed(&failure);
}

#[test]
fn a_download_that_breaks_off_has_failed() {
    let torn = Host::new(|mut stream| {
        send(&mut stream, "200 OK\r\ncontent-length: 5000", &FILE[..100]);
        close(stream);
    });
    let failure = torn.fetch().unwrap_err();
    assert!(matches!(failure, FileFailure::Broken(_)), "{failure}");
    is_failed(&failure);
    let nonsense = Host::new(|mut stream| send(&mut stream, "what?", b""));
    assert!(matches!(nonsense.fetch(), Err(FileFailure::Broken(_))));
}

#[test]
fn a_redirect_is_not_followed_and_a_refusal_is_told() {
    let elsewhere = Host::new(|mut stream| {
        send(&mut stream, "302 Found\r\nlocation: https://127.0.0.1:1/secret\r\ncontent-length: 0", b"");
    });
    let failure = elsewhere.fetch().unwrap_err();
    assert_eq!(failure, FileFailure::Status { status: 302, code: String::new() });
    is_failed(&failure);
    let expired = Host::new(|mut stream| {
        let body = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        send(&mut stream, &format!("403 Forbidden\r\ncontent-length: {}", body.len()), body);
    });
    let failure = expired.fetch().unwrap_err();
    assert_eq!(failure.to_string(), "the file's host answered 403 AccessDenied: Request has expired");
    is_failed(&failure);
    // Its error is not read for ever, either.
    let verbose = Host::new(|mut stream| {
        send(&mut stream, "500 Oh", b"");
        while stream.write_all(&[b'x'; 4_096]).and_then(|()| stream.flush()).is_ok() {}
    });
    assert_eq!(verbose.fetch(), Err(FileFailure::Status { status: 500, code: String::new() }));
}

#[test]
fn a_host_that_falls_silent_or_dribbles_is_given_up() {
    let silent = Host::new(|stream| {
        std::thread::sleep(Duration::from_secs(20));
        drop(stream);
    });
    assert_eq!(silent.fetch(), Err(FileFailure::Stalled(WAIT)));
    let stuck = Host::new(|mut stream| {
        send(&mut stream, "200 OK\r\ncontent-length: 5000", &FILE[..100]);
        std::thread::sleep(Duration::from_secs(20));
    });
    let failure = stuck.fetch().unwrap_err();
    assert_eq!(failure, FileFailure::Stalled(WAIT));
    is_failed(&failure);
    let mut dribbling = Host::new(|mut stream| {
        send(&mut stream, "200 OK\r\ncontent-length: 5000", b"");
        while stream.write_all(b"7").and_then(|()| stream.flush()).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    dribbling.settings.connect_timeout = Duration::from_millis(1_600);
    let began = Instant::now();
    let failure = dribbling.fetch().unwrap_err();
    assert_eq!(failure, FileFailure::Late(Duration::from_secs(2)));
    assert!(began.elapsed() < Duration::from_secs(10));
    is_failed(&failure);
}

#[test]
fn a_host_that_is_not_there_or_not_itself_is_no_host() {
    let mut host = Host::new(|mut stream| send(&mut stream, "200 OK\r\ncontent-length: 5000", FILE));
    let other = Host::new(|_| {});
    host.settings.tls = Arc::clone(&other.settings.tls);
    assert!(matches!(host.fetch(), Err(FileFailure::Connect(_))), "its certificate is of another CA");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = Host { port, ..other };
    let failure = gone.fetch().unwrap_err();
    assert!(matches!(failure, FileFailure::Connect(_)));
    is_failed(&failure);
}

#[test]
fn only_the_signers_signature_over_this_file_counts() {
    let host = Host::new(|mut stream| send(&mut stream, "200 OK\r\ncontent-length: 5000", FILE));
    let mut other = FILE.to_vec();
    other[4_999] ^= 1;
    for signed in [
        host.signed(&other),
        Signed { bytes: 5_000, signature: Host::new(|_| {}).signed(FILE).signature },
        Signed { bytes: 5_000, signature: vec![0x30, 6, 2, 1, 0, 2, 1, 0] },
        Signed { bytes: 5_000, signature: vec![0; 72] },
    ] {
        let failure = host.download(&host.document(&signed)).unwrap_err();
        assert_eq!(failure, FileFailure::Signature);
        is_rejected(&failure);
    }
}

#[test]
fn what_could_never_be_good_is_not_even_fetched() {
    let host = Host::new(|_| panic!("nobody asks"));
    let start = |text: &str, settings: &FileSettings| {
        let document = JobDocument::from_valid_json(text);
        Download::start(&document, &JobId::new("fw").unwrap(), settings).map(|download| download.is_some())
    };
    assert_eq!(start("{}", &host.settings), Ok(false));
    let unsigned = start(r#"{"presign":"https://127.0.0.1:1/k"}"#, &host.settings).unwrap_err();
    assert_eq!(unsigned, FileFailure::Unsigned);
    let signature = host.signed(FILE).signature;
    let huge = host.document(&Signed { bytes: u64::MAX, signature });
    let huge = start(huge.as_json(), &host.settings).unwrap_err();
    assert_eq!(huge, FileFailure::TooLarge(u64::MAX));
    let malformed = start(r#"{"presign":"https://127.0.0.1:1/k","codesign":{"rawPayloadSize":-1}}"#, &host.settings).unwrap_err();
    assert!(matches!(malformed, FileFailure::Document(_)));
    [unsigned, huge, malformed].iter().for_each(is_rejected);
    // Not a URL that anybody would follow: a placeholder that was not filled, another scheme.
    for url in ["${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/b/k}", "http://127.0.0.1/k", "file:///etc/passwd"] {
        let mut members = codesign::members("b", "k", "us-east-1", Some(&host.signed(FILE)));
        members.insert(codesign::URL.into(), url.into());
        let document = JobDocument::from_valid_json(&serde_json::Value::Object(members).to_string());
        let failure = host.download(&document).unwrap_err();
        assert_eq!(failure, FileFailure::Url);
        is_rejected(&failure);
    }
}

#[test]
fn a_cap_holds() {
    let mut host = Host::new(|mut stream| send(&mut stream, "200 OK\r\ncontent-length: 5000", FILE));
    host.settings.bandwidth = [(JobId::new("fw").unwrap(), 10_000)].into();
    let began = Instant::now();
    assert_eq!(host.fetch(), Ok(()));
    assert!(began.elapsed() >= Duration::from_millis(490), "{:?}", began.elapsed());
}
