//! The command line: one subcommand, one function.

use crate::logging::LogLine;
use crate::run::{RunOptions, UiKind, check_target, run, use_colour};
use crate::scenario::plan::{Plan, QuotasPlan, TargetPlan};
use crate::scenario::{self, Override};
use crate::{exit, preflight, report};
use clap::{Args, CommandFactory, Parser, Subcommand};
use dev_pki::bundle;
use iot_endpoint::quotas::{self, AWS_QUOTAS};
use iot_endpoint::serve::{FaultSettings, ServeOptions, ShapeSettings, serve};
use iot_jobs::{ErrorCode, Spread};
use jobs_engine::faults::{FaultConfig, NotificationConfig, RejectConfig, ServerConfig};
use jobs_engine::quotas::Quotas;
use load_metrics::Metric;
use sim_units::name_template::NameTemplate;
use std::io::{IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Frames a second of the dashboard, where nobody says otherwise.
const FPS: u32 = 8;

/// Fleet load-testing simulator for AWS IoT Jobs
#[derive(Parser)]
#[command(name = "fleetsim", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: Logging,
}

#[derive(Args)]
struct Logging {
    /// More log lines on stderr (twice: even more); RUST_LOG says it in detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Drive a fleet through a scenario and write a results folder
    Run(RunArgs),
    /// Resolve and validate a scenario, and check this host; opens no connection
    Check(CheckArgs),
    /// Run the local AWS IoT Jobs endpoint on its own
    Serve(ServeArgs),
    /// Print the summary of a results folder again, and compare its two ledgers once more
    Report(ReportArgs),
    /// The shipped scenarios, embedded in the binary
    Scenarios(ScenariosArgs),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Find the highest load that still meets the thresholds (not built yet)
    Capacity(NotBuilt),
    /// Two results folders side by side (not built yet)
    Compare(NotBuilt),
    /// The shards of one run into one results folder (not built yet)
    Merge(NotBuilt),
    /// Many certificates in one file, and back
    Certs(CertsArgs),
    /// The account side: endpoint, provision, deprovision (not built yet)
    Aws(NotBuilt),
}

#[derive(Args)]
struct NotBuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<String>,
}

/// What shapes a scenario from outside. Precedence: flag, --set, environment, file, default.
#[derive(Args)]
struct ScenarioArgs {
    /// A TOML file, or the name of a shipped scenario
    scenario: String,
    /// Override a value of the scenario, as TOML: `--set fleet.things=100 --set rollout.fw-2-4-1.rate='"600/min"'`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// fleet.things
    #[arg(long, value_name = "N")]
    things: Option<String>,
    /// seed
    #[arg(long, value_name = "N")]
    seed: Option<String>,
    /// target.host
    #[arg(long)]
    host: Option<String>,
    /// target.port
    #[arg(long)]
    port: Option<String>,
    /// target.tls.ca
    #[arg(long, value_name = "FILE")]
    ca: Option<String>,
    /// target.tls.cert: a file, or a template with {thing} or {index}
    #[arg(long, value_name = "FILE")]
    cert: Option<String>,
    /// target.tls.key: a file, or a template with {thing} or {index}
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// The results folder itself [default: results/<name>-<UTC stamp>]; must be empty or new
    #[arg(long, value_name = "DIR", env = "FLEETSIM_RUN_OUT")]
    out: Option<PathBuf>,
    /// How the run is shown
    #[arg(long, value_enum, default_value_t = UiChoice::Auto, env = "FLEETSIM_RUN_UI")]
    ui: UiChoice,
    /// Threads that drive things [default: the host's cores]
    #[arg(long, value_name = "N", env = "FLEETSIM_RUN_SHARDS", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// Frames a second of the dashboard, at most [default: 8]
    #[arg(long, value_name = "N", env = "FLEETSIM_RUN_FPS", value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: Option<u32>,
    /// Drive slice I of N (not built yet)
    #[arg(long, value_name = "I/N", hide = true)]
    shard: Option<String>,
    /// When all slices start (not built yet)
    #[arg(long, value_name = "RFC3339", hide = true)]
    start_at: Option<String>,
    /// Serve Prometheus metrics (not built yet)
    #[arg(long, value_name = "ADDR", hide = true)]
    metrics: Option<String>,
}

