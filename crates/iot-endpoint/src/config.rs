//! How the endpoint is shaped: the table `[target.emulator]` of a scenario, and the file of `fleetsim serve --config`. This is the one
//! place that knows its keys, defaults, units and limits.

use super::quotas::QuotasChoice;
use config_text::{Code, Key, Located, Override, Problems, Reader, nearest};
use iot_jobs::{ErrorCode, Spread, limits};
use jobs_engine::faults::{FaultConfig, NotificationConfig, RejectConfig, ServerConfig};
use serde::{Serialize, Serializer};
use sim_units::distribution::Distribution;
use sim_units::text::duration_text;
use std::ops::RangeInclusive;
use std::time::Duration;

const MINUTE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);
/// What an account can have (PROTOCOL 13.4).
const SESSION_EXPIRY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(7 * 24 * 3_600);
const KEEP_ALIVE_MIN: RangeInclusive<Duration> = Duration::ZERO..=limits::KEEP_ALIVE_MAX;
/// AWS's minutes, and more (PROTOCOL-CORE 1.10).
const POLICY_DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);
const SERVER_WORKERS_MAX: i64 = 1_024;

/// The endpoint's whole shape: all that is no address, port or file of a running endpoint.
///
/// It serializes to the text that [`EndpointConfig::read`] reads; a key that is not written has its default.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointConfig {
    /// Account and connection quotas.
    pub quotas: QuotasChoice,
    /// Length of a minute, for every minute-unit (timers, rollout rates), never for latencies: 100 ms to 1 h.
    #[serde(serialize_with = "duration_word")]
    pub minute: Duration,
    /// Where in a minute the executions of a job are queued.
    #[serde(rename = "rollout", serialize_with = "spread_word")]
    pub spread: Spread,
    /// How long an MQTT session may outlive its connection, at most: up to 7 days.
    #[serde(skip_serializing_if = "is_session_expiry_of_aws", serialize_with = "duration_word")]
    pub session_expiry: Duration,
    /// Shorter keep-alives are raised to this one: up to [`limits::KEEP_ALIVE_MAX`].
    #[serde(skip_serializing_if = "is_keep_alive_min_of_aws", serialize_with = "duration_word")]
    pub keep_alive_min: Duration,
    /// Whether a certificate of this CA whose CN is an unknown thing name registers that thing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto_register: bool,
    /// Whether TLS tickets are given, so that sessions can be resumed. `None`: no; in a scenario what `target.tls.resumption` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_resumption: Option<bool>,
    /// The policy of the certificates that the endpoint makes for things: its file, or the document itself. `None`: the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// From a change of policies, or of what they are attached to, to when connected clients feel it: up to 1 h. AWS takes 6 to 8 minutes.
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "duration_word")]
    pub policy_delay: Duration,
    /// For all that the endpoint draws, up to [`i64::MAX`]. `None`: 0; in a scenario the seed of the scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What the endpoint does wrong, or slowly, on purpose.
    #[serde(flatten)]
    pub faults: FaultConfig,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            quotas: QuotasChoice::None,
            minute: Duration::from_secs(60),
            spread: Spread::Smooth,
            session_expiry: limits::SESSION_EXPIRY_MAX,
            keep_alive_min: limits::KEEP_ALIVE_MIN,
            auto_register: false,
            tls_resumption: None,
            policy: None,
            policy_delay: Duration::ZERO,
            seed: None,
            faults: FaultConfig::default(),
        }
    }
}

impl EndpointConfig {
    /// Reads the table; what is wrong with it is gathered by the reader.
    #[must_use]
    pub fn read(reader: Reader<'_>) -> Self {
        let default = Self::default();
        let duration = |key: Key, range, default| {
            reader.declare_default(key, || duration_text(default));
            reader.duration(key, range).map_or(default, |duration| duration.value)
        };
        let config = Self {
            minute: duration(("minute", "length of a minute for timers and rollout rates, never for latencies").into(), MINUTE, default.minute),
            spread: reader.variant(("rollout", "how the executions of a minute are queued: spread over it, or all at once")).map_or(default.spread, |spread| spread.value),
            quotas: reader.string(("quotas", "`none`, `aws` (an account's defaults), or the path of a TOML file (`fleetsim serve --print-quotas`)")).map_or(default.quotas, |quotas| quotas_choice(&reader, quotas)),
            faults: FaultConfig {
                latency: reader.distribution(("latency", "delay of every request before it is processed, after the queue")).map(|latency| latency.value),
                server: reader.table(("server", "a queue in front of the service, first come, first served")).and_then(server),
                reject: reader.table(("reject", "requests that are rejected")).and_then(reject),
                drop: reader.table(("drop", "requests that are acknowledged and then lost")).and_then(drop_share),
                disconnect: reader.table(("disconnect", "connections that the endpoint closes")).and_then(disconnect),
                notifications: reader.table(("notifications", "late notifications")).and_then(notifications),
            },
            session_expiry: duration(("session_expiry", "how long an MQTT session may outlive its connection at most").into(), SESSION_EXPIRY, default.session_expiry),
            keep_alive_min: duration(("keep_alive_min", "shorter keep-alives are raised to this").into(), KEEP_ALIVE_MIN, default.keep_alive_min),
            auto_register: reader.boolean(("auto_register", "whether a certificate of this CA with an unknown thing name registers that thing")).map_or(default.auto_register, |auto_register| auto_register.value),
            tls_resumption: reader.boolean(("tls_resumption", "whether TLS tickets are given; in a scenario what `target.tls.resumption` says")).map(|resumption| resumption.value),
            policy: reader.string(("policy", "the policy of the things: its file, or the document itself ([POLICIES.md](POLICIES.md)); by default a built-in one")).map(|policy| policy.value),
            policy_delay: duration(("policy_delay", "from a change of policies to its effect on connected clients; 6 to 8 minutes at AWS").into(), POLICY_DELAY, default.policy_delay),
            seed: reader.integer(("seed", "for everything random in the endpoint; in a scenario the seed of the scenario"), 0..=i64::MAX).map(|seed| seed.value as u64),
        };
        reader.finish();
        config
    }

