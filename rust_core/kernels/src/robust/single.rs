//! One training set: its statistics are read off the sorted lanes.

use super::fit::{Fit, STATISTICS};
use super::read::{Read, Sort, together};
use super::{Cube, Octet, clamp_lanes, tails};
use crate::exec::{Exec, SharedOut};
use crate::order::{self, BLOCK, Lanes, Sorted};
use crate::simd::{self, Kernel, LANES, Simd};

/// Fit the training set of these rows.
pub fn fit(
    exec: Exec,
    cube: Cube<'_>,
    rows: &[i64],
    features: &[usize],
    quantiles: [f64; 2],
    out: &mut Fit,
) {
    let bounds = tails::bounds(exec, cube, rows, &Octet::all(features), quantiles);
    for (side, out) in out.bounds.chunks_exact_mut(features.len()).enumerate() {
        for (out, bounds) in out.chunks_mut(LANES).zip(&bounds) {
            out.copy_from_slice(&bounds[side][..out.len()]);
        }
    }
    // To its columns it is all the same which asset they belong to.
    let (cube, columns) = cube.flat(features);
    let octets = Octet::all(&columns);
    let (bounds, statistics) = (&out.bounds, SharedOut::new(&mut out.statistics));
    let (total, stride) = (columns.len(), rows.len().next_multiple_of(BLOCK) * LANES);
    let deep = together(rows.len()).min(octets.len());
    let scratch = || (Lanes::new(stride / LANES * deep), vec![[0.0; LANES]; deep]);
    exec.for_each_with(octets.len().div_ceil(deep), scratch, |(lanes, counts), task| {
        let first = task * deep;
        let octets = &octets[first..(first + deep).min(octets.len())];
        let lanes = &mut lanes.values_mut()[..octets.len() * stride];
        let counts = &mut counts[..octets.len()];
        let read = Read { cube, rows, octets, lanes: &mut *lanes, stride, counts: &mut *counts };
        simd::run(exec.level(), read);
        let sorted = lanes.chunks_exact_mut(stride).zip(counts);
        for (o, (octet, (lanes, count))) in octets.iter().zip(sorted).enumerate() {
            let column = (first + o) * LANES;
            let bounds = [0, features.len()].map(|side| {
                std::array::from_fn(|lane| bounds[side + (column + lane) % features.len()])
            });
            simd::run(exec.level(), Sort { lanes, rows: rows.len(), tag: None });
            let found = simd::run(exec.level(), Statistics { lanes, count: *count, bounds });
            for (s, values) in found.iter().enumerate() {
                // SAFETY: one octet of columns per task.
                let out = unsafe { statistics.slice(s * total + column, octet.width) };
                out.copy_from_slice(&values[..octet.width]);
            }
        }
    });
}

/// Sorted lanes, winsorised as they are read: only a few of their values are.
#[derive(Clone, Copy)]
struct Winsorised<'a, S: Simd> {
    lanes: &'a [f64],
    low: S::F,
    high: S::F,
}

impl<S: Simd> Sorted<S> for Winsorised<'_, S> {
    #[inline(always)]
    fn pick(self, i: S::I) -> S::F {
        clamp_lanes::<S>(Sorted::<S>::pick(self.lanes, i), self.low, self.high)
    }
}

/// Read the statistics of sorted lanes.
struct Statistics<'a> {
    lanes: &'a [f64],
    count: [f64; LANES],
    bounds: [[f64; LANES]; 2],
}

impl Kernel for Statistics<'_> {
    type Output = [[f64; LANES]; STATISTICS];

    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Output {
        let [low, high] = self.bounds.map(S::from_array);
        let (lanes, count) = (Winsorised::<S> { lanes: self.lanes, low, high }, self.count);
        let count = S::from_array(count);
        let median = order::median_of::<S>(lanes, count);
        let mad = order::mad_of::<S>(lanes, count, median);
        let least = order::quantile_of::<S>(lanes, count, 0.0);
        let lower = order::quantile_of::<S>(lanes, count, 0.25);
        let upper = order::quantile_of::<S>(lanes, count, 0.75);
        let most = order::quantile_of::<S>(lanes, count, 1.0);
        [
            S::to_array(count),
            S::to_array(least),
            S::to_array(most),
            S::to_array(median),
            S::to_array(mad),
            S::to_array(lower),
            S::to_array(upper),
        ]
    }
}
