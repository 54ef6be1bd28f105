//! Finding things: by name here, by state with the help of their shards.

use crate::inspect::{AgentState, Card, Message, Question, Reply, SessionState};
use crate::slice::Slice;
use iot_jobs::ThingName;
use std::collections::BTreeMap;
use std::sync::Arc;
use strum::VariantArray;

/// Cards are asked for so many rows around the selected one: more than any screen has.
const ROWS_AROUND: usize = 120;
/// Things with errors that can be listed.
const HIT_MAX: usize = 200;

/// The words that name a state instead of a part of a name.
pub fn states() -> impl Iterator<Item = &'static str> {
    let sessions = SessionState::VARIANTS.iter().filter(|state| **state != SessionState::Up).map(|state| state.as_str());
    sessions.chain(AgentState::VARIANTS.iter().map(|state| state.as_str()))
}

pub struct Finder {
    names: Arc<[ThingName]>,
    /// Whose things can be asked for.
    slice: Slice,
    /// What was typed: parts of a name, and names of states.
    pub text: String,
    pub is_typing: bool,
    /// Places of the things whose names fit.
    by_name: Vec<u32>,
    /// Places of the things in the wanted state, or with errors; the newest answer.
    told: Option<Vec<u32>>,
    found: Vec<u32>,
    pub cards: BTreeMap<u32, Card>,
    /// The thing that is looked at closely.
    pub detail: Option<u32>,
    pub messages: Vec<Message>,
}

impl Finder {
    #[must_use]
    pub fn new(names: Arc<[ThingName]>, slice: Slice) -> Self {
        let all: Vec<u32> = (0..).take(names.len()).filter(|position| slice.has(*position)).collect();
        Self {
            names,
            slice,
            text: String::new(),
            is_typing: false,
            by_name: all.clone(),
            told: None,
            found: all,
            cards: BTreeMap::new(),
            detail: None,
            messages: Vec::new(),
        }
    }

    /// Places of the things that are listed.
    #[must_use]
    pub fn found(&self) -> &[u32] {
        &self.found
    }

    #[must_use]
    pub fn name(&self, position: u32) -> &str {
        self.names.get(position as usize).map_or("?", ThingName::as_str)
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split_whitespace()
    }

    /// The state that was typed.
    #[must_use]
    pub fn state(&self) -> Option<&'static str> {
        self.words().find_map(|word| states().find(|state| *state == word))
    }

    pub fn set_text(&mut self, text: String) {
        self.text = text;
        self.told = None;
        let words: Vec<&str> = self.words().filter(|word| states().all(|state| state != *word)).collect();
        let fits = |name: &ThingName| words.iter().all(|word| name.as_str().contains(word));
        let is_found = |(position, name): &(u32, &ThingName)| self.slice.has(*position) && fits(name);
        self.by_name = (0..).zip(self.names.iter()).filter(is_found).map(|(position, _)| position).collect();
        self.join();
    }

    /// What was told by the shards is of another sort order.
    pub fn forget(&mut self) {
        self.told = None;
        self.join();
    }

    fn join(&mut self) {
        self.found = match &self.told {
            // The order is that of the answer.
            Some(told) => told.iter().copied().filter(|position| self.by_name.binary_search(position).is_ok()).collect(),
            None => self.by_name.clone(),
        };
    }

    /// What must be asked to show the rows around `selected`.
    #[must_use]
    pub fn questions(&self, selected: usize, by_errors: bool) -> Vec<Question> {
        if let Some(position) = self.detail {
            return vec![Question::Watch(position)];
        }
        let mut questions = Vec::new();
        match self.state() {
            Some(state) => questions.push(Question::Where(state)),
            None if by_errors => questions.push(Question::MostHit(HIT_MAX)),
            None => {}
        }
        let from = selected.saturating_sub(ROWS_AROUND);
        questions.push(Question::Cards(self.found.iter().copied().skip(from).take(2 * ROWS_AROUND).collect()));
        questions
    }

    pub fn answered(&mut self, question: &Question, reply: Reply) {
        match question {
            Question::Where(state) if self.state() == Some(state) => {
                self.told = Some(reply.positions);
                self.join();
            }
            Question::MostHit(_) if self.state().is_none() => {
                self.told = Some(reply.cards.iter().map(|card| card.position).collect());
                self.cards = reply.cards.into_iter().map(|card| (card.position, card)).collect();
                self.join();
            }
            Question::Cards(_) => self.cards = reply.cards.into_iter().map(|card| (card.position, card)).collect(),
            Question::Watch(position) if self.detail == Some(*position) => {
                self.cards.extend(reply.cards.into_iter().map(|card| (card.position, card)));
                self.messages = reply.messages;
            }
            Question::Where(_) | Question::MostHit(_) | Question::Watch(_) | Question::Unwatch => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder() -> Finder {
        of_slice(Slice::WHOLE)
    }

    fn of_slice(slice: Slice) -> Finder {
        Finder::new((0..20).map(|n| ThingName::new(&format!("sim-{n:03}")).unwrap()).collect(), slice)
    }

    #[test]
    fn things_that_another_process_drives_are_not_listed() {
        let mut finder = of_slice("1/4".parse().unwrap());
        assert_eq!(finder.found(), [1, 5, 9, 13, 17]);
        finder.set_text("01".into());
        assert_eq!(finder.found(), [1, 13, 17]);
    }

    #[test]
    fn words_are_parts_of_names_or_states() {
        let mut finder = finder();
        finder.set_text("01 working 5".into());
        assert_eq!((finder.found(), finder.state()), (&[15][..], Some("working")));
        finder.set_text("idle".into());
        assert_eq!(finder.found().len(), 20, "all, until the shards have answered");
        assert_eq!(finder.questions(0, false)[0], Question::Where("idle"));
        finder.answered(&Question::Where("working"), Reply { positions: vec![1], ..Reply::default() });
        assert_eq!(finder.found().len(), 20, "that answer is too late");
        finder.answered(&Question::Where("idle"), Reply { positions: vec![2, 4], ..Reply::default() });
        assert_eq!(finder.found(), [2, 4]);
        finder.set_text("nothing-like-it".into());
        assert!(finder.found().is_empty());
    }

    #[test]
    fn the_most_hit_come_in_the_order_of_the_answer() {
        let mut finder = finder();
        let cards = [7, 3].map(Card::new).to_vec();
        finder.answered(&Question::MostHit(HIT_MAX), Reply { cards, ..Reply::default() });
        assert_eq!(finder.found(), [7, 3]);
        finder.forget();
        assert_eq!(finder.found().len(), 20);
    }
}
