//! `fleetsim serve`: the endpoint's configuration from a file and from flags, and the rest of what it needs.

use super::{complain, print, usage};
use crate::exit;
use crate::run::use_colour;
use clap::Args;
use clap::builder::PossibleValuesParser;
use config_text::Override;
use host::address::bare;
use host::stdio::{is_standard, read_to_string, say};
use iot_endpoint::config::EndpointConfig;
use iot_endpoint::quotas::{AWS_QUOTAS, QuotasError};
use iot_endpoint::serve::{ServeOptions, serve};
use iot_endpoint::{DevicePolicy, PolicyFileError};
use iot_jobs::Spread;
use std::net::{AddrParseError, IpAddr};
use std::path::PathBuf;
use strum::VariantArray;
use toml::Value;

#[derive(Args)]
pub(super) struct ServeArgs {
    /// CA, certificates and credentials; created if absent, else reused
    #[arg(long, required_unless_present_any = ["print_quotas", "print_config"])]
    dir: Option<PathBuf>,
    /// Address to listen on: loopback by default, name any other address explicitly
    #[arg(long, default_value = "127.0.0.1", value_parser = bind_address)]
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
    /// Their names, as fleet.thing_name of a scenario has them
    #[arg(long, value_name = "TEMPLATE", default_value = "sim-{index:06}")]
    thing_name: String,
    /// Append one CSV row per committed change
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Write one CSV row per data-plane request: when it came, when its answer left
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Append one line of JSON for each action that policies deny a client, the first time: what, and why
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Keep jobs, executions and registrations in this file, across restarts and kill -9; answers wait for the disk
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Configuration of the endpoint: a TOML file with the keys of a scenario's [target.emulator]; the flags below override single keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what --config and the flags make together, as a TOML file for --config, and exit; what is not printed has its default
    #[arg(long)]
    print_config: bool,
    /// Print AWS's quotas as a TOML file for --quotas, to be changed, and exit
    #[arg(long, exclusive = true)]
    print_quotas: bool,
    #[command(flatten)]
    shape: ShapeFlags,
    /// End when the process with this number is no longer the parent
    #[arg(long, value_name = "PID", hide = true)]
    exit_with_parent: Option<u32>,
}

/// What is laid over the file of `--config`.
#[derive(Args)]
#[command(next_help_heading = "Behaviour of the endpoint")]
struct ShapeFlags {
    /// Account and connection quotas: none, aws (the defaults of an account), or a TOML file [default: none]
    #[arg(long, value_name = "none|aws|FILE")]
    quotas: Option<String>,
    /// Length of a minute, for every minute-unit (timers, rollout rates): 100ms to 1h [default: 1m]
    #[arg(long, value_name = "DURATION")]
    minute: Option<String>,
    /// How the executions of a minute are queued: evenly, or all at once [default: smooth]
    #[arg(long, value_name = "SPREAD", value_parser = PossibleValuesParser::new(Spread::VARIANTS.iter().map(|spread| spread.as_str())))]
    rollout: Option<String>,
    /// How long an MQTT session may outlive its connection; AWS has 1h unless the account has more, up to 7d [default: 1h]
    #[arg(long, value_name = "DURATION")]
    session_expiry: Option<String>,
    /// Raise shorter keep-alives to this [default: 30s]
    #[arg(long, value_name = "DURATION", hide = true)]
    keep_alive_min: Option<String>,
    /// A certificate of this CA whose CN is an unknown thing name registers that thing
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    auto_register: Option<bool>,
    /// The policy of the certificates that are made for things; another account and region in its ARNs are read as this endpoint's
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,
    /// Delay from a change of policies to its effect on connected clients; AWS takes 6 to 8 minutes [default: 0s]
    #[arg(long, value_name = "DURATION")]
    policy_delay: Option<String>,
    /// Give TLS tickets, so that clients that kept theirs resume their sessions
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tls_resumption: Option<bool>,
    /// Delay every data-plane request before it is processed, as in 'uniform(2ms, 8ms)'
    #[arg(long, value_name = "DURATION")]
    latency: Option<String>,
    /// A queue in front of the service: how long a worker is busy with a request, as in 'exp(20ms)'
    #[arg(long, value_name = "DURATION")]
    server: Option<String>,
    /// Workers that take requests out of the queue of --server [default: 1]
    #[arg(long, value_name = "N")]
    server_workers: Option<u32>,
    /// Reject this share of the data-plane requests without processing them
    #[arg(long, value_name = "SHARE")]
    reject: Option<f64>,
    /// Error codes of these rejections, drawn with equal chances [default: RequestThrottled]
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    reject_codes: Option<Vec<String>>,
    /// Acknowledge this share of the data-plane requests and never answer them
    #[arg(long, value_name = "SHARE")]
    drop: Option<f64>,
    /// Close every connection after this time, drawn for each, as in 'exp(10m)'
    #[arg(long, value_name = "DURATION")]
    disconnect: Option<String>,
    /// Delay every notification by this, as in 'uniform(0s, 1s)'
    #[arg(long, value_name = "DURATION")]
    notification_delay: Option<String>,
    /// Deliver notifications out of order, also with the answers to requests
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    notification_shuffle: Option<bool>,
    /// Seed of --latency and of the other faults [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
}

