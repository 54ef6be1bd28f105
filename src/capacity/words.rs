//! How a search stands and what it found, in sentences. Pure.

use super::load::Load;
use super::search::{Bounds, Found, Tally, is_same};
use crate::report::CapacityEnd;

/// How a search came to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ending {
    Found(Found),
    /// The next step would have ended after `--max-time`.
    OutOfTime,
    Interrupted,
    /// A step could not be carried out: why.
    Error(String),
}

/// What the sentences are made from.
pub(super) struct Findings<'a> {
    pub(super) load: &'a Load,
    pub(super) bounds: Bounds,
    /// At the load that holds.
    pub(super) tally: Tally,
    /// Why the lowest load that does not hold failed.
    pub(super) breaks_first: Option<&'a str>,
    /// Why the last step said nothing, where that is what it did.
    pub(super) invalid: Option<&'a str>,
    /// Why there is no load above `highest`.
    pub(super) ceiling: Option<&'a str>,
}

impl Ending {
    pub(super) fn result(&self, bounds: Bounds) -> CapacityEnd {
        match self {
            Self::Found(Found::Knee { fails: Some(_), .. }) => CapacityEnd::Knee,
            Self::Found(Found::Knee { fails: None, .. } | Found::GeneratorBound { holds: Some(_), .. }) => CapacityEnd::LowerBound,
            Self::Found(Found::Nothing { .. }) => CapacityEnd::NothingPasses,
            Self::Found(Found::GeneratorBound { holds: None, .. }) => CapacityEnd::GeneratorBound,
            Self::OutOfTime if bounds.holds.is_some() => CapacityEnd::LowerBound,
            Self::OutOfTime => CapacityEnd::OutOfTime,
            Self::Interrupted => CapacityEnd::Interrupted,
            Self::Error(_) => CapacityEnd::Error,
        }
    }

    /// The result in a sentence.
    pub(super) fn text(&self, findings: &Findings<'_>) -> String {
        let Findings { load, bounds, breaks_first, invalid, ceiling, .. } = findings;
        let at = |load_value: f64| load.text(load_value);
        let fails = bounds.fails.map(|fails| format!("at {} {}", at(fails), breaks_first.unwrap_or("a trial failed")));
        let because = invalid.map(|invalid| format!(": {invalid}")).unwrap_or_default();
        match self {
            Self::Found(Found::Knee { load, fails: None }) => {
                let ceiling = ceiling.map(|ceiling| format!(" ({ceiling})")).unwrap_or_default();
                format!("holds at least {} ({}); no higher load was tried{ceiling}", at(*load), trials(findings.tally))
            }
            Self::Found(Found::Knee { load, .. }) => {
                format!("holds {} ({}); {}", at(*load), trials(findings.tally), fails.unwrap_or_default())
            }
            Self::Found(Found::Nothing { .. }) => format!("no load that was tried holds: even {}", fails.unwrap_or_default()),
            Self::Found(Found::GeneratorBound { holds: Some(holds), at: bound }) => format!(
                "holds at least {} ({}); at {} the generator is the limit{because}",
                at(*holds),
                trials(findings.tally),
                at(*bound)
            ),
            Self::Found(Found::GeneratorBound { holds: None, at: bound }) => {
                format!("no result: at {} the generator is the limit{because}", at(*bound))
            }
            Self::OutOfTime | Self::Interrupted | Self::Error(_) => {
                let why = match self {
                    Self::OutOfTime => "--max-time was reached".to_owned(),
                    Self::Interrupted => "interrupted".to_owned(),
                    _ => "a step could not be carried out".to_owned(),
                };
                let holds = bounds.holds.map(|holds| format!("holds at least {} ({})", at(holds), trials(findings.tally)));
                let known: Vec<String> = holds.into_iter().chain(fails).collect();
                let known = if known.is_empty() { "nothing is known yet".to_owned() } else { known.join("; ") };
                let why = if let Self::Error(error) = self { format!("{why}: {error}") } else { why };
                format!("{why}: {known}")
            }
        }
    }
}

