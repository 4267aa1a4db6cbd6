//! True range, average true range and relative strength index.

use crate::Exec;
use crate::rolling::Window;
use crate::rolling::moments::{Mean, Powers};
use crate::rolling::scan::{Recursion, scan};
use crate::rolling::sliding::{Accumulator, sliding};
use crate::rolling::source::{Source, Table};
use crate::simd::Simd;

/// How an indicator averages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    /// Over the window, every row alike.
    Simple,
    /// Wilder's recursion with weight `1 / window`, started by the mean of the first window.
    Wilder,
}

/// High, low and close of the same bars.
#[derive(Clone, Copy)]
pub struct Bars<'a> {
    high: Table<'a>,
    low: Table<'a>,
    close: Table<'a>,
}

impl<'a> Bars<'a> {
    /// Tables of one shape.
    pub fn new(high: Table<'a>, low: Table<'a>, close: Table<'a>) -> Bars<'a> {
        let shape = |table: &Table| (table.rows(), table.cols());
        assert!(shape(&high) == shape(&low) && shape(&high) == shape(&close), "shapes differ");
        Bars { high, low, close }
    }
}

/// As a source, bars give their true range: `high - low`, widened to the previous close if there
/// is one.
impl Source for Bars<'_> {
    #[inline(always)]
    fn rows(&self) -> usize {
        self.high.rows()
    }
    #[inline(always)]
    fn cols(&self) -> usize {
        self.high.cols()
    }
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, t: usize, c: usize, lanes: usize) -> S::F {
        // SAFETY: the caller's promise; row `t - 1` exists where it is read.
        unsafe {
            let high = self.high.row::<S>(t, c, lanes);
            let low = self.low.row::<S>(t, c, lanes);
            if t == 0 {
                return S::sub(high, low);
            }
            let before = self.close.row::<S>(t - 1, c, lanes);
            // Where the previous close is missing, min and max return their second argument.
            S::sub(S::max(before, high), S::min(before, low))
        }
    }
    #[inline(always)]
    fn prefetch(&self, t: usize, c: usize) {
        self.high.prefetch(t, c);
        self.low.prefetch(t, c);
        self.close.prefetch(t, c);
    }
}

/// Change from the row before; the first row has none.
#[derive(Clone, Copy)]
struct Changes<'a>(Table<'a>);

impl Source for Changes<'_> {
    #[inline(always)]
    fn rows(&self) -> usize {
        self.0.rows()
    }
    #[inline(always)]
    fn cols(&self) -> usize {
        self.0.cols()
    }
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, t: usize, c: usize, lanes: usize) -> S::F {
        if t == 0 {
            return S::splat(f64::NAN);
        }
        // SAFETY: the caller's promise; row `t - 1` exists.
        unsafe { S::sub(self.0.row::<S>(t, c, lanes), self.0.row::<S>(t - 1, c, lanes)) }
    }
    #[inline(always)]
    fn prefetch(&self, t: usize, c: usize) {
        self.0.prefetch(t, c);
    }
}

/// True range of every bar.
pub fn true_range(exec: Exec, bars: Bars, out: &mut [f64]) {
    scan(exec, AsIs, bars, out);
}

/// Average true range.
pub fn atr(exec: Exec, bars: Bars, window: usize, smoothing: Smoothing, out: &mut [f64]) {
    match smoothing {
        Smoothing::Simple => sliding(exec, Powers(Mean), bars, Window::full(window), out),
        Smoothing::Wilder => scan(exec, WilderMean(window as f64), bars, out),
    }
}

/// Relative strength index, 0 to 100; 50 where nothing changed.
pub fn rsi(exec: Exec, close: Table, window: usize, smoothing: Smoothing, out: &mut [f64]) {
    let changes = Changes(close);
    match smoothing {
        Smoothing::Simple => sliding(exec, Strength, changes, Window::full(window), out),
        Smoothing::Wilder => scan(exec, WilderStrength(window as f64), changes, out),
    }
}

/// The row itself.
#[derive(Clone, Copy)]
struct AsIs;

impl Recursion for AsIs {
    type Clock<S: Simd> = ();
    type State<S: Simd> = ();
    #[inline(always)]
    fn start<S: Simd>(self) -> ((), ()) {
        ((), ())
    }
    #[inline(always)]
    fn tick<S: Simd>(self, _clock: &mut (), _ok: S::M) -> S::M {
        S::from_bits(u8::MAX)
    }
    #[inline(always)]
    fn step<S: Simd>(self, _clock: &(), _state: &mut (), _ok: S::M, v: S::F) -> S::F {
        v
    }
}

