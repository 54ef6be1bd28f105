//! Bodies of requests that are not verified yet. Small ones are read at once; of large ones a number is read at a time, over all connections
//! of a listener and over those of an address, and the others wait unread.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// A body up to this size is small.
pub(super) const SMALL_BYTES_MAX: u64 = 16 * 1024;
/// Large ones at once.
const LARGE_MAX: usize = 64;
/// Those of one address.
const LARGE_PER_ADDRESS_MAX: usize = 48;
/// How long one waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// The large bodies that are being read.
#[derive(Default)]
pub(super) struct Bodies {
    by_address: Mutex<HashMap<IpAddr, usize>>,
    freed: Notify,
}

/// The turn of one, while it lives.
pub(super) struct Turn {
    bodies: Arc<Bodies>,
    address: IpAddr,
}

impl Bodies {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when a large body of this address may be read; `None` when that takes too long.
    pub(super) async fn turn(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let waiting = async {
            loop {
                // Listens first: what is freed after the look is not missed.
                let freed = self.freed.notified();
                if let Some(turn) = self.try_turn(address) {
                    return turn;
                }
                freed.await;
            }
        };
        timeout(TURN_TIMEOUT, waiting).await.ok()
    }

    fn try_turn(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let mut by_address = self.lock();
        let all: usize = by_address.values().sum();
        let of_address = by_address.get(&address).copied().unwrap_or(0);
        if all >= LARGE_MAX || of_address >= LARGE_PER_ADDRESS_MAX {
            return None;
        }
        by_address.insert(address, of_address + 1);
        Some(Turn { bodies: Arc::clone(self), address })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut by_address = self.bodies.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
        drop(by_address);
        self.bodies.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leaves_some_turns_to_others() {
        let bodies = Arc::new(Bodies::default());
        let [greedy, other] = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        let turns: Vec<Turn> = std::iter::from_fn(|| bodies.try_turn(greedy)).collect();
        let others: Vec<Turn> = std::iter::from_fn(|| bodies.try_turn(other)).collect();
        assert_eq!((turns.len(), others.len()), (LARGE_PER_ADDRESS_MAX, LARGE_MAX - LARGE_PER_ADDRESS_MAX));
        drop(turns);
        assert!(bodies.try_turn(greedy).is_some());
        drop(others);
        assert!(bodies.lock().is_empty(), "nobody is remembered who reads nothing");
    }
}