impl ShapeFlags {
    /// Each flag is short for a key; its value is read, and its limits are checked, as those of the file.
    fn overrides(&self) -> Vec<Override> {
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let flags = [
            ("quotas", "quotas", self.quotas.as_deref().map(quotas_word)),
            ("minute", "minute", text(&self.minute)),
            ("rollout", "rollout", text(&self.rollout)),
            ("session-expiry", "session_expiry", text(&self.session_expiry)),
            ("keep-alive-min", "keep_alive_min", text(&self.keep_alive_min)),
            ("auto-register", "auto_register", self.auto_register.map(Value::from)),
            ("policy", "policy", text(&self.policy)),
            ("policy-delay", "policy_delay", text(&self.policy_delay)),
            ("tls-resumption", "tls_resumption", self.tls_resumption.map(Value::from)),
            ("latency", "latency", text(&self.latency)),
            ("server", "server.service", text(&self.server)),
            ("server-workers", "server.workers", self.server_workers.map(Value::from)),
            ("reject", "reject.share", self.reject.map(Value::from)),
            ("reject-codes", "reject.codes", self.reject_codes.clone().map(Value::from)),
            ("drop", "drop.share", self.drop.map(Value::from)),
            ("disconnect", "disconnect.every", text(&self.disconnect)),
            ("notification-delay", "notifications.delay", text(&self.notification_delay)),
            ("notification-shuffle", "notifications.shuffle", self.notification_shuffle.map(Value::from)),
            ("seed", "seed", self.seed.map(Value::from)),
        ];
        flags
            .into_iter()
            .filter_map(|(flag, key, value)| {
                let value = value?;
                let typed = match &value {
                    Value::String(text) => text.clone(),
                    Value::Array(_) => self.reject_codes.iter().flatten().cloned().collect::<Vec<_>>().join(","),
                    Value::Float(number) => number.to_string(),
                    other => other.to_string(),
                };
                Some(Override { key: key.to_owned(), value: value.to_string(), origin: format!("--{flag} {typed}") })
            })
            .collect()
    }
}

fn bind_address(text: &str) -> Result<IpAddr, AddrParseError> {
    bare(text).parse()
}

/// On the command line any word but two is a file; in a text one without a dot or a slash is taken for a typing error.
fn quotas_word(word: &str) -> Value {
    match word {
        "none" | "aws" => word.into(),
        "-" => "/dev/stdin".into(),
        path if path.contains(['.', '/']) => path.into(),
        file => format!("./{file}").into(),
    }
}

impl ServeArgs {
    /// The endpoint's shape. Problems are told here: those of flags are wrong usage, those of the file are as those of a scenario.
    fn load_config(&self) -> Result<EndpointConfig, u8> {
        let (name, text) = match &self.config {
            None => ("the command line".to_owned(), String::new()),
            Some(path) => match read_to_string(path) {
                Ok(text) => (path.display().to_string(), text),
                Err(error) => {
                    complain(format_args!("failed to read the endpoint's configuration {}: {error}", path.display()));
                    return Err(exit::SCENARIO);
                }
            },
        };
        EndpointConfig::load(&name, &text, &self.shape.overrides()).map_err(|problems| {
            say(&problems.render(use_colour(&std::io::stderr())));
            let is_of_flag = problems.iter().any(|problem| problem.place.source > 0);
            if is_of_flag { exit::USAGE } else { exit::SCENARIO }
        })
    }

