//! The load that a search varies: a value of the scenario, what it drives, and how it is set. Pure.

use crate::scenario::plan::{CohortPlan, Plan};
use load_metrics::Operation;
use load_metrics::format::grouped;
use sim_units::text;
use std::time::Duration;
use thing_agent::workflow::Workflow;

/// A scenario takes no shorter period of things, and no longer one.
const EVERY_MIN: Duration = Duration::from_millis(10);
const EVERY_MAX: Duration = Duration::from_secs(24 * 3600);

/// What the value makes the fleet do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Connect for the first time.
    Connects,
    /// Ask for work every so often.
    Polls,
    /// Publish every so often.
    Telemetry,
    /// Be there at all.
    Things,
    /// Get executions queued.
    Rollout,
    /// Something else: how much of it was achieved is not known.
    Other,
}

impl Driver {
    fn of(path: &[&str]) -> Self {
        match path {
            ["fleet", "connect", "rate"] | ["cohort", _, "connect", "rate"] => Self::Connects,
            ["cohort", _, "poll", "every"] => Self::Polls,
            ["telemetry", "every"] => Self::Telemetry,
            ["fleet", "things"] => Self::Things,
            ["rollout", _, "rate" | "every"] => Self::Rollout,
            _ => Self::Other,
        }
    }

    /// What a thing begins once for each of it, where that is known.
    #[must_use]
    pub fn operation(self) -> Option<Operation> {
        match self {
            Self::Connects => Some(Operation::Connect),
            Self::Polls => Some(Operation::Describe),
            Self::Telemetry => Some(Operation::Telemetry),
            Self::Things | Self::Rollout | Self::Other => None,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::Polls => "requests",
            Self::Telemetry => "messages",
            Self::Things => "things",
            Self::Rollout => "executions",
            Self::Other => "",
        }
    }
}

/// How a load is written in a scenario.
#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// An integer.
    Count,
    /// A number with a fraction.
    Number,
    /// `"45/s"`, with a time unit of so many seconds.
    Rate { unit: String, seconds: f64 },
    /// `every`: so many of them in turn, each after this time.
    Every { of: f64 },
}

/// A value of a scenario that is a load.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// As `--set` takes it.
    pub path: String,
    pub driver: Driver,
    /// What the scenario says.
    pub start: f64,
    form: Form,
}

