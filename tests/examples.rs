//! What the pages show works as it stands there: every block of TOML is read, every block of commands is run.

use iot_endpoint::config::EndpointConfig;
use serde_json::Value as Json;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use toml::{Table, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A block of a page, in three backticks.
struct Block {
    page: String,
    /// Page and line.
    place: String,
    kind: String,
    text: String,
}

/// Every page that people read.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "certs/README.md", "results/README.md"].map(PathBuf::from).into();
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.extend(docs.map(|path| path.strip_prefix(root()).unwrap().to_owned()));
    pages
}

fn blocks_of(page: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut is_open, mut indent) = (false, 0);
    for (number, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(kind) => {
                is_open = true;
                indent = line.len() - line.trim_start().len();
                let place = format!("{page}:{}", number + 2);
                blocks.push(Block { page: page.to_owned(), place, kind: kind.trim().to_owned(), text: String::new() });
            }
            // A block in a list is indented.
            None if is_open => blocks.last_mut().unwrap().text += &format!("{}\n", line.get(indent..).unwrap_or_default()),
            None => {}
        }
    }
    assert!(!is_open, "{page}: a block has no end");
    blocks
}

fn blocks(kinds: &[&str]) -> Vec<Block> {
    let of_page = |page: &PathBuf| blocks_of(&page.display().to_string(), &fs::read_to_string(root().join(page)).unwrap());
    pages().iter().flat_map(of_page).filter(|block| kinds.contains(&&*block.kind)).collect()
}

// -------------------------------------------------------------------------------------------------------------------- TOML

/// What a piece of a scenario may leave to the rest of it.
const AROUND: &str = "
name = 'x'
[fleet]
things = 10
[end]
duration = '5m'
";
/// The same for one whose things are to work.
const AROUND_WORK: &str = "
name = 'x'
[fleet]
things = 10
[behavior.slow-ota]
[end]
duration = '5m'
";
/// The same for one whose roll-outs, cohorts and behaviors stand elsewhere.
const AROUND_ROLLOUTS: &str = "
name = 'x'
[fleet]
things = 10
[[cohort]]
name = 'healthy'
behavior = 'slow-ota'
[behavior.slow-ota]
[behavior.fast-ota]
[[rollout]]
job = 'fw-2-4-1'
document = {}
[end]
limit = '20m'
";

/// Lays what is shown over what stands around it. A table of `[[rollout]]`'s belongs to the last one.
fn lay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay(below, above),
            (Some(Value::Array(below)), Value::Table(above)) => match below.last_mut() {
                Some(Value::Table(last)) => lay(last, above),
                _ => panic!("{key} is no table"),
            },
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

/// Why the text is neither a configuration of the endpoint, nor a scenario, nor a piece of one.
fn fault_of_toml(text: &str) -> Option<String> {
    let shown: Table = match text.parse() {
        Ok(shown) => shown,
        Err(error) => return Some(format!("it is no TOML: {error}")),
    };
    if EndpointConfig::load("shown", text, &[]).is_ok() {
        return None;
    }
    let mut fault = String::new();
    for around in ["", AROUND, AROUND_WORK, AROUND_ROLLOUTS] {
        let mut whole: Table = around.parse().unwrap();
        lay(&mut whole, shown.clone());
        match fleetsim::scenario::load("shown", &whole.to_string(), &[]) {
            Ok(_) => return None,
            Err(problems) => fault = problems.to_string(),
        }
        // Who names a scenario shows all of it.
        if shown.contains_key("name") {
            break;
        }
    }
    Some(fault)
}

