//! Pooled quantiles of every feature in passes over the training values, without sorting them.
//!
//! A sample tells how far a tail reaches. One pass collects the values that far out, and the
//! quantile is selected among them. Where the sample was misleading the pass is run again, deeper.

use super::pooled::Ends;
use super::{Cube, Octet};
use crate::exec::{Exec, SharedOut};
use crate::simd::{self, Kernel, LANES, Simd};

/// Lower and upper quantile of each octet's features, `[side][lane]`; NaN without observations.
pub fn bounds(
    exec: Exec,
    cube: Cube<'_>,
    rows: &[i64],
    octets: &[Octet],
    quantiles: [f64; 2],
) -> Vec<[[f64; LANES]; 2]> {
    let mut out = vec![[[f64::NAN; LANES]; 2]; octets.len()];
    let mut open: Vec<usize> = (0..octets.len()).collect();
    let mut margin = 3.5;
    while !open.is_empty() {
        let chosen: Vec<Octet> = open.iter().map(|&o| octets[o]).collect();
        let mut limits = vec![[[0.0; LANES]; 2]; open.len()];
        let shared = SharedOut::new(&mut limits);
        exec.for_each(open.len(), |i| {
            // SAFETY: one octet per task.
            let limits = unsafe { shared.slice(i, 1) };
            limits[0] = reach(&sample(cube, rows, &chosen[i]), quantiles, margin);
        });
        let found = collect(exec, cube, rows, &chosen, &limits);
        let mut done = vec![true; open.len()];
        let shared = (SharedOut::new(&mut out), SharedOut::new(&mut done));
        exec.for_each(open.len(), |i| {
            // SAFETY: one octet per task.
            let (out, done) = unsafe { (shared.0.slice(open[i], 1), shared.1.slice(i, 1)) };
            for lane in 0..chosen[i].width {
                let parts: Vec<&Tails> = found.iter().map(|part| &part[i]).collect();
                let bounds = select(&parts, lane, quantiles);
                done[0] &= bounds.is_some();
                for (side, bound) in bounds.into_iter().flatten().enumerate() {
                    out[0][side][lane] = bound;
                }
            }
        });
        let mut done = done.iter();
        open.retain(|_| !done.next().is_some_and(|&done| done));
        margin *= 8.0;
    }
    out
}

/// Observed values of up to 4096 evenly spaced places of every feature.
fn sample(cube: Cube<'_>, rows: &[i64], octet: &Octet) -> [Vec<f64>; LANES] {
    const MOST: usize = 4096;
    let places = rows.len() * cube.shape[1];
    let drawn = places.min(MOST);
    let mut out: [Vec<f64>; LANES] = Default::default();
    for i in 0..drawn {
        let place = (i as u128 * places as u128 / drawn as u128) as usize;
        let at = cube.at(rows[place / cube.shape[1]] as usize, place % cube.shape[1]);
        for (values, &f) in out.iter_mut().zip(octet.features()) {
            let missing = cube.missing.is_some_and(|missing| missing[at + f]);
            let value = cube.values[at + f];
            if !missing && !value.is_nan() {
                values.push(value);
            }
        }
    }
    out
}

/// How far either tail reaches. `margin` is that of the sample's error, in standard deviations.
fn reach(sample: &[Vec<f64>; LANES], [low, high]: [f64; 2], margin: f64) -> [[f64; LANES]; 2] {
    [(low, 1.0), (1.0 - high, -1.0)].map(|(share, sign)| {
        std::array::from_fn(|lane| {
            let expected = share * sample[lane].len() as f64;
            let depth = (expected + margin * (expected.sqrt() + 2.0)) as usize;
            if depth >= sample[lane].len() {
                return sign * f64::INFINITY;
            }
            let mut values: Vec<f64> = sample[lane].iter().map(|v| sign * v).collect();
            sign * *values.select_nth_unstable_by(depth, f64::total_cmp).1
        })
    })
}

