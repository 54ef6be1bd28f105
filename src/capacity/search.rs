//! The search for the knee: which load to try next, and what all trials together say. Pure: it knows no clock, no run and no file.
//!
//! Doubling from a start that passes (halving first where the start fails), geometric bisection, then confirmation: single trials near
//! the knee are noisy, and short ones flatter, so a load counts as held only when the majority of several trials at it passes.

/// Loads this close are the same for the search: the highest that passes and the lowest that fails, as a quotient.
pub const CLOSE: f64 = 1.05;
/// A start that fails is halved this often; then nothing passes.
const HALVINGS_MAX: u32 = 10;
/// Digits of a load that is no whole number.
const DIGITS: i32 = 4;

/// How one trial went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The load was offered, and every threshold held.
    Pass,
    /// The load was offered, and a threshold failed.
    Fail,
    /// The load was not offered as it was planned: it says nothing.
    Invalid,
}

/// Where to search, in the unit of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The first load.
    pub start: f64,
    /// No load is below; 0 where nothing but the search itself bounds them.
    pub floor: f64,
    /// No load is above.
    pub highest: Option<f64>,
    /// Loads are whole multiples of it, where that is so.
    pub grain: Option<f64>,
}

impl Range {
    /// The lowest load that is tried.
    #[must_use]
    pub fn lowest(&self) -> f64 {
        let lowest = (0..HALVINGS_MAX).fold(self.round(self.start), |load, _| self.round(load / 2.0));
        lowest.max(self.grain.unwrap_or(lowest)).max(self.floor)
    }

    /// To a load that can be set, and that people can read.
    fn round(&self, load: f64) -> f64 {
        if let Some(grain) = self.grain {
            return (load / grain).round() * grain;
        }
        let scale = 10f64.powi(DIGITS - 1 - load.log10().floor() as i32);
        if scale >= 1.0 { (load * scale).round() / scale } else { load.round() }
    }
}

/// One trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    pub load: f64,
    pub verdict: Verdict,
}

/// What is known of the knee.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The highest load that is held as far as is known.
    pub holds: Option<f64>,
    /// The lowest load that is not.
    pub fails: Option<f64>,
}

/// What a load was found to be worth in all trials at it that say anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passes: u32,
    pub trials: u32,
}

impl Tally {
    /// The exact (Clopper-Pearson) two-sided 95 % interval of the share of trials that would pass.
    #[must_use]
    pub fn interval(self) -> (f64, f64) {
        const TAIL: f64 = 0.025;
        let Self { passes, trials } = self;
        let low = if passes == 0 { 0.0 } else { solve(|p| at_least(passes, trials, p) < TAIL) };
        let high = if passes == trials { 1.0 } else { solve(|p| at_least(passes + 1, trials, p) < 1.0 - TAIL) };
        (low, high)
    }
}

/// The chance of so many successes or more.
fn at_least(successes: u32, trials: u32, p: f64) -> f64 {
    let term = |k: u32| {
        let ways = (0..k).map(|i| f64::from(trials - i) / f64::from(k - i)).product::<f64>();
        ways * p.powi(k as i32) * (1.0 - p).powi((trials - k) as i32)
    };
    (successes..=trials).map(term).sum()
}

/// Where `is_below` turns, between 0 and 1.
fn solve(is_below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        *(if is_below(middle) { &mut low } else { &mut high }) = middle;
    }
    f64::midpoint(low, high)
}

/// How the search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// `load` is held; `fails`, where there is one, is not.
    Knee { load: f64, fails: Option<f64> },
    /// Not even the lowest load that is tried passes.
    Nothing { lowest: f64 },
    /// Twice in a row a load could not be offered: the generator is the limit; `holds` is the highest that passed.
    GeneratorBound { holds: Option<f64>, at: f64 },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    Try(f64),
    End(Found),
}

/// A search and all its trials.
#[derive(Clone, Debug)]
pub struct Search {
    range: Range,
    /// Trials at the load that is to be held, beside the first one that passed there.
    confirm: u32,
    trials: Vec<Trial>,
    bounds: Bounds,
    /// Trials confirm from now on, at lower and lower loads.
    is_confirming: bool,
    next: Next,
}

impl Search {
    /// A search without a trial.
    #[must_use]
    pub fn new(range: Range, confirm: u32) -> Self {
        let start = range.round(range.highest.map_or(range.start, |highest| range.start.min(highest)));
        let bounds = Bounds::default();
        Self { range, confirm, trials: Vec::new(), bounds, is_confirming: false, next: Next::Try(start) }
    }