#[test]
fn every_block_of_toml_is_a_scenario_a_piece_of_one_or_a_configuration() {
    let blocks = blocks(&["toml"]);
    assert!(blocks.len() > 10, "the blocks are found");
    let faults: Vec<String> =
        blocks.iter().filter_map(|block| Some(format!("{}: {}", block.place, fault_of_toml(&block.text)?))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_no_toml_or_no_scenario_is_seen() {
    for (text, word) in [
        ("target = { kind = 'mqtt' }\n[target.tls]\nca = 'x'\n", "no TOML"),
        ("[fleet]\nthing = 5\n", "things"),
        ("name = 'x'\n[fleet]\nthings = 5\n[end]\nwhen = 'never'\n", "when"),
    ] {
        let fault = fault_of_toml(text).unwrap();
        assert!(fault.contains(word), "{fault}");
    }
}

// ---------------------------------------------------------------------------------------------------------------- commands

/// Commands as the pages have them, made small: few things, no ports that somebody else may have, and nothing that never ends.
const PRELUDE: &str = r#"
set -euo pipefail
# Fills args.
without_things() {
    args=()
    while (($#)); do
        case "$1" in
        --things) shift 2 ;;
        *) args+=("$1"); shift ;;
        esac
    done
}
fleetsim() {
    local args=()
    case "$1" in
    run)
        without_things "$@"
        args=("${args[@]/127.0.0.1:9464/:0}")
        # Only the endpoint of a run has a minute that can be short.
        [[ " ${args[*]} " == *" --port "* ]] || args+=(--set target.emulator.minute="'1s'")
        "$FLEETSIM" "${args[@]}" --things "${THINGS:-6}" --ui none --set end.limit="'5m'" || [[ $? == 98 ]]
        ;;
    capacity)
        # One step, whatever it says: a search takes a quarter of an hour.
        local to=20
        [[ " $* " == *rollout.* ]] && to=1200
        without_things "$@"
        "$FLEETSIM" "${args[@]}" --things 40 --ui none --step 1s --warm-up 0s --confirm 0 --to "$to" || [[ $? == 98 || $? == 99 ]]
        ;;
    compare)
        # Small runs are over before their first ten seconds are.
        shift
        "$FLEETSIM" compare --skip 0s "$@" || [[ $? == 98 ]]
        ;;
    serve)
        if [[ " $* " == *" --print-"* ]]; then
            "$FLEETSIM" "$@"
        else
            # That of an earlier one would be taken for its own.
            : >ready
            "$FLEETSIM" "$@" --mqtt-port 0 --https-port 0 --api-port 0 >ready &
            local endpoint=$!
            for ((n = 0; n < 600; n++)); do
                grep -q '"event":"ready"' ready && break
                sleep 0.1
            done
            kill "$endpoint"
            wait "$endpoint"
            grep -q '"event":"ready"' ready
        fi
        ;;
    *) "$FLEETSIM" "$@" ;;
    esac
}
cargo() {
    while [[ "$1" != -- ]]; do shift; done
    shift
    fleetsim "$@"
}
# Of others: where they are not installed, scripts/outside-environment has not been run.
other() {
    local tool=$1
    shift
    if command "$tool" --version >/dev/null 2>&1; then command "$tool" "$@"; else echo "not run, there is no $tool" >&2; fi
}
aws() { other aws "$@" >>answers; }
curl() { other curl --fail-with-body --silent --show-error "$@" >>answers; }
mosquitto_sub() { if command -v mosquitto_sub >/dev/null; then command mosquitto_sub "$@" -E -W 60; else echo "not run, there is no mosquitto_sub" >&2; fi; }
"#;

/// `fleetsim serve` for clients of others, on ports of its own.
struct Serve {
    process: Child,
    ready: Json,
}