impl RunArgs {
    fn ui_kind(&self) -> Result<UiKind, &'static str> {
        let tui = UiKind::Tui { fps: self.fps.unwrap_or(FPS) };
        match self.ui {
            UiChoice::Auto | UiChoice::Tui if can_show_dashboard() => Ok(tui),
            UiChoice::Tui => Err("--ui tui needs a terminal on stdin and stdout, and TERM other than dumb; --ui plain needs none"),
            UiChoice::Plain | UiChoice::Json | UiChoice::None if self.fps.is_some() => Err("--fps is for the dashboard: --ui tui"),
            UiChoice::Auto | UiChoice::Plain => Ok(UiKind::Plain),
            UiChoice::Json => Ok(UiKind::Json),
            UiChoice::None => Ok(UiKind::None),
        }
    }
}

fn can_show_dashboard() -> bool {
    let is_capable = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    is_capable && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum UiChoice {
    /// The dashboard on a terminal, plain otherwise
    Auto,
    /// The dashboard
    Tui,
    /// One line a second on stderr, the summary on stdout
    Plain,
    /// One JSON object a second on stdout
    Json,
    /// Nothing but the exit code and the files
    None,
}

#[derive(Args)]
struct CheckArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
}

#[derive(Args)]
struct ServeArgs {
    /// CA, certificates and credentials; made when absent, used again when present
    #[arg(long, required_unless_present = "print_quotas")]
    dir: Option<PathBuf>,
    /// Address to listen on; anything not loopback must be said explicitly
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// MQTT over mutual TLS; 0: any free port
    #[arg(long, default_value_t = 8883)]
    mqtt_port: u16,
    /// The data plane over HTTPS with mutual TLS; 0: any free port
    #[arg(long, default_value_t = 8443)]
    https_port: u16,
    /// HTTPS with SigV4: the control plane, the data plane, and MQTT over WebSocket; 0: any free port
    #[arg(long, default_value_t = 4443)]
    api_port: u16,
    /// Register this many things, with certificates in DIR/things
    #[arg(long, default_value_t = 0)]
    things: u64,
    #[arg(long, default_value = "sim-{index:06}")]
    thing_name: String,
    /// A certificate of this CA whose CN is an unknown thing name registers that thing
    #[arg(long)]
    auto_register: bool,
    /// Account and connection quotas: none, aws (the defaults of an account), or a TOML file
    #[arg(long, value_name = "none|aws|FILE", default_value = "none")]
    quotas: String,
    /// Print AWS's quotas as a TOML file for --quotas, to be changed, and end
    #[arg(long, exclusive = true)]
    print_quotas: bool,
    /// Length of a minute, for every minute-unit (timers, roll-out rates)
    #[arg(long, default_value = "60s")]
    minute: String,
    /// How long an MQTT session may outlive its connection; AWS has 1h unless the account has more, up to 7 days
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    session_expiry: String,
    /// Raise shorter keep-alives to this
    #[arg(long, value_name = "DURATION", default_value = "30s", hide = true)]
    keep_alive_min: String,
    /// Where in a minute the executions of a job are queued: evenly, or a minute's quota at once
    #[arg(long, value_name = "SPREAD", default_value = "smooth", value_parser = ["smooth", "burst"])]
    rollout: String,
    /// Append one CSV row per committed change
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Write one CSV row per data-plane request: when it came, when its answer left
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Let every data-plane request wait before it is handled, as in 'uniform(2ms, 8ms)'
    #[arg(long, value_name = "DURATION")]
    latency: Option<String>,
    /// A queue in front of the service: how long a worker is busy with a request, as in 'exp(20ms)'
    #[arg(long, value_name = "DURATION")]
    server: Option<String>,
    /// Workers that take requests out of the queue of --server
    #[arg(long, value_name = "N", default_value_t = 1, requires = "server", value_parser = clap::value_parser!(u32).range(1..=1024))]
    server_workers: u32,
    /// Refuse this share of the data-plane requests without a look at them
    #[arg(long, value_name = "SHARE")]
    reject: Option<f64>,
    /// Codes to refuse with, drawn with equal chances
    #[arg(long, value_name = "CODE", value_delimiter = ',', default_value = "RequestThrottled")]
    reject_codes: Vec<String>,
    /// Acknowledge this share of the data-plane requests and never answer them
    #[arg(long, value_name = "SHARE")]
    drop: Option<f64>,
    /// End every connection after this time, drawn for each, as in 'exp(10m)'
    #[arg(long, value_name = "DURATION")]
    disconnect: Option<String>,
    /// Let every notification be this late, as in 'uniform(0s, 1s)'
    #[arg(long, value_name = "DURATION")]
    notification_delay: Option<String>,
    /// Let notifications overtake each other and the answers to requests
    #[arg(long, requires = "notification_delay")]
    notification_shuffle: bool,
    /// For what --latency and the other faults draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Give TLS tickets, so that clients that kept theirs resume their sessions
    #[arg(long)]
    tls_resumption: bool,
    /// Keep jobs, executions and registrations in this file, across restarts and kill -9; answers wait for the disk
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// End when the process with this number is no longer the parent
    #[arg(long, value_name = "PID", hide = true)]
    exit_with_parent: Option<u32>,
}