    /// What is to be done.
    #[must_use]
    pub fn next(&self) -> Next {
        self.next
    }

    /// What is known so far.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// All trials, in their order.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// What the trials at this load say.
    #[must_use]
    pub fn tally(&self, load: f64) -> Tally {
        let at = || self.trials.iter().filter(|trial| is_same(trial.load, load));
        let count = |verdict| at().filter(|trial| trial.verdict == verdict).count() as u32;
        let passes = count(Verdict::Pass);
        Tally { passes, trials: passes + count(Verdict::Fail) }
    }

    /// Takes in how the trial went that [`Self::next`] asked for; nothing once the search has ended.
    pub fn record(&mut self, verdict: Verdict) {
        let Next::Try(load) = self.next else { return };
        let was_invalid = self.trials.last().is_some_and(|last| last.verdict == Verdict::Invalid);
        self.trials.push(Trial { load, verdict });
        self.next = match verdict {
            // It says nothing: the same load once more.
            Verdict::Invalid if !was_invalid => Next::Try(load),
            Verdict::Invalid => Next::End(Found::GeneratorBound { holds: self.bounds.holds, at: load }),
            Verdict::Pass | Verdict::Fail if self.is_confirming => self.confirm(load),
            Verdict::Pass => self.passed(load),
            Verdict::Fail => self.failed(load),
        };
    }

    fn passed(&mut self, load: f64) -> Next {
        self.bounds.holds = Some(load);
        match (self.bounds.fails, self.range.highest) {
            (Some(fails), _) => self.bisect(load, fails),
            (None, Some(highest)) if load >= self.range.round(highest) => self.confirm(load),
            (None, highest) => Next::Try(self.range.round(highest.map_or(2.0 * load, |highest| highest.min(2.0 * load)))),
        }
    }

    fn failed(&mut self, load: f64) -> Next {
        self.bounds.fails = Some(load);
        match self.bounds.holds {
            Some(holds) => self.bisect(holds, load),
            None => self.lower(load / 2.0),
        }
    }

    /// A lower load, where there is one.
    fn lower(&self, load: f64) -> Next {
        let lowest = self.range.lowest();
        let failed = self.bounds.fails.unwrap_or(f64::INFINITY);
        // What rounding would leave where it is goes down by a grain.
        let load = self.range.round(load.min(failed - self.range.grain.unwrap_or(0.0)));
        if failed <= lowest || is_same(failed, lowest) {
            return Next::End(Found::Nothing { lowest: failed });
        }
        Next::Try(load.max(lowest))
    }

    fn bisect(&mut self, holds: f64, fails: f64) -> Next {
        let middle = self.range.round((holds * fails).sqrt());
        if fails / holds <= CLOSE || middle <= holds || middle >= fails {
            return self.confirm(holds);
        }
        Next::Try(middle)
    }

    /// The highest load below `load` of which a trial passed.
    fn passed_below(&self, load: f64) -> Option<f64> {
        let is_below = |trial: &&Trial| trial.verdict == Verdict::Pass && trial.load < load && !is_same(trial.load, load);
        self.trials.iter().filter(is_below).map(|trial| trial.load).reduce(f64::max)
    }

    /// One more trial at `load`, or what the majority of those there means.
    fn confirm(&mut self, load: f64) -> Next {
        self.is_confirming = true;
        let Tally { passes, trials } = self.tally(load);
        let (wanted, failures) = (1 + self.confirm, trials - passes);
        if 2 * failures >= wanted {
            // There is no majority any more.
            self.bounds = Bounds { holds: self.passed_below(load), fails: Some(load) };
            return self.lower(load / CLOSE);
        }
        if trials < wanted {
            return Next::Try(load);
        }
        self.bounds.holds = Some(load);
        Next::End(Found::Knee { load, fails: self.bounds.fails })
    }
}

