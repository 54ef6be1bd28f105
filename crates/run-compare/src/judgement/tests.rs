use super::*;
use proptest::prelude::*;
use rand_distr::{Distribution as _, StandardNormal};
use sim_units::seed::{Purpose, rng};

fn side(values: &[f64]) -> Vec<Estimate> {
    values.iter().map(|value| Estimate { ln: value.ln(), variance: 0.0 }).collect()
}

fn sample(base: &[f64], run: &[f64], noise: &[f64]) -> Sample {
    Sample { base: side(base), run: side(run), noise: side(noise), better: Better::Lower }
}

fn alone(sample: Sample) -> Judgement {
    judge(&[sample], &Settings::default())[0]
}

#[test]
fn quantiles_of_student_are_those_of_the_tables() {
    for (degrees, quantile) in [(1.0, 12.706), (2.0, 4.303), (4.0, 2.776), (10.0, 2.228), (30.0, 2.042), (1e6, 1.960)] {
        let spread = Spread { deviation: 1.0, standard_error: 1.0, degrees };
        assert!((spread.reach(0.025) - quantile).abs() < 1e-3, "{degrees}: {}", spread.reach(0.025));
        assert!((spread.p_value(quantile) - 0.025).abs() < 1e-4, "{degrees}");
    }
}

/// Worked by hand: logarithms -0.01, 0, 0.01 and the same 0.2 higher. s = 0.01, SE = 0.01 * sqrt(2/3), t(4) = 2.776.
#[test]
fn the_interval_is_that_of_the_formula() {
    let values = |shift: f64| [-0.01, 0.0, 0.01].map(|ln: f64| (ln + shift).exp());
    let judged = alone(sample(&values(0.0), &values(0.2), &[]));
    let reach = 2.776_445 * 0.01 * (2.0_f64 / 3.0).sqrt();
    let (low, high) = judged.interval.unwrap();
    assert!((judged.ratio - 0.2_f64.exp()).abs() < 1e-9 && (judged.deviation.unwrap() - 0.01).abs() < 1e-9);
    assert!((low - (0.2 - reach).exp()).abs() < 1e-6 && (high - (0.2 + reach).exp()).abs() < 1e-6, "{low} {high}");
    assert_eq!(judged.verdict, Verdict::Worse);
    assert_eq!(alone(Sample { better: Better::Higher, ..sample(&values(0.0), &values(0.2), &[]) }).verdict, Verdict::Better);
    assert_eq!(alone(sample(&values(0.2), &values(0.0), &[])).verdict, Verdict::Better);
    assert_eq!(alone(sample(&values(0.0), &values(0.01), &[])).verdict, Verdict::Same);
}

/// 2 * (2.8 * 0.1 / ln 1.05)^2 = 65.9.
#[test]
fn what_is_not_decided_says_how_many_runs_would() {
    let noisy = [-0.1, 0.0, 0.1].map(f64::exp);
    assert_eq!(alone(sample(&noisy, &noisy, &[])).verdict, Verdict::NotDecided(Missing::RunsASide(66)));
    // At the margin itself no number of runs decides; it is never as few as there are.
    let quiet = |shift: f64| [-0.001, 0.0, 0.001].map(|ln: f64| (ln + shift).exp());
    let at_margin = alone(sample(&quiet(0.0), &quiet(1.05_f64.ln()), &[]));
    assert_eq!(at_margin.verdict, Verdict::NotDecided(Missing::RunsASide(4)));
}

#[test]
fn one_run_a_side_decides_nothing_without_earlier_ones() {
    let judged = alone(sample(&[1.0], &[5.0], &[]));
    assert_eq!((judged.verdict, judged.interval, judged.deviation), (Verdict::NotDecided(Missing::Runs), None, None));
    assert!((judged.ratio - 5.0).abs() < 1e-9);
    assert_eq!(alone(sample(&[1.0], &[5.0, 5.0, 5.1], &[])).verdict, Verdict::NotDecided(Missing::RunsAgainstOne));
    assert_eq!(alone(sample(&[1.0], &[5.0, 5.0, 5.1, 5.0], &[])).verdict, Verdict::Worse);
    let earlier = [0.98, 1.0, 1.02, 0.99, 1.01];
    assert_eq!(alone(sample(&[1.0], &[5.0], &earlier)).verdict, Verdict::Worse);
    let wide = alone(sample(&[1.0], &[1.02], &earlier));
    assert!(matches!(wide.verdict, Verdict::NotDecided(Missing::RunsASide(_))), "{wide:?}");
}

/// A prediction from earlier runs: s and the degrees of freedom are theirs alone.
#[test]
fn earlier_runs_tell_how_much_runs_vary() {
    let earlier = [-0.02, -0.01, 0.0, 0.01, 0.02].map(f64::exp);
    let judged = alone(sample(&[1.0], &[1.0], &earlier));
    let s = (0.001_f64 / 4.0).sqrt();
    assert!((judged.deviation.unwrap() - s).abs() < 1e-9);
    let reach = 2.776_445 * s * 2.0_f64.sqrt();
    assert!((judged.interval.unwrap().1 - reach.exp()).abs() < 1e-6);
}

