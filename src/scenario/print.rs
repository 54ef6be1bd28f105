//! A plan as the text it could have been read from, every default filled in.

use super::plan::{
    Affected, AwsPlan, CertificatesPlan, ConnectPlan, EndWhen, EventPlan, FleetList, LinkPlan, Plan, RemotePlan, RolloutStart,
    RolloutTargets, SessionPlan, TargetPlan,
};
use iot_jobs::wire::create_job::settings_members;
use iot_jobs::wire::template::parse_template_arn;
use iot_jobs::{NamespaceId, TemplateRef, TemplateUse};
use sim_units::text::{byte_rate_text, distribution_text, duration_text, name_template_text};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use thing_agent::arrivals::ArrivalKind;
use thing_agent::backoff::Backoff;
use thing_agent::telemetry::{PayloadBytes, TelemetrySettings};
use thing_agent::workflow::Poll;
use thing_faults::{FaultProbability, FaultSpec, Setting};

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn backoff(backoff: &Backoff) -> String {
    let policy = <&str>::from(backoff.policy);
    format!("{{ policy = \"{policy}\", base = \"{}\", cap = \"{}\" }}", duration_text(backoff.base), duration_text(backoff.cap))
}

fn connect(connect: &ConnectPlan) -> String {
    let arrival = <&str>::from(connect.arrival);
    let rate = match connect.arrival {
        ArrivalKind::Burst => String::new(),
        _ => format!("rate = \"{}/s\", ", connect.rate_per_s),
    };
    format!("{{ {rate}arrival = \"{arrival}\", in_progress = {} }}", connect.in_progress)
}

fn toml_of(value: &serde_json::Value) -> toml::Value {
    toml::Value::try_from(value).expect("it was TOML before it was JSON")
}

/// A TOML float always has a point.
fn number(value: f64) -> String {
    format!("{value:?}")
}

