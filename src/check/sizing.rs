//! How many machines like this one a scenario needs: arithmetic on what a small run took of one.

use crate::preflight::{CORE_SHARE, HostFacts, Need, room};
use fleet_forecast::Demand;
use jobs_engine::quotas::QuotaName;
use serde::{Deserialize, Serialize};

const GIB: f64 = (1u64 << 30) as f64;
/// CPU time is told in hundredths of a second: less than this is too coarse to divide by.
const CPU_MIN_S: f64 = 0.05;

/// A second of the small run, as `timeseries.csv` has it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Second {
    pub connected: u64,
    pub connects_per_s: u64,
    pub messages_in_per_s: u64,
    pub messages_out_per_s: u64,
    /// Cores that were busy.
    pub cpu_share: f64,
    pub rss_bytes: u64,
    pub endpoint_cpu_share: Option<f64>,
    pub endpoint_rss_bytes: Option<u64>,
}

/// What one process can do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Performance {
    /// A second, each with its TLS handshake, subscriptions and first request.
    pub connects_per_core: f64,
    /// A second, to things and from them.
    pub messages_per_core: f64,
    pub bytes_per_thing: u64,
    pub things_per_gib: u64,
}

/// What a small run took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Calibration {
    pub things: u64,
    pub seconds: u64,
    pub generator: Performance,
    pub endpoint: Performance,
}

/// A resource and how far one machine goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Resource {
    pub resource: &'static str,
    pub needed: f64,
    pub one_machine: f64,
    pub machines: u64,
}

/// How many machines like this one the scenario needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sizing {
    pub calibration: Calibration,
    pub machines: u64,
    /// The resource that needs most of them.
    pub limited_by: &'static str,
    pub resources: Vec<Resource>,
    #[serde(skip)]
    pub assumptions: Vec<String>,
}

impl Calibration {
    /// # Errors
    /// When the run was too short to tell anything, and why.
    pub fn new(seconds: &[Second]) -> Result<Self, String> {
        let things = seconds.iter().map(|second| second.connected).max().unwrap_or(0);
        Ok(Self {
            things,
            seconds: seconds.len() as u64,
            generator: performance(seconds, |second| Some((second.cpu_share, second.rss_bytes)))?,
            endpoint: performance(seconds, |second| Some((second.endpoint_cpu_share?, second.endpoint_rss_bytes?)))?,
        })
    }
}

/// From the seconds in which things connected, and from those after them in which they worked.
fn performance(seconds: &[Second], usage: fn(&Second) -> Option<(f64, u64)>) -> Result<Performance, String> {
    let messages = |second: &Second| second.messages_in_per_s + second.messages_out_per_s;
    let per_core = |what: &str, counts: &dyn Fn(&Second) -> u64, is_counted: &dyn Fn(&Second) -> bool| {
        // In the first second nobody knows yet what the CPU time began with.
        let counted = seconds
            .iter()
            .skip(1)
            .filter(|second| is_counted(second))
            .filter_map(|second| Some((counts(second), usage(second)?.0)));
        let (count, cpu_s) = counted.fold((0, 0.0), |(counts, cpu), (count, share)| (counts + count, cpu + share));
        match cpu_s >= CPU_MIN_S && count > 0 {
            true => Ok(count as f64 / cpu_s),
            false => Err(format!("{count} {what} in {cpu_s:.2} s of CPU are too few to tell anything")),
        }
    };
    let memory: Vec<(u64, u64)> = seconds.iter().filter_map(|second| Some((second.connected, usage(second)?.1))).collect();
    let (few, least) = memory.first().copied().ok_or("there is no second with a value of memory")?;
    let many = memory.iter().map(|(connected, _)| *connected).max().unwrap_or(0);
    let most = memory.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    if many <= few {
        return Err("all things connected within the first second".into());
    }
    let bytes_per_thing = most.saturating_sub(least).div_ceil(many - few).max(1);
    Ok(Performance {
        connects_per_core: per_core("connects", &|second| second.connects_per_s, &|second| second.connects_per_s > 0)?,
        messages_per_core: per_core("messages", &messages, &|second| second.connects_per_s == 0 && messages(second) > 0)?,
        bytes_per_thing,
        things_per_gib: (GIB / bytes_per_thing as f64) as u64,
    })
}

/// `has_endpoint`: whether the endpoint is on the same machines.
#[must_use]
pub(super) fn sizing(calibration: Calibration, need: &Need, machine: &HostFacts, demand: &Demand, has_endpoint: bool) -> Sizing {
    let Calibration { generator, endpoint, .. } = calibration;
    let processes = if has_endpoint { vec![generator, endpoint] } else { vec![generator] };
    let peak = |name| demand.of(name).peak;
    let connects = peak(QuotaName::ConnectsPerSecond);
    // Over HTTP no message counts as one that comes in.
    let requests = peak(QuotaName::ReadsPerSecond) + peak(QuotaName::WritesPerSecond);
    let messages = peak(QuotaName::InboundPublishesPerSecond).max(2 * requests);
    let cores: f64 = processes
        .iter()
        .map(|process| connects as f64 / process.connects_per_core + messages as f64 / process.messages_per_core)
        .sum();
    let bytes = processes.iter().map(|process| process.bytes_per_thing).sum();
    let room = room(&Need { memory_per_thing_bytes: bytes, ..*need }, machine);
    let things = need.connections as f64;
    let resource = |resource, needed: f64, one_machine: f64| Resource {
        resource,
        needed,
        one_machine,
        machines: (needed / one_machine.max(f64::MIN_POSITIVE)).ceil().max(1.0) as u64,
    };
    let resources = vec![
        resource("things by descriptors", things, room.descriptors as f64),
        resource("things by ephemeral ports", things, room.ports as f64),
        resource("things by memory", things, room.memory as f64),
        resource("cores", cores, machine.cores as f64 * CORE_SHARE),
    ];
    let limit = resources.iter().max_by(|one, other| (one.needed / one.one_machine).total_cmp(&(other.needed / other.one_machine)));
    let limit = limit.expect("there are resources");
    Sizing {
        calibration,
        machines: limit.machines,
        limited_by: limit.resource,
        assumptions: assumptions(messages, connects, has_endpoint),
        resources,
    }
}

