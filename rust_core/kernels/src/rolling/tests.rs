//! Every kernel on every level against its definition, and the laws of the crate.

use proptest::prelude::*;

use super::correlation::corr_mean;
use super::sorted::{Order, order};
use super::spectrum::pc1_share;
use super::*;
use crate::Level;
use crate::ewm::{Decay, ewm_mean, ewm_std};
use crate::technical::{Bars, Smoothing, atr, rsi};

const ORDERS: [Order; 3] = [Order::Median, Order::Mad, Order::Quantile(0.3)];
const AGGREGATES: [Aggregate; 10] = [
    Aggregate::Sum,
    Aggregate::Mean,
    Aggregate::Var(1.0),
    Aggregate::Std(0.0),
    Aggregate::Min,
    Aggregate::Max,
    Aggregate::Skew,
    Aggregate::Kurt,
    Aggregate::Semideviation(-1.0),
    Aggregate::Semideviation(1.0),
];

type Kernel = Box<dyn Fn(Exec, Table, &mut [f64])>;

/// Every kernel that maps a table to a table.
fn kernels(window: Window) -> Vec<(String, Kernel)> {
    let mut all: Vec<(String, Kernel)> = vec![
        ("rank".into(), Box::new(move |e, x, out| ranks::rank(e, x, window, out))),
        ("rsi".into(), Box::new(move |e, x, out| rsi(e, x, window.len(), Smoothing::Simple, out))),
        ("rsi w".into(), Box::new(move |e, x, out| rsi(e, x, 3, Smoothing::Wilder, out))),
        (
            "atr".into(),
            Box::new(move |e, x, out| {
                atr(e, Bars::new(x, x, x), window.len(), Smoothing::Simple, out);
            }),
        ),
    ];
    for what in AGGREGATES {
        let run: Kernel = Box::new(move |e, x, out| aggregate(e, x, window, what, out));
        all.push((format!("{what:?}"), run));
    }
    for what in ORDERS {
        let run: Kernel = Box::new(move |e, x, out| order(e, x, window, what, out));
        all.push((format!("{what:?}"), run));
    }
    for adjust in [true, false] {
        let decay = Decay { alpha: 0.3, adjust, min_periods: 2 };
        let mean: Kernel = Box::new(move |e, x, out| ewm_mean(e, x, decay, out));
        let std: Kernel = Box::new(move |e, x, out| ewm_std(e, x, decay, false, out));
        all.push((format!("mean {decay:?}"), mean));
        all.push((format!("std {decay:?}"), std));
    }
    all
}

fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| *level <= Level::detect())
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let values = sorted(values);
    let place = q * (values.len() - 1) as f64;
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// By definition, from the values of one window, oldest first.
fn by_definition(name: &str, w: &[f64]) -> f64 {
    let n = w.len() as f64;
    let mean = w.iter().sum::<f64>() / n;
    let central = |k: i32| w.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
    let constant = w.iter().all(|v| *v == w[0]);
    match name {
        "Sum" => w.iter().sum(),
        "Mean" => mean,
        "Var(1.0)" if n > 1.0 => central(2) * n / (n - 1.0),
        "Std(0.0)" => central(2).sqrt(),
        "Min" => sorted(w)[0],
        "Max" => sorted(w)[w.len() - 1],
        "Skew" if n > 2.0 && !constant => {
            (n * (n - 1.0)).sqrt() / (n - 2.0) * central(3) / central(2).powf(1.5)
        }
        "Kurt" if n > 3.0 && !constant => {
            let ratio = central(4) / central(2).powi(2);
            (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * ratio - 3.0 * (n - 1.0))
        }
        "Semideviation(-1.0)" | "Semideviation(1.0)" => {
            let down = name.contains('-');
            let side = w.iter().filter(|v| if down { **v < 0.0 } else { **v > 0.0 });
            let squares: Vec<f64> = side.map(|v| v * v).collect();
            match squares.len() {
                0 | 1 => f64::NAN,
                count => (squares.iter().sum::<f64>() / count as f64).sqrt(),
            }
        }
        "Median" => quantile(w, 0.5),
        "Quantile(0.3)" => quantile(w, 0.3),
        "Mad" => {
            let median = quantile(w, 0.5);
            quantile(&w.iter().map(|v| (v - median).abs()).collect::<Vec<_>>(), 0.5)
        }
        "rank" => {
            let last = w[w.len() - 1];
            let count = |f: fn(f64, f64) -> bool| w.iter().filter(|v| f(**v, last)).count() as f64;
            (count(|v, l| v < l) + 0.5 * (count(|v, l| v == l) + 1.0)) / n
        }
        _ => f64::NAN,
    }
}

fn run(kernel: &Kernel, exec: Exec, x: &[f64], cols: usize) -> Vec<f64> {
    let mut out = vec![-7.0; x.len()];
    kernel(exec, Table::new(x, x.len() / cols, cols), &mut out);
    out
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + b.abs())
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Values on a coarse grid, so that ties occur and squares stay in range.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-400i32..400).prop_map(|v| f64::from(v) / 16.0),
        1 => Just(f64::NAN),
        1 => Just(1.0),
    ]
}

fn table() -> impl Strategy<Value = (Vec<f64>, usize)> {
    (0usize..50, 1usize..12)
        .prop_flat_map(|(rows, cols)| (prop::collection::vec(value(), rows * cols), Just(cols)))
}

fn window() -> impl Strategy<Value = Window> {
    (1usize..60).prop_flat_map(|len| (Just(len), 1..=len)).prop_map(|(l, m)| Window::new(l, m))
}

