//! Counts, means, variances and correlations per feature, pooled over assets.
//!
//! The times are cut into blocks of 64 rows, wherever they lie. A job is a
//! block with the rows of it that some training set has (one bit per row); its
//! moments about their own mean are computed once, however many sets share it.
//! A set merges its jobs in order of time by the pairwise update of Chan,
//! Golub and LeVeque (1983). So the result depends on the rows of the set
//! alone, and no value is ever subtracted from a sum that it is not part of.

use super::merge::Merge;
use super::{Cube, Octet};
use crate::exec::{Exec, SharedOut};
use crate::simd::{self, Kernel, LANES, Simd};

/// Rows per block.
pub const BLOCK_ROWS: usize = 64;
/// Samples that are multiplied at once.
const PANEL: usize = 64;

/// Blocks with the rows that count, and the training sets made of them.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a> {
    /// Block of each job.
    pub block: &'a [i64],
    /// Rows of the block that count, bit `i` for its `i`-th row.
    pub rows: &'a [i64],
    /// `sets + 1` positions in `list`.
    pub offsets: &'a [i64],
    /// Jobs of each set, ascending in time.
    pub list: &'a [i64],
}

/// Moments of `K` sets and `F` features.
#[derive(Debug, Default)]
pub struct Moments {
    /// Observed values, `[K, F]`.
    pub count: Vec<f64>,
    /// Mean squared distance from the mean, `[K, F]`; NaN without observations.
    pub variance: Vec<f64>,
    /// Correlations over samples that have both features, `[K, F, F]`, NaN where one of them is
    /// constant; empty if not asked for.
    pub correlation: Vec<f64>,
}

/// Moments of every set; `pairs` asks for correlations too.
pub fn moments(exec: Exec, cube: Cube<'_>, jobs: Jobs<'_>, pairs: bool) -> Moments {
    let [_, assets, features] = cube.shape;
    let exec = exec.for_work(jobs.block.len() * BLOCK_ROWS * assets * features * 4);
    let size = Sums::size(features, pairs);
    let mut store = vec![0.0; jobs.block.len() * size];
    let shared = SharedOut::new(&mut store);
    let scratch = || Scratch::new(features);
    exec.for_each_with(jobs.block.len(), scratch, |scratch, job| {
        // SAFETY: one job per task.
        let out = unsafe { shared.slice(job * size, size) };
        let rows = (jobs.block[job] as usize, jobs.rows[job] as u64);
        simd::run(exec.level(), JobTask { cube, rows, pairs, scratch, out });
    });
    let sets = jobs.offsets.len().saturating_sub(1);
    let mut merged = vec![0.0; sets * size];
    let shared = SharedOut::new(&mut merged);
    exec.for_each(sets, |set| {
        // SAFETY: one set per task.
        let sum = unsafe { shared.slice(set * size, size) };
        for &job in &jobs.list[jobs.offsets[set] as usize..jobs.offsets[set + 1] as usize] {
            let other = &store[job as usize * size..][..size];
            simd::run(exec.level(), Merge { sum, other, features, pairs });
        }
    });
    let mut out = Moments::default();
    for sum in merged.chunks_exact(size.max(1)) {
        Sums::finish(sum, features, pairs, &mut out);
    }
    out
}

/// Layout of the moments of one job: planes of `[F]`, or of `[F, F]` with pairs.
///
/// Entry `(i, j)` concerns feature `i` over the samples that also have `j`:
/// count, mean, squared distances, and products with `j`, which merged sums hold
/// for `i <= j` alone. Without pairs only the first three exist, one entry per feature.
struct Sums;

impl Sums {
    fn size(features: usize, pairs: bool) -> usize {
        if pairs { 4 * features * features } else { 3 * features }
    }

