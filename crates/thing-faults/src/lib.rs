//! Failures on purpose: which there are, how often one strikes, and what it strikes. Pure; who misbehaves, and how, is the business
//! of `thing-agent` and `thing-transport`.
//!
//! [`TABLE`] is the one table: from it come the words of a scenario with their defaults, `docs/FAULTS.md`, and the test.

#![warn(missing_docs)]

mod table;

pub use table::{Column, Counter, Ends, Fault, Parameter, Row, TABLE, Times, Where};

use enumset::EnumSet;
use iot_jobs::JobId;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use sim_units::distribution::Distribution;
use sim_units::run_id::without_run_id;
use sim_units::seed::{self, Purpose};
use strum::IntoStaticStr;

/// What one draw is about: the fault takes every chance that it has within the unit that is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Per {
    /// One report or end of an execution, however often it has to be sent.
    Update,
    /// One run of a job on a thing.
    Execution,
    /// One connection.
    Session,
    /// A thing, for the whole run.
    Thing,
}

impl Per {
    /// The word in scenarios.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultProbability {
    /// Of the units, from 0 to 1.
    Share(f64),
    /// Per second, of all things together that may be struck: a Poisson process a thing, each arrival of which strikes the next unit.
    Rate(f64),
}

/// The value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    /// Drawn for each strike.
    Time(Distribution),
    /// A whole number, the same for each strike.
    Count(u32),
}

/// A fault as a behavior wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    /// Which fault.
    pub fault: Fault,
    /// How many of the units it strikes, or how often it strikes.
    pub probability: FaultProbability,
    /// What one draw is about.
    pub per: Per,
    /// In the order of [`Row::parameters`].
    pub settings: Vec<Setting>,
}

/// Faults that something, or somebody, was struck by; in the order of the table.
pub type FaultSet = EnumSet<Fault>;

/// The unit a draw is about, as the number of its random stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit(u64);

impl Unit {
    /// The thing itself, of which there is one.
    pub const THING: Self = Self(0);

    /// Connections of a thing count from 0.
    #[must_use]
    pub fn session(number: u64) -> Self {
        Self(number)
    }

    /// Execution `number` of `job` on the thing.
    #[must_use]
    pub fn execution(job: &JobId, number: i64) -> Self {
        Self(seed::digest(without_run_id(job.as_str())) ^ (number as u64).rotate_left(48))
    }

    /// Updates of an execution count from 0: its reports, then its end.
    #[must_use]
    pub fn update(job: &JobId, number: i64, update: u32) -> Self {
        Self(Self::execution(job, number).0.wrapping_add(u64::from(update) + 1))
    }
}

/// A struck unit, and the stream of what else is drawn for it.
pub struct FaultInjection {
    rng: ChaCha8Rng,
}

impl FaultInjection {
    /// A moment, given the number of moments there are.
    pub fn moment(&mut self, count: u32) -> u32 {
        self.rng.random_range(0..count.max(1))
    }

    /// A time that the fault takes.
    pub fn time(&mut self, time: Distribution) -> std::time::Duration {
        time.sample(&mut self.rng)
    }
}

impl FaultSpec {
    /// Whether `unit` is struck, by a share: a function of (seed, thing, unit) alone. A rate strikes nothing by itself.
    #[must_use]
    pub fn draw(&self, seed: u64, thing: u64, unit: Unit) -> Option<FaultInjection> {
        let FaultProbability::Share(share) = self.probability else { return None };
        let mut strike = self.strike(seed, thing, unit);
        (strike.rng.random::<f64>() < share).then_some(strike)
    }

    /// `unit` is struck, whatever decided it.
    #[must_use]
    pub fn strike(&self, seed: u64, thing: u64, unit: Unit) -> FaultInjection {
        let stream = unit.0 ^ seed::digest(self.fault.key());
        FaultInjection { rng: seed::rng(seed, thing, Purpose::Fault, stream) }
    }

    /// A parameter that is a time.
    ///
    /// # Panics
    /// When the table gives the fault no time of that number.
    #[must_use]
    pub fn time(&self, number: usize) -> Distribution {
        match self.settings[number] {
            Setting::Time(time) => time,
            Setting::Count(_) => panic!("parameter {number} of {} is no time", self.fault.key()),
        }
    }

    /// A parameter that is a number.
    ///
    /// # Panics
    /// When the table gives the fault no number of that number.
    #[must_use]
    pub fn count(&self, number: usize) -> u32 {
        match self.settings[number] {
            Setting::Count(count) => count,
            Setting::Time(_) => panic!("parameter {number} of {} is no number", self.fault.key()),
        }
    }

    /// The same with its rate dealt to so many things.
    #[must_use]
    pub fn dealt(&self, things: u64) -> Self {
        let probability = match self.probability {
            FaultProbability::Rate(rate) => FaultProbability::Rate(rate / things.max(1) as f64),
            share @ FaultProbability::Share(_) => share,
        };
        Self { probability, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(fault: Fault, share: f64) -> FaultSpec {
        let row = fault.row();
        let settings = row.parameters.iter().map(|parameter| parameter.default).collect();
        FaultSpec { fault, probability: FaultProbability::Share(share), per: row.per[0], settings }
    }

    #[test]
    fn every_fault_has_its_row_and_keys_are_unique() {
        for (n, row) in TABLE.iter().enumerate() {
            assert_eq!(row.fault as usize, n, "{}", row.key);
            assert_eq!(Fault::of(row.key), Some(row.fault));
            assert!(!row.per.is_empty());
        }
        assert_eq!(Fault::of("no_such_fault"), None);
    }

    #[test]
    fn draws_are_functions_of_seed_thing_unit_and_fault() {
        let job = JobId::new("j").unwrap();
        let struck = |fault, seed, number| -> Vec<bool> {
            let unit = Unit::execution(&job, number);
            (0..200).map(|thing| spec(fault, 0.3).draw(seed, thing, unit).is_some()).collect()
        };
        let base = struck(Fault::Stall, 1, 1);
        assert_eq!(base, struck(Fault::Stall, 1, 1));
        for other in [struck(Fault::Stall, 2, 1), struck(Fault::Stall, 1, 2), struck(Fault::CrashInProgress, 1, 1)] {
            assert_ne!(base, other);
        }
        assert!((40..80).contains(&base.iter().filter(|is_struck| **is_struck).count()));
    }

    #[test]
    fn none_and_all_are_what_they_say() {
        let count = |share| (0..100).filter(|thing| spec(Fault::Stall, share).draw(7, *thing, Unit::THING).is_some()).count();
        assert_eq!([count(0.0), count(1.0)], [0, 100]);
    }

    #[test]
    fn a_rate_is_dealt_to_the_things_that_may_be_struck() {
        let rate = FaultSpec { probability: FaultProbability::Rate(2.0), ..spec(Fault::Stall, 0.0) };
        assert_eq!(rate.dealt(50).probability, FaultProbability::Rate(0.04));
        assert!(rate.draw(1, 1, Unit::THING).is_none());
    }
}
