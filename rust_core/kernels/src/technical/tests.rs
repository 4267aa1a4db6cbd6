//! Against a walk through the present values of one column, on every level.

use proptest::prelude::*;

use super::*;
use crate::Level;

/// Means of the present values up to every row, NaN before there are `window` and where one misses.
fn averages(values: &[f64], window: usize, smoothing: Smoothing) -> Vec<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut out = vec![f64::NAN; values.len()];
    for (t, out) in out.iter_mut().enumerate().filter(|(t, _)| !values[*t].is_nan()) {
        let so_far = &values[..=t];
        match smoothing {
            Smoothing::Simple if t + 1 >= window => *out = mean(&so_far[t + 1 - window..]),
            Smoothing::Simple => {}
            Smoothing::Wilder => {
                let present: Vec<f64> = so_far.iter().copied().filter(|v| !v.is_nan()).collect();
                if let Some((first, rest)) = present.split_at_checked(window) {
                    let step = |m: f64, v: &f64| (m * (window as f64 - 1.0) + v) / window as f64;
                    *out = rest.iter().fold(mean(first), step);
                }
            }
        }
    }
    out
}

/// True range by its definition: the largest of three distances.
fn true_ranges([high, low, close]: [&[f64]; 3]) -> Vec<f64> {
    let range = |t: usize| {
        let (high, low) = (high[t], low[t]);
        let before = if t == 0 { f64::NAN } else { close[t - 1] };
        match () {
            () if high.is_nan() || low.is_nan() => f64::NAN,
            () if before.is_nan() => high - low,
            () => (high - low).max((high - before).abs()).max((low - before).abs()),
        }
    };
    (0..high.len()).map(range).collect()
}

fn strength(close: &[f64], window: usize, smoothing: Smoothing) -> Vec<f64> {
    let change = |t: usize| if t == 0 { f64::NAN } else { close[t] - close[t - 1] };
    let side = |sign: f64| -> Vec<f64> {
        let part = |d: f64| if d.is_nan() { d } else { (sign * d).max(0.0) };
        averages(&(0..close.len()).map(change).map(part).collect::<Vec<_>>(), window, smoothing)
    };
    let index = |(up, down): (f64, f64)| match up + down {
        0.0 => 50.0,
        all => 100.0 * up / all,
    };
    side(1.0).into_iter().zip(side(-1.0)).map(index).collect()
}

/// Open, distances up and down, and the close's place between, on a coarse grid; or a missing bar.
fn bar() -> impl Strategy<Value = [f64; 3]> {
    prop_oneof![
        8 => (0i32..200, 0i32..40, 0i32..5).prop_map(|(low, width, place)| {
            let (low, width) = (f64::from(low), f64::from(width));
            [low + width, low, low + width * f64::from(place) / 4.0]
        }),
        1 => Just([f64::NAN; 3]),
        1 => Just([9.0, 5.0, f64::NAN]),
    ]
}

type Run<'a> = dyn Fn(Exec, &mut [f64]) + 'a;

proptest! {
    #[test]
    fn a_walk_through_each_column_agrees(
        (bars, cols) in (0usize..40, 1usize..12).prop_flat_map(|(rows, cols)| {
            (prop::collection::vec(bar(), rows * cols), Just(cols))
        }),
        holes in any::<bool>(),
        window in 1usize..12,
        wilder in any::<bool>(),
    ) {
        let smoothing = if wilder { Smoothing::Wilder } else { Smoothing::Simple };
        let whole = |bar: &[f64; 3]| holes || bar.iter().all(|v| !v.is_nan());
        let part = |k: usize| -> Vec<f64> {
            bars.iter().map(|bar| if whole(bar) { bar[k] } else { 4.0 }).collect()
        };
        let [high, low, close] = [part(0), part(1), part(2)];
        let table = |x| Table::new(x, bars.len() / cols, cols);
        let tables = Bars::new(table(&high), table(&low), table(&close));
        let runs: [&Run; 3] = [
            &|exec, out| true_range(exec, tables, out),
            &|exec, out| atr(exec, tables, window, smoothing, out),
            &|exec, out| rsi(exec, table(&close), window, smoothing, out),
        ];
        let column = |x: &[f64], c: usize| -> Vec<f64> {
            x.iter().skip(c).step_by(cols).copied().collect()
        };
        for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
            for (k, run) in runs.iter().enumerate() {
                let mut got = vec![-7.0; bars.len()];
                run(Exec::new(1, level), &mut got);
                for c in 0..cols.min(bars.len()) {
                    let [high, low, close] = [&high, &low, &close].map(|x| column(x, c));
                    let ranges = true_ranges([&high, &low, &close]);
                    let want = match k {
                        0 => ranges,
                        1 => averages(&ranges, window, smoothing),
                        _ => strength(&close, window, smoothing),
                    };
                    for (t, (got, want)) in column(&got, c).into_iter().zip(want).enumerate() {
                        let near = (got - want).abs() <= 1e-9 * (1.0 + want.abs());
                        let same = near || got.is_nan() && want.is_nan();
                        prop_assert!(same, "{level:?} {k} row {t} column {c}: {got} not {want}");
                    }
                }
            }
        }
    }
}