/// Loads are rounded: those that are the same are the same to the last bit, but for a file in between.
#[must_use]
pub fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    const RANGE: Range = Range { start: 10.0, floor: 0.0, highest: None, grain: None };

    /// The end of a search whose trials `judge` decides, and the search.
    fn search(range: Range, confirm: u32, mut judge: impl FnMut(f64) -> Verdict) -> (Found, Search) {
        let mut search = Search::new(range, confirm);
        for _ in 0..1_000 {
            match search.next() {
                Next::Try(load) => search.record(judge(load)),
                Next::End(found) => return (found, search),
            }
        }
        panic!("no end after 1,000 trials: {search:?}");
    }

    fn below(limit: f64) -> impl FnMut(f64) -> Verdict {
        move |load| if load < limit { Verdict::Pass } else { Verdict::Fail }
    }

    fn loads(search: &Search) -> Vec<f64> {
        search.trials().iter().map(|trial| trial.load).collect()
    }

    #[test]
    fn it_doubles_then_bisects_then_confirms() {
        let (found, search) = search(RANGE, 2, below(45.4));
        assert_eq!(loads(&search), [10.0, 20.0, 40.0, 80.0, 56.57, 47.57, 43.62, 45.55, 43.62, 43.62]);
        assert_eq!(found, Found::Knee { load: 43.62, fails: Some(45.55) });
        assert_eq!(search.tally(43.62), Tally { passes: 3, trials: 3 });
    }

    #[test]
    fn a_start_that_fails_is_halved_down_to_a_lowest_load() {
        let (found, halved) = search(RANGE, 2, below(3.0));
        assert_eq!(loads(&halved)[..3], [10.0, 5.0, 2.5]);
        assert!(matches!(found, Found::Knee { load, .. } if (2.8..3.0).contains(&load)), "{found:?}");
        let (found, nothing) = search(RANGE, 2, below(0.0));
        assert_eq!((found, nothing.trials().len()), (Found::Nothing { lowest: RANGE.lowest() }, 11));
        let (found, _) = search(Range { floor: 4.0, ..RANGE }, 2, below(0.0));
        assert_eq!(found, Found::Nothing { lowest: 4.0 });
        assert_eq!(nothing.bounds(), Bounds { holds: None, fails: Some(RANGE.lowest()) });
    }

    #[test]
    fn the_highest_load_of_a_range_is_confirmed_like_any_other() {
        let range = Range { highest: Some(30.0), ..RANGE };
        let (found, search_to) = search(range, 2, below(45.4));
        assert_eq!((found, loads(&search_to)), (Found::Knee { load: 30.0, fails: None }, vec![10.0, 20.0, 30.0, 30.0, 30.0]));
        assert_eq!(Search::new(Range { start: 50.0, ..range }, 2).next(), Next::Try(30.0));
    }

    #[test]
    fn without_a_majority_the_search_goes_down_and_confirms_again() {
        let mut at_the_top = 0;
        let (found, search) = search(Range { highest: Some(10.0), ..RANGE }, 2, |load| {
            at_the_top += u32::from(load == 10.0);
            if load == 10.0 && at_the_top > 1 { Verdict::Fail } else { Verdict::Pass }
        });
        assert_eq!(loads(&search), [10.0, 10.0, 10.0, 9.524, 9.524, 9.524]);
        assert_eq!(found, Found::Knee { load: 9.524, fails: Some(10.0) });
    }

    #[test]
    fn what_is_invalid_is_repeated_once() {
        let mut trials = 0;
        let (found, once) = search(Range { highest: Some(20.0), ..RANGE }, 0, |_| {
            trials += 1;
            if trials == 2 { Verdict::Invalid } else { Verdict::Pass }
        });
        assert_eq!((found, loads(&once)), (Found::Knee { load: 20.0, fails: None }, vec![10.0, 20.0, 20.0]));
        assert_eq!(once.tally(20.0), Tally { passes: 1, trials: 1 }, "it says nothing");
        let bound = |load| if load > 30.0 { Verdict::Invalid } else { Verdict::Pass };
        let (found, twice) = search(RANGE, 2, bound);
        assert_eq!((found, loads(&twice)), (Found::GeneratorBound { holds: Some(20.0), at: 40.0 }, vec![10.0, 20.0, 40.0, 40.0]));
        let (found, _) = search(RANGE, 2, |_| Verdict::Invalid);
        assert_eq!(found, Found::GeneratorBound { holds: None, at: 10.0 });
    }

    #[test]
    fn whole_loads_stay_whole_and_end_where_nothing_lies_between() {
        let range = Range { start: 4.0, grain: Some(1.0), ..RANGE };
        let (found, whole) = search(range, 0, below(7.0));
        assert_eq!((found, loads(&whole)), (Found::Knee { load: 6.0, fails: Some(7.0) }, vec![4.0, 8.0, 6.0, 7.0]));
        let (found, _) = search(range, 0, below(1.0));
        assert_eq!(found, Found::Nothing { lowest: 1.0 });
    }

    #[test]
    fn intervals_are_exact() {
        let interval = |passes, trials| {
            let (low, high) = Tally { passes, trials }.interval();
            ((low * 1e4).round() / 1e4, (high * 1e4).round() / 1e4)
        };
        // From tables of Clopper and Pearson.
        assert_eq!(interval(3, 3), (0.2924, 1.0));
        assert_eq!(interval(2, 3), (0.0943, 0.9916));
        assert_eq!(interval(0, 3), (0.0, 0.7076));
        assert_eq!(interval(5, 10), (0.1871, 0.8129));
    }

    proptest! {
        #[test]
        fn of_what_always_fails_above_a_knee_it_finds_the_knee(
            knee in 0.02f64..1e5,
            start in 0.5f64..1e3,
            confirm in 0u32..5,
        ) {
            let range = Range { start, ..RANGE };
            prop_assume!(knee > 1.01 * range.lowest());
            let (found, search) = search(range, confirm, below(knee));
            let Found::Knee { load, fails: Some(fails) } = found else { panic!("{found:?}") };
            prop_assert!(load < knee && knee <= fails && fails / load <= CLOSE * 1.001, "{found:?}");
            prop_assert_eq!(search.tally(load), Tally { passes: 1 + confirm, trials: 1 + confirm });
            prop_assert!(search.trials().iter().all(|trial| trial.load >= range.lowest()));
        }

        #[test]
        fn whatever_trials_say_it_ends_and_holds_what_a_majority_says(
            verdicts in prop::collection::vec(0u8..8, 200),
            grain in prop::option::of(Just(1.0)),
            highest in prop::option::of(5.0f64..500.0),
        ) {
            let mut verdicts = verdicts.into_iter();
            let (found, search) = search(Range { start: 16.0, floor: 0.0, highest, grain }, 2, |_| match verdicts.next() {
                Some(0) => Verdict::Invalid,
                Some(1..5) => Verdict::Pass,
                _ => Verdict::Fail,
            });
            if let Found::Knee { load, .. } = found {
                let Tally { passes, trials } = search.tally(load);
                prop_assert!(trials >= 3 && 2 * passes > trials, "{search:?}");
            }
            // A search that is fed the same verdicts again is the same search: this is how it is resumed.
            let mut again = Search::new(search.range, 2);
            for trial in search.trials() {
                prop_assert_eq!(again.next(), Next::Try(trial.load));
                again.record(trial.verdict);
            }
            prop_assert_eq!(again.next(), Next::End(found));
        }
    }

    /// A queue with one server and exponential service of 20 ms, at Poisson arrivals: its p99 is `ln(100) / (50 - load)`, 1 s at 45.395/s.
    const KNEE: f64 = 45.395;

    /// Whether 99 % of the answers of 60 s, after 15 s of warm-up, come within a second.
    fn trial(rng: &mut ChaCha8Rng, load: f64) -> Verdict {
        let exponential = |rng: &mut ChaCha8Rng, rate: f64| -(1.0 - rng.random::<f64>()).ln() / rate;
        let (mut arrival, mut free, mut answers, mut late) = (0.0, 0.0f64, 0u32, 0u32);
        while arrival < 75.0 {
            arrival += exponential(rng, load);
            free = free.max(arrival) + exponential(rng, 50.0);
            if (15.0..75.0).contains(&free) {
                answers += 1;
                late += u32::from(free - arrival >= 1.0);
            }
        }
        if 100 * late <= answers { Verdict::Pass } else { Verdict::Fail }
    }

    #[test]
    fn the_knee_of_a_queue_is_found_within_five_percent_and_sixteen_steps() {
        let (mut near, mut high, mut steps) = (0, 0, Vec::new());
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let start = if seed % 2 == 0 { 10.0 } else { 20.0 };
            let (found, search) = search(Range { start, ..RANGE }, 2, |load| trial(&mut rng, load));
            let Found::Knee { load, .. } = found else { panic!("{found:?}") };
            near += u32::from((load / KNEE - 1.0).abs() <= 0.05);
            high += u32::from(load / KNEE > 1.10);
            steps.push(search.trials().len());
        }
        steps.sort_unstable();
        assert!(near >= 185, "{near} of 200 within 5 %");
        assert_eq!(high, 0, "of 200, more than 10 % too high");
        assert!(steps[100] <= 10 && steps[197] <= 16, "{steps:?}");
    }
}