    /// Reads a text of its own, with `overrides` laid over it.
    ///
    /// # Errors
    /// With everything that is wrong, in the order of the text.
    pub fn load(source_name: &str, text: &str, overrides: &[Override]) -> Result<Self, Problems> {
        config_text::load(source_name, text, overrides, Self::read)
    }

    /// The text that reads back as the same configuration.
    ///
    /// # Panics
    /// Never: all of it has a word in TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is TOML")
    }
}

fn duration_word<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration_text(*duration))
}

fn spread_word<S: Serializer>(spread: &Spread, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(spread.as_str())
}

fn is_session_expiry_of_aws(expiry: &Duration) -> bool {
    *expiry == limits::SESSION_EXPIRY_MAX
}

fn is_keep_alive_min_of_aws(keep_alive: &Duration) -> bool {
    *keep_alive == limits::KEEP_ALIVE_MIN
}

/// "none", "aws", or a file; a word that looks like neither is more likely a typing error than a file's name.
fn quotas_choice(reader: &Reader<'_>, Located { value, place }: Located<String>) -> QuotasChoice {
    match value.as_str() {
        "none" => QuotasChoice::None,
        "aws" => QuotasChoice::Aws,
        path if path.contains(['.', '/']) => QuotasChoice::File(value),
        _ => {
            let name = reader.name("quotas");
            let message = format!("{name} must be \"none\", \"aws\" or the path of a TOML file, not {value:?}");
            let help = "`fleetsim serve --print-quotas > quotas.toml` writes AWS's, to be changed".to_owned();
            reader.gathered.push(Code::BadValue, &place, message, Some(help));
            QuotasChoice::None
        }
    }
}

fn server(reader: Reader<'_>) -> Option<ServerConfig> {
    let workers = reader
        .integer(("workers", "how many requests it works on at once"), 1..=SERVER_WORKERS_MAX)
        .map_or(1, |workers| workers.value as u32);
    let service = reader.distribution(("service", "how long a worker is busy with a request"));
    if service.is_none() && !reader.has("service") {
        reader.missing("service", "how long a worker is busy with a request, as in service = \"exp(20ms)\"");
    }
    reader.finish();
    Some(ServerConfig { workers, service: service?.value })
}

fn drop_share(reader: Reader<'_>) -> Option<f64> {
    let share = reader.share(("share", "part of all requests that is never answered"));
    if share.is_none() && !reader.has("share") {
        reader.missing("share", "the part of all requests that is never answered, as in share = 0.01");
    }
    reader.finish();
    share.map(|share| share.value)
}

fn disconnect(reader: Reader<'_>) -> Option<Distribution> {
    let every = reader.distribution(("every", "how long each connection lasts"));
    if every.is_none() && !reader.has("every") {
        reader.missing("every", "how long a connection lives until the server ends it, as in every = \"exp(10m)\"");
    }
    if let Some(Located { value, place }) = &every
        && value.mean().is_zero()
    {
        let message = format!("{} must be longer than 0s", reader.name("every"));
        reader.gathered.push(Code::OutOfRange, place, message, None);
    }
    reader.finish();
    every.map(|every| every.value)
}

fn notifications(reader: Reader<'_>) -> Option<NotificationConfig> {
    let shuffle = reader
        .boolean(("shuffle", "whether each is late on its own, so that they come in any order, and answers too"))
        .is_some_and(|shuffle| shuffle.value);
    let delay = reader.distribution(("delay", "how late they are"));
    if delay.is_none() && !reader.has("delay") {
        reader.missing("delay", "how late notifications are, as in delay = \"uniform(0s, 1s)\"");
    }
    let plan = delay.and_then(|Located { value, place }| {
        let told = |why| reader.gathered.push(Code::Conflict, &place, "every message would be equally late", Some(why));
        NotificationConfig::new(value, shuffle).map_err(|why| told(why.to_owned())).ok()
    });
    reader.finish();
    plan
}

