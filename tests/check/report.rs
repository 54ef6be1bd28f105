//! The report of a plan whose demand is known, in all its forms.

use fleet_forecast::{Billed, Demand, QuotaDemand};
use fleetsim::billing::Prices;
use fleetsim::check::{QuotaState, Report, Subject};
use fleetsim::preflight::HostFacts;
use fleetsim::roster::Roster;
use fleetsim::scenario::{self, plan::Plan};
use fleetsim::slice::Slice;
use fleetsim::workload::needs;
use fleetsim::{check, exit};
use iot_endpoint::DevicePolicy;
use iot_endpoint::quotas::QuotasChoice;
use jobs_engine::quotas::QuotaName;
use serde_json::Value;
use std::time::Duration;

const HOST: HostFacts = HostFacts {
    hostname: String::new(),
    kernel: String::new(),
    cores: 4,
    memory_available_bytes: 8 << 30,
    descriptors: 524_288,
    ephemeral_ports: 28_232,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn asked(peak: u64, peak_at: u64, total: u64) -> QuotaDemand {
    QuotaDemand { peak, peak_at: seconds(peak_at), total, ..QuotaDemand::default() }
}

/// What the demo might ask for.
fn demand() -> Demand {
    let mut demand = Demand::default();
    demand.lasted = seconds(108);
    demand.billed = Billed {
        connects: 10_000,
        subscribes: 10_000,
        publishes_in: 60_000,
        publishes_out: 80_000,
        pubacks: 80_000,
        http: 0,
        connection_minutes: 20_000,
        executions: 10_000,
        registry: 10_002,
    };
    for (name, asked) in [
        (QuotaName::ConnectsPerSecond, asked(540, 3, 10_000)),
        (QuotaName::Connections, asked(10_000, 20, 10_000)),
        (QuotaName::InboundPublishesPerSecond, asked(2_950, 61, 180_000)),
        (QuotaName::OutboundPublishesPerSecond, asked(1_350, 61, 80_000)),
        (QuotaName::SubscribesPerSecond, asked(2_500, 3, 40_000)),
        (QuotaName::CreateJobPerSecond, asked(1, 20, 1)),
        (QuotaName::WritesPerSecond, QuotaDemand { refused: 41_000, first_refused: Some(seconds(1)), ..asked(1_100, 61, 60_000) }),
        (QuotaName::RolloutPerMinute, QuotaDemand { refused: 1, first_refused: Some(seconds(20)), ..asked(10_000, 20, 10_000) }),
    ] {
        *demand.of_mut(name) = asked;
    }
    demand
}

fn plan(name: &str) -> Plan {
    scenario::load(name, scenario::shipped(name).unwrap().text, &[]).unwrap()
}

fn report_of(plan: &Plan, demand: &Demand, change: impl FnOnce(&mut Subject<'_>)) -> Report {
    let policy = DevicePolicy::built_in();
    let (roster, quotas, prices) = (Roster::new(plan).unwrap(), QuotasChoice::Aws.load_sheet().unwrap(), Prices::aws());
    let mut subject = Subject {
        plan,
        roster: &roster,
        need: needs(plan, Slice::WHOLE),
        host: HOST,
        target_fault: None,
        policy: &policy,
        quotas: &quotas,
        quotas_source: "aws".into(),
        prices: &prices,
        calibration: None,
    };
    change(&mut subject);
    Report::new(&subject, demand)
}

#[test]
fn the_text_has_the_answer_first() {
    insta::assert_snapshot!(report_of(&plan("10k"), &demand(), |_| ()).to_text());
}

#[test]
fn the_csv_has_a_row_for_each_quota() {
    insta::assert_snapshot!(report_of(&plan("10k"), &demand(), |_| ()).to_csv());
}

#[test]
fn the_json_has_the_figures_and_money_as_text() {
    let json: Value = serde_json::from_str(&report_of(&plan("10k"), &demand(), |_| ()).to_json()).unwrap();
    assert_eq!((&json["fits"], &json["quotas"]["breaks_first"]), (&false.into(), &"jobs.writes_per_second".into()));
    assert_eq!((&json["quotas"]["source"], &json["quotas"]["published"]), (&"aws".into(), &"2026-11".into()));
    let rows = json["quotas"]["rows"].as_array().unwrap();
    let row = |quota: &str| rows.iter().find(|row| row["quota"] == quota).unwrap_or_else(|| panic!("{quota}"));
    let writes = row("jobs.writes_per_second");
    assert_eq!((&writes["state"], &writes["limit"], &writes["used_share"]), (&"exceeded".into(), &200.into(), &5.5.into()));
    assert_eq!(
        (&row("account.outbound_publishes_per_second")["state"], &row("jobs.reads_per_second")["state"]),
        (&"fits".into(), &"unused".into())
    );
    assert_eq!(row("registry.calls_per_second")["limit"], Value::Null);
    // 240,000 messages, 20,000 minutes, 10,000 actions, 10,002 calls.
    let amounts = |bill: &Value| -> Vec<String> {
        bill["lines"].as_array().unwrap().iter().map(|line| line["amount"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(amounts(&json["cost"]["run"]), ["0.0016", "0.24", "30.00", "0.0125025"]);
    assert_eq!(json["cost"]["run"]["total"], "30.2541025");
    // 9,800 things with n = 4 and 200 with n = 6, 10 minutes of queueing at 1,000 a minute and one of work.
    let production = &json["cost"]["production"];
    assert_eq!((&production["executions"], &production["minutes"]), (&10_000.into(), &11.into()));
    assert_eq!(production["messages"], 9_800 * 23 + 200 * 29);
    assert_eq!(amounts(&production["bill"]), ["0.0088", "0.2312", "30.00", "0.00"]);
    assert_eq!(json["sizing"], Value::Null);
    assert!(json["host"]["facts"]["cores"] == 4 && json["host"]["shortages"] == serde_json::json!([]));
}

#[test]
fn what_breaks_first_is_the_first_in_time_and_decides_only_where_it_is_to() {
    let report = report_of(&plan("10k"), &demand(), |_| ());
    assert_eq!(report.quotas.breaks_first.as_deref(), Some("jobs.writes_per_second"));
    assert_eq!([report.exit_code(false), report.exit_code(true)], [exit::PASS, exit::FAIL]);

    let mut other = demand();
    *other.of_mut(QuotaName::WritesPerSecond) = asked(190, 61, 60_000);
    let report = report_of(&plan("10k"), &other, |_| ());
    assert_eq!(report.quotas.breaks_first.as_deref(), Some("jobs.rollout_per_minute"));
    let tight = report.quotas.rows.iter().find(|row| row.quota == "jobs.writes_per_second").unwrap();
    assert_eq!((tight.state, tight.headroom.map(|times| (times * 100.0).round())), (QuotaState::Tight, Some(105.0)));

    let rate = report.quotas.rows.iter().find(|row| row.quota == "jobs.rollout_per_minute").unwrap();
    assert_eq!((rate.peak, rate.refused, rate.first_refused_s), (12_000, 10_000, Some(20.0)), "CreateJob looks at the rate");
    assert_eq!(rate.causes[0].fits.as_deref(), Some("\"1000/min\""));

    let slow = scenario::Override { key: "rollout.fw-2-4-1.rate".into(), value: "'900/min'".into(), origin: String::new() };
    let slow = scenario::load("10k", scenario::shipped("10k").unwrap().text, &[slow]).unwrap();
    *other.of_mut(QuotaName::RolloutPerMinute) = asked(900, 20, 10_000);
    let report = report_of(&slow, &other, |_| ());
    assert!(report.fits && report.summary.contains("the closest is jobs.writes_per_second at 95 %"), "{}", report.summary);
    assert_eq!([report.exit_code(false), report.exit_code(true)], [exit::PASS; 2]);
    let nothing = report_of(&slow, &Demand::default(), |_| ());
    assert!(nothing.fits && nothing.summary.contains("no quota is used"), "{}", nothing.summary);
}

#[test]
fn a_host_or_a_target_that_cannot_comes_before_everything() {
    let small = report_of(&plan("10k"), &demand(), |subject| subject.host.descriptors = 1_024);
    assert_eq!((small.fits, small.exit_code(true)), (false, exit::ERROR));
    let text = small.to_text();
    assert!(text.starts_with("10k: this host cannot carry it: open files"), "{text}");
    assert!(text.contains("ulimit -Hn 10100") && text.contains("--things 924"), "with the remedy: {text}");
    let fault = "use what the scenario names:\n  - ca.pem: No such file";
    let broken = report_of(&plan("10k"), &demand(), |subject| subject.target_fault = Some(fault.into()));
    assert_eq!((broken.fits, broken.exit_code(false)), (false, exit::ERROR));
    assert_eq!(broken.summary, "the target is not in order: ca.pem: No such file");
    let json: Value = serde_json::from_str(&broken.to_json()).unwrap();
    assert_eq!(json["target_fault"], fault);
}

#[test]
fn what_a_machine_can_do_says_how_many_are_needed() {
    let one = |connects_per_core, messages_per_core, bytes_per_thing| check::Performance {
        connects_per_core,
        messages_per_core,
        bytes_per_thing,
        things_per_gib: (1 << 30) / bytes_per_thing,
    };
    let calibration = check::Calibration {
        things: 1_000,
        seconds: 12,
        generator: one(1_200.0, 24_000.0, 16_000),
        endpoint: one(900.0, 12_000.0, 48_000),
    };
    let report = report_of(&plan("10k"), &demand(), |subject| {
        subject.calibration = Some(calibration);
        subject.host.cores = 1;
    });
    let sizing = report.sizing.as_ref().unwrap();
    // 540 x (1/1,200 + 1/900) + 2,950 x (1/24,000 + 1/12,000) = 1.42 cores, of 0.7.
    assert_eq!((sizing.machines, sizing.limited_by), (3, "cores"));
    let text = report.to_text();
    assert!(text.contains("this scenario needs 3 machines like this one; the first limit is cores"), "{text}");
    assert!(text.contains("generator and local endpoint together"), "{text}");
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["sizing"]["calibration"]["endpoint"]["things_per_gib"], (1 << 30) / 48_000);

    // The page names every member.
    let page = include_str!("../../docs/PLANNING.md");
    let mut members = Vec::new();
    names(&json, &mut members);
    assert!(members.len() > 100, "{members:?}");
    for member in members {
        let words =
            ["`", "."].map(|before| [format!("{before}{member}`"), format!("{before}{member}[]`"), format!("{before}{member}.")]);
        let is_named = words.iter().flatten().any(|word| page.contains(word));
        assert!(is_named, "docs/PLANNING.md does not name {member}");
    }
}

#[test]
fn an_endpoint_with_short_minutes_and_a_plan_without_rollouts_say_so() {
    let short = scenario::Override { key: "target.emulator.minute".into(), value: "'1s'".into(), origin: String::new() };
    let plan_with =
        |overrides: &[scenario::Override]| scenario::load("10k", scenario::shipped("10k").unwrap().text, overrides).unwrap();
    let report = report_of(&plan_with(&[short]), &demand(), |_| ());
    assert!(report.assumptions.iter().any(|line| line.contains("minute is 1s long")), "{:?}", report.assumptions);
    let idle = scenario::load("idle", "name = 'idle'\n[fleet]\nthings = 5\n[end]\nduration = '2s'\n", &[]).unwrap();
    let report = report_of(&idle, &Demand::default(), |_| ());
    assert!(report.cost.production.is_none());
    assert!(report.to_text().contains("remote actions (job executions)"), "the table is there");
}

/// Members at any depth, but those of the host's facts, which are `run.json`'s.
fn names(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                into.push(name.clone());
                if name != "facts" {
                    names(value, into);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, into)),
        _ => {}
    }
}
