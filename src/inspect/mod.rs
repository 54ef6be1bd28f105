//! A look at single things while a run goes on: asked of their shards on demand, never streamed.
//!
//! A shard keeps one small [`Card`] a thing, and of one watched thing its messages. [`Inspector::ask`] puts a [`Question`] to every
//! shard; [`Pending::poll`] gives the answers of all as one, or nothing until they are there.

mod ask;
mod card;
mod cards;

pub use ask::{Ask, Inspector, Pending, Question, Reply};
pub use card::{AgentState, Card, Moment, SessionState, What};
pub use cards::{Cards, Message};
