//! The scenarios that come with the program, embedded in it.

/// A scenario of the `scenarios` folder.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    pub name: &'static str,
    /// What it is for, in one line: the first line of its text.
    pub summary: &'static str,
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal: $summary:literal),* $(,)?) => {
        /// In the order in which a newcomer would try them.
        pub const SHIPPED: &[Shipped] =
            &[$(Shipped { name: $name, summary: $summary, text: include_str!(concat!("../../scenarios/", $name, ".toml")) }),*];
    };
}

shipped! {
    "demo": "300 things roll out a firmware job in under a minute, with some trouble on the way: what does fleetsim show?",
    "smoke": "50 things, a whole rollout in under 15 seconds: is everything in place?",
    "10k": "10,000 things roll out a firmware job at 12,000 executions a minute, in under 3 minutes",
    "flaky-fleet": "500 things of which many fail on purpose, in the ways real fleets do, in about a minute",
    "10k-aws": "The same job at AWS's default rollout rate of 1,000 executions a minute: 10 minutes and more",
    "reconnect-storm": "2,000 things lose their connections and come back as one, twice: with a policy that spreads them, and with one that does not",
    "several-jobs": "300 things with up to ten jobs each: in a row, on top of each other, with retries, and one that is aborted",
    "signed-firmware": "200 things fetch signed firmware under a bandwidth cap, verify it, and refuse what was tampered with",
    "mixed-transports": "1,000 things over every way in that AWS offers: MQTT, MQTT 5, MQTT over WebSocket, HTTPS by certificate, HTTPS by signature",
    "polling-fleet": "2,000 things that only speak HTTPS and ask every 15 seconds whether there is work: what does polling cost, and how late is it?",
    "policy-trial": "1,000 things with a policy that forbids a third of them to connect: what breaks, for whom, and by which statement?",
    "capacity-queue": "2,000 things at a queue whose knee can be computed: find it with `fleetsim capacity`",
    "mosquitto": "100 things at a mosquitto of yours, with jobs that your own service creates",
    "aws-1k": "1,000 things on AWS IoT Core itself, and a job that the run creates there",
}

/// The shipped scenario of that name.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|shipped| shipped.name == name)
}
