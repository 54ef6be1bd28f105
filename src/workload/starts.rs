//! When each thing is meant to connect for the first time.

use crate::roster::CohortIndex;
use crate::scenario::plan::{ConnectPlan, Plan};
use std::time::Duration;
use thing_agent::arrivals::arrivals;

/// Intended first connects, by place: cohorts with arrivals of their own arrive by those, from the origin as all the others.
pub(crate) fn starts(plan: &Plan, cohorts: &[CohortIndex]) -> Vec<Duration> {
    let mut starts = vec![Duration::ZERO; cohorts.len()];
    let mut arrive = |connect: &ConnectPlan, stream: u64, is_one: &dyn Fn(usize) -> bool| {
        let places: Vec<usize> = (0..cohorts.len()).filter(|place| is_one(usize::from(cohorts[*place]))).collect();
        let times = arrivals(connect.arrival, connect.rate_per_s, places.len(), plan.seed, stream);
        places.into_iter().zip(times).for_each(|(place, at)| starts[place] = at);
    };
    arrive(&plan.fleet.connect, 0, &|cohort| plan.cohorts[cohort].connect.is_none());
    for (n, cohort) in plan.cohorts.iter().enumerate() {
        if let Some(connect) = &cohort.connect {
            arrive(connect, 1 + n as u64, &|other| other == n);
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::Roster;
    use crate::scenario::load;

    #[test]
    fn a_cohort_may_arrive_by_its_own_rate_and_the_others_by_that_of_the_fleet() {
        let text = "name = 'x'\n[fleet]\nthings = 30\nconnect = { rate = '100/s' }\n[[cohort]]\nname = 'a'\nshare = 0.5\n\
                    [[cohort]]\nname = 'b'\nshare = 0.3\nconnect = { rate = '2/s' }\n\
                    [[cohort]]\nname = 'c'\nshare = 0.2\nconnect = { rate = '20/s', arrival = 'poisson' }\n[end]\nduration = '1s'";
        let plan = load("x", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let roster = Roster::new(&plan).unwrap();
        let cohorts = roster.cohorts();
        let starts = starts(&plan, cohorts);
        let of = |cohort: CohortIndex| -> Vec<u128> {
            (0..30).filter(|place| cohorts[*place] == cohort).map(|place| starts[place].as_millis()).collect()
        };
        assert_eq!(of(0), (0..15).map(|n| n * 10).collect::<Vec<_>>());
        assert_eq!(of(1), (0..9).map(|n| n * 500).collect::<Vec<_>>());
        assert!(of(2).len() == 6 && of(2).is_sorted() && of(2)[5] < 2_000, "{:?}", of(2));
    }
}