/// What stands at a path of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub enum Written<'a> {
    Integer(i64),
    Number(f64),
    Text(&'a str),
    /// In words of TOML.
    Other(&'static str),
}

impl Load {
    /// # Errors
    /// With why `written` is no load, and what would be one.
    pub fn new(path: &str, written: &Written<'_>, plan: &Plan) -> Result<Self, String> {
        const LOADS: &str = "a load is a number (fleet.things), a rate (fleet.connect.rate, rollout.NAME.rate) or an `every` (cohort.NAME.poll.every, telemetry.every)";
        let segments: Vec<&str> = path.split('.').collect();
        let driver = Driver::of(&segments);
        let (form, start) = match *written {
            Written::Integer(value) => (Form::Count, value as f64),
            Written::Number(value) => (Form::Number, value),
            Written::Text(value) => match (value.split_once('/'), text::duration(value)) {
                (Some((amount, unit)), _) if text::rate(value).is_ok() => {
                    let unit = unit.trim().to_owned();
                    let seconds = 1.0 / text::rate(&format!("1/{unit}"))?;
                    // As it is written: a rate per second and back would be another number in its last bit.
                    (Form::Rate { unit, seconds }, text::rate(&format!("{}/s", amount.trim()))?)
                }
                (_, Ok(every)) if segments.last() == Some(&"every") && !every.is_zero() => {
                    let of = things_in_turn(driver, &segments, plan);
                    (Form::Every { of }, of / every.as_secs_f64())
                }
                _ => return Err(format!("{value:?} is no load: {LOADS}")),
            },
            Written::Other(kind) => return Err(format!("it is {kind}: {LOADS}")),
        };
        if !start.is_finite() || start <= 0.0 {
            return Err(format!("{start} is no load to start from: it must be above 0"));
        }
        Ok(Self { path: path.to_owned(), driver, start, form })
    }

    /// What loads are whole multiples of; `None`: of nothing.
    #[must_use]
    pub fn grain(&self) -> Option<f64> {
        match &self.form {
            Form::Count => Some(1.0),
            // A rollout has a whole number of executions a minute.
            Form::Rate { seconds, .. } if self.driver == Driver::Rollout => Some(seconds / 60.0),
            Form::Number | Form::Rate { .. } | Form::Every { .. } => None,
        }
    }

    /// `/s`, `/min`, ` things` or nothing: behind a load.
    #[must_use]
    pub fn unit(&self) -> String {
        let noun = self.driver.noun();
        let space = if noun.is_empty() { "" } else { " " };
        match &self.form {
            Form::Count | Form::Number => format!("{space}{noun}"),
            Form::Rate { unit, .. } => format!("{space}{noun}/{unit}"),
            Form::Every { .. } if self.is_series() => " jobs/s".into(),
            Form::Every { .. } => format!("{space}{noun}/s"),
        }
    }

    fn is_series(&self) -> bool {
        self.driver == Driver::Rollout && matches!(self.form, Form::Every { .. })
    }

    /// For people: `45.25 requests/s`.
    #[must_use]
    pub fn text(&self, load: f64) -> String {
        let number = if load.fract() == 0.0 { grouped(load as u64) } else { number(load) };
        format!("{number}{}", self.unit())
    }

    /// The value that sets the load, as TOML: what `--set PATH=` takes.
    #[must_use]
    pub fn setting(&self, load: f64) -> String {
        match &self.form {
            Form::Count => format!("{load:.0}"),
            Form::Number => format!("{load:?}"),
            Form::Rate { seconds, .. } if self.driver == Driver::Rollout => format!("\"{:.0}/min\"", load / seconds * 60.0),
            Form::Rate { unit, .. } => format!("\"{}/{unit}\"", number(load)),
            // Whole microseconds: more than any clock here tells apart.
            Form::Every { of } => format!("\"{}us\"", (of / load * 1e6).round()),
        }
    }

    /// How it comes about, where the value alone does not say so: `2,000 things that ask every 44.2s`.
    #[must_use]
    pub fn derivation(&self, load: f64) -> Option<String> {
        let Form::Every { of } = self.form else { return None };
        let every = text::duration_text(Duration::from_millis((of / load * 1e3).round() as u64));
        Some(match self.driver {
            Driver::Polls => format!("{} things that each ask every {every}", grouped(of as u64)),
            Driver::Telemetry => format!("{} things that each publish every {every}", grouped(of as u64)),
            _ => format!("one every {every}"),
        })
    }

    /// Loads per second, where a load is something a second.
    #[must_use]
    pub fn per_s(&self, load: f64) -> Option<f64> {
        match &self.form {
            Form::Rate { seconds, .. } => Some(load / seconds),
            Form::Every { .. } => Some(load),
            Form::Count | Form::Number => None,
        }
    }

    /// The same as the load, of so many within this many seconds; `None` where a load is no rate.
    #[must_use]
    pub fn of_events(&self, events: u64, seconds: f64) -> Option<f64> {
        match &self.form {
            Form::Rate { seconds: unit, .. } => Some(events as f64 / seconds * unit),
            Form::Every { .. } => Some(events as f64 / seconds),
            Form::Count | Form::Number => None,
        }
    }

    /// The lowest load and the highest one that the period of a thing can make; `None` where a load is no such thing.
    #[must_use]
    pub fn of_periods(&self) -> Option<(f64, f64)> {
        let Form::Every { of } = self.form else { return None };
        Some((of / EVERY_MAX.as_secs_f64(), of / EVERY_MIN.as_secs_f64()))
    }
}

/// Without digits that nobody meant.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How many things act, each once in its period.
fn things_in_turn(driver: Driver, path: &[&str], plan: &Plan) -> f64 {
    let of = |is_one: &dyn Fn(&CohortPlan) -> bool| {
        let share: f64 = plan.cohorts.iter().filter(|cohort| is_one(cohort)).map(|cohort| cohort.share).sum();
        (share * plan.fleet.things as f64).round()
    };
    match (driver, path) {
        (Driver::Polls, ["cohort", name, ..]) => {
            of(&|cohort| cohort.name == *name && matches!(cohort.workflow, Workflow::Poll(_))).max(1.0)
        }
        (Driver::Telemetry, _) => of(&|cohort| !cohort.session.transport.is_http()).max(1.0),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;

    fn plan() -> Plan {
        let text = "name = 'x'\n[fleet]\nthings = 2000\n[telemetry]\ntopic = 't/{thing}'\nevery = '10s'\n\
                    [[cohort]]\nname = 'a'\nshare = 0.25\nworkflow = 'poll'\npoll = { every = '20s' }\n\
                    [[cohort]]\nname = 'b'\nshare = 0.75\n[end]\nduration = '1s'";
        load("x", text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn of(path: &str, written: &Written<'_>) -> Load {
        Load::new(path, written, &plan()).unwrap()
    }

    #[test]
    fn a_rate_keeps_its_unit() {
        let load = of("fleet.connect.rate", &Written::Text("600/min"));
        assert_eq!((load.start, load.per_s(600.0), load.of_events(600, 60.0)), (600.0, Some(10.0), Some(600.0)));
        assert_eq!((load.text(612.5), load.setting(612.5)), ("612.5 connects/min".into(), "\"612.5/min\"".into()));
        assert_eq!(load.driver.operation(), Some(Operation::Connect));
        for unit in ["s", "min", "h"] {
            for start in 1..=2_000_u16 {
                // Else `--to 1000` would be below the first load of "1000/min".
                let load = of("fleet.connect.rate", &Written::Text(&format!("{start}/{unit}")));
                assert_eq!(load.start.to_bits(), f64::from(start).to_bits(), "{start}/{unit}");
            }
        }
    }

    #[test]
    fn a_roll_out_has_whole_executions_a_minute() {
        let load = of("rollout.fw.rate", &Written::Text("10/s"));
        assert_eq!((load.start, load.grain(), load.setting(7.5)), (10.0, Some(1.0 / 60.0), "\"450/min\"".into()));
        assert_eq!(of("rollout.fw.rate", &Written::Text("1000/min")).grain(), Some(1.0));
    }

    #[test]
    fn a_shorter_every_is_more_load() {
        let polls = of("cohort.a.poll.every", &Written::Text("20s"));
        assert_eq!((polls.start, polls.setting(50.0)), (25.0, "\"10000000us\"".into()));
        assert_eq!(polls.text(25.5), "25.5 requests/s");
        assert_eq!(polls.derivation(50.0).unwrap(), "500 things that each ask every 10s");
        let telemetry = of("telemetry.every", &Written::Text("10s"));
        assert_eq!((telemetry.start, telemetry.unit()), (200.0, " messages/s".into()));
        assert_eq!(polls.of_periods(), Some((500.0 / 86_400.0, 50_000.0)));
        let series = of("rollout.fw.every", &Written::Text("30s"));
        assert_eq!((series.text(2.0), series.setting(2.0)), ("2 jobs/s".into(), "\"500000us\"".into()));
    }

    #[test]
    fn numbers_are_loads() {
        let things = of("fleet.things", &Written::Integer(2_000));
        assert_eq!((things.start, things.grain(), things.text(2_000.0)), (2_000.0, Some(1.0), "2,000 things".into()));
        let share = of("cohort.a.share", &Written::Number(0.25));
        assert_eq!((share.setting(0.5), share.per_s(0.5)), ("0.5".into(), None));
    }

    #[test]
    fn what_is_no_load_is_refused_with_what_would_be_one() {
        for written in [
            Written::Text("mqtt"),
            Written::Text("uniform(1s, 2s)"),
            Written::Other("a table"),
            Written::Integer(0),
            Written::Number(f64::NAN),
        ] {
            let why = Load::new("fleet.transport", &written, &plan()).unwrap_err();
            assert!(why.contains("a load is a number") || why.contains("above 0"), "{why}");
        }
        assert!(Load::new("behavior.x.step", &Written::Text("4s"), &plan()).is_err(), "only an `every` is a load");
    }
}
