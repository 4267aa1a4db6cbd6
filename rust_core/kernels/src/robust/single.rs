//! One training set: its statistics are read off the sorted lanes.
//!
//! Winsor bounds are pooled over assets, so they are known when every column has been sorted and
//! forgotten. Statistics are taken without bounds first; most of them lie so far within the bounds
//! that winsorising changes none but the extremes. The other columns are sorted again.

use super::fit::{Fit, STATISTICS};
use super::read::{Read, Sort, together};
use super::tails::{self, Tails};
use super::{Cube, Octet, clamp, clamp_lanes};
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
    let (flat, columns) = cube.flat(features);
    let single = Single { exec, cube: flat, rows, octets: Octet::all(&columns), features };
    let mut margin = 3.5;
    let (tails, bounds) = loop {
        let reaches = tails::reaches(exec, cube, rows, features, quantiles, margin);
        let tails = single.raw(&reaches, &mut out.statistics);
        if let Some(bounds) = single.bounds(&tails, quantiles) {
            break (tails, bounds);
        }
        margin *= 8.0; // the sample was misleading
    };
    for (f, pair) in bounds.iter().enumerate() {
        for (side, &bound) in pair.iter().enumerate() {
            out.bounds[side * features.len() + f] = bound;
        }
    }
    single.winsorise(&tails, &bounds, &mut out.statistics);
}

/// To its columns it is all the same which asset they belong to.
struct Single<'a> {
    exec: Exec,
    cube: Cube<'a>,
    rows: &'a [i64],
    octets: Vec<Octet>,
    features: &'a [usize],
}

/// What a thread needs to sort a few octets.
struct Room {
    lanes: Lanes,
    counts: Vec<[f64; LANES]>,
}

impl Single<'_> {
    fn columns(&self) -> usize {
        self.octets.iter().map(|octet| octet.width).sum()
    }

    /// Places of an octet.
    fn stride(&self) -> usize {
        self.rows.len().next_multiple_of(BLOCK) * LANES
    }

    fn room(&self, octets: usize) -> Room {
        let lanes = Lanes::new(self.stride() / LANES * octets);
        Room { lanes, counts: vec![[0.0; LANES]; octets] }
    }

    /// Read and sort a few octets; hand out the lanes and the counts of each.
    fn sorted<'r>(
        &self,
        octets: &[Octet],
        room: &'r mut Room,
    ) -> impl Iterator<Item = (&'r [f64], [f64; LANES])> {
        let (rows, stride) = (self.rows, self.stride());
        let lanes = &mut room.lanes.values_mut()[..octets.len() * stride];
        let counts = &mut room.counts[..octets.len()];
        let read = Read {
            cube: self.cube,
            rows,
            octets,
            lanes: &mut *lanes,
            stride,
            counts: &mut *counts,
        };
        simd::run(self.exec.level(), read);
        let level = self.exec.level();
        lanes.chunks_exact_mut(stride).zip(&*counts).map(move |(lanes, &count)| {
            simd::run(level, Sort { lanes, rows: rows.len(), tag: None });
            (&*lanes, count)
        })
    }

    /// Statistics without bounds, and the tails of every column.
    fn raw(&self, reaches: &[tails::Reach], out: &mut [f64]) -> Vec<Tails> {
        let (total, features) = (self.columns(), self.features.len());
        let mut tails = vec![Tails::default(); total];
        let shared = (SharedOut::new(&mut tails), SharedOut::new(out));
        let deep = together(self.rows.len()).min(self.octets.len());
        let tasks = self.octets.len().div_ceil(deep);
        self.exec.for_each_with(
            tasks,
            || self.room(deep),
            |room, task| {
                let chosen = &self.octets[task * deep..((task + 1) * deep).min(self.octets.len())];
                let mut column = task * deep * LANES;
                for (octet, (lanes, count)) in chosen.iter().zip(self.sorted(chosen, room)) {
                    let bounds = [f64::NEG_INFINITY, f64::INFINITY].map(|bound| [bound; LANES]);
                    let statistics = Statistics { lanes, count, bounds };
                    statistics.put(self.exec, shared.1, total, column, octet.width);
                    // SAFETY: one octet of columns per task.
                    let tails = unsafe { shared.0.slice(column, octet.width) };
                    for (lane, tails) in tails.iter_mut().enumerate() {
                        let reach = reaches[(column + lane) % features];
                        *tails = Tails::of(lanes, lane, count[lane] as usize, reach);
                    }
                    column += octet.width;
                }
            },
        );
        tails
    }

    /// Winsor bounds of every feature; `None` if some tails are too short.
    fn bounds(&self, tails: &[Tails], quantiles: [f64; 2]) -> Option<Vec<[f64; 2]>> {
        let features = self.features.len();
        let mut out = vec![None; features];
        let shared = SharedOut::new(&mut out);
        self.exec.for_each(features, |f| {
            let columns = tails[f..].iter().step_by(features);
            // SAFETY: one feature per task.
            unsafe { shared.slice(f, 1) }.fill(tails::select(columns, quantiles));
        });
        out.into_iter().collect()
    }

    /// Turn statistics into those of the winsorised values.
    fn winsorise(&self, tails: &[Tails], bounds: &[[f64; 2]], out: &mut [f64]) {
        let total = self.columns();
        let shared = SharedOut::new(out);
        self.exec.for_each_with(
            self.octets.len(),
            || self.room(1),
            |room, o| {
                let (octet, column) = (&self.octets[o..=o], o * LANES);
                let bounds: [[f64; 2]; LANES] =
                    std::array::from_fn(|lane| bounds[(column + lane) % bounds.len()]);
                let mut within = true;
                for (lane, &[low, high]) in bounds.iter().enumerate().take(octet[0].width) {
                    let value = |s: usize| {
                        // SAFETY: one octet of columns per task.
                        unsafe { &mut shared.slice(s * total + column + lane, 1)[0] }
                    };
                    let (median, mad) = (*value(3), *value(4));
                    // No distance that the MAD is made of is larger than twice the MAD.
                    let near = (median - low).min(high - median) < 2.0 * mad;
                    within &= !near && tails[column + lane].keep_quartiles([low, high]);
                    for s in [1, 2] {
                        *value(s) = clamp(*value(s), low, high);
                    }
                }
                if !within {
                    let bounds = [0, 1].map(|side| bounds.map(|pair| pair[side]));
                    for (lanes, count) in self.sorted(octet, room) {
                        let statistics = Statistics { lanes, count, bounds };
                        statistics.put(self.exec, shared, total, column, octet[0].width);
                    }
                }
            },
        );
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

impl Statistics<'_> {
    /// Write the statistics of the columns from `column` on, of `total`.
    fn put(self, exec: Exec, out: SharedOut<'_>, total: usize, column: usize, width: usize) {
        for (s, values) in simd::run(exec.level(), self).iter().enumerate() {
            // SAFETY: one octet of columns per task.
            let out = unsafe { out.slice(s * total + column, width) };
            out.copy_from_slice(&values[..width]);
        }
    }
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