impl Plan {
    /// The resolved scenario: reads back as the same plan.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("writing to a String does not fail");
        out
    }

    /// The resolved scenario as JSON, for the manifest of a run.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        toml::from_str(&self.to_toml()).expect("what is printed is TOML")
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "name = {}\nseed = {}", quoted(&self.name), self.seed)?;
        self.write_target(out)?;
        let fleet = &self.fleet;
        writeln!(out, "\n[fleet]\nthings = {}", fleet.things)?;
        match &fleet.list {
            Some(list) => writeln!(out, "things_from = {}", quoted(&list.path))?,
            None => writeln!(out, "thing_name = {}", quoted(&name_template_text(&fleet.thing_name)))?,
        }
        if let Some(client_id) = &fleet.client_id {
            writeln!(out, "client_id = {}", quoted(&client_id.to_string()))?;
        }
        writeln!(out, "first_index = {}", fleet.first_index)?;
        writeln!(out, "connect = {}", connect(&fleet.connect))?;
        write_session(out, &fleet.session)?;
        for cohort in &self.cohorts {
            writeln!(out, "\n[[cohort]]\nname = {}", quoted(&cohort.name))?;
            if !fleet.list.as_ref().is_some_and(FleetList::has_cohorts) {
                writeln!(out, "share = {}", number(cohort.share))?;
            }
            writeln!(out, "workflow = \"{}\"", cohort.workflow.as_str())?;
            if let Some(Poll { every, jitter }) = cohort.workflow.poll() {
                writeln!(out, "poll = {{ every = \"{}\", jitter = {} }}", duration_text(every), number(jitter))?;
            }
            write_text(out, "namespace", cohort.namespace.as_ref().map(NamespaceId::as_str))?;
            writeln!(out, "behavior = {}\nverify_signature = {}", quoted(&cohort.behavior), cohort.verify_signature)?;
            if let Some(own) = &cohort.connect {
                writeln!(out, "connect = {}", connect(own))?;
            }
            write_session(out, &cohort.session)?;
        }
        for (name, behavior) in &self.behaviors {
            let outcome = &behavior.outcome;
            writeln!(out, "\n[behavior.{}]\nreaction = \"{}\"", quoted(name), distribution_text(&behavior.reaction))?;
            writeln!(out, "updates = {}\nstep = \"{}\"", behavior.updates, distribution_text(&behavior.step))?;
            let [succeeded, failed, rejected] = [outcome.succeeded, outcome.failed, outcome.rejected].map(number);
            writeln!(out, "outcome = {{ succeeded = {succeeded}, failed = {failed}, rejected = {rejected} }}")?;
            writeln!(out, "faults = {}", faults(&behavior.faults))?;
        }
        self.write_rollouts(out)?;
        self.write_events(out)?;
        if let Some(telemetry) = &self.telemetry {
            write_telemetry(out, telemetry)?;
        }
        self.write_end(out)?;
        self.write_thresholds(out)
    }

    fn write_thresholds(&self, out: &mut String) -> std::fmt::Result {
        if !self.thresholds.is_empty() {
            write!(out, "\n\n[thresholds]")?;
        }
        for threshold in &self.thresholds {
            write!(out, "\n\"{}\" = {{ check = \"{}\"", threshold.metric, threshold.check)?;
            if let Some(over) = threshold.over {
                write!(out, ", over = \"last {}\"", duration_text(over))?;
            }
            if let Some(phase) = threshold.phase {
                write!(out, ", phase = \"{phase}\"")?;
            }
            if let Some(cohort) = &threshold.cohort {
                write!(out, ", cohort = {}", quoted(cohort))?;
            }
            write!(out, " }}")?;
        }
        Ok(())
    }

    fn write_target(&self, out: &mut String) -> std::fmt::Result {
        match &self.target {
            TargetPlan::Emulator(emulator) => {
                writeln!(out, "\n[target]\nkind = \"emulator\"")?;
                write_sources(out, &emulator.link)?;
                writeln!(out, "tls = {{ resumption = {} }}\n", emulator.link.resumption)?;
                let tables = BTreeMap::from([("target", BTreeMap::from([("emulator", &emulator.endpoint)]))]);
                out.write_str(&toml::to_string(&tables).expect("a configuration is TOML"))
            }
            TargetPlan::Mqtt(remote) => {
                writeln!(out, "\n[target]\nkind = \"mqtt\"")?;
                write_remote(out, remote)
            }
            TargetPlan::Aws(AwsPlan { region, profile, remote }) => {
                writeln!(out, "\n[target]\nkind = \"aws\"")?;
                write_text(out, "region", region.as_deref())?;
                write_text(out, "profile", profile.as_deref())?;
                write_remote(out, remote)
            }
        }
    }

    fn write_rollouts(&self, out: &mut String) -> std::fmt::Result {
        for rollout in &self.rollouts {
            writeln!(out, "\n[[rollout]]\njob = {}", quoted(&rollout.name))?;
            if rollout.name.contains('{') {
                writeln!(out, "count = {}\nevery = \"{}\"", rollout.jobs.len(), duration_text(rollout.every))?;
            }
            match rollout.start {
                RolloutStart::Connected => writeln!(out, "after = \"connected\"")?,
                RolloutStart::At(at) => writeln!(out, "at = \"{}\"", duration_text(at))?,
            }
            writeln!(out, "delay = \"{}\"", duration_text(rollout.delay))?;
            match &rollout.targets {
                RolloutTargets::Share(share) => writeln!(out, "targets = {{ share = {} }}", number(*share))?,
                RolloutTargets::Cohort(cohort) => writeln!(out, "targets = {{ cohort = {} }}", quoted(cohort))?,
            }
            let mut members = settings_members(&rollout.settings);
            if let Some(rate) = rollout.rate_per_minute() {
                members.remove("jobExecutionsRolloutConfig");
                writeln!(out, "rate = \"{rate}/min\"")?;
            }
            for (name, value) in &members {
                writeln!(out, "{name} = {}", toml_of(value))?;
            }
            if let Some(artifact) = &rollout.artifact {
                write!(out, "artifact = {{ bytes = {}, sign = {}", artifact.bytes, artifact.sign)?;
                if let Some(bandwidth) = artifact.bandwidth {
                    write!(out, ", bandwidth = \"{}\"", byte_rate_text(bandwidth))?;
                }
                if let Some(tamper) = artifact.tamper {
                    write!(out, ", tamper = \"{}\"", tamper.as_str())?;
                }
                writeln!(out, " }}")?;
            }
            if let Some(behavior) = &rollout.behavior {
                writeln!(out, "behavior = {}", quoted(behavior))?;
            }
            write_text(out, "namespace", rollout.namespace.as_ref().map(NamespaceId::as_str))?;
            if let Some(template) = &rollout.template {
                write_template(out, template)?;
                continue;
            }
            let document = serde_json::from_str(rollout.document.as_json()).expect("a document is JSON");
            writeln!(out, "document = {}", toml_of(&document))?;
        }
        Ok(())
    }

    fn write_events(&self, out: &mut String) -> std::fmt::Result {
        for EventPlan { at, kind } in &self.events {
            writeln!(out, "\n[[event]]\nat = \"{}\"\nkind = \"{}\"", duration_text(*at), kind.as_str())?;
            if !kind.lasts().is_zero() {
                writeln!(out, "for = \"{}\"", duration_text(kind.lasts()))?;
            }
            if let Some(Affected { share, cohort }) = kind.who() {
                writeln!(out, "share = {}", number(*share))?;
                if let Some(cohort) = cohort {
                    writeln!(out, "cohort = {}", quoted(cohort))?;
                }
            }
        }
        Ok(())
    }

    fn write_end(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[end]")?;
        match self.end.when {
            EndWhen::ExecutionsDone { expect } => {
                writeln!(out, "when = \"executions-done\"")?;
                if let Some(expect) = expect {
                    writeln!(out, "expect = {expect}")?;
                }
            }
            EndWhen::Duration(duration) => writeln!(out, "when = \"duration\"\nduration = \"{}\"", duration_text(duration))?,
            EndWhen::Idle(idle) => writeln!(out, "when = \"idle\"\nidle = \"{}\"", duration_text(idle))?,
        }
        write!(out, "limit = \"{}\"", duration_text(self.end.limit))
    }
}