    fn finish(sum: &[f64], features: usize, pairs: bool, out: &mut Moments) {
        let plane = if pairs { features * features } else { features };
        let own = |f: usize| if pairs { f * features + f } else { f };
        out.count.extend((0..features).map(|f| sum[own(f)]));
        out.variance.extend((0..features).map(|f| sum[2 * plane + own(f)] / sum[own(f)]));
        if pairs {
            out.correlation.extend((0..plane).map(|e| {
                let (i, j) = (e / features, e % features);
                let scale = (sum[2 * plane + e] * sum[2 * plane + j * features + i]).sqrt();
                let upper = i.min(j) * features + i.max(j);
                if scale > 0.0 { sum[3 * plane + upper] / scale } else { f64::NAN }
            }));
        }
    }
}

struct Scratch {
    /// Features, padded to whole vectors.
    width: usize,
    octets: Vec<Octet>,
    anchor: Vec<f64>,
    /// A panel of values less their anchor (0 where missing), of their squares and of 0/1.
    value: Vec<f64>,
    square: Vec<f64>,
    valid: Vec<f64>,
    /// Sums over samples, `[3, width]` or `[4, width, width]`.
    sums: Vec<f64>,
}

impl Scratch {
    fn new(features: usize) -> Scratch {
        let all: Vec<usize> = (0..features).collect();
        let width = features.next_multiple_of(LANES);
        let panel = || vec![0.0; PANEL * width];
        Scratch {
            width,
            octets: Octet::all(&all),
            anchor: vec![0.0; width],
            value: panel(),
            square: panel(),
            valid: panel(),
            sums: vec![0.0; 4 * width * width.max(1)],
        }
    }
}

/// Walk over the chosen rows of a block, all assets of one after the other.
struct Samples {
    first: usize,
    bits: u64,
    asset: usize,
    assets: usize,
}

impl Iterator for Samples {
    type Item = (usize, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize)> {
        if self.bits == 0 || self.assets == 0 {
            return None;
        }
        let sample = (self.first + self.bits.trailing_zeros() as usize, self.asset);
        self.asset += 1;
        if self.asset == self.assets {
            (self.asset, self.bits) = (0, self.bits & (self.bits - 1));
        }
        Some(sample)
    }
}

/// One job: the moments of a block's chosen rows.
struct JobTask<'a, 's> {
    cube: Cube<'a>,
    rows: (usize, u64),
    pairs: bool,
    scratch: &'s mut Scratch,
    out: &'s mut [f64],
}

impl Kernel for JobTask<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self) {
        self.find_anchors();
        self.scratch.sums.fill(0.0);
        if self.pairs {
            let complete = self.multiply::<S>();
            self.write_pairs(complete);
        } else {
            self.add_up::<S>();
            self.write_single();
        }
    }
}

impl JobTask<'_, '_> {
    /// Times and assets of the samples, one after the other. A `for` loop over it stays free of
    /// closures, which would lose the target features.
    #[inline(always)]
    fn each_sample(&self) -> Samples {
        let (block, bits) = self.rows;
        Samples { first: block * BLOCK_ROWS, bits, asset: 0, assets: self.cube.shape[1] }
    }

    /// The first observed value of every feature.
    #[inline(always)]
    fn find_anchors(&mut self) {
        let features = self.cube.shape[2];
        let mut open: Vec<usize> = (0..features).collect();
        self.scratch.anchor.fill(0.0);
        for (time, asset) in self.each_sample() {
            if open.is_empty() {
                break;
            }
            let at = self.cube.at(time, asset);
            open.retain(|&f| {
                let x = self.cube.values[at + f];
                if x.is_nan() || self.cube.missing.is_some_and(|m| m[at + f]) {
                    return true;
                }
                self.scratch.anchor[f] = x;
                false
            });
        }
    }

