//! A queue in front of the engine: first come, first served, by a few workers, each busy with one request at a time.

use iot_jobs::instant::Mono;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// When each worker is free again.
pub struct ServerQueue {
    free: BinaryHeap<Reverse<Mono>>,
}

impl ServerQueue {
    /// With at least one worker.
    pub fn new(workers: u32) -> Self {
        Self { free: std::iter::repeat_n(Reverse(Mono::default()), workers.max(1) as usize).collect() }
    }

    /// When a request that arrives now departs: the worker that is free first takes it as soon as it is.
    pub fn enter(&mut self, arrival: Mono, service: Duration) -> Mono {
        let mut first = self.free.peek_mut().expect("there is at least one worker");
        first.0 = first.0.max(arrival) + service;
        first.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sim_units::distribution::Distribution;
    use sim_units::seed::{self, Purpose};

    fn ms(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    /// By the book: every worker is looked at.
    fn reference(workers: usize, requests: &[(u64, u64)]) -> Vec<Mono> {
        let mut free = vec![0; workers];
        let depart = |&(arrival, service): &(u64, u64)| {
            let worker = (0..workers).min_by_key(|worker| free[*worker]).unwrap();
            free[worker] = free[worker].max(arrival) + service;
            ms(free[worker])
        };
        requests.iter().map(depart).collect()
    }

    #[test]
    fn one_worker_takes_one_after_the_other_and_rests_between_bursts() {
        let mut queue = ServerQueue::new(1);
        let service = Duration::from_millis(20);
        assert_eq!([0, 0, 5, 100].map(|arrival| queue.enter(ms(arrival), service)), [20, 40, 60, 120].map(ms));
    }

    #[test]
    fn two_workers_serve_side_by_side_and_a_short_request_may_leave_first() {
        let mut queue = ServerQueue::new(2);
        let services = [50, 10, 10, 10].map(Duration::from_millis);
        assert_eq!(services.map(|service| queue.enter(ms(0), service)), [50, 10, 20, 30].map(ms));
    }

    proptest! {
        #[test]
        fn departures_are_those_of_the_book(workers in 1usize..6, gaps in prop::collection::vec((0u64..30, 0u64..50), 1..200)) {
            let mut arrival = 0;
            let requests: Vec<(u64, u64)> = gaps.into_iter().map(|(gap, service)| {
                arrival += gap;
                (arrival, service)
            }).collect();
            let mut queue = ServerQueue::new(workers as u32);
            let departures: Vec<Mono> =
                requests.iter().map(|(arrival, service)| queue.enter(ms(*arrival), Duration::from_millis(*service))).collect();
            prop_assert_eq!(departures, reference(workers, &requests));
        }
    }

    /// M/D/1: with a load of 0.8 a request waits for 2 services on average (Pollaczek and Khinchine).
    #[test]
    fn random_arrivals_wait_as_long_as_the_theory_says() {
        let service = Duration::from_millis(8);
        let gap = Distribution::Exp(Duration::from_millis(10));
        let mut rng = seed::rng(1, 0, Purpose::Arrivals, 0);
        let mut queue = ServerQueue::new(1);
        let (mut arrival, mut waited) = (Mono::default(), 0.0);
        const REQUESTS: u32 = 400_000;
        for _ in 0..REQUESTS {
            arrival += gap.sample(&mut rng);
            waited += queue.enter(arrival, service).since(arrival).as_secs_f64() - service.as_secs_f64();
        }
        let mean_ms = waited * 1e3 / f64::from(REQUESTS);
        assert!((mean_ms - 16.0).abs() < 1.0, "{mean_ms} ms");
    }
}
