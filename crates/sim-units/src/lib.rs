//! What a simulation is described in: random streams by seed, random durations, names by template, schedules with a period, what is
//! to happen when, and their text in scenarios. Pure: time is an argument, and randomness follows from a seed.

#![warn(missing_docs)]

pub mod agenda;
pub mod distribution;
pub mod name_template;
pub mod periodic;
pub mod run_id;
pub mod seed;
pub mod text;