impl Serve {
    fn start(dir: &Path, pki: &str) -> Self {
        let ports = ["--mqtt-port", "0", "--https-port", "0", "--api-port", "0", "--things", "6", "--dir", pki];
        let mut process = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
            .arg("serve")
            .args(ports)
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, ready: serde_json::from_str(&line).unwrap() }
    }

    fn port(&self, listener: &str) -> &str {
        self.ready[listener].as_str().unwrap().rsplit(':').next().unwrap()
    }

    /// The commands with its ports in place of the usual ones.
    fn with_ports(&self, commands: &str) -> String {
        commands
            .replace(":4443", &format!(":{}", self.port("api")))
            .replace(":8443", &format!(":{}", self.port("https")))
            .replace("-p 8883", &format!("-p {}", self.port("mqtt")))
            .replace("--port 8883", &format!("--port {}", self.port("mqtt")))
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs commands in a folder, where the repository's scenarios are, too.
#[track_caller]
fn run(dir: &Path, place: &str, commands: &str) {
    let path = format!("{}:{}", root().join("target/outside/venv/bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("{PRELUDE}\n{commands}")]).current_dir(dir).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_") || name.starts_with("FLEETSIM_")) {
        bash.env_remove(name);
    }
    let output = bash.env("FLEETSIM", env!("CARGO_BIN_EXE_fleetsim")).env("PATH", path).output().expect("bash is installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{place}: {}\n{commands}\n{stderr}", output.status);
    eprint!("{stderr}");
}

/// A folder as somebody has it who follows the pages: the repository's scenarios, and a copy of one.
fn bench() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("scenarios"), dir.path().join("scenarios")).unwrap();
    dir
}

/// Without the prompts that some pages show.
fn without_prompts(text: &str) -> String {
    text.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line)).map(|line| format!("{line}\n")).collect()
}

fn is_for_clients(block: &Block) -> bool {
    ["aws ", "curl ", "mosquitto_", "--port 8883"].iter().any(|tool| block.text.contains(tool))
}

#[test]
fn every_block_of_commands_runs() {
    let blocks = blocks(&["console", "sh", "bash", "shell"]);
    let own: Vec<&Block> = blocks.iter().filter(|block| !is_for_clients(block)).collect();
    assert!(own.len() >= 5, "the blocks are found");
    // Most of it is waiting. A page is read from its beginning: what a block makes is there for the next one.
    std::thread::scope(|scope| {
        for page in own.chunk_by(|one, next| one.page == next.page) {
            scope.spawn(|| {
                let dir = bench();
                page.iter().for_each(|block| run_block(&dir, block));
            });
        }
    });
}

fn run_block(dir: &tempfile::TempDir, block: &Block) {
    // The gate runs itself.
    if block.text.trim() == "scripts/test" {
        assert!(root().join("scripts/test").exists());
        return;
    }
    if block.text.contains("mine.toml") && !block.text.contains("init") && !dir.path().join("mine.toml").exists() {
        run(dir.path(), &block.place, "fleetsim scenarios init 10k mine.toml");
    }
    // There is nothing to compare of six things.
    let things = if block.text.contains("fleetsim compare ") { "THINGS=40\n" } else { "" };
    run(dir.path(), &block.place, &format!("{things}{}", without_prompts(&block.text)));
}

#[test]
fn every_block_of_commands_of_other_clients_runs() {
    let blocks = blocks(&["console", "sh", "bash", "shell"]);
    let others: Vec<&Block> = blocks.iter().filter(|block| is_for_clients(block)).collect();
    assert!(others.len() >= 2, "the blocks are found");
    for block in others {
        let dir = bench();
        // One page stands within the folder of certificates.
        let pki = if block.text.contains("pki/") { "pki" } else { "." };
        let serve = Serve::start(dir.path(), pki);
        let before = match block.text.contains("describe-job") {
            true => {
                "AWS_SHARED_CREDENTIALS_FILE=aws-credentials AWS_CA_BUNDLE=ca.cert.pem aws --region us-east-1 \
                 --endpoint-url https://127.0.0.1:4443 iot create-job --job-id fw-2-4-1 --document '{}' \
                 --targets arn:aws:iot:us-east-1:111122223333:thing/sim-000000\n"
            }
            false => "",
        };
        run(dir.path(), &block.place, &serve.with_ports(&format!("{before}{}", without_prompts(&block.text))));
    }
}

#[test]
fn blocks_are_found_with_their_kind_and_line() {
    let found = blocks_of("x.md", "text\n```toml\na = 1\n```\n\n   ```console\n   ls\n   ```\n");
    let shown: Vec<_> = found.iter().map(|block| (&*block.place, &*block.kind, &*block.text)).collect();
    assert_eq!(shown, [("x.md:3", "toml", "a = 1\n"), ("x.md:7", "console", "ls\n")]);
}