#[derive(Args)]
struct CertsArgs {
    #[command(subcommand)]
    action: CertsAction,
}

#[derive(Subcommand)]
enum CertsAction {
    /// The things of DIR/things (<thing>.cert.pem, <thing>.key.pem) into one file, for target.tls.bundle
    Pack { dir: PathBuf, file: PathBuf },
    /// A packed file into DIR/things
    Unpack { file: PathBuf, dir: PathBuf },
    /// Make a CA (not built yet: `run` and `serve` make their own)
    Ca(NotBuilt),
    /// Make device certificates (not built yet: `run` and `serve` make their own)
    Issue(NotBuilt),
}

#[derive(Args)]
struct ReportArgs {
    /// A results folder, also one whose run was killed
    run: PathBuf,
}

#[derive(Args)]
struct ScenariosArgs {
    #[command(subcommand)]
    action: Option<ScenariosAction>,
}

#[derive(Subcommand)]
enum ScenariosAction {
    /// Names and summaries
    List,
    /// Print one
    Show { name: String },
    /// Write one to a file of its own, to be changed
    Init { name: String, file: Option<PathBuf> },
    /// Everything that [thresholds] can check
    Thresholds,
}

/// Parses the command line, does what it says, and returns the exit code.
#[must_use]
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; they go to stdout and a closed pipe is nobody's problem.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::PASS };
        }
    };
    let to_dashboard = matches!(&cli.command, Command::Run(args) if matches!(args.ui_kind(), Ok(UiKind::Tui { .. })));
    start_logging(&cli.logging, to_dashboard);
    match cli.command {
        Command::Run(args) => run_command(args),
        Command::Check(args) => check_command(&args),
        Command::Serve(args) => serve_command(args),
        Command::Report(args) => report_command(&args),
        Command::Scenarios(args) => scenarios_command(args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "fleetsim", &mut std::io::stdout());
            exit::PASS
        }
        Command::Capacity(_) => not_built("capacity"),
        Command::Compare(_) => not_built("compare"),
        Command::Merge(_) => not_built("merge"),
        Command::Certs(args) => certs_command(args),
        Command::Aws(_) => not_built("aws"),
    }
}

fn start_logging(logging: &Logging, to_dashboard: bool) {
    let level = match (logging.quiet, logging.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = use_colour(&std::io::stderr()) && !to_dashboard;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(LogLine::default).with_ansi(colour).init();
}

fn complain(message: impl std::fmt::Display) {
    eprintln!("fleetsim: {message}");
}

fn usage(message: impl std::fmt::Display) -> u8 {
    complain(message);
    exit::USAGE
}

fn not_built(what: &str) -> u8 {
    usage(format_args!("{what} is not built yet"))
}

/// The text of a scenario and where it comes from: a file, or the name of a shipped one.
fn scenario_text(argument: &str) -> Result<(String, String), String> {
    match std::fs::read_to_string(argument) {
        Ok(text) => Ok((argument.to_owned(), text)),
        Err(error) => match scenario::shipped(argument) {
            Some(shipped) => Ok((format!("{argument} (shipped)"), shipped.text.to_owned())),
            None => Err(format!("failed to read the scenario {argument}: {error}; `fleetsim scenarios` lists the shipped ones")),
        },
    }
}

/// A flag that is short for a value of the scenario.
struct Shorthand<'a> {
    flag: &'static str,
    key: &'static str,
    /// Text, which TOML wants quoted.
    is_text: bool,
    given: Option<&'a str>,
}