    fn complain_of_policy(&self, error: &PolicyFileError) -> u8 {
        let (said, code) = match self.shape.policy {
            Some(_) => ("--policy", exit::USAGE),
            None => ("policy", exit::SCENARIO),
        };
        complain(format_args!("{said}: failed to {error}"));
        code
    }

    fn complain_of_quotas(&self, error: &QuotasError) -> u8 {
        let message = error.render(use_colour(&std::io::stderr()));
        let (said, code) = match self.shape.quotas {
            Some(_) => ("--quotas", exit::USAGE),
            None => ("quotas", exit::SCENARIO),
        };
        complain(format_args!("{said}: {message}"));
        code
    }
}

/// Standard output takes one file, and no database.
fn check_streams(args: &ServeArgs) -> Result<(), &'static str> {
    let is_stream = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_standard);
    if is_stream(&args.state) {
        return Err("--state - : the state is read and written anywhere in its file; name a file");
    }
    if [&args.ledger, &args.requests, &args.decisions].into_iter().filter(|path| is_stream(path)).count() > 1 {
        return Err("--ledger - , --requests - and --decisions - : standard output can be one of them; name a file for the others");
    }
    Ok(())
}

pub(super) fn serve_command(args: ServeArgs) -> u8 {
    if args.print_quotas {
        return print(AWS_QUOTAS);
    }
    let config = match args.load_config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let quotas = match config.quotas.load() {
        Ok(quotas) => quotas,
        Err(error) => return args.complain_of_quotas(&error),
    };
    let policy = match DevicePolicy::load(config.policy.as_deref()) {
        Ok(policy) => policy,
        Err(error) => return args.complain_of_policy(&error),
    };
    if args.print_config {
        return print(&config.to_toml());
    }
    let thing_name = match sim_units::text::name_template(&args.thing_name) {
        Ok(template) => template,
        Err(error) => return usage(format_args!("--thing-name {}: {error}", args.thing_name)),
    };
    if let Err(why) = check_streams(&args) {
        return usage(why);
    }
    let Some(dir) = args.dir else { return usage("--dir is missing") };
    let options = ServeOptions {
        dir,
        bind: args.bind,
        mqtt_port: args.mqtt_port,
        https_port: args.https_port,
        api_port: args.api_port,
        things: args.things,
        thing_name,
        config,
        quotas,
        ledger: args.ledger,
        requests: args.requests,
        policy,
        decisions: args.decisions,
        state: args.state,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};

    #[derive(Parser)]
    struct Shape {
        #[command(flatten)]
        flags: ShapeFlags,
    }

    fn config(arguments: &[String]) -> EndpointConfig {
        let shape = Shape::parse_from(["serve".to_owned()].iter().chain(arguments));
        let config = EndpointConfig::load("x", "", &shape.flags.overrides());
        let config = config.unwrap_or_else(|problems| panic!("{arguments:?}: {problems}"));
        // Without one the endpoint of a run takes the run's, and `serve` this.
        EndpointConfig { seed: config.seed.or(Some(0)), ..config }
    }

    #[test]
    fn defaults_that_the_help_names_are_those_of_the_configuration() {
        // What has a default only where something else is given.
        let base = ["--server=exp(20ms)".to_owned(), "--reject=0.5".to_owned()];
        let mut named = 0;
        for argument in Shape::command().get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let Some((_, default)) = help.split_once("[default: ") else { continue };
            let flag = format!("--{}={}", argument.get_long().unwrap(), default.trim_end_matches(']'));
            assert_eq!(config(&[&base[..], std::slice::from_ref(&flag)].concat()), config(&base), "{flag}");
            named += 1;
        }
        assert!(named >= 8, "{named}");
    }
}
