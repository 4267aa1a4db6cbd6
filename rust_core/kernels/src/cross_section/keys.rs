//! Rows as 32-bit keys that order as their values do, as far as 32 bits can tell.
//!
//! A key is `asinh`-like: about the middle of the row it grows with the value, further out with
//! its logarithm, so that an outlier costs the others a bit or two. Its lowest bits name the
//! column. Where two keys agree in all other bits, their values decide.

use crate::order::{self, Lanes};
use crate::simd::{LANES, Simd};

/// Rows whose keys stand side by side: two in every 64 bits of a vector.
pub const ROWS: usize = 2 * LANES;
/// Columns that get their keys before they are turned.
const CHUNK: usize = 64;
/// What is missing, or lies beyond the row.
const LAST: u64 = i32::MAX as u64;
const ONE: u64 = 1f64.to_bits();

/// How the values of one row become keys.
#[derive(Clone, Copy, Default)]
pub struct Map {
    centre: f64,
    factor: f64,
    shift: u32,
    /// Values of the row.
    pub count: usize,
}

impl Map {
    /// Distance from the centre in units of the spread of the row.
    #[inline(always)]
    fn distance(&self, v: f64) -> f64 {
        (v - self.centre) * self.factor + 0.0 // one zero only
    }

    /// One more than the size of a distance; beyond the cap all are the same.
    #[inline(always)]
    fn size(z: f64) -> f64 {
        const CAP: f64 = (1u64 << 63) as f64;
        let u = z.abs() + 1.0;
        if u < CAP { u } else { CAP }
    }

    /// The lower half holds the key; the upper one is empty.
    #[inline(always)]
    fn key(&self, v: f64, column: u64, bits: u32) -> u64 {
        let z = self.distance(v);
        let size = (Map::size(z).to_bits() - ONE) >> self.shift;
        let sign = (z.to_bits() as i64 >> 63) as u64;
        let key = ((size ^ sign) << bits | column) & u64::from(u32::MAX);
        if v.is_nan() { LAST } else { key }
    }
}

/// Bits that hold a column of so many.
pub fn bits(width: usize) -> u32 {
    width.next_power_of_two().trailing_zeros()
}

/// Find the maps of up to sixteen rows of `width` values.
#[inline(always)]
pub fn maps<S: Simd>(values: &[f64], width: usize, sample: &mut Lanes) -> [Map; ROWS] {
    const DRAWN: usize = order::BLOCK;
    let mut maps = [Map::default(); ROWS];
    let halves = sample.values_mut().chunks_exact_mut(DRAWN * LANES);
    for (half, sample) in halves.enumerate() {
        let rows = || values.chunks_exact(width).skip(half * LANES).take(LANES);
        let mut drawn = [0usize; LANES];
        for (l, row) in rows().enumerate() {
            for i in 0..DRAWN {
                let v = row[i * width / DRAWN];
                drawn[l] += usize::from(!v.is_nan());
                sample[i * LANES + l] = if v.is_nan() { f64::INFINITY } else { v };
            }
        }
        order::sort::<S>(sample);
        for (l, row) in rows().enumerate() {
            let at = |quarter: usize| match drawn[l] {
                0 => 0.0,
                n => sample[(n - 1) * quarter / 4 * LANES + l],
            };
            let (least, most, count) = extent::<S>(row);
            let spreads = [at(3) - at(1), most - least];
            let usable = |s: &f64| *s > 0.0 && s.is_finite();
            let spread = spreads.into_iter().find(usable).unwrap_or(1.0);
            let centre = if at(2).is_finite() { at(2) } else { 0.0 };
            let mut map = Map { centre, factor: spread.recip().min(1e300), shift: 0, count };
            let [a, b] = [least, most].map(|v| Map::size(map.distance(v)).to_bits() - ONE);
            map.shift = shift(a.max(b), 31 - bits(width));
            maps[half * LANES + l] = map;
        }
    }
    maps
}

/// How far to shift so that the largest of some sizes fits in so many bits; not all of them are
/// set, which is left to what is missing.
fn shift(most: u64, room: u32) -> u32 {
    let shift = (64 - most.leading_zeros()).saturating_sub(room);
    shift + u32::from(most >> shift == (1 << room) - 1)
}

/// Smallest and largest value of a row, and how many it has.
#[inline(always)]
fn extent<S: Simd>(row: &[f64]) -> (f64, f64, usize) {
    let (mut least, mut most) = (S::splat(f64::INFINITY), S::splat(f64::NEG_INFINITY));
    let mut count = S::splat(0.0);
    for part in row.chunks(LANES) {
        // SAFETY: so many values are readable.
        let v = unsafe { S::load_n(part.as_ptr(), part.len(), f64::NAN) };
        least = S::min(v, least);
        most = S::max(v, most);
        count = S::add(count, S::keep(S::valid(v), S::splat(1.0)));
    }
    let least = S::to_array(least).into_iter().fold(f64::INFINITY, f64::min);
    let most = S::to_array(most).into_iter().fold(f64::NEG_INFINITY, f64::max);
    (least, most, S::sum(count) as usize)
}

/// Put the keys of up to sixteen rows side by side: row `c` of `keys` holds column `c`, in 64
/// bits each the keys of two neighbouring rows.
#[inline(always)]
pub fn side_by_side<S: Simd>(values: &[f64], width: usize, maps: &[Map; ROWS], keys: &mut [f64]) {
    let bits = bits(width);
    let mut pairs = [[LAST << 32 | LAST; CHUNK]; LANES];
    for (chunk, keys) in keys.chunks_mut(CHUNK * LANES).enumerate() {
        let from = chunk * CHUNK;
        let some = CHUNK.min(width.saturating_sub(from));
        for (p, pair) in pairs.iter_mut().enumerate() {
            let first = 2 * p * width + from;
            let Some(upper) = values.get(first..first + some) else { break };
            // Behind the last of an odd number of rows, it stands once more.
            let lower = values.get(first + width..first + width + some).unwrap_or(upper);
            let [a, b] = [maps[2 * p], maps[2 * p + 1]];
            for (c, (pair, (&x, &y))) in pair.iter_mut().zip(upper.iter().zip(lower)).enumerate() {
                let column = (from + c) as u64;
                *pair = a.key(x, column, bits) | b.key(y, column, bits) << 32;
            }
            pair[some..].fill(LAST << 32 | LAST);
        }
        for (block, keys) in keys.chunks_exact_mut(LANES * LANES).enumerate() {
            // SAFETY: every pair has `CHUNK` places, and eight rows are writable.
            unsafe {
                let mut rows = [S::splat(0.0); LANES];
                for (row, pair) in rows.iter_mut().zip(&pairs) {
                    *row = S::load(pair[block * LANES..].as_ptr().cast());
                }
                for (i, row) in S::transpose(rows).into_iter().enumerate() {
                    S::store(keys.as_mut_ptr().add(i * LANES), row);
                }
            }
        }
    }
}