impl Shorthand<'_> {
    fn lay(&self, value: &str, origin: String) -> Override {
        let value = if self.is_text { toml::Value::String(value.to_owned()).to_string() } else { value.to_owned() };
        Override { key: self.key.to_owned(), value, origin }
    }
}

impl ScenarioArgs {
    fn shorthands(&self) -> [Shorthand<'_>; 7] {
        let number = |flag, key, given| Shorthand { flag, key, is_text: false, given };
        let text = |flag, key, given| Shorthand { flag, key, is_text: true, given };
        [
            number("things", "fleet.things", self.things.as_deref()),
            number("seed", "seed", self.seed.as_deref()),
            text("host", "target.host", self.host.as_deref()),
            number("port", "target.port", self.port.as_deref()),
            text("ca", "target.tls.ca", self.ca.as_deref()),
            text("cert", "target.tls.cert", self.cert.as_deref()),
            text("key", "target.tls.key", self.key.as_deref()),
        ]
    }

    fn overrides(&self) -> Result<Vec<Override>, String> {
        let mut overrides = Vec::new();
        for set in &self.set {
            let Some((key, value)) = set.split_once('=') else {
                return Err(format!("--set {set}: expected KEY=VALUE, for example --set fleet.things=100"));
            };
            overrides.push(Override { key: key.trim().to_owned(), value: value.to_owned(), origin: format!("--set {set}") });
        }
        // A flag wins over --set, and --set over the environment: what comes later is laid over what came before.
        let shorthands = self.shorthands();
        let environment = shorthands.iter().filter_map(|shorthand| {
            let name = format!("FLEETSIM_RUN_{}", shorthand.flag.to_uppercase());
            let value = std::env::var(&name).ok()?;
            Some(shorthand.lay(&value, format!("{name}={value}")))
        });
        overrides.splice(0..0, environment);
        let flags = shorthands.iter().filter_map(|shorthand| {
            let value = shorthand.given?;
            Some(shorthand.lay(value, format!("--{} {value}", shorthand.flag)))
        });
        overrides.extend(flags);
        Ok(overrides)
    }

    /// The plan; problems are told here.
    fn load(&self) -> Result<Plan, u8> {
        let overrides = self.overrides().map_err(usage)?;
        let (name, text) = scenario_text(&self.scenario).map_err(|message| {
            complain(message);
            exit::SCENARIO
        })?;
        match scenario::load(&name, &text, &overrides) {
            Ok(plan) => match quotas_problem(&plan) {
                None => Ok(plan),
                Some(message) => {
                    complain(message);
                    Err(exit::SCENARIO)
                }
            },
            Err(problems) => {
                eprintln!("{}", problems.render(use_colour(&std::io::stderr())));
                Err(exit::SCENARIO)
            }
        }
    }
}

/// What is wrong with the file of quotas that the plan names: better told now than by the endpoint.
fn quotas_problem(plan: &Plan) -> Option<String> {
    let TargetPlan::Emulator(emulator) = &plan.target else { return None };
    quotas_of(&emulator.quotas).err().map(|error| format!("target.emulator.quotas: {error}"))
}

