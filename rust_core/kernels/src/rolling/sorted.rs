//! A sorted window per column: exact order statistics.
//!
//! The windows of eight columns lie side by side, row `i` holding the `i`-th
//! smallest of each, padded with `+inf`. One sweep deletes the value that
//! leaves and inserts the one that comes: no branch, no search.

use crate::Exec;
use crate::order;
use crate::simd::{self, Kernel, LANES, Simd};

use super::Window;
use super::nearby::Between;
use super::ranked;
use super::source::{Source, Table};
use super::tiles::{Line, Sink, Tile, Tiles};

/// What is picked from a sorted window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Middle value; the mean of the two middle values if their number is even.
    Median,
    /// Median of the distances from the median, unscaled.
    Mad,
    /// Quantile in `[0, 1]`, linear between neighbours.
    Quantile(f64),
}

/// An order statistic of every window, down every column.
pub fn order(exec: Exec, x: Table, window: Window, what: Order, out: &mut [f64]) {
    let long = window.reach(x.rows()) >= LONG;
    match what {
        Order::Median if long => ranked::run(exec, Median, x, window, out),
        Order::Median => run(exec, Median, x, window, out),
        Order::Mad => run(exec, Mad, x, window, out),
        Order::Quantile(q) if long => ranked::run(exec, Quantile(q), x, window, out),
        Order::Quantile(q) => run(exec, Quantile(q), x, window, out),
    }
}

/// From this window on, ranking the values once beats keeping every window sorted.
const LONG: usize = 100;

/// Reads a result off eight sorted windows.
trait Pick: Copy + Sync {
    fn pick<S: Simd>(self, window: &Sorted) -> S::F;
    /// The same, to the bit, of windows that all hold `n` values, at least one.
    fn pick_alike<S: Simd>(self, window: &Sorted, n: usize) -> S::F;
}

fn run<P: Pick>(exec: Exec, pick: P, x: Table, window: Window, out: &mut [f64]) {
    let (rows, cols) = (x.rows(), x.cols());
    let sink = Sink::new(out, rows, cols);
    let exec = exec.for_work(rows * cols * (4 + window.reach(rows) / 8));
    let tiles = Tiles::new(rows, cols, height(exec, rows, cols, window));
    exec.for_each(tiles.count(), |i| {
        simd::run(exec.level(), Pass { pick, x, window, tile: tiles.tile(i), sink });
    });
}

/// Rows of a task. Sorted windows know no history, so the cut changes no bit;
/// each task first fills its windows, so it should be long.
fn height(exec: Exec, rows: usize, cols: usize, window: Window) -> usize {
    let strips = Tiles::new(rows, cols, rows).count().max(1);
    let chunks = if exec.threads() == 1 { 1 } else { (4 * exec.threads()).div_ceil(strips) };
    rows.div_ceil(chunks).max(4 * window.reach(rows))
}

struct Pass<'a, P> {
    pick: P,
    x: Table<'a>,
    window: Window,
    tile: Tile,
    sink: Sink<'a>,
}

impl<P: Pick> Kernel for Pass<'_, P> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        // The windows of a vector stay in the nearest cache while it walks some rows.
        const ROWS_AT_A_TIME: usize = 64;
        let reach = self.window.reach(self.x.rows());
        let first = self.tile.rows.start.saturating_sub(reach - 1);
        let need = S::splat(self.window.min_periods() as f64);
        let mut windows: Vec<_> = self.tile.vectors(0).map(|_| Sorted::new(reach)).collect();
        for top in (first..self.tile.rows.end).step_by(ROWS_AT_A_TIME) {
            let bottom = (top + ROWS_AT_A_TIME).min(self.tile.rows.end);
            for (at, window) in self.tile.vectors(ROWS_AT_A_TIME).zip(&mut windows) {
                for t in top..bottom {
                    // SAFETY: the rows exist and the tile belongs to this task.
                    unsafe {
                        let comes = self.x.walk::<S>(t, at);
                        let leaves = if t >= first + reach {
                            self.x.walk::<S>(t - reach, at)
                        } else {
                            S::splat(f64::NAN)
                        };
                        window.replace::<S>(leaves, comes);
                        if t < self.tile.rows.start {
                            continue;
                        }
                        let n = window.count.load::<S>();
                        let result = match window.alike::<S>(at.count) {
                            Some(n) if n < self.window.min_periods() => S::splat(f64::NAN),
                            Some(n) => self.pick.pick_alike::<S>(window, n),
                            None => {
                                let result = self.pick.pick::<S>(window);
                                S::select(S::le(need, n), result, S::splat(f64::NAN))
                            }
                        };
                        self.sink.put::<S>(t, at, result);
                    }
                }
            }
        }
    }
}