    #[inline(always)]
    fn add_up<S: Simd>(&mut self) {
        /// Assets whose octets are added one after the other, as they are then near.
        const ASSETS: usize = 16;
        let (cube, (block, bits)) = (self.cube, self.rows);
        let Scratch { octets, anchor, sums, width, .. } = &mut *self.scratch;
        let (counts, rest) = sums.split_at_mut(*width);
        let (totals, squares) = rest.split_at_mut(*width);
        let mut bits = bits;
        while bits != 0 {
            let time = block * BLOCK_ROWS + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            for first in (0..cube.shape[1]).step_by(ASSETS) {
                let assets = first..(first + ASSETS).min(cube.shape[1]);
                for (o, octet) in octets.iter().enumerate() {
                    let at = o * LANES..(o + 1) * LANES;
                    let sums = [&mut *counts, &mut *totals, &mut *squares];
                    let sums = sums.map(|sum| &mut sum[at.clone()]);
                    // SAFETY: anchors and sums are padded to whole vectors.
                    let shift = unsafe { S::load(anchor[at.clone()].as_ptr()) };
                    // SAFETY: as above.
                    let load = |sum: &&mut [f64]| unsafe { S::load(sum.as_ptr()) };
                    let [mut count, mut total, mut square] = sums.each_ref().map(load);
                    for asset in assets.clone() {
                        cube.prefetch(time, asset + 2 * ASSETS, octet);
                        let x = cube.load::<S>(time, asset, octet);
                        let valid = S::valid(x);
                        let d = S::keep(valid, S::sub(x, shift));
                        count = S::add(count, S::keep(valid, S::splat(1.0)));
                        total = S::add(total, d);
                        square = S::add(square, S::mul(d, d));
                    }
                    for (sum, found) in sums.into_iter().zip([count, total, square]) {
                        // SAFETY: as above.
                        unsafe { S::store(sum.as_mut_ptr(), found) };
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn write_single(&mut self) {
        let (features, width) = (self.cube.shape[2], self.scratch.width);
        let sums = &self.scratch.sums;
        for f in 0..features {
            let (n, total, square) = (sums[f], sums[width + f], sums[2 * width + f]);
            self.out[f] = n;
            if n > 0.0 {
                self.out[features + f] = self.scratch.anchor[f] + total / n;
                self.out[2 * features + f] = spread(square, total, n);
            }
        }
    }

    /// Products of every pair of features, panel after panel. True if nothing was missing: then
    /// the planes of counts, totals and squares are rows, not matrices.
    #[inline(always)]
    fn multiply<S: Simd>(&mut self) -> bool {
        let samples = self.each_sample();
        let complete = self.complete::<S>();
        let mut used = 0;
        for (time, asset) in samples {
            self.pack::<S>(time, asset, used);
            used += 1;
            if used == PANEL {
                self.flush::<S>(used, complete);
                used = 0;
            }
        }
        self.flush::<S>(used, complete);
        complete
    }

    #[inline(always)]
    fn complete<S: Simd>(&self) -> bool {
        for (time, asset) in self.each_sample() {
            for octet in &self.scratch.octets {
                let x = self.cube.load::<S>(time, asset, octet);
                if (S::bits(S::valid(x)) as usize) < (1 << octet.width) - 1 {
                    return false;
                }
            }
        }
        true
    }

    #[inline(always)]
    fn pack<S: Simd>(&mut self, time: usize, asset: usize, row: usize) {
        let Scratch { octets, anchor, value, square, valid, width, .. } = &mut *self.scratch;
        for (o, octet) in octets.iter().enumerate() {
            let x = self.cube.load::<S>(time, asset, octet);
            let ok = S::valid(x);
            let at = row * *width + o * LANES;
            // SAFETY: panels and anchors are padded to whole vectors.
            unsafe {
                let d = S::keep(ok, S::sub(x, S::load(anchor[o * LANES..].as_ptr())));
                S::store(value[at..at + LANES].as_mut_ptr(), d);
                S::store(square[at..at + LANES].as_mut_ptr(), S::mul(d, d));
                S::store(valid[at..at + LANES].as_mut_ptr(), S::keep(ok, S::splat(1.0)));
            }
        }
    }

    #[inline(always)]
    fn flush<S: Simd>(&mut self, rows: usize, complete: bool) {
        let Scratch { value, square, valid, width, sums, .. } = &mut *self.scratch;
        let width = *width;
        let plane = width * width;
        let (counts, rest) = sums.split_at_mut(plane);
        let (totals, rest) = rest.split_at_mut(plane);
        let (squares, products) = rest.split_at_mut(plane);
        let used = rows * width;
        let (value, square, valid) = (&value[..used], &square[..used], &valid[..used]);
        add_products::<S>(value, value, width, true, products);
        if complete {
            // One row stands for all: every pair has every sample.
            for (part, sum) in [(valid, counts), (value, totals), (square, squares)] {
                for row in part.chunks_exact(width) {
                    sum.iter_mut().zip(row).for_each(|(s, x)| *s += x);
                }
            }
        } else {
            add_products::<S>(valid, valid, width, true, counts);
            add_products::<S>(value, valid, width, false, totals);
            add_products::<S>(square, valid, width, false, squares);
        }
    }

    #[inline(always)]
    fn write_pairs(&mut self, complete: bool) {
        let (features, width) = (self.cube.shape[2], self.scratch.width);
        let (plane, size) = (width * width, features * features);
        let sums = &self.scratch.sums;
        for i in 0..features {
            for j in 0..features {
                let upper = i.min(j) * width + i.max(j); // symmetric planes fill this half
                let (n, own, other, square) = if complete {
                    (sums[i], sums[plane + i], sums[plane + j], sums[2 * plane + i])
                } else {
                    let (e, t) = (i * width + j, j * width + i);
                    (sums[upper], sums[plane + e], sums[plane + t], sums[2 * plane + e])
                };
                let e = i * features + j;
                self.out[e] = n;
                if n > 0.0 {
                    self.out[size + e] = self.scratch.anchor[i] + own / n;
                    self.out[2 * size + e] = spread(square, own, n);
                    self.out[3 * size + e] = sums[3 * plane + upper] - own * other / n;
                }
            }
        }
    }
}

/// Add to eight places.
#[inline(always)]
fn add_to<S: Simd>(to: &mut [f64], x: S::F) {
    let to = &mut to[..LANES];
    // SAFETY: `to` has eight places.
    unsafe { S::store(to.as_mut_ptr(), S::add(S::load(to.as_ptr()), x)) }
}

/// Squared distances from the mean; exactly 0 for a constant.
#[inline(always)]
fn spread(square: f64, total: f64, n: f64) -> f64 {
    let value = square - total * total / n;
    if value < 0.0 { 0.0 } else { value }
}

/// `out[i, j] += sum over rows of a[row, i] * b[row, j]`; where `upper`, only what is needed
/// for `j >= i` is sure to be there.
#[inline(always)]
fn add_products<S: Simd>(a: &[f64], b: &[f64], width: usize, upper: bool, out: &mut [f64]) {
    const TALL: usize = 4;
    let vectors = width / LANES;
    for i in (0..width).step_by(TALL) {
        let mut v = if upper { i / LANES } else { 0 };
        while v < vectors {
            if v + 1 < vectors {
                tile::<S, TALL, 2>(a, b, width, [i, v * LANES], out);
                v += 2;
            } else {
                tile::<S, TALL, 1>(a, b, width, [i, v * LANES], out);
                v += 1;
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const TALL: usize, const WIDE: usize>(
    a: &[f64],
    b: &[f64],
    width: usize,
    [i, j]: [usize; 2],
    out: &mut [f64],
) {
    let mut sum = [[S::splat(0.0); WIDE]; TALL];
    for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
        let (a, b) = (&a[i..i + TALL], &b[j..j + WIDE * LANES]);
        // SAFETY: `b` holds WIDE vectors.
        let b: [S::F; WIDE] =
            std::array::from_fn(|w| unsafe { S::load(b.as_ptr().add(w * LANES)) });
        for (row, &a) in sum.iter_mut().zip(a) {
            let a = S::splat(a);
            for (sum, &b) in row.iter_mut().zip(&b) {
                *sum = S::fma(a, b, *sum);
            }
        }
    }
    for (t, row) in sum.iter().enumerate() {
        for (w, &sum) in row.iter().enumerate() {
            let at = (i + t) * width + j + w * LANES;
            add_to::<S>(&mut out[at..], sum);
        }
    }
}
