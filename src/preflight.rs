//! Can this host carry the run? Asked, and mended where it can be, before the first connection.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;

/// Descriptors a process needs besides its sockets: files, timers, pipes, the runtime's own.
const DESCRIPTOR_RESERVE: u64 = 100;
/// Memory to leave for the rest of the host.
const MEMORY_RESERVE_BYTES: u64 = 256 << 20;
/// A core is not planned to be busier: above it things run late.
pub const CORE_SHARE: f64 = 0.7;

/// What a run needs of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Connections held at once, by the generator and, when it is on this host, again by the endpoint.
    pub connections: u64,
    /// Sockets of one thing at once: its connection, and its download where it has one.
    pub descriptors_per_thing: u64,
    /// Of both processes, for one thing.
    pub memory_per_thing_bytes: u64,
    /// Addresses that connections are spread over: pairs of (source, destination).
    pub address_pairs: u64,
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct HostFacts {
    pub hostname: String,
    pub kernel: String,
    pub cores: u64,
    pub memory_available_bytes: u64,
    /// After the soft limit was raised to the hard one.
    pub descriptors: u64,
    /// Ports the kernel gives out for one address pair.
    pub ephemeral_ports: u64,
}

/// How many things each resource of a host has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub descriptors: u64,
    pub ports: u64,
    pub memory: u64,
}

/// Something of which there is not enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceShortage {
    pub what: &'static str,
    pub needed: u64,
    pub available: u64,
    /// What to type, or to change.
    pub remedy: String,
}

impl fmt::Display for ResourceShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} needed, {} available; {}", self.what, self.needed, self.available, self.remedy)
    }
}

impl fmt::Display for HostFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores, {} MiB of memory available, {} descriptors a process, {} ephemeral ports",
            self.cores,
            self.memory_available_bytes >> 20,
            self.descriptors,
            self.ephemeral_ports
        )
    }
}

/// Raises the soft descriptor limit to the hard one, then compares.
///
/// # Errors
/// With everything that is short, all at once.
pub fn check(need: &Need) -> Result<HostFacts, Vec<ResourceShortage>> {
    let facts = facts();
    let shortages = shortages(need, &facts);
    if shortages.is_empty() { Ok(facts) } else { Err(shortages) }
}

/// One line a shortage, for an error message.
#[must_use]
pub fn describe(shortages: &[ResourceShortage]) -> String {
    let lines: Vec<String> = shortages.iter().map(|shortage| format!("\n  - {shortage}")).collect();
    format!("this host cannot carry the run:{}", lines.concat())
}

/// The host as it is.
#[must_use]
pub fn facts() -> HostFacts {
    let hard = rlimit::Resource::NOFILE.get_hard().unwrap_or(u64::MAX);
    let descriptors = rlimit::increase_nofile_limit(hard).unwrap_or(0);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let ports: Vec<u64> =
        read("/proc/sys/net/ipv4/ip_local_port_range").split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let available_kib = read("/proc/meminfo")
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let system = rustix::system::uname();
    HostFacts {
        hostname: system.nodename().to_string_lossy().into_owned(),
        kernel: format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()),
        cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
        memory_available_bytes: available_kib << 10,
        descriptors,
        ephemeral_ports: match ports[..] {
            [low, high] if high >= low => high - low + 1,
            _ => 0,
        },
    }
}

/// For things of this need.
#[must_use]
pub fn room(need: &Need, host: &HostFacts) -> Room {
    Room {
        descriptors: host.descriptors.saturating_sub(DESCRIPTOR_RESERVE) / need.descriptors_per_thing.max(1),
        ports: host.ephemeral_ports * need.address_pairs,
        memory: host.memory_available_bytes.saturating_sub(MEMORY_RESERVE_BYTES) / need.memory_per_thing_bytes.max(1),
    }
}

/// Everything of which there is not enough.
#[must_use]
pub fn shortages(need: &Need, host: &HostFacts) -> Vec<ResourceShortage> {
    let descriptors = need.connections * need.descriptors_per_thing + DESCRIPTOR_RESERVE;
    let memory = need.connections * need.memory_per_thing_bytes + MEMORY_RESERVE_BYTES;
    let room = room(need, host);
    let fewer = |most: u64| format!("use at most {most} things here (--things {most})");
    let mut short = Vec::new();
    if host.descriptors < descriptors {
        short.push(ResourceShortage {
            what: "open files (descriptors) of one process",
            needed: descriptors,
            available: host.descriptors,
            remedy: format!(
                "raise the hard limit as root: `ulimit -Hn {descriptors}` before the run, or {}",
                fewer(room.descriptors)
            ),
        });
    }
    if room.ports < need.connections {
        short.push(ResourceShortage {
            what: "ephemeral ports towards the endpoint",
            needed: need.connections,
            available: room.ports,
            remedy: format!("widen the range as root: `sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`, connect from more addresses (target.source_ips), or {}", fewer(room.ports)),
        });
    }
    if host.memory_available_bytes < memory {
        short.push(ResourceShortage {
            what: "memory in bytes",
            needed: memory,
            available: host.memory_available_bytes,
            remedy: format!("end other programs, or {}", fewer(room.memory)),
        });
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostFacts = HostFacts {
        hostname: String::new(),
        kernel: String::new(),
        cores: 2,
        memory_available_bytes: 8 << 30,
        descriptors: 20_000,
        ephemeral_ports: 28_232,
    };

    fn short(connections: u64, host: &HostFacts) -> Vec<&'static str> {
        let need = Need { connections, descriptors_per_thing: 1, memory_per_thing_bytes: 40 << 10, address_pairs: 1 };
        shortages(&need, host).into_iter().map(|shortage| shortage.what).collect()
    }

    #[test]
    fn what_fits_is_fine_up_to_the_last_descriptor() {
        assert!(short(19_900, &HOST).is_empty());
        assert_eq!(short(19_901, &HOST), ["open files (descriptors) of one process"]);
    }

    #[test]
    fn everything_short_is_told_at_once() {
        let tiny = HostFacts { memory_available_bytes: 300 << 20, ..HOST };
        assert_eq!(short(30_000, &tiny).len(), 3);
        let poor_in_ports = HostFacts { ephemeral_ports: 1_000, ..HOST };
        assert_eq!(short(1_001, &poor_in_ports), ["ephemeral ports towards the endpoint"]);
    }

    #[test]
    fn a_shortage_names_the_numbers_and_the_command() {
        let need = Need { connections: 50_000, descriptors_per_thing: 1, memory_per_thing_bytes: 1, address_pairs: 4 };
        let text = describe(&shortages(&need, &HOST));
        assert!(
            text.contains("50100 needed, 20000 available") && text.contains("ulimit -Hn 50100") && text.contains("--things 19900"),
            "{text}"
        );
    }

    #[test]
    fn things_that_download_take_two_descriptors_each() {
        let need = Need { connections: 9_951, descriptors_per_thing: 2, memory_per_thing_bytes: 1, address_pairs: 1 };
        let text = describe(&shortages(&need, &HOST));
        assert!(text.contains("20002 needed") && text.contains("--things 9950"), "{text}");
    }

    #[test]
    fn this_host_has_facts() {
        let facts = facts();
        assert!(
            facts.cores > 0 && facts.descriptors > 100 && facts.ephemeral_ports > 1000 && facts.memory_available_bytes > 0,
            "{facts}"
        );
    }
}