proptest! {
    #[test]
    fn windows_agree_with_the_definition((x, cols) in table(), window in window()) {
        for level in levels() {
            for (name, kernel) in kernels(window) {
                if name.starts_with("rsi") || name.contains("Decay") || name == "atr" {
                    continue; // no function of the window's values alone
                }
                let got = run(&kernel, Exec::new(1, level), &x, cols);
                for (i, &got) in got.iter().enumerate() {
                    let (t, c) = (i / cols, i % cols);
                    let rows = (t + 1).saturating_sub(window.len())..=t;
                    let w: Vec<f64> =
                        rows.map(|t| x[t * cols + c]).filter(|v| !v.is_nan()).collect();
                    let missing = name == "rank" && x[i].is_nan();
                    let want = if w.len() < window.min_periods() || missing {
                        f64::NAN
                    } else {
                        by_definition(&name, &w)
                    };
                    prop_assert!(close(got, want, 1e-9), "{level:?} {name} {t} {c} {got} {want}");
                }
            }
        }
    }

    #[test]
    fn later_rows_and_threads_change_no_bit(
        (x, cols) in table(), window in window(), cut in 0usize..50, threads in 1usize..4,
    ) {
        for (name, kernel) in kernels(window) {
            let whole = run(&kernel, Exec::serial(), &x, cols);
            let rows = (x.len() / cols).min(cut);
            let part = run(&kernel, Exec::new(threads, Level::detect()), &x[..rows * cols], cols);
            prop_assert!(same_bits(&part, &whole[..rows * cols]), "{}", name);
        }
    }

    #[test]
    fn an_intruder_that_has_left_leaves_no_trace(
        (x, cols) in table(), len in 1usize..12, at in 0usize..50,
        intruder in prop::sample::select(vec![f64::NAN, f64::INFINITY, 1e9, -1e9]),
    ) {
        let window = Window::new(len, 1);
        let rows = x.len() / cols;
        prop_assume!(at < rows);
        let mut other = x.clone();
        other[at * cols..(at + 1) * cols].fill(intruder);
        for (name, kernel) in kernels(window) {
            if name.contains("Decay") || name == "rsi w" {
                continue; // infinite memory
            }
            let from = (at + len + 1).min(rows) * cols; // a change looks one row further back
            let clean = run(&kernel, Exec::serial(), &x, cols);
            let after = run(&kernel, Exec::serial(), &other, cols);
            for (a, b) in after[from..].iter().zip(&clean[from..]) {
                prop_assert!(close(*a, *b, 1e-9), "{} {} {}", name, a, b);
            }
        }
    }
}

#[test]
fn many_threads_agree_on_a_large_table() {
    let cols = 150;
    let x: Vec<f64> = (0..2000 * cols)
        .map(|i| if i % 23 == 0 { f64::NAN } else { (i as f64 * 0.618).sin() })
        .collect();
    for (name, kernel) in kernels(Window::new(30, 3)) {
        let one = run(&kernel, Exec::serial(), &x, cols);
        let many = run(&kernel, Exec::new(5, Level::detect()), &x, cols);
        assert!(same_bits(&one, &many), "{name}");
    }
}

#[test]
fn deviation_keeps_its_digits_at_a_high_level() {
    // Offsets that are exact at 1e6, so the definition can be evaluated without it.
    let offsets: Vec<f64> =
        (0..400).map(|i| ((i as f64 * 0.7).sin() * 1024.0).round() / 1_048_576.0).collect();
    let x: Vec<f64> = offsets.iter().map(|d| 1e6 + d).collect();
    let mut out = vec![0.0; x.len()];
    for level in levels() {
        let table = Table::new(&x, x.len(), 1);
        aggregate(Exec::new(1, level), table, Window::full(20), Aggregate::Std(1.0), &mut out);
        for t in 19..x.len() {
            let want = by_definition("Var(1.0)", &offsets[t - 19..=t]).sqrt();
            assert!((out[t] - want).abs() <= 1e-12 * want, "{level:?} {t}");
        }
    }
}

#[test]
fn anchors_know_no_later_row() {
    // Every block of the first column starts with missing rows; what comes later is huge.
    let mut x: Vec<f64> = (0..60).map(|t| 100.0 + (t as f64).sin()).collect();
    x[20..25].fill(f64::NAN);
    let mut far = x.clone();
    far[25..].fill(1e15);
    for what in AGGREGATES {
        let kernel: Kernel =
            Box::new(move |e, x, out| aggregate(e, x, Window::new(20, 1), what, out));
        let (a, b) = (run(&kernel, Exec::serial(), &x, 1), run(&kernel, Exec::serial(), &far, 1));
        assert!(same_bits(&a[..25], &b[..25]), "{what:?}");
    }
}

#[test]
fn correlation_and_spectrum_of_known_columns() {
    let r: Vec<f64> = (0..40).map(|t| (t as f64 * 1.3).sin()).collect();
    let x: Vec<f64> = r.iter().flat_map(|v| [*v, 2.0 * v, -v]).collect();
    let all: Vec<usize> = (0..40).collect();
    for level in levels() {
        let exec = Exec::new(1, level);
        let mut out = vec![0.0; 40];
        corr_mean(exec, Table::new(&x, 40, 3), Window::full(10), &all, &mut out);
        assert!(out[..9].iter().all(|v| v.is_nan()));
        assert!(out[9..].iter().all(|v| close(*v, -1.0 / 3.0, 1e-13)), "{level:?}");
        pc1_share(exec, Table::new(&x, 40, 3), Window::full(10), &all, &mut out);
        assert!(out[..9].iter().all(|v| v.is_nan()));
        assert!(out[9..].iter().all(|v| close(*v, 1.0, 1e-13)), "{level:?}");
    }
}
