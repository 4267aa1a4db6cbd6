//! Against weighted sums over the whole history, on every level.

use proptest::prelude::*;

use super::*;
use crate::Level;

/// Weights of the values so far, adding up to 1; empty before the first value.
///
/// `adjust`: a value `k` rows old counts `(1 - alpha)^k`. Otherwise a new value gets
/// `alpha / (alpha + (1 - alpha)^rows since the last one)` and the others share the rest.
fn weights(present: &[bool], alpha: f64, adjust: bool) -> Vec<f64> {
    let mut weights = vec![0.0; present.len()];
    let Some(first) = present.iter().position(|&here| here) else { return Vec::new() };
    if adjust {
        let age = |i: usize| (present.len() - 1 - i) as i32;
        for (i, weight) in weights.iter_mut().enumerate().filter(|(i, _)| present[*i]) {
            *weight = (1.0 - alpha).powi(age(i));
        }
        let all: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= all);
        return weights;
    }
    weights[first] = 1.0;
    let mut last = first;
    for i in first + 1..present.len() {
        if present[i] {
            let share = alpha / (alpha + (1.0 - alpha).powi((i - last) as i32));
            weights[..i].iter_mut().for_each(|weight| *weight *= 1.0 - share);
            (weights[i], last) = (share, i);
        }
    }
    weights
}

/// Mean, biased and unbiased deviation of the rows `x`, by definition.
fn by_definition(x: &[f64], decay: Decay) -> [f64; 3] {
    let present: Vec<bool> = x.iter().map(|v| v.is_finite()).collect();
    let count = present.iter().filter(|&&here| here).count();
    let weights = weights(&present, decay.alpha, decay.adjust);
    if count < decay.min_periods.max(1) {
        return [f64::NAN; 3];
    }
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        let both = weights.iter().zip(x).filter(|(_, v)| v.is_finite());
        both.map(|(w, v)| f(*w, *v)).sum()
    };
    let mean = sum(&|w, v| w * v);
    let variance = sum(&|w, v| w * (v - mean) * (v - mean));
    let rest = 1.0 - sum(&|w, _| w * w);
    let unbiased = if count < 2 { f64::NAN } else { (variance / rest).sqrt() };
    [mean, variance.sqrt(), unbiased]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-400i32..400).prop_map(|v| f64::from(v) / 16.0),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

proptest! {
    #[test]
    fn sums_over_the_history_agree(
        (x, cols) in (0usize..40, 1usize..12).prop_flat_map(|(rows, cols)| {
            (prop::collection::vec(value(), rows * cols), Just(cols))
        }),
        holes in any::<bool>(),
        alpha in 0.02f64..0.98,
        adjust in any::<bool>(),
        min_periods in 0usize..5,
    ) {
        let x: Vec<f64> = x.iter().map(|v| if holes || v.is_finite() { *v } else { 1.0 }).collect();
        let rows = x.len() / cols;
        let decay = Decay { alpha, adjust, min_periods };
        for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
            let exec = Exec::new(1, level);
            let mut got = [vec![-7.0; x.len()], vec![-7.0; x.len()], vec![-7.0; x.len()]];
            let [mean, biased, unbiased] = &mut got;
            ewm_mean(exec, Table::new(&x, rows, cols), decay, mean);
            ewm_std(exec, Table::new(&x, rows, cols), decay, true, biased);
            ewm_std(exec, Table::new(&x, rows, cols), decay, false, unbiased);
            for i in 0..x.len() {
                let column: Vec<f64> = (0..=i / cols).map(|t| x[t * cols + i % cols]).collect();
                let want = by_definition(&column, decay);
                for (k, want) in want.into_iter().enumerate() {
                    let got = got[k][i];
                    let near = (got - want).abs() <= 1e-9 * (1.0 + want.abs());
                    let same = near || got.is_nan() && want.is_nan();
                    prop_assert!(same, "{level:?} statistic {k} entry {i}: {got} not {want}");
                }
            }
        }
    }
}
