//! Mean pairwise correlation over a rolling window.
//!
//! Assets that are complete in the window need no pairs: with `z_i` the
//! standardised column of asset `i` (unit norm),
//! `sum_{i != j} z_i . z_j = |sum_i z_i|^2 - A`, which costs `window * A`.
//! Pairs with an asset that has gaps are taken one by one on their common rows.

use std::ops::Range;

use crate::Exec;
use crate::simd::{self, Kernel, LANES, Simd};

use super::Window;
use super::moments::{InverseNorm, Mean, Powers};
use super::sliding;
use super::source::{self, Source, Table, is_whole};
use super::tiles::{Line, Sink, Tile};

/// Mean over all pairs of columns of their correlation in the windows that end at the rows
/// `wanted`, which rise.
///
/// A pair counts with at least `min_periods` common rows on which neither is
/// constant; NaN where no pair counts. Infinities count as missing.
pub fn corr_mean(exec: Exec, x: Table, window: Window, wanted: &[usize], out: &mut [f64]) {
    let rows = x.rows();
    let reach = window.reach(rows);
    let width = x.cols().div_ceil(LANES).max(1);
    let exec = exec.for_work(wanted.len() * width * reach);
    let sink = Sink::new(out, wanted.len(), 1);
    exec.for_each(rows.div_ceil(reach), |block| {
        let start = block * reach;
        let place = |row: usize| wanted.partition_point(|&t| t < row);
        let ends = place(start)..place(start + reach);
        if !ends.is_empty() {
            let block = Block { x, window, start, reach, width, wanted, ends, sink };
            simd::run(exec.level(), block);
        }
    });
}

/// The wanted windows that end in one block of `reach` rows.
struct Block<'a> {
    x: Table<'a>,
    window: Window,
    start: usize,
    reach: usize,
    /// Vectors per row.
    width: usize,
    wanted: &'a [usize],
    /// Places of the block's rows in `wanted`.
    ends: Range<usize>,
    sink: Sink<'a>,
}

impl Kernel for Block<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let first = self.start.saturating_sub(self.reach);
        let end = (self.start + self.reach).min(self.x.rows());
        let mut rows = self.centred::<S>(first, end);
        let means = self.statistic::<S, _, 1>(Mean, &rows, first);
        let norms = self.statistic::<S, _, 2>(InverseNorm, &rows, first);
        for line in &mut rows {
            let v = line.load::<S>();
            line.store::<S>(S::keep(S::valid(v), v));
        }
        let gaps: Vec<bool> = (first..end).map(|t| !is_whole::<S>(self.x, t)).collect();
        for i in self.ends.clone() {
            let t = self.wanted[i];
            let place = (t - first) * self.width..(t - first + 1) * self.width;
            let mut pairs = Pairs::default();
            if t + 1 >= self.window.len() {
                let oldest = (t + 1 - self.reach - first) * self.width;
                let window = &rows[oldest..place.end];
                pairs = complete_pairs::<S>(window, &means[place.clone()], &norms[place.clone()]);
            }
            let short = t + 1 < self.window.len();
            let gapped = short || gaps[t + 1 - self.reach - first..=t - first].contains(&true);
            if gapped && self.window.min_periods() < self.window.len() {
                self.add_pairs_with_gaps::<S>(t, &mut pairs);
            }
            // SAFETY: one entry per wanted row, and the block's rows belong to this task.
            unsafe { self.sink.put_one(i, pairs.mean()) };
        }
    }
}

impl Block<'_> {
    /// Rows `first .. end` less the block's first row, NaN where missing.
    ///
    /// That row is part of every window of the block, which bounds
    /// cancellation; a column that lacks it is complete in none of them.
    #[inline(always)]
    fn centred<S: Simd>(&self, first: usize, end: usize) -> Vec<Line> {
        let mut rows = vec![Line::splat(f64::NAN); (end - first) * self.width];
        for (g, c) in (0..self.x.cols()).step_by(LANES).enumerate() {
            let lanes = LANES.min(self.x.cols() - c);
            // SAFETY: the rows and columns exist.
            let anchor = unsafe { self.x.row::<S>(self.start, c, lanes) };
            for t in first..end {
                // SAFETY: as above.
                let d = S::sub(unsafe { self.x.row::<S>(t, c, lanes) }, anchor);
                let known = source::finite::<S>(d);
                rows[(t - first) * self.width + g].store::<S>(S::select(
                    known,
                    d,
                    S::splat(f64::NAN),
                ));
            }
        }
        rows
    }

    /// A moment of every complete window, aligned with `rows`.
    #[inline(always)]
    fn statistic<S: Simd, M: super::moments::Moment<K>, const K: usize>(
        &self,
        moment: M,
        rows: &[Line],
        first: usize,
    ) -> Vec<Line> {
        let mut result = vec![Line::splat(f64::NAN); rows.len()];
        let (height, cols) = (rows.len() / self.width, self.width * LANES);
        let tile = Tile { rows: self.start - first..height, cols: 0..cols };
        let source = Table::new(flat(rows), height, cols);
        let sink = Sink::new(flat_mut(&mut result), height, cols);
        let window = Window::full(self.window.len());
        sliding::Pass { accumulator: Powers(moment), source, window, tile, sink }.run::<S>();
        result
    }

    /// Add the pairs of which at least one column has gaps in the window that ends at `t`.
    #[inline(always)]
    fn add_pairs_with_gaps<S: Simd>(&self, t: usize, pairs: &mut Pairs) {
        let oldest = (t + 1).saturating_sub(self.window.len());
        let cols = self.x.cols();
        let complete = |c: usize| t + 1 >= self.window.len() && self.is_complete(oldest, t, c);
        let whole: Vec<bool> = (0..cols).map(complete).collect();
        for i in 0..cols {
            for c in (i / LANES * LANES..cols).step_by(LANES) {
                let lanes = LANES.min(cols - c);
                let wanted = (0..lanes).filter(|l| c + l > i && !(whole[i] && whole[c + l]));
                let wanted = wanted.fold(0u8, |bits, l| bits | 1 << l);
                if wanted != 0 {
                    let common = Common { x: self.x, oldest, newest: t, i, c, lanes };
                    let need = self.window.min_periods() as f64;
                    common.add::<S>(S::from_bits(wanted), need, pairs);
                }
            }
        }
    }

    fn is_complete(&self, oldest: usize, newest: usize, c: usize) -> bool {
        (oldest..=newest).all(|t| self.x.at(t, c).is_finite())
    }
}