fn run_command(args: RunArgs) -> u8 {
    let unbuilt = [("--shard", &args.shard), ("--start-at", &args.start_at), ("--metrics", &args.metrics)];
    if let Some((flag, _)) = unbuilt.into_iter().find(|(_, value)| value.is_some()) {
        return not_built(&format!("run {flag}"));
    }
    let ui = match args.ui_kind() {
        Ok(ui) => ui,
        Err(message) => return usage(message),
    };
    let plan = match args.scenario.load() {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    run(RunOptions { plan, out: args.out, ui, shards: args.shards.map(usize::from) })
}

fn check_command(args: &CheckArgs) -> u8 {
    let plan = match args.scenario.load() {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    // A closed pipe (`| head`) is nobody's problem.
    let _ = writeln!(std::io::stdout(), "{}", plan.to_toml());
    match preflight::check(&crate::run::needs(&plan)) {
        Ok(facts) => {
            eprintln!("this host can carry it: {facts}");
            match check_target(&plan) {
                Ok(()) => exit::PASS,
                Err(faults) => {
                    complain(format_args!("failed to {faults}"));
                    exit::ERROR
                }
            }
        }
        Err(shortages) => {
            complain(preflight::describe(&shortages));
            exit::ERROR
        }
    }
}

fn serve_command(args: ServeArgs) -> u8 {
    if args.print_quotas {
        let _ = write!(std::io::stdout(), "{AWS_QUOTAS}");
        return exit::PASS;
    }
    let minute: Duration = match sim_units::text::duration(&args.minute) {
        Ok(minute) if !minute.is_zero() => minute,
        Ok(_) => return usage("--minute must be longer than 0"),
        Err(error) => return usage(format_args!("--minute {}: {error}", args.minute)),
    };
    let thing_name: NameTemplate = match sim_units::text::name_template(&args.thing_name) {
        Ok(template) => template,
        Err(error) => return usage(format_args!("--thing-name {}: {error}", args.thing_name)),
    };
    let duration = |name: &str, text: &str| sim_units::text::duration(text).map_err(|error| format!("{name} {text}: {error}"));
    let session_expiry_max = match duration("--session-expiry", &args.session_expiry) {
        Ok(duration) => duration,
        Err(message) => return usage(message),
    };
    let keep_alive_min = match duration("--keep-alive-min", &args.keep_alive_min) {
        Ok(duration) => duration,
        Err(message) => return usage(message),
    };
    let shape = match shape(&args) {
        Ok(shape) => shape,
        Err(message) => return usage(message),
    };
    let Some(dir) = args.dir else { return usage("--dir is missing") };
    let options = ServeOptions {
        dir,
        bind: args.bind,
        mqtt_port: args.mqtt_port,
        https_port: args.https_port,
        api_port: args.api_port,
        things: args.things,
        thing_name,
        auto_register: args.auto_register,
        minute,
        keep_alive_min,
        session_expiry_max,
        spread: Spread::ALL.into_iter().find(|spread| spread.as_str() == args.rollout).unwrap_or_default(),
        ledger: args.ledger,
        requests: args.requests,
        state: args.state,
        shape,
        resumption: args.tls_resumption,
        exit_with_parent: args.exit_with_parent,
    };
    match serve(&options) {
        Ok(()) => exit::PASS,
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}

fn shape(args: &ServeArgs) -> Result<ShapeSettings, String> {
    let quotas = match args.quotas.as_str() {
        "none" => QuotasPlan::None,
        "aws" => QuotasPlan::Aws,
        path => QuotasPlan::File(path.to_owned()),
    };
    let quotas = quotas_of(&quotas).map_err(|error| format!("--quotas: {error}"))?;
    Ok(ShapeSettings { quotas, faults: FaultSettings { seed: args.seed, plan: faults(args)? } })
}

fn quotas_of(plan: &QuotasPlan) -> Result<Quotas, String> {
    match plan {
        QuotasPlan::None => Ok(quotas::none()),
        QuotasPlan::Aws => Ok(quotas::aws()),
        QuotasPlan::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                format!(
                    "failed to read {path}: {error}; known are none, aws, or a file like that of `fleetsim serve --print-quotas`"
                )
            })?;
            quotas::load(path, &text).map_err(|problems| problems.render(use_colour(&std::io::stderr())))
        }
    }
}

