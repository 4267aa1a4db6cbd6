//! One training set: its statistics are read off the sorted lanes.

use super::fit::{Fit, STATISTICS};
use super::pooled::{Column, Ends, tail};
use super::read::{Read, Sort, TOGETHER};
use super::{Cube, Octet, clamp_lanes};
use crate::exec::{Exec, SharedOut};
use crate::order::{self, BLOCK, Lanes};
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
        let total = cube.shape[1];
        exec.for_each(total.div_ceil(TOGETHER), |group| {
            let assets = group * TOGETHER..((group + 1) * TOGETHER).min(total);
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
        &mut self,
        octet: Octet,
        first: usize,
        features: usize,
        bounds: [[f64; LANES]; 2],
        out: &mut [f64],
    ) {
        let (exec, assets, stride, rows) =
            (self.exec, self.cube.shape[1], self.stride, self.rows.len());
        let lanes = SharedOut::new(self.lanes.values_mut());
        let (counts, out) = (&self.counts, SharedOut::new(out));
        exec.for_each(assets, |asset| {
            // SAFETY: one asset per task.
            let lanes = unsafe { lanes.slice(asset * stride, stride) };
            let count = std::array::from_fn(|lane| counts[asset * LANES + lane] as f64);
            let found = simd::run(exec.level(), Statistics { lanes, rows, count, bounds });
            for (s, values) in found.iter().enumerate() {
                let at = (s * assets + asset) * features + first;
                // SAFETY: one asset per task.
                unsafe { out.slice(at, octet.width) }.copy_from_slice(&values[..octet.width]);
            }
        });
    }
}

/// Winsorise sorted lanes and read their statistics.
struct Statistics<'a> {
    lanes: &'a mut [f64],
    rows: usize,
    count: [f64; LANES],
    bounds: [[f64; LANES]; 2],
}

impl Kernel for Statistics<'_> {
    type Output = [[f64; LANES]; STATISTICS];

    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Output {
        let [low, high] = self.bounds.map(S::from_array);
        for row in self.lanes[..self.rows * LANES].chunks_exact_mut(LANES) {
            // SAFETY: `row` has eight places.
            unsafe {
                S::store(row.as_mut_ptr(), clamp_lanes::<S>(S::load(row.as_ptr()), low, high));
            }
        }
        let (lanes, count) = (&*self.lanes, S::from_array(self.count));
        let quantile = |q| order::quantile::<S>(lanes, count, q);
        let median = order::median::<S>(lanes, count);
        let mad = order::mad::<S>(lanes, count, median);
        let (least, most) = (quantile(0.0), quantile(1.0));
        [count, least, most, median, mad, quantile(0.25), quantile(0.75)].map(S::to_array)
    }
}
