//! Questions to the shards, and their answers as one.

use super::card::Card;
use super::cards::{Cards, Message};
use host::clock;
use iot_jobs::instant::Mono;
use std::sync::{Arc, mpsc as answers};
use std::time::Duration;
use tokio::sync::mpsc;

/// Questions that may wait at a shard. One more is not asked at all.
const QUESTIONS_WAITING_MAX: usize = 16;
/// From the question to the last shard's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The things in this [`Card::state`].
    Where(&'static str),
    /// The cards of these things.
    Cards(Vec<u32>),
    /// The things with the most errors, so many of each shard.
    MostHit(usize),
    /// One thing, with its messages since it was first asked for.
    Watch(u32),
    /// Nobody watches any more.
    Unwatch,
}

/// The answer of a shard, or of all.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub positions: Vec<u32>,
    pub cards: Vec<Card>,
    /// The newest last.
    pub messages: Vec<Message>,
}

/// A question on its way to one shard.
#[derive(Debug)]
pub struct Ask {
    pub question: Arc<Question>,
    pub reply: answers::Sender<Reply>,
}

impl Ask {
    /// Who asked may have turned to something else.
    pub fn answer(&self, cards: &mut Cards) {
        let _ = self.reply.send(cards.answer(&self.question));
    }
}

/// Asks the shards.
#[derive(Clone, Debug)]
pub struct Inspector {
    shards: Vec<mpsc::Sender<Ask>>,
}

impl Inspector {
    /// With the receiving ends for so many shards.
    #[must_use]
    pub fn new(shards: usize) -> (Self, Vec<mpsc::Receiver<Ask>>) {
        let (senders, receivers) = (0..shards).map(|_| mpsc::channel(QUESTIONS_WAITING_MAX)).unzip();
        (Self { shards: senders }, receivers)
    }

    /// Puts the question to every shard; `None` when one of them has ended or has too many questions waiting.
    #[must_use]
    pub fn ask(&self, question: Question) -> Option<Pending> {
        let (reply, replies) = answers::channel();
        let question = Arc::new(question);
        for shard in &self.shards {
            shard.try_send(Ask { question: Arc::clone(&question), reply: reply.clone() }).ok()?;
        }
        Some(Pending { question, replies, missing: self.shards.len(), gathered: Reply::default(), asked: clock::mono() })
    }
}

/// A question whose answers are on their way.
#[derive(Debug)]
pub struct Pending {
    question: Arc<Question>,
    replies: answers::Receiver<Reply>,
    missing: usize,
    gathered: Reply,
    asked: Mono,
}

impl Pending {
    #[must_use]
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// The answer of all shards, in the order of places (the most hit first, where they were asked for); `None` while one is missing.
    pub fn poll(&mut self) -> Option<Reply> {
        while let Ok(reply) = self.replies.try_recv() {
            self.missing -= 1;
            self.gathered.positions.extend(reply.positions);
            self.gathered.cards.extend(reply.cards);
            self.gathered.messages.extend(reply.messages);
        }
        if self.missing > 0 {
            return None;
        }
        let mut reply = std::mem::take(&mut self.gathered);
        reply.positions.sort_unstable();
        match *self.question {
            Question::MostHit(count) => {
                reply.cards.sort_by_key(|card| (std::cmp::Reverse(card.errors), card.position));
                reply.cards.truncate(count);
            }
            _ => reply.cards.sort_by_key(|card| card.position),
        }
        Some(reply)
    }

    /// Nobody should wait for it any longer.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        clock::mono() >= self.asked + ANSWER_TIMEOUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_all_shards_come_as_one() {
        let (inspector, mut shards) = Inspector::new(2);
        let mut pending = inspector.ask(Question::MostHit(3)).unwrap();
        assert!(pending.poll().is_none());
        for (shard, errors) in [[5, 1], [4, 9]].into_iter().enumerate() {
            let ask = shards[shard].try_recv().unwrap();
            assert_eq!(*ask.question, Question::MostHit(3));
            let cards = errors.map(|errors| Card { errors, ..Card::new(shard as u32) });
            ask.reply.send(Reply { cards: cards.to_vec(), ..Reply::default() }).unwrap();
        }
        let reply = pending.poll().unwrap();
        assert_eq!(reply.cards.iter().map(|card| card.errors).collect::<Vec<_>>(), [9, 5, 4]);
    }

    #[test]
    fn a_shard_that_ended_or_does_not_listen_is_noticed() {
        let (inspector, mut shards) = Inspector::new(1);
        for _ in 0..QUESTIONS_WAITING_MAX {
            assert!(inspector.ask(Question::Unwatch).is_some());
        }
        assert!(inspector.ask(Question::Unwatch).is_none(), "it is full");
        shards.clear();
        assert!(inspector.ask(Question::Unwatch).is_none());
    }
}
