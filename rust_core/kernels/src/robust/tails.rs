//! Pooled quantiles of every feature from the tails of its sorted columns.
//!
//! A sample tells, before anything is sorted, how far the tails reach that hold the quantiles.

use super::pooled::Ends;
use super::{Cube, Octet};
use crate::exec::{Exec, SharedOut};
use crate::simd::LANES;

/// How far either tail of a feature reaches: values at most, and at least, so large.
pub type Reach = [f64; 2];

/// The reach of every feature. `margin` is that of the sample's error, in standard deviations.
pub fn reaches(
    exec: Exec,
    cube: Cube<'_>,
    rows: &[i64],
    features: &[usize],
    quantiles: [f64; 2],
    margin: f64,
) -> Vec<Reach> {
    let mut out = vec![[0.0; 2]; features.len()];
    let shared = SharedOut::new(&mut out);
    let octets = Octet::all(features);
    exec.for_each(octets.len(), |o| {
        // SAFETY: one octet per task.
        let out = unsafe { shared.slice(o * LANES, octets[o].width) };
        for (reach, sample) in out.iter_mut().zip(sample(cube, rows, &octets[o])) {
            *reach = reach_of(&sample, quantiles, margin);
        }
    });
    out
}

/// Observed values of up to 2048 evenly spaced places of every feature.
fn sample(cube: Cube<'_>, rows: &[i64], octet: &Octet) -> [Vec<f64>; LANES] {
    const MOST: usize = 2048;
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

fn reach_of(sample: &[f64], [low, high]: [f64; 2], margin: f64) -> Reach {
    [(low, 1.0), (1.0 - high, -1.0)].map(|(share, sign)| {
        let expected = share * sample.len() as f64;
        let depth = (expected + margin * (expected.sqrt() + 2.0)) as usize;
        if depth >= sample.len() {
            return sign * f64::INFINITY;
        }
        let mut values: Vec<f64> = sample.iter().map(|v| sign * v).collect();
        sign * *values.select_nth_unstable_by(depth, f64::total_cmp).1
    })
}

/// The tails of one column: ascending, and negated from above.
#[derive(Clone, Default)]
pub struct Tails {
    count: usize,
    values: [Vec<f64>; 2],
}

impl Tails {
    /// Those of `count` sorted values of a lane.
    pub fn of(lanes: &[f64], lane: usize, count: usize, [low, high]: Reach) -> Tails {
        let column = || lanes.chunks_exact(LANES).take(count).map(|row| row[lane]);
        let lower = column().take_while(|&v| v <= low).collect();
        let upper = column().rev().take_while(|&v| v >= high).map(|v| -v).collect();
        Tails { count, values: [lower, upper] }
    }

    /// Does winsorising leave the quartiles, and what lies between them, as they are? The bounds
    /// lie within the reach.
    pub fn keep_quartiles(&self, [low, high]: [f64; 2]) -> bool {
        let below = self.values[0].partition_point(|&v| v < low);
        let above = self.values[1].partition_point(|&v| v < -high);
        below.max(above) <= (self.count.saturating_sub(1) as f64 * 0.25) as usize
    }
}

/// Both quantiles of all columns together, NaN without values; `None` if the tails are too short.
pub fn select<'a>(
    columns: impl Iterator<Item = &'a Tails> + Clone,
    quantiles: [f64; 2],
) -> Option<[f64; 2]> {
    let count = columns.clone().map(|tails| tails.count).sum();
    if count == 0 {
        return Some([f64::NAN; 2]);
    }
    let mut out = [f64::NAN; 2];
    for (side, q) in quantiles.into_iter().enumerate() {
        let ends = Ends::new(count, q, side == 1);
        let mut values: Vec<f64> =
            columns.clone().flat_map(|tails| &tails.values[side]).copied().collect();
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