/// `3 of 3 trials; the true pass rate is above 29 % with 95 % confidence`.
fn trials(tally: Tally) -> String {
    let Tally { passes, trials } = tally;
    let (low, high) = tally.interval();
    let rate = if passes == trials {
        format!("above {:.0} %", 100.0 * low)
    } else {
        format!("between {:.0} % and {:.0} %", 100.0 * low, 100.0 * high)
    };
    let noun = if trials == 1 { "trial" } else { "trials" };
    format!("{passes} of {trials} {noun}; the true pass rate is {rate} with 95 % confidence")
}

/// `45.25 requests/s, between 40 and 50`, for who watches.
pub(super) fn standing(load: &Load, next: f64, bounds: Bounds) -> String {
    let holds = bounds.holds.map(|holds| {
        let confirming = if is_same(holds, next) { " (again)" } else { "" };
        format!("{} held{confirming}", load.text(holds))
    });
    let fails = bounds.fails.map(|fails| format!("{} did not", load.text(fails)));
    let known: Vec<String> = holds.into_iter().chain(fails).collect();
    if known.is_empty() { load.text(next) } else { format!("{}; {}", load.text(next), known.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::load::Written;
    use super::*;

    fn text(ending: &Ending, bounds: Bounds, tally: Tally) -> String {
        let text = "name = 'x'\n[fleet]\nthings = 900\n[[cohort]]\nname = 'a'\nworkflow = 'poll'\npoll = { every = '10s' }\n\
                    [end]\nduration = '1s'";
        let plan = crate::scenario::load("x", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let load = Load::new("cohort.a.poll.every", &Written::Text("10s"), &plan).unwrap();
        ending.text(&Findings {
            load: &load,
            bounds,
            tally,
            breaks_first: Some("p99 was 1,180 ms, over its limit of 1,000"),
            invalid: Some("shard 0 was busy 99 %"),
            ceiling: Some("--to"),
        })
    }

    const THREE: Tally = Tally { passes: 3, trials: 3 };
    const BOTH: Bounds = Bounds { holds: Some(45.2), fails: Some(47.4) };

    #[test]
    fn the_result_is_a_sentence() {
        let knee = Ending::Found(Found::Knee { load: 45.2, fails: Some(47.4) });
        assert_eq!(
            text(&knee, BOTH, THREE),
            "holds 45.2 requests/s (3 of 3 trials; the true pass rate is above 29 % with 95 % confidence); at 47.4 requests/s p99 was \
             1,180 ms, over its limit of 1,000"
        );
        let two = Tally { passes: 2, trials: 3 };
        assert!(
            text(&knee, BOTH, two).contains("(2 of 3 trials; the true pass rate is between 9 % and 99 % with 95 % confidence)")
        );
        let open = Ending::Found(Found::Knee { load: 40.0, fails: None });
        assert!(text(&open, Bounds { holds: Some(40.0), fails: None }, THREE).ends_with("no higher load was tried (--to)"));
        let nothing = Ending::Found(Found::Nothing { lowest: 0.09 });
        let bounds = Bounds { holds: None, fails: Some(0.09) };
        assert!(text(&nothing, bounds, THREE).starts_with("no load that was tried holds: even at 0.09 requests/s p99 was 1,180"));
    }

    #[test]
    fn an_early_end_tells_what_is_known() {
        let one = Tally { passes: 1, trials: 1 };
        let told = text(&Ending::Interrupted, BOTH, one);
        assert!(told.starts_with("interrupted: holds at least 45.2 requests/s (1 of 1 trial;"), "{told}");
        assert!(told.ends_with("; at 47.4 requests/s p99 was 1,180 ms, over its limit of 1,000"), "{told}");
        assert_eq!(
            text(&Ending::OutOfTime, Bounds::default(), Tally { passes: 0, trials: 0 }),
            "--max-time was reached: nothing is known yet"
        );
        let bound = Ending::Found(Found::GeneratorBound { holds: Some(45.2), at: 90.4 });
        assert!(text(&bound, BOTH, one).ends_with("at 90.4 requests/s the generator is the limit: shard 0 was busy 99 %"));
    }
}