#[test]
fn runs_that_agree_by_chance_are_no_surer_than_their_seconds() {
    let agree = |variance| Sample {
        base: vec![Estimate { ln: 0.0, variance }; 3],
        run: vec![Estimate { ln: 0.1, variance }; 3],
        noise: Vec::new(),
        better: Better::Lower,
    };
    assert_eq!(alone(agree(0.0)).verdict, Verdict::Worse, "a difference without any noise is one");
    assert!(matches!(alone(agree(0.01)).verdict, Verdict::NotDecided(_)));
    let same = Sample { run: vec![Estimate { ln: 0.0, variance: 0.0 }; 3], ..agree(0.0) };
    let judged = alone(same);
    assert_eq!((judged.verdict, judged.interval), (Verdict::Same, Some((1.0, 1.0))));
}

#[test]
fn among_many_figures_it_takes_more_to_be_an_alarm() {
    let values = |shift: f64| [-0.01, 0.0, 0.01].map(|ln: f64| (ln + shift).exp());
    let odd = sample(&values(0.0), &values(0.08), &[]);
    assert_eq!(alone(odd.clone()).verdict, Verdict::Worse);
    let calm = sample(&values(0.0), &values(0.0), &[]);
    let judged = judge(&[vec![calm; 19], vec![odd]].concat(), &Settings::default());
    assert!(matches!(judged[19].verdict, Verdict::NotDecided(_)), "{:?}", judged[19]);
    assert!(judged[19].interval.unwrap().0 > 1.05, "alone it would be");
}

/// Tries of so many runs a side, each of nine figures with their own noise; the share of tries with an alarm.
fn alarms(tries: u64, runs: (usize, usize, usize), shift: f64, settings: &Settings, is_alarm: fn(Verdict) -> bool) -> f64 {
    let noise = [0.017, 0.03, 0.1, 0.03, 0.05, 0.12, 0.32, 0.2, 0.15];
    let mut found = 0;
    for attempt in 0..tries {
        let mut random = rng(attempt, 0, Purpose::Resampling, 0);
        let mut draw = |deviation: f64, shift: f64, count: usize| -> Vec<Estimate> {
            let one = |_| {
                let normal: f64 = StandardNormal.sample(&mut random);
                Estimate { ln: shift + deviation * normal, variance: (0.3 * deviation).powi(2) }
            };
            (0..count).map(one).collect()
        };
        let samples: Vec<Sample> = noise
            .iter()
            .map(|deviation| Sample {
                base: draw(*deviation, 0.0, runs.0),
                run: draw(*deviation, shift, runs.1),
                noise: draw(*deviation, 0.0, runs.2),
                better: Better::Lower,
            })
            .collect();
        found += u64::from(judge(&samples, settings).iter().any(|judged| is_alarm(judged.verdict)));
    }
    found as f64 / tries as f64
}

#[test]
fn equal_runs_seldom_give_an_alarm_whatever_their_number() {
    let exact = Settings { margin: 0.0, ..Settings::default() };
    for runs in [(3, 3, 0), (5, 5, 0), (2, 2, 0), (5, 1, 0), (1, 1, 8), (3, 1, 5)] {
        for is_alarm in [|verdict| verdict == Verdict::Worse, |verdict| verdict == Verdict::Better] {
            let share = alarms(1_500, runs, 0.0, &exact, is_alarm);
            assert!(share < 0.035, "{runs:?}: {share}, 2.5 % are wanted");
        }
        let share = alarms(1_500, runs, 0.0, &Settings::default(), |verdict| verdict == Verdict::Worse);
        assert!(share < 0.025, "{runs:?}, with a margin: {share}");
    }
}

#[test]
fn a_fifth_more_is_found() {
    let is_worse = |verdict| verdict == Verdict::Worse;
    assert!(alarms(1_000, (3, 3, 0), 1.2_f64.ln(), &Settings::default(), is_worse) > 0.7);
    assert!(alarms(1_000, (5, 5, 0), 1.2_f64.ln(), &Settings::default(), is_worse) > 0.99);
}

proptest! {
    #[test]
    fn which_side_is_the_base_decides_only_the_direction(
        base in prop::collection::vec(0.5f64..2.0, 2..5), run in prop::collection::vec(0.5f64..2.0, 2..5)
    ) {
        let (there, back) = (alone(sample(&base, &run, &[])), alone(sample(&run, &base, &[])));
        prop_assert!((there.ratio * back.ratio - 1.0).abs() < 1e-9);
        prop_assert_eq!(there.verdict == Verdict::Worse, back.verdict == Verdict::Better);
        prop_assert_eq!(there.verdict == Verdict::Same, back.verdict == Verdict::Same);
    }

    #[test]
    fn an_alarm_lies_beyond_the_margin(shift in -0.5f64..0.5, noise in prop::collection::vec(-0.02f64..0.02, 6)) {
        let values = |shift: f64, noise: &[f64]| noise.iter().map(|ln| (ln + shift).exp()).collect::<Vec<_>>();
        let judged = alone(sample(&values(0.0, &noise[..3]), &values(shift, &noise[3..]), &[]));
        let (low, high) = judged.interval.unwrap();
        prop_assert!(low <= judged.ratio && judged.ratio <= high);
        prop_assert_eq!(judged.verdict == Verdict::Worse, low > 1.05);
        prop_assert_eq!(judged.verdict == Verdict::Better, high < 1.0 / 1.05);
        prop_assert_eq!(judged.verdict == Verdict::Same, low >= 1.0 / 1.05 && high <= 1.05);
    }
}
