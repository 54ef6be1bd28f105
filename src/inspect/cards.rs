//! What a shard keeps of its things.

use super::ask::{Question, Reply};
use super::card::{Card, What};
use iot_jobs::instant::Mono;
use std::collections::VecDeque;

/// Messages kept of the watched thing, and bytes of each.
const MESSAGES_MAX: usize = 32;
const PAYLOAD_MAX: usize = 2_048;
/// Cards of one reply, whatever was asked for.
const CARDS_MAX: usize = 500;

/// One message of the watched thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub at: Mono,
    /// From the thing to the service.
    pub is_out: bool,
    pub topic: String,
    /// Text, cut where it gets too long.
    pub payload: String,
}

/// The cards of a shard's things by slot, and the messages of the one that is watched.
pub struct Cards {
    /// Positions ascend with the slots.
    cards: Vec<Card>,
    watched: Option<Watched>,
}

struct Watched {
    slot: usize,
    messages: VecDeque<Message>,
}

impl Cards {
    /// `positions` of the shard's things, ascending.
    #[must_use]
    pub fn new(positions: impl IntoIterator<Item = u32>) -> Self {
        Self { cards: positions.into_iter().map(Card::new).collect(), watched: None }
    }

    pub fn note(&mut self, slot: usize, at: Mono, what: What) {
        self.cards[slot].note(at, what);
    }

    /// Whether the messages of this thing are wanted.
    #[must_use]
    pub fn is_watched(&self, slot: usize) -> bool {
        self.watched.as_ref().is_some_and(|watched| watched.slot == slot)
    }

    /// A message of the watched thing; of any other it is forgotten.
    pub fn message(&mut self, slot: usize, at: Mono, is_out: bool, topic: &str, payload: &[u8]) {
        let Some(watched) = self.watched.as_mut().filter(|watched| watched.slot == slot) else { return };
        if watched.messages.len() == MESSAGES_MAX {
            watched.messages.pop_front();
        }
        let cut = &payload[..payload.len().min(PAYLOAD_MAX)];
        let payload = String::from_utf8_lossy(cut).into_owned();
        watched.messages.push_back(Message { at, is_out, topic: topic.to_owned(), payload });
    }

    /// This shard's part of the answer.
    pub fn answer(&mut self, question: &Question) -> Reply {
        let mut reply = Reply::default();
        match question {
            Question::Where(state) => {
                reply.positions = self.cards.iter().filter(|card| card.state() == *state).map(|card| card.position).collect();
            }
            Question::Cards(positions) => {
                let slots = positions.iter().filter_map(|position| self.slot(*position));
                reply.cards = slots.take(CARDS_MAX).map(|slot| self.cards[slot].clone()).collect();
            }
            Question::MostHit(count) => {
                let mut hit: Vec<&Card> = self.cards.iter().filter(|card| card.errors > 0).collect();
                hit.sort_by_key(|card| (std::cmp::Reverse(card.errors), card.position));
                reply.cards = hit.into_iter().take((*count).min(CARDS_MAX)).cloned().collect();
            }
            Question::Watch(position) => {
                let slot = self.slot(*position);
                if self.watched.as_ref().map(|watched| watched.slot) != slot {
                    self.watched = slot.map(|slot| Watched { slot, messages: VecDeque::new() });
                }
                if let Some(Watched { slot, messages }) = &self.watched {
                    reply.cards = vec![self.cards[*slot].clone()];
                    reply.messages = messages.iter().cloned().collect();
                }
            }
            Question::Unwatch => self.watched = None,
        }
        reply
    }

    fn slot(&self, position: u32) -> Option<usize> {
        self.cards.binary_search_by_key(&position, |card| card.position).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::RequestKind;

    fn cards() -> Cards {
        let mut cards = Cards::new([1, 3, 5]);
        cards.note(0, Mono(1), What::Connected);
        cards.note(2, Mono(2), What::Connected);
        cards.note(2, Mono(3), What::NoAnswer(RequestKind::StartNext));
        cards
    }

    fn positions(reply: &Reply) -> Vec<u32> {
        reply.cards.iter().map(|card| card.position).collect()
    }

    #[test]
    fn things_are_found_by_state_place_and_trouble() {
        let mut cards = cards();
        assert_eq!(cards.answer(&Question::Where("idle")).positions, [1, 5]);
        assert_eq!(cards.answer(&Question::Where("planned")).positions, [3]);
        assert_eq!(positions(&cards.answer(&Question::Cards(vec![3, 4, 5]))), [3, 5], "4 lives in another shard");
        assert_eq!(positions(&cards.answer(&Question::MostHit(9))), [5]);
    }

    #[test]
    fn only_the_watched_thing_keeps_messages() {
        let mut cards = cards();
        cards.message(2, Mono(4), true, "t", b"before");
        assert!(cards.answer(&Question::Watch(5)).messages.is_empty());
        cards.message(2, Mono(5), true, "t", b"one");
        cards.message(0, Mono(5), true, "t", b"of another");
        for _ in 0..MESSAGES_MAX {
            cards.message(2, Mono(6), false, "t", &[b'x'; 3 * PAYLOAD_MAX]);
        }
        let reply = cards.answer(&Question::Watch(5));
        assert_eq!((reply.messages.len(), positions(&reply)), (MESSAGES_MAX, vec![5]));
        assert!(reply.messages.iter().all(|message| message.payload.len() == PAYLOAD_MAX), "the oldest went first");
        assert!(cards.answer(&Question::Watch(4)).cards.is_empty(), "it lives in another shard");
        assert!(!cards.is_watched(2));
    }
}