/// A template, whose document is not the scenario's to say.
fn write_template(out: &mut String, template: &TemplateUse) -> std::fmt::Result {
    let name = match parse_template_arn(&template.arn) {
        Ok(TemplateRef::Own(id)) => id.to_string(),
        Ok(TemplateRef::Managed(name, _)) => name,
        Err(_) => template.arn.clone(),
    };
    writeln!(out, "template = {}", quoted(&name))?;
    match template.parameters.is_empty() {
        true => Ok(()),
        false => writeln!(out, "parameters = {}", toml_of(&serde_json::json!(template.parameters))),
    }
}

/// What goes wrong on purpose with things, as a table of tables.
fn faults(faults: &[FaultSpec]) -> String {
    let fault = |spec: &FaultSpec| {
        let probability = match spec.probability {
            FaultProbability::Share(share) => format!("share = {}", number(share)),
            FaultProbability::Rate(per_s) => format!("rate = \"{per_s}/s\""),
        };
        let settings = spec.fault.row().parameters.iter().zip(&spec.settings).map(|(parameter, setting)| match setting {
            Setting::Time(time) => format!(", {} = \"{}\"", parameter.key, distribution_text(time)),
            Setting::Count(count) => format!(", {} = {count}", parameter.key),
        });
        format!("{} = {{ {probability}, per = \"{}\"{} }}", spec.fault.key(), spec.per.as_str(), settings.collect::<String>())
    };
    if faults.is_empty() {
        return "{}".into();
    }
    format!("{{ {} }}", faults.iter().map(fault).collect::<Vec<_>>().join(", "))
}

fn write_text(out: &mut String, key: &str, text: Option<&str>) -> std::fmt::Result {
    text.map_or(Ok(()), |text| writeln!(out, "{key} = {}", quoted(text)))
}

fn write_list(out: &mut String, key: &str, texts: impl Iterator<Item = String>) -> std::fmt::Result {
    let texts: Vec<String> = texts.map(|text| quoted(&text)).collect();
    if texts.is_empty() { Ok(()) } else { writeln!(out, "{key} = [{}]", texts.join(", ")) }
}

fn write_sources(out: &mut String, link: &LinkPlan) -> std::fmt::Result {
    write_list(out, "source_ips", link.source_ips.iter().map(ToString::to_string))
}

fn write_remote(out: &mut String, remote: &RemotePlan) -> std::fmt::Result {
    match &remote.hosts[..] {
        [host] => write_text(out, "host", Some(host))?,
        hosts => write_list(out, "hosts", hosts.iter().cloned())?,
    }
    let of_mqtt = remote.port.map(|port| format!("mqtt = {port}, ")).unwrap_or_default();
    writeln!(out, "ports = {{ {of_mqtt}https = {}, api = {} }}", remote.https_port, remote.api_port)?;
    write_text(out, "server_name", remote.server_name.as_deref())?;
    write_text(out, "alpn", remote.alpn.as_deref())?;
    write_text(out, "signer", remote.signer.as_deref())?;
    write_sources(out, &remote.link)?;
    writeln!(out, "\n[target.tls]")?;
    write_text(out, "ca", remote.ca.as_deref())?;
    match &remote.certificates {
        CertificatesPlan::Files { cert, key } => {
            write_text(out, "cert", Some(cert))?;
            write_text(out, "key", Some(key))?;
        }
        CertificatesPlan::Bundle(path) => write_text(out, "bundle", Some(path))?,
        CertificatesPlan::Listed | CertificatesPlan::None => {}
    }
    writeln!(out, "resumption = {}", remote.link.resumption)
}

fn write_telemetry(out: &mut String, telemetry: &TelemetrySettings) -> std::fmt::Result {
    let TelemetrySettings { topic, period, bytes, is_acknowledged } = telemetry;
    writeln!(out, "\n[telemetry]\ntopic = {}\nevery = \"{}\"", quoted(&topic.to_string()), duration_text(period.every))?;
    match bytes {
        PayloadBytes::Constant(bytes) => writeln!(out, "bytes = {bytes}")?,
        PayloadBytes::Uniform(low, high) => writeln!(out, "bytes = \"uniform({low}, {high})\"")?,
    }
    writeln!(out, "jitter = {}\nqos = {}", number(period.jitter), u8::from(*is_acknowledged))
}

fn write_session(out: &mut String, session: &SessionPlan) -> std::fmt::Result {
    writeln!(out, "transport = \"{}\"", session.transport.as_str())?;
    if !session.transport.is_http() {
        writeln!(out, "clean_session = {}\nkeep_alive = \"{}\"", session.clean_session, duration_text(session.keep_alive))?;
    }
    writeln!(out, "reconnect = {}\nretry = {}", backoff(&session.reconnect), backoff(&session.retry))?;
    let (connect, answer) = (duration_text(session.connect_timeout), duration_text(session.answer_timeout));
    writeln!(out, "timeouts = {{ connect = \"{connect}\", answer = \"{answer}\" }}")
}
