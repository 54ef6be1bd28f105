//! What `fleetsim` says by itself: what to do next.

use super::demo;
use host::shell::program;

/// The screen; 80 columns are enough for who has the program on the `PATH`.
pub(super) fn text() -> String {
    let steps = [
        (demo::SCENARIO, "see it work, in under a minute"),
        ("run 10k", "10,000 things, in under 3 minutes"),
        ("scenarios", "what else it brings"),
        ("scenarios init 10k mine.toml", "a scenario to make your own"),
        ("check mine.toml", "what it asks of host, quotas and budget"),
    ];
    let program = program();
    let width = steps.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let steps: Vec<String> = steps.iter().map(|(command, why)| format!("  {program} {command:width$}  {why}\n")).collect();
    format!(
        "fleetsim {version}: load tests for AWS IoT Jobs

It has a local endpoint: nothing of this needs an AWS account.

{steps}
`{program} --help` lists every command, `{program} COMMAND --help` its options.
",
        version = env!("CARGO_PKG_VERSION"),
        steps = steps.concat()
    )
}