/// Gains and losses of a change.
#[inline(always)]
fn gain_and_loss<S: Simd>(change: S::F) -> [S::F; 2] {
    let zero = S::splat(0.0);
    [S::max(change, zero), S::max(S::sub(zero, change), zero)] // zero where the change is missing
}

#[inline(always)]
fn index<S: Simd>([gain, loss]: [S::F; 2]) -> S::F {
    let all = S::add(gain, loss);
    let share = S::div(S::mul(S::splat(100.0), gain), all);
    S::select(S::eq(all, S::splat(0.0)), S::splat(50.0), share)
}

/// Sums of gains and losses.
#[derive(Clone, Copy)]
struct Strength;

impl Accumulator for Strength {
    const ANCHORED: bool = false;
    type State<S: Simd> = [S::F; 2];
    type Factors<S: Simd> = ();
    #[inline(always)]
    fn empty<S: Simd>(self) -> [S::F; 2] {
        [S::splat(0.0); 2]
    }
    #[inline(always)]
    fn push<S: Simd>(self, state: [S::F; 2], _ok: S::M, v: S::F) -> [S::F; 2] {
        self.merge::<S>(state, gain_and_loss::<S>(v))
    }
    #[inline(always)]
    fn merge<S: Simd>(self, a: [S::F; 2], b: [S::F; 2]) -> [S::F; 2] {
        [S::add(a[0], b[0]), S::add(a[1], b[1])]
    }
    #[inline(always)]
    fn factors<S: Simd>(self, _n: S::F) {}
    #[inline(always)]
    fn finish<S: Simd>(self, _factors: (), state: [S::F; 2], _anchor: S::F) -> S::F {
        index::<S>(state)
    }
}

/// Values so far, up to the window, and the weight of a new one.
///
/// The mean of the first `window` values is a running mean too, with weight `1 / count`.
#[derive(Clone, Copy)]
struct Wilder<F> {
    count: F,
    weight: F,
}

impl<F: Copy> Wilder<F> {
    #[inline(always)]
    fn start<S: Simd<F = F>>() -> Self {
        Wilder { count: S::splat(0.0), weight: S::splat(1.0) }
    }

    /// Missing rows change nothing and have no result.
    #[inline(always)]
    fn tick<S: Simd<F = F>>(&mut self, window: f64, ok: S::M) -> S::M {
        let (one, window) = (S::splat(1.0), S::splat(window));
        let count = S::min(S::add(self.count, S::keep(ok, one)), window);
        if !S::all(S::eq(count, self.count)) {
            self.weight = S::div(one, S::max(count, one)); // constant once the window is full
        }
        self.count = count;
        S::and(ok, S::le(window, count))
    }

    #[inline(always)]
    fn mean<S: Simd<F = F>>(&self, mean: F, ok: S::M, value: F) -> F {
        S::select(ok, S::fma(self.weight, S::sub(value, mean), mean), mean)
    }
}

#[derive(Clone, Copy)]
struct WilderMean(f64);

impl Recursion for WilderMean {
    type Clock<S: Simd> = Wilder<S::F>;
    type State<S: Simd> = S::F;
    #[inline(always)]
    fn start<S: Simd>(self) -> (Wilder<S::F>, S::F) {
        (Wilder::start::<S>(), S::splat(0.0))
    }
    #[inline(always)]
    fn tick<S: Simd>(self, clock: &mut Wilder<S::F>, ok: S::M) -> S::M {
        clock.tick::<S>(self.0, ok)
    }
    #[inline(always)]
    fn step<S: Simd>(self, clock: &Wilder<S::F>, mean: &mut S::F, ok: S::M, v: S::F) -> S::F {
        *mean = clock.mean::<S>(*mean, ok, v);
        *mean
    }
}

#[derive(Clone, Copy)]
struct WilderStrength(f64);

impl Recursion for WilderStrength {
    type Clock<S: Simd> = Wilder<S::F>;
    type State<S: Simd> = [S::F; 2];
    #[inline(always)]
    fn start<S: Simd>(self) -> (Wilder<S::F>, [S::F; 2]) {
        (Wilder::start::<S>(), [S::splat(0.0); 2])
    }
    #[inline(always)]
    fn tick<S: Simd>(self, clock: &mut Wilder<S::F>, ok: S::M) -> S::M {
        clock.tick::<S>(self.0, ok)
    }
    #[inline(always)]
    fn step<S: Simd>(self, clock: &Wilder<S::F>, means: &mut [S::F; 2], ok: S::M, v: S::F) -> S::F {
        for (mean, value) in means.iter_mut().zip(gain_and_loss::<S>(v)) {
            *mean = clock.mean::<S>(*mean, ok, value);
        }
        index::<S>(*means)
    }
}

#[cfg(test)]
mod tests;
