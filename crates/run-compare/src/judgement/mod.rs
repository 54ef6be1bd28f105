//! Both sides of every figure held against each other.

use crate::estimate::Estimate;
use crate::holm::holm;
use crate::resampling::{mean, squares};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// With one run on one side the other has to tell how much runs vary, and needs so many.
const RUNS_AGAINST_ONE_MIN: usize = 4;
/// Normal quantiles of 97.5 % and 80 %: so many standard errors apart are two means that are told apart in four of five cases.
const DETECTABLE: f64 = 2.8;

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Times, shares of failures.
    Lower,
    /// Rates.
    Higher,
}

/// A figure of all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of the runs that are the measure.
    pub base: Vec<Estimate>,
    /// Of the runs that are held against them.
    pub run: Vec<Estimate>,
    /// Of earlier runs of one scenario, which tell how much runs vary and nothing else.
    pub noise: Vec<Estimate>,
    /// Which way is better.
    pub better: Better,
}

/// What counts as a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What is too little to matter, as a share: 0.05 is 5 %.
    pub margin: f64,
    /// How often all figures together may give an alarm in each direction where there is no difference.
    pub alpha: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { margin: 0.05, alpha: 0.025 }
    }
}

/// How a figure came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// By more than the margin.
    Worse,
    /// By more than the margin.
    Better,
    /// Within the margin, with the confidence of the interval.
    Same,
    /// None of these was shown.
    NotDecided(Missing),
}

/// What it would take to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// More runs: both sides have one, which says nothing of how much runs vary.
    Runs,
    /// More runs on the side that has several: the other side has one.
    RunsAgainstOne,
    /// About so many runs a side, to see a difference as large as the margin in four of five cases.
    RunsASide(u64),
}

/// A figure of both sides, held against each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Geometric mean of the runs of each side.
    pub base: f64,
    /// The same of the other side.
    pub run: f64,
    /// Of these two.
    pub ratio: f64,
    /// The ratio's 95 % confidence interval, of this figure alone; `None` where the runs do not tell how much they vary.
    pub interval: Option<(f64, f64)>,
    /// Standard deviation of the logarithm from run to run: about the share by which a run differs from the mean.
    pub deviation: Option<f64>,
    /// How it came out.
    pub verdict: Verdict,
}

/// Judges all figures together: the more there are, the more it takes for one of them to be an alarm.
///
/// # Panics
/// When a side of a figure has no run.
#[must_use]
pub fn judge(samples: &[Sample], settings: &Settings) -> Vec<Judgement> {
    let tests: Vec<Test> = samples.iter().map(|sample| Test::new(sample, settings)).collect();
    let is_shown = |p_value: fn(&Test) -> f64| holm(&tests.iter().map(p_value).collect::<Vec<_>>(), settings.alpha);
    let (worse, better) = (is_shown(|test| test.p_worse), is_shown(|test| test.p_better));
    tests.iter().zip(worse.into_iter().zip(better)).map(|(test, shown)| test.judgement(settings, shown)).collect()
}

/// A figure with what is known of its difference.
struct Test {
    base: f64,
    run: f64,
    spread: Result<Spread, Missing>,
    /// Runs of the smaller side.
    runs: u64,
    /// How likely so bad a difference is where the true one is at the margin.
    p_worse: f64,
    p_better: f64,
}

/// How much figures vary from run to run, and what that means for the difference of two means.
#[derive(Clone, Copy)]
struct Spread {
    deviation: f64,
    standard_error: f64,
    degrees: f64,
}

impl Test {
    fn new(sample: &Sample, settings: &Settings) -> Self {
        let [base, run] = [&sample.base, &sample.run].map(|side| mean(&lns(side)));
        let spread = Spread::of(sample);
        let badness = if sample.better == Better::Lower { run - base } else { base - run };
        let margin = settings.margin.ln_1p();
        let p_value = |beyond: f64| spread.map_or(1.0, |spread| spread.p_value(beyond));
        Self {
            base,
            run,
            spread,
            runs: sample.base.len().min(sample.run.len()) as u64,
            p_worse: p_value(badness - margin),
            p_better: p_value(-badness - margin),
        }
    }

    fn judgement(&self, settings: &Settings, (is_worse, is_better): (bool, bool)) -> Judgement {
        let margin = settings.margin.ln_1p();
        let difference = self.run - self.base;
        let known = self.spread.map(|spread| (spread, spread.reach(settings.alpha)));
        let verdict = match known {
            _ if is_worse => Verdict::Worse,
            _ if is_better => Verdict::Better,
            Err(missing) => Verdict::NotDecided(missing),
            Ok((_, reach)) if difference.abs() + reach <= margin => Verdict::Same,
            Ok((spread, _)) => {
                let wanted = 2.0 * (DETECTABLE * spread.deviation / margin).powi(2);
                Verdict::NotDecided(Missing::RunsASide((wanted.ceil() as u64).max(self.runs + 1)))
            }
        };
        Judgement {
            base: self.base.exp(),
            run: self.run.exp(),
            ratio: difference.exp(),
            interval: known.ok().map(|(_, reach)| ((difference - reach).exp(), (difference + reach).exp())),
            deviation: known.ok().map(|(spread, _)| spread.deviation),
            verdict,
        }
    }
}

impl Spread {
    /// Pooled over the groups; where a few runs agree by chance, at least as much as their seconds vary.
    fn of(sample: &Sample) -> Result<Self, Missing> {
        let Sample { base, run, noise, .. } = sample;
        let (fewer, more) = (base.len().min(run.len()), base.len().max(run.len()));
        if noise.len() < 2 && fewer < 2 && more < RUNS_AGAINST_ONE_MIN {
            return Err(if more < 2 { Missing::Runs } else { Missing::RunsAgainstOne });
        }
        let groups = [base, run, noise].map(|group| lns(group));
        let degrees: usize = groups.iter().map(|group| group.len().saturating_sub(1)).sum();
        let between = groups.iter().filter(|group| !group.is_empty()).map(|group| squares(group)).sum::<f64>() / degrees as f64;
        let within: Vec<f64> = base.iter().chain(run).map(|estimate| estimate.variance).collect();
        let deviation = between.max(mean(&within)).sqrt();
        let standard_error = deviation * (1.0 / base.len() as f64 + 1.0 / run.len() as f64).sqrt();
        Ok(Self { deviation, standard_error, degrees: degrees as f64 })
    }

    fn student(self) -> StudentsT {
        StudentsT::new(0.0, 1.0, self.degrees).expect("there is at least one degree of freedom")
    }

    /// How likely a difference is that is so far beyond what is tested, or further.
    fn p_value(self, beyond: f64) -> f64 {
        match self.standard_error {
            error if error > 0.0 => self.student().sf(beyond / error),
            _ if beyond > 0.0 => 0.0,
            _ => 1.0,
        }
    }

    /// Half the width of the interval of the difference.
    fn reach(self, alpha: f64) -> f64 {
        self.student().inverse_cdf(1.0 - alpha) * self.standard_error
    }
}

fn lns(side: &[Estimate]) -> Vec<f64> {
    side.iter().map(|estimate| estimate.ln).collect()
}

#[cfg(test)]
mod tests;
