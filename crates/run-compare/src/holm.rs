//! Holm's step-down: many figures are tested, and chance is not to make one of them an alarm.

/// Which of these hypotheses are rejected, so that with probability `alpha` at most any true one is among them.
#[must_use]
pub fn holm(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut rejected = vec![false; p_values.len()];
    for (rank, place) in order.into_iter().enumerate() {
        if p_values[place] > alpha / (p_values.len() - rank) as f64 {
            break;
        }
        rejected[place] = true;
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_down_until_one_stands() {
        // 0.05 / 4 = 0.0125, 0.05 / 3 = 0.0167, 0.05 / 2 = 0.025.
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
        assert_eq!(holm(&[0.012, 0.04, 0.02, 0.016], 0.05), [true, true, true, true]);
        assert_eq!(holm(&[0.013, 0.013], 0.025), [false, false]);
        assert_eq!(holm(&[0.02], 0.025), [true]);
        assert!(holm(&[], 0.025).is_empty());
    }

    proptest! {
        #[test]
        fn it_rejects_no_less_than_bonferroni_and_no_more_than_each_alone(p in prop::collection::vec(0.0f64..0.2, 1..30)) {
            let rejected = holm(&p, 0.05);
            for (p_value, is_rejected) in p.iter().zip(&rejected) {
                prop_assert!(*is_rejected || *p_value > 0.05 / p.len() as f64);
                prop_assert!(!is_rejected || *p_value <= 0.05);
            }
        }
    }
}