fn reject(reader: Reader<'_>) -> Option<RejectConfig> {
    let share = reader.share(("share", "part of all requests that is rejected"));
    if share.is_none() && !reader.has("share") {
        reader.missing("share", "the part of all requests that is rejected, as in share = 0.01");
    }
    let codes = reader.strings(("codes", "the error codes, one drawn for each")).map(|codes| {
        let known = |code: Located<String>| match ErrorCode::parse(&code.value) {
            Some(known) => Some(known),
            None => {
                let all: Vec<&str> = ErrorCode::of_service().map(ErrorCode::as_str).collect();
                let near =
                    nearest(&code.value, all.iter().copied()).map(|near| format!("did you mean {near:?}? ")).unwrap_or_default();
                let help = Some(format!("{near}known: {}", all.join(", ")));
                reader.gathered.push(Code::UnknownName, &code.place, format!("unknown error code {:?}", code.value), help);
                None
            }
        };
        codes.into_iter().filter_map(known).collect::<Vec<_>>()
    });
    if codes.as_ref().is_some_and(Vec::is_empty) {
        let message = format!("{} must name at least one error code", reader.name("codes"));
        reader.gathered.push(Code::BadValue, &reader.place_of("codes"), message, None);
    }
    reader.finish();
    let codes = codes.unwrap_or_else(|| vec![ErrorCode::RequestThrottled]);
    Some(RejectConfig { share: share?.value, codes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing of it as it is by default.
    fn full() -> EndpointConfig {
        let ms = Duration::from_millis;
        EndpointConfig {
            quotas: QuotasChoice::File("my/quotas.toml".into()),
            minute: ms(1_500),
            spread: Spread::Burst,
            session_expiry: ms(2_000),
            keep_alive_min: ms(1_000),
            auto_register: true,
            tls_resumption: Some(false),
            policy: Some("my/policy.json".into()),
            policy_delay: ms(360_000),
            seed: Some(i64::MAX as u64),
            faults: FaultConfig {
                latency: Some(Distribution::LogNormal(ms(5), 0.6)),
                server: Some(ServerConfig { workers: 2, service: Distribution::Exp(ms(20)) }),
                reject: Some(RejectConfig { share: 0.25, codes: vec![ErrorCode::InternalError, ErrorCode::RequestThrottled] }),
                drop: Some(1.0),
                disconnect: Some(Distribution::Normal(ms(600_000), ms(1))),
                notifications: Some(NotificationConfig { delay: Distribution::Uniform(ms(0), ms(1_000)), shuffle: true }),
            },
        }
    }

    fn read(text: &str) -> EndpointConfig {
        EndpointConfig::load("x.toml", text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn what_is_written_reads_back_key_by_key() {
        let all: toml::Table = full().to_toml().parse().unwrap();
        assert_eq!(all.len(), 16, "{all}");
        assert_eq!(read(&full().to_toml()), full());
        for key in all.keys() {
            let one = read(&toml::Table::from_iter([(key.clone(), all[key].clone())]).to_string());
            assert_ne!(one, EndpointConfig::default(), "{key}");
            assert_eq!(read(&one.to_toml()), one, "{key}");
            let mut others = all.clone();
            others.remove(key);
            assert_ne!(read(&others.to_string()), full(), "{key}");
        }
    }

    #[test]
    fn an_empty_text_is_the_default_and_the_default_is_short() {
        assert_eq!(read(""), EndpointConfig::default());
        assert_eq!(EndpointConfig::default().to_toml(), "quotas = \"none\"\nminute = \"1m\"\nrollout = \"smooth\"\n");
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_its_place() {
        let text = "minuet = '1s'\nkeep_alive_min = '1h'\nsession_expiry = '8d'\nquotas = 'asw'\nreject.codes = ['Throttled']\n\
                    disconnect.every = '0s'\nseed = -1\n";
        let slow = Override { key: "server.workers".into(), value: "0".into(), origin: "--server-workers 0".into() };
        let message = EndpointConfig::load("e.toml", text, &[slow]).unwrap_err().render(false);
        for part in [
            "e.toml:1:",
            "unknown key \"minuet\"",
            "did you mean \"minute\"?",
            "keep_alive_min must be 0s to 20m, not 1h",
            "session_expiry must be 0s to 168h, not 192h",
            "quotas must be \"none\", \"aws\" or the path of a TOML file, not \"asw\"",
            "reject.share is missing",
            "unknown error code \"Throttled\"",
            "disconnect.every must be longer than 0s",
            "seed must be 0 to 9223372036854775807, not -1",
            "--server-workers 0",
            "server.workers must be 1 to 1024, not 0",
            "server.service is missing",
            "11 problems in e.toml",
        ] {
            assert!(message.contains(part), "{part}\n{message}");
        }
    }
}