fn assumptions(messages: u64, connects: u64, has_endpoint: bool) -> Vec<String> {
    let who = if has_endpoint { "generator and local endpoint together" } else { "the generator alone" };
    vec![
        format!("machines are like this one; each carries {who}, and its cores are busy to {:.0} % at most", CORE_SHARE * 100.0),
        format!(
            "the busiest second of connects ({connects}) and that of messages ({messages}) come together; every message takes the mean of the small run"
        ),
        "memory grows with the things as it did while they connected in the small run; their keys and certificates were in memory before".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(connected: u64, connects: u64, messages: u64, [generator, endpoint]: [f64; 2]) -> Second {
        Second {
            connected,
            connects_per_s: connects,
            messages_in_per_s: messages / 2,
            messages_out_per_s: messages - messages / 2,
            cpu_share: generator,
            rss_bytes: (20 << 20) + connected * 16_384,
            endpoint_cpu_share: Some(endpoint),
            endpoint_rss_bytes: Some((30 << 20) + connected * 32_768),
        }
    }

    fn calibration() -> Calibration {
        let connecting = (1..=4).map(|n| second(n * 250, 250, 500, if n == 1 { [0.0; 2] } else { [0.25, 0.5] }));
        let working = (0..4).map(|_| second(1_000, 0, 3_000, [0.15, 0.3]));
        let idle = [second(1_000, 0, 0, [0.5, 0.5]), second(0, 0, 0, [0.5, 0.5])];
        Calibration::new(&connecting.chain(working).chain(idle).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn connects_and_messages_are_divided_by_the_cores_that_they_took() {
        let Calibration { things, seconds, generator, endpoint } = calibration();
        assert_eq!((things, seconds), (1_000, 10));
        assert!((generator.connects_per_core - 1_000.0).abs() < 1e-6 && (endpoint.connects_per_core - 500.0).abs() < 1e-6);
        assert!((generator.messages_per_core - 20_000.0).abs() < 1e-6 && (endpoint.messages_per_core - 10_000.0).abs() < 1e-6);
        assert_eq!((generator.bytes_per_thing, generator.things_per_gib, endpoint.bytes_per_thing), (16_384, 65_536, 32_768));
    }

    #[test]
    fn a_run_that_tells_nothing_is_not_judged() {
        let none = Calibration::new(&[]).unwrap_err();
        assert!(none.contains("no second"), "{none}");
        let at_once = Calibration::new(&[second(1_000, 1_000, 0, [1.0, 1.0])]).unwrap_err();
        assert!(at_once.contains("within the first second"), "{at_once}");
        let lazy = [second(1, 1, 0, [0.0, 0.0]), second(2, 1, 0, [0.01, 0.01])];
        assert!(Calibration::new(&lazy).unwrap_err().contains("too few"));
    }

    fn sized(things: u64, inbound: u64, has_endpoint: bool) -> Sizing {
        let mut demand = Demand::default();
        demand.of_mut(QuotaName::ConnectsPerSecond).peak = 500;
        demand.of_mut(QuotaName::InboundPublishesPerSecond).peak = inbound;
        let machine = HostFacts {
            hostname: String::new(),
            kernel: String::new(),
            cores: 4,
            memory_available_bytes: 8 << 30,
            descriptors: 100_100,
            ephemeral_ports: 28_000,
        };
        let need = Need { connections: things, descriptors_per_thing: 1, memory_per_thing_bytes: 1, address_pairs: 1 };
        sizing(calibration(), &need, &machine, &demand, has_endpoint)
    }

    #[test]
    fn the_scarcest_resource_says_how_many_machines() {
        let ports = sized(50_000, 4_000, false);
        assert_eq!((ports.machines, ports.limited_by), (2, "things by ephemeral ports"));
        // 500 / 1,000 + 54,000 / 20,000 = 3.2 cores, of 4 x 0.7 = 2.8.
        let cpu = sized(10_000, 54_000, false);
        assert_eq!((cpu.machines, cpu.limited_by), (2, "cores"));
        assert!((cpu.resources[3].needed - 3.2).abs() < 1e-9 && (cpu.resources[3].one_machine - 2.8).abs() < 1e-9);
        // With the endpoint beside it: 1 + 5.4 more.
        assert_eq!(sized(10_000, 54_000, true).machines, 4);
        let small = sized(10, 10, true);
        assert_eq!(small.machines, 1);
        assert!(small.assumptions[0].contains("together") && small.assumptions[0].contains("70 %"));
    }
}