/// Eight sorted windows and their counts.
struct Sorted {
    rows: Vec<Line>,
    count: Line,
}

impl Sorted {
    fn new(reach: usize) -> Sorted {
        // One row of padding beyond the window is what the sweep shifts in.
        Sorted { rows: vec![Line::splat(f64::INFINITY); reach + 1], count: Line::splat(0.0) }
    }

    /// Delete `leaves`, insert `comes`; NaN stands for no value.
    #[inline(always)]
    fn replace<S: Simd>(&mut self, leaves: S::F, comes: S::F) {
        let (one, infinity) = (S::splat(1.0), S::splat(f64::INFINITY));
        let (out, into) = (S::valid(leaves), S::valid(comes));
        let n = S::add(self.count.load::<S>(), S::keep(into, one));
        self.count.store::<S>(S::sub(n, S::keep(out, one)));
        let leaves = S::select(out, leaves, infinity);
        let comes = S::select(into, comes, infinity);

        let mut before = S::splat(f64::NEG_INFINITY);
        let mut here = self.rows[0].load::<S>();
        for i in 1..self.rows.len() {
            let next = self.rows[i].load::<S>();
            // From the deleted place on, everything moves down by one ...
            let kept = S::select(S::le(leaves, here), next, here);
            // ... and from the inserted place on, up by one.
            self.rows[i - 1].store::<S>(S::min(kept, S::max(before, comes)));
            before = kept;
            here = next;
        }
    }

    /// How many values each of the first `lanes` windows holds, if all hold as many.
    #[inline(always)]
    fn alike<S: Simd>(&self, lanes: usize) -> Option<usize> {
        let first = self.count.0[0];
        let unused = S::from_bits(u8::MAX.checked_shl(lanes as u32).unwrap_or(0));
        let alike = S::or(S::eq(self.count.load::<S>(), S::splat(first)), unused);
        S::all(alike).then_some(first as usize)
    }

    /// All rows, as the functions of [`order`] read them.
    #[inline(always)]
    fn values(&self) -> &[f64] {
        // SAFETY: a line is eight values without padding.
        unsafe { std::slice::from_raw_parts(self.rows.as_ptr().cast(), self.rows.len() * LANES) }
    }
}

#[derive(Clone, Copy)]
struct Median;

impl Pick for Median {
    #[inline(always)]
    fn pick<S: Simd>(self, window: &Sorted) -> S::F {
        order::median::<S>(window.values(), window.count.load::<S>())
    }
    #[inline(always)]
    fn pick_alike<S: Simd>(self, window: &Sorted, n: usize) -> S::F {
        let (a, b) = (window.rows[(n - 1) / 2].load::<S>(), window.rows[n / 2].load::<S>());
        S::select(S::eq(a, b), a, S::mul(S::add(a, b), S::splat(0.5)))
    }
}

impl Between for Median {
    #[inline(always)]
    fn place<S: Simd>(self, count: S::F) -> (S::I, S::F) {
        let n = S::to_int(count);
        let (low, high) = (S::half_i(S::sub_i(n, S::splat_i(1))), S::half_i(n));
        (low, S::mul(S::splat(0.5), S::to_float(S::sub_i(high, low))))
    }
    #[inline(always)]
    fn between<S: Simd>(self, low: S::F, high: S::F, _share: S::F) -> S::F {
        S::select(S::eq(low, high), low, S::mul(S::add(low, high), S::splat(0.5)))
    }
}

#[derive(Clone, Copy)]
struct Quantile(f64);

impl Quantile {
    /// The lower rank among `n`, and how far the result lies towards the next one.
    #[inline(always)]
    fn place(self, n: usize) -> (usize, f64) {
        let position = self.0 * (n - 1) as f64;
        let rank = position as usize;
        (rank, position - rank as f64)
    }
}

/// As [`order::quantile`], to the bit.
impl Between for Quantile {
    #[inline(always)]
    fn place<S: Simd>(self, count: S::F) -> (S::I, S::F) {
        let position = S::mul(S::splat(self.0), S::sub(count, S::splat(1.0)));
        let low = S::to_int(position);
        (low, S::sub(position, S::to_float(low)))
    }
    #[inline(always)]
    fn between<S: Simd>(self, low: S::F, high: S::F, share: S::F) -> S::F {
        let gap = S::sub(high, low);
        let from_below = S::add(low, S::mul(gap, share));
        let from_above = S::sub(high, S::mul(gap, S::sub(S::splat(1.0), share)));
        let value = S::select(S::lt(share, S::splat(0.5)), from_below, from_above);
        S::select(S::eq(low, high), low, value) // also where both are infinite
    }
}

