//! One training set: its statistics are read off the sorted lanes.

use super::fit::{Fit, STATISTICS};
use super::pooled::{Column, Ends, tail};
use super::read::{Read, Sort, together};
use super::{Cube, Octet, clamp_lanes};
use crate::exec::{Exec, SharedOut};
use crate::order::{self, BLOCK, Lanes, Sorted};
use crate::simd::{self, Kernel, LANES, Simd};

/// The way of a single training set.
pub struct Single<'a> {
    exec: Exec,
    cube: Cube<'a>,
    rows: &'a [i64],
    /// Places of one asset's lanes.
    stride: usize,
    lanes: Lanes,
    counts: Vec<usize>,
}

impl<'a> Single<'a> {
    /// Room for all assets of one octet.
    pub fn new(exec: Exec, cube: Cube<'a>, rows: &'a [i64]) -> Self {
        let padded = rows.len().next_multiple_of(BLOCK);
        let assets = cube.shape[1];
        let lanes = Lanes::new(padded * assets);
        Single { exec, cube, rows, stride: padded * LANES, lanes, counts: vec![0; assets * LANES] }
    }

    /// Fill `out`, octet after octet.
    pub fn fit(&mut self, octets: &[Octet], quantiles: [f64; 2], out: &mut Fit) {
        let features: usize = octets.iter().map(|o| o.width).sum();
        for (o, &octet) in octets.iter().enumerate() {
            self.sort(octet);
            let found: [[f64; 2]; LANES] = std::array::from_fn(|lane| {
                if lane < octet.width { self.bounds(lane, quantiles) } else { [f64::NAN; 2] }
            });
            let bounds = [0, 1].map(|side| found.map(|pair| pair[side]));
            for (side, bounds) in bounds.iter().enumerate() {
                let at = side * features + o * LANES;
                out.bounds[at..at + octet.width].copy_from_slice(&bounds[..octet.width]);
            }
            self.statistics(octet, o * LANES, features, bounds, &mut out.statistics);
        }
    }

    fn sort(&mut self, octet: Octet) {
        let (exec, cube, rows, stride) = (self.exec, self.cube, self.rows, self.stride);
        let lanes = SharedOut::new(self.lanes.values_mut());
        let counts = SharedOut::new(&mut self.counts);
        let (total, wide) = (cube.shape[1], together(rows.len()));
        exec.for_each(total.div_ceil(wide), |group| {
            let assets = group * wide..((group + 1) * wide).min(total);
            // SAFETY: the assets of a group belong to one task.
            let (lanes, counts) = unsafe {
                (
                    lanes.slice(assets.start * stride, assets.len() * stride),
                    counts.slice(assets.start * LANES, assets.len() * LANES),
                )
            };
            let read = Read { cube, rows, octet, assets, lanes, stride };
            let found = simd::run(exec.level(), read);
            for (count, found) in counts.chunks_exact_mut(LANES).zip(found) {
                count.copy_from_slice(&found);
            }
            for lanes in lanes.chunks_exact_mut(stride.max(1)) {
                simd::run(exec.level(), Sort { lanes, rows: rows.len(), tag: None });
            }
        });
    }

    /// Pooled winsor bounds of one feature.
    fn bounds(&self, lane: usize, [low, high]: [f64; 2]) -> [f64; 2] {
        let columns: Vec<Column<'_>> = (0..self.cube.shape[1])
            .map(|asset| Column {
                values: &self.lanes.values()[asset * self.stride + lane..],
                stride: LANES,
                count: self.counts[asset * LANES + lane],
            })
            .collect();
        let total: usize = columns.iter().map(|c| c.count).sum();
        if total == 0 {
            return [f64::NAN; 2];
        }
        let mut lengths = Vec::new();
        [(low, false), (high, true)].map(|(q, above)| {
            let ends = Ends::new(total, q, above);
            tail(&columns, ends.far + 1, above, &mut lengths);
            let mut values: Vec<f64> = columns
                .iter()
                .zip(&lengths)
                .flat_map(|(column, &n)| (0..n).map(|i| column.get(i, above)))
                .collect();
            let (front, far, _) = values.select_nth_unstable_by(ends.far, f64::total_cmp);
            let far = *far;
            let near = if ends.paired {
                front.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            } else {
                far
            };
            ends.value(near, far)
        })
    }

    fn statistics(
        &self,
        octet: Octet,
        first: usize,
        features: usize,
        bounds: [[f64; LANES]; 2],
        out: &mut [f64],
    ) {
        let (assets, stride, counts) = (self.cube.shape[1], self.stride, &self.counts);
        let out = SharedOut::new(out);
        self.exec.for_each(assets, |asset| {
            let lanes = &self.lanes.values()[asset * stride..(asset + 1) * stride];
            let count = std::array::from_fn(|lane| counts[asset * LANES + lane] as f64);
            let found = simd::run(self.exec.level(), Statistics { lanes, count, bounds });
            for (s, values) in found.iter().enumerate() {
                let at = (s * assets + asset) * features + first;
                // SAFETY: one asset per task.
                unsafe { out.slice(at, octet.width) }.copy_from_slice(&values[..octet.width]);
            }
        });
    }
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