/// What one pass over some rows finds of one octet.
#[derive(Clone, Default)]
struct Tails {
    count: [f64; LANES],
    /// `[side][lane]`, negated for the upper one.
    values: [[Vec<f64>; LANES]; 2],
}

impl Tails {
    #[inline(always)]
    fn push(&mut self, side: usize, x: [f64; LANES], mut lanes: u8) {
        while lanes != 0 {
            let lane = lanes.trailing_zeros() as usize;
            self.values[side][lane].push(x[lane]);
            lanes &= lanes - 1;
        }
    }
}

/// The tails in every stretch of rows, `[stretch][octet]`.
fn collect(
    exec: Exec,
    cube: Cube<'_>,
    rows: &[i64],
    octets: &[Octet],
    limits: &[[[f64; LANES]; 2]],
) -> Vec<Vec<Tails>> {
    const ROWS: usize = 64;
    let mut out = vec![vec![Tails::default(); octets.len()]; rows.len().div_ceil(ROWS)];
    let shared = SharedOut::new(&mut out);
    exec.for_each(rows.len().div_ceil(ROWS), |stretch| {
        let rows = &rows[stretch * ROWS..((stretch + 1) * ROWS).min(rows.len())];
        // SAFETY: one stretch per task.
        let tails = &mut unsafe { shared.slice(stretch, 1) }[0];
        simd::run(exec.level(), Collect { cube, rows, octets, limits, tails });
    });
    out
}

struct Collect<'a> {
    cube: Cube<'a>,
    rows: &'a [i64],
    octets: &'a [Octet],
    limits: &'a [[[f64; LANES]; 2]],
    tails: &'a mut [Tails],
}

impl Kernel for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        /// Assets whose octets are looked at one after the other.
        const ASSETS: usize = 16;
        let Collect { cube, rows, octets, limits, tails } = self;
        for &time in rows {
            for first in (0..cube.shape[1]).step_by(ASSETS) {
                let assets = first..(first + ASSETS).min(cube.shape[1]);
                for ((octet, limits), tails) in octets.iter().zip(limits).zip(&mut *tails) {
                    let [low, high] = limits.map(S::from_array);
                    let mut count = S::from_array(tails.count);
                    let mut far = [0; ASSETS];
                    for (asset, far) in assets.clone().zip(&mut far) {
                        cube.prefetch(time as usize, asset + 2 * ASSETS, octet);
                        let x = cube.load::<S>(time as usize, asset, octet);
                        count = S::add(count, S::keep(S::valid(x), S::splat(1.0)));
                        *far = S::bits(S::or(S::le(x, low), S::le(high, x)));
                    }
                    tails.count = S::to_array(count);
                    for (asset, _) in assets.clone().zip(far).filter(|(_, far)| *far > 0) {
                        let x = cube.load::<S>(time as usize, asset, octet);
                        let (below, above) = (S::bits(S::le(x, low)), S::bits(S::le(high, x)));
                        let x = S::to_array(S::add(x, S::splat(0.0))); // one zero only
                        tails.push(0, x, below);
                        tails.push(1, x.map(|x| -x), above);
                    }
                }
            }
        }
    }
}

/// Both quantiles of one lane, if its tails are deep enough.
fn select(parts: &[&Tails], lane: usize, quantiles: [f64; 2]) -> Option<[f64; 2]> {
    let count: f64 = parts.iter().map(|part| part.count[lane]).sum();
    if count == 0.0 {
        return Some([f64::NAN; 2]);
    }
    let mut out = [f64::NAN; 2];
    for (side, q) in quantiles.into_iter().enumerate() {
        let ends = Ends::new(count as usize, q, side == 1);
        let mut values: Vec<f64> =
            parts.iter().flat_map(|part| &part.values[side][lane]).copied().collect();
        if values.len() <= ends.far {
            return None;
        }
        let (front, far, _) = values.select_nth_unstable_by(ends.far, f64::total_cmp);
        let far = *far;
        let near =
            if ends.paired { front.iter().copied().fold(f64::NEG_INFINITY, f64::max) } else { far };
        out[side] = ends.value(near, far);
    }
    Some(out)
}