impl Pick for Quantile {
    #[inline(always)]
    fn pick<S: Simd>(self, window: &Sorted) -> S::F {
        order::quantile::<S>(window.values(), window.count.load::<S>(), self.0)
    }
    #[inline(always)]
    fn pick_alike<S: Simd>(self, window: &Sorted, n: usize) -> S::F {
        let (rank, share) = self.place(n);
        let (a, b) =
            (window.rows[rank].load::<S>(), window.rows[(rank + 1).min(n - 1)].load::<S>());
        if share == 0.0 {
            return a; // also next to an infinity
        }
        let gap = S::sub(b, a);
        let value = if share < 0.5 {
            S::add(a, S::mul(gap, S::splat(share)))
        } else {
            S::sub(b, S::mul(gap, S::splat(1.0 - share)))
        };
        S::select(S::eq(a, b), a, value) // also where both are infinite
    }
}

#[derive(Clone, Copy)]
struct Mad;

impl Pick for Mad {
    #[inline(always)]
    fn pick<S: Simd>(self, window: &Sorted) -> S::F {
        let (values, count) = (window.values(), window.count.load::<S>());
        let median = order::median::<S>(values, count);
        // An infinite median has no distances: inf - inf makes the result NaN.
        S::add(order::mad::<S>(values, count, median), S::sub(median, median))
    }
    #[inline(always)]
    fn pick_alike<S: Simd>(self, window: &Sorted, _n: usize) -> S::F {
        self.pick::<S>(window)
    }
}

const _: () = assert!(size_of::<Line>() == LANES * size_of::<f64>());

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Level;

    /// Few values, so that ties are the rule; some a rounding step apart, some infinite.
    fn value() -> impl Strategy<Value = f64> {
        let step = f64::from_bits(1.0f64.to_bits() + 1);
        prop_oneof![
            4 => (-20i32..20).prop_map(f64::from),
            2 => prop::sample::select(vec![1.0, step, -0.0, 0.0, f64::INFINITY, f64::NAN]),
        ]
    }

    /// Both ways give the same bits on every level.
    fn agree(x: &[f64], cols: usize, window: Window, q: f64) {
        let same = |a: &f64, b: &f64| a == b || a.is_nan() && b.is_nan();
        let table = Table::new(x, x.len() / cols, cols);
        for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
            let exec = Exec::new(2, level);
            let (mut a, mut b) = (vec![-7.0; x.len()], vec![-7.0; x.len()]);
            run(exec, Median, table, window, &mut a);
            ranked::run(exec, Median, table, window, &mut b);
            assert!(a.iter().zip(&b).all(|(a, b)| same(a, b)), "{level:?} median");
            run(exec, Quantile(q), table, window, &mut a);
            ranked::run(exec, Quantile(q), table, window, &mut b);
            assert!(a.iter().zip(&b).all(|(a, b)| same(a, b)), "{level:?} quantile {q}");
        }
    }

    #[test]
    fn a_statistic_that_wanders_is_followed() {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let (rows, cols) = (1300, 9);
        let mut table = |value: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            (0..rows * cols).map(|i| value(i / cols, noise())).collect()
        };
        let tables = [
            table(&|t, u| t as f64 + u),                         // up by a rank a row
            table(&|t, u| u - 3.0 * t as f64),                   // down
            table(&|t, u| if t % 2 == 0 { u } else { 9.0 + u }), // across a gap of many ranks
            table(&|t, u| if t / 90 % 2 == 0 { u } else { 9.0 - u }), // to and fro
            table(&|t, u| if t / 77 % 3 == 1 { f64::NAN } else { u }), // from no value to all
            table(&|t, u| ((t as f64 / 40.0).sin() * 9.0 + u).round()), // ties
            table(&|t, u| 1.0 + ((t / 60) as f64 + u) * 1e-14),  // apart by less than a place takes
        ];
        for x in tables {
            for (len, need) in [(100, 100), (252, 1), (300, 299), (5000, 20)] {
                for q in [0.0, 0.05, 0.77, 1.0] {
                    agree(&x, cols, Window::new(len, need), q);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn ranking_once_gives_the_bits_of_sorting_every_window(
            (x, cols) in (0usize..90, 1usize..11).prop_flat_map(|(rows, cols)| {
                (prop::collection::vec(value(), rows * cols), Just(cols))
            }),
            (len, need) in (1usize..40).prop_flat_map(|len| (Just(len), 1..=len)),
            q in prop_oneof![0.0..=1.0f64, prop::sample::select(vec![0.0, 0.25, 0.5, 1.0])],
        ) {
            agree(&x, cols, Window::new(len, need), q);
        }
    }
}
