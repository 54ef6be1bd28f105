//! A scenario and what the command line changes of it.

use super::{complain, usage};
use crate::exit;
use crate::run::use_colour;
use crate::scenario::plan::{Plan, TargetPlan};
use crate::scenario::{self, Override, Source};
use clap::Args;
use host::environment;
use host::stdio::{is_standard, read_to_string, say};
use iot_endpoint::DevicePolicy;
use std::path::Path;

/// What shapes a scenario from outside. Precedence: flag, --set, environment, file, default.
#[derive(Args)]
pub(super) struct ScenarioArgs {
    /// A TOML file, the name of a shipped scenario, or - for standard input
    scenario: String,
    /// Override a value of the scenario, as TOML: `--set fleet.things=100 --set rollout.fw-2-4-1.rate='"600/min"'`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Number of things (fleet.things)
    #[arg(long, value_name = "N")]
    things: Option<String>,
    /// Seed of everything random (seed)
    #[arg(long, value_name = "N")]
    seed: Option<String>,
    /// Name or address of the endpoint (target.host)
    #[arg(long)]
    host: Option<String>,
    /// MQTT port of the endpoint (target.port)
    #[arg(long)]
    port: Option<String>,
    /// PEM file of the CA to trust (target.tls.ca)
    #[arg(long, value_name = "FILE")]
    ca: Option<String>,
    /// Certificate of the things: a file, or a template with {thing} or {index} (target.tls.cert)
    #[arg(long, value_name = "FILE")]
    cert: Option<String>,
    /// Its private key: a file, or a template with {thing} or {index} (target.tls.key)
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
}

/// The text of a scenario and where it comes from: a file, or the name of a shipped one.
fn scenario_text(argument: &str) -> Result<(String, String), String> {
    let path = Path::new(argument);
    match read_to_string(path) {
        Ok(text) if is_standard(path) => Ok(("standard input".to_owned(), text)),
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
            let value = environment::variable(&name)?;
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

    /// The scenario as it was given; what cannot be read is told here.
    pub(super) fn source(&self) -> Result<Source, u8> {
        let overrides = self.overrides().map_err(usage)?;
        let (name, text) = scenario_text(&self.scenario).map_err(|message| {
            complain(message);
            exit::SCENARIO
        })?;
        Ok(Source { name, text, overrides })
    }

    /// The plan; problems are told here.
    pub(super) fn load(&self) -> Result<Plan, u8> {
        resolve(&self.source()?)
    }
}

/// The plan of a scenario; problems are told here.
pub(super) fn resolve(source: &Source) -> Result<Plan, u8> {
    match source.load() {
        Ok(plan) => match check_files(&plan) {
            Ok(()) => Ok(plan),
            Err(message) => {
                complain(format_args!("target.emulator.{message}"));
                Err(exit::SCENARIO)
            }
        },
        Err(problems) => {
            say(&problems.render(use_colour(&std::io::stderr())));
            Err(exit::SCENARIO)
        }
    }
}

/// The files of quotas and of the policy that the plan names: what is wrong with them is better told now than by the endpoint.
fn check_files(plan: &Plan) -> Result<(), String> {
    let TargetPlan::Emulator(emulator) = &plan.target else { return Ok(()) };
    let quotas = emulator.endpoint.quotas.load();
    quotas.map_err(|error| format!("quotas: {}", error.render(use_colour(&std::io::stderr()))))?;
    let policy = DevicePolicy::load(emulator.endpoint.policy.as_deref());
    policy.map_err(|error| format!("policy: failed to {error}"))?;
    Ok(())
}