/// Sum and number of correlations.
#[derive(Default)]
struct Pairs {
    sum: f64,
    count: f64,
}

impl Pairs {
    fn mean(&self) -> f64 {
        if self.count > 0.0 { self.sum / self.count } else { f64::NAN }
    }
}

/// The pairs of columns that are complete and not constant: those with a finite norm.
#[inline(always)]
fn complete_pairs<S: Simd>(window: &[Line], means: &[Line], norms: &[Line]) -> Pairs {
    let zero = S::splat(0.0);
    let width = means.len();
    let (mut assets, mut offset) = (zero, zero);
    let mut weights = vec![Line::splat(0.0); width];
    for g in 0..width {
        let norm = norms[g].load::<S>();
        let ok = S::valid(norm);
        let weight = S::keep(ok, norm);
        weights[g].store::<S>(weight);
        assets = S::add(assets, S::keep(ok, S::splat(1.0)));
        offset = S::add(offset, S::keep(ok, S::mul(weight, means[g].load::<S>())));
    }
    let (assets, offset) = (S::sum(assets), S::sum(offset));
    let mut total = 0.0;
    for row in window.chunks_exact(width) {
        let mut sum = zero;
        for (value, weight) in row.iter().zip(&weights) {
            sum = S::fma(value.load::<S>(), weight.load::<S>(), sum);
        }
        let sum = S::sum(sum) - offset;
        total += sum * sum;
    }
    if assets < 2.0 {
        return Pairs::default();
    }
    Pairs { sum: 0.5 * (total - assets), count: 0.5 * assets * (assets - 1.0) }
}

/// Column `i` and the columns `c .. c + lanes` on their common rows.
struct Common<'a> {
    x: Table<'a>,
    oldest: usize,
    newest: usize,
    i: usize,
    c: usize,
    lanes: usize,
}

impl Common<'_> {
    /// Call `with(x_i, x_j, common)` for every row of the window in which `i` has a value.
    #[inline(always)]
    fn rows<S: Simd>(&self, mut with: impl FnMut(S::F, S::F, S::M)) {
        for t in self.oldest..=self.newest {
            let a = self.x.at(t, self.i);
            if a.is_finite() {
                // SAFETY: the window's rows and the columns exist.
                let b = unsafe { self.x.row::<S>(t, self.c, self.lanes) };
                with(S::splat(a), b, source::finite::<S>(b));
            }
        }
    }

    /// Add the correlations of the `wanted` lanes, in two passes: means, then products.
    #[inline(always)]
    fn add<S: Simd>(&self, wanted: S::M, need: f64, pairs: &mut Pairs) {
        let (zero, infinity) = (S::splat(0.0), S::splat(f64::INFINITY));
        let lowest = S::splat(f64::NEG_INFINITY);
        let (mut n, mut sum) = (zero, [zero; 2]);
        let (mut low, mut high) = ([infinity; 2], [lowest; 2]);
        self.rows::<S>(|a, b, ok| {
            n = S::add(n, S::keep(ok, S::splat(1.0)));
            for (k, v) in [a, b].into_iter().enumerate() {
                sum[k] = S::add(sum[k], S::keep(ok, v));
                low[k] = S::select(ok, S::min(v, low[k]), low[k]);
                high[k] = S::select(ok, S::max(v, high[k]), high[k]);
            }
        });
        let mean = sum.map(|s| S::div(s, n));
        let (mut square, mut product) = ([zero; 2], zero);
        self.rows::<S>(|a, b, ok| {
            let a = S::keep(ok, S::sub(a, mean[0]));
            let b = S::keep(ok, S::sub(b, mean[1]));
            square = [S::fma(a, a, square[0]), S::fma(b, b, square[1])];
            product = S::fma(a, b, product);
        });
        let correlation = S::div(product, S::mul(S::sqrt(square[0]), S::sqrt(square[1])));
        let vary = S::and(S::lt(low[0], high[0]), S::lt(low[1], high[1]));
        let enough = S::and(S::le(S::splat(need), n), wanted);
        let counted = S::and(vary, enough);
        pairs.sum += S::sum(S::keep(counted, correlation));
        pairs.count += f64::from(S::bits(counted).count_ones());
    }
}

/// The values of the lines.
fn flat(lines: &[Line]) -> &[f64] {
    // SAFETY: a line is eight values without padding.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LANES) }
}

fn flat_mut(lines: &mut [Line]) -> &mut [f64] {
    // SAFETY: a line is eight values without padding.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LANES) }
}