fn faults(args: &ServeArgs) -> Result<FaultConfig, String> {
    let distribution = |flag: &str, text: &Option<String>| {
        text.as_deref().map(sim_units::text::distribution).transpose().map_err(|error| format!("{flag}: {error}"))
    };
    let share = |flag: &str, share: Option<f64>| match share {
        Some(share) if !(0.0..=1.0).contains(&share) => Err(format!("{flag} {share}: a share is 0 to 1")),
        share => Ok(share),
    };
    let known = ErrorCode::ALL.map(ErrorCode::as_str).join(", ");
    let code = |text: &String| ErrorCode::parse(text).ok_or_else(|| format!("--reject-codes {text}: known codes are {known}"));
    let codes = args.reject_codes.iter().map(code).collect::<Result<Vec<_>, _>>()?;
    let disconnect = distribution("--disconnect", &args.disconnect)?;
    if disconnect.is_some_and(|every| every.mean().is_zero()) {
        return Err("--disconnect must be longer than 0s".into());
    }
    let notifications = distribution("--notification-delay", &args.notification_delay)?
        .map(|delay| NotificationConfig::new(delay, args.notification_shuffle))
        .transpose()
        .map_err(|why| format!("--notification-shuffle: {why}"))?;
    Ok(FaultConfig {
        latency: distribution("--latency", &args.latency)?,
        server: distribution("--server", &args.server)?.map(|service| ServerConfig { workers: args.server_workers, service }),
        reject: share("--reject", args.reject)?.map(|share| RejectConfig { share, codes }),
        drop: share("--drop", args.drop)?,
        disconnect,
        notifications,
    })
}

fn certs_command(args: CertsArgs) -> u8 {
    let (done, into) = match &args.action {
        CertsAction::Pack { dir, file } => (bundle::pack(dir, file), file),
        CertsAction::Unpack { file, dir } => (bundle::unpack(file, dir), dir),
        CertsAction::Ca(_) => return not_built("certs ca"),
        CertsAction::Issue(_) => return not_built("certs issue"),
    };
    match done {
        Ok(things) => {
            let _ = writeln!(std::io::stdout(), "{things} things: {}", into.display());
            exit::PASS
        }
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}

fn report_command(args: &ReportArgs) -> u8 {
    match report::load(&args.run) {
        Ok(record) => {
            let _ = writeln!(std::io::stdout(), "{}", record.summary(use_colour(&std::io::stdout())));
            if record.differences().is_empty() { exit::PASS } else { exit::FAIL }
        }
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}

fn scenarios_command(args: ScenariosArgs) -> u8 {
    let find = |name: &str| {
        scenario::shipped(name).ok_or_else(|| {
            let known: Vec<&str> = scenario::SHIPPED.iter().map(|shipped| shipped.name).collect();
            usage(format_args!("there is no shipped scenario {name:?}; known: {}", known.join(", ")))
        })
    };
    let outcome = match args.action.unwrap_or(ScenariosAction::List) {
        ScenariosAction::List => {
            let width = scenario::SHIPPED.iter().map(|shipped| shipped.name.len()).max().unwrap_or(0);
            for shipped in scenario::SHIPPED {
                let _ = writeln!(std::io::stdout(), "{:width$}  {}", shipped.name, shipped.summary);
            }
            Ok(())
        }
        ScenariosAction::Thresholds => {
            let _ = print_thresholds(&mut std::io::stdout().lock());
            Ok(())
        }
        ScenariosAction::Show { name } => find(&name).map(|shipped| {
            let _ = write!(std::io::stdout(), "{}", shipped.text);
        }),
        ScenariosAction::Init { name, file } => find(&name).and_then(|shipped| {
            let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
            write_new(&file, shipped.text).map_err(|error| usage(format_args!("failed to write {}: {error}", file.display())))
        }),
    };
    outcome.err().unwrap_or(exit::PASS)
}

fn print_thresholds(out: &mut impl std::io::Write) -> std::io::Result<()> {
    writeln!(out, "[thresholds]")?;
    writeln!(
        out,
        "# \"METRIC\" = \"< 250\", or {{ check = \"< 250\", over = \"last 60s\", phase = \"rollout\", cohort = \"NAME\" }}"
    )?;
    writeln!(out, "# Signs: < <= > >= == !=. Without a single sample a threshold fails.")?;
    Metric::vocabulary().try_for_each(|metric| writeln!(out, "{metric}"))
}

fn write_new(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::create_new(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
