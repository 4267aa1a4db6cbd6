//! Order statistics of eight columns at once.
//!
//! A buffer holds rows of eight lanes; every lane is one column, sorted by [`network`] and
//! searched independently of its neighbours.

use crate::network;
pub use crate::network::BLOCK;
use crate::simd::{LANES, Simd};

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Row(#[expect(dead_code, reason = "read as one slice of all rows")] [f64; LANES]);

/// Rows of eight lanes, one cache line each; a multiple of [`BLOCK`] of them.
pub struct Lanes(Vec<Row>);

impl Lanes {
    /// Room for `rows` rows; all of it holds `+inf`, which is where padding has to stay.
    pub fn new(rows: usize) -> Lanes {
        Lanes(vec![Row([f64::INFINITY; LANES]); rows.next_multiple_of(BLOCK)])
    }

    /// Rows, padding included.
    pub fn rows(&self) -> usize {
        self.0.len()
    }

    /// The values, row after row.
    pub fn values(&self) -> &[f64] {
        // SAFETY: a row is exactly eight values, without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }

    /// The values, row after row.
    pub fn values_mut(&mut self) -> &mut [f64] {
        // SAFETY: a row is exactly eight values, without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}

/// Sort every lane of `rows` ascending.
///
/// Rows beyond the data hold `+inf`. No value may be NaN: a lane with a NaN
/// comes out meaningless, its neighbours are unharmed. Put `+inf` in the place
/// of a missing value and keep the count.
///
/// # Panics
/// The number of rows is not a multiple of [`BLOCK`].
#[inline(always)]
pub fn sort<S: Simd>(rows: &mut [f64]) {
    network::sort::<S::Register>(rows);
}

/// Lanes in ascending order. Mark implementations `#[inline(always)]`.
pub trait Sorted<S: Simd>: Copy {
    /// Row `i[l]` of lane `l`; the nearest row where there is none.
    fn pick(self, i: S::I) -> S::F;
}

impl<S: Simd> Sorted<S> for &[f64] {
    #[inline(always)]
    fn pick(self, i: S::I) -> S::F {
        let last = (self.len() / LANES) as i64 - 1;
        assert!(last >= 0, "no rows to pick from");
        let inside = S::min_i(S::max_i(i, S::splat_i(0)), S::splat_i(last));
        // SAFETY: every index lies in `0..rows`.
        unsafe { S::gather_rows(self.as_ptr(), inside) }
    }
}

/// Quantile `q` in `[0, 1]` of the first `count[l]` rows of every sorted lane, by linear
/// interpolation (NumPy's default, to the bit, if all values are finite); NaN where the count is 0.
#[inline(always)]
pub fn quantile_of<S: Simd>(sorted: impl Sorted<S>, count: S::F, q: f64) -> S::F {
    let one = S::splat(1.0);
    let position = S::mul(S::splat(q), S::max(S::sub(count, one), S::splat(0.0)));
    let index = S::to_int(position);
    let above = S::min_i(S::add_i(index, S::splat_i(1)), S::to_int(S::sub(count, one)));
    let (a, b) = (sorted.pick(index), sorted.pick(above));
    let t = S::sub(position, S::to_float(index));
    let gap = S::sub(b, a);
    let from_below = S::add(a, S::mul(gap, t));
    let from_above = S::sub(b, S::mul(gap, S::sub(one, t)));
    let value = S::select(S::lt(t, S::splat(0.5)), from_below, from_above);
    let exact = S::or(S::eq(a, b), S::le(t, S::splat(0.0))); // also next to an infinity
    let value = S::select(exact, a, value);
    S::select(S::lt(count, one), S::splat(f64::NAN), value)
}

/// Median of the first `count[l]` rows of every sorted lane; NaN where the count is 0.
#[inline(always)]
pub fn median_of<S: Simd>(sorted: impl Sorted<S>, count: S::F) -> S::F {
    let n = S::to_int(count);
    let a = sorted.pick(S::half_i(S::max_i(S::sub_i(n, S::splat_i(1)), S::splat_i(0))));
    let b = sorted.pick(S::half_i(n));
    let middle = S::mul(S::add(a, b), S::splat(0.5));
    let value = S::select(S::eq(a, b), a, middle);
    S::select(S::lt(count, S::splat(1.0)), S::splat(f64::NAN), value)
}

/// Median of the distances from `median`, that of the first `count[l]` rows of every sorted lane;
/// NaN where the count is 0.
///
/// With `h = n / 2`, the distances left of the median, `L(a) = median - s[h-1-a]`, and right of it,
/// `R(b) = s[h+b] - median`, both rise. The `k` smallest of all are `i` of the left and `k - i` of
/// the right ones; `i` is found by bisection.
#[inline(always)]
pub fn mad_of<S: Simd>(sorted: impl Sorted<S>, count: S::F, median: S::F) -> S::F {
    let (zero, one) = (S::splat_i(0), S::splat_i(1));
    let (infinity, lowest) = (S::splat(f64::INFINITY), S::splat(f64::NEG_INFINITY));
    let n = S::max_i(S::to_int(count), one);
    let last = S::sub_i(n, one);
    let h = S::half_i(n);
    let right = S::sub_i(n, h);
    let k = S::add_i(S::half_i(last), one);
    let side = Sides::<S, _> { sorted, median, h };
    let mut low = S::max_i(zero, S::sub_i(k, right));
    let mut high = S::min_i(k, h);
    loop {
        let open = S::lt_i(low, high);
        if !S::any(open) {
            break;
        }
        let middle = S::half_i(S::add_i(low, high));
        let more = S::lt(side.left(middle), side.right(S::sub_i(S::sub_i(k, middle), one)));
        low = S::select_i(S::and(open, more), S::add_i(middle, one), low);
        high = S::select_i(S::and(open, S::not(more)), middle, high);
    }
    let rest = S::sub_i(k, low);
    let (some_left, some_right) = (S::lt_i(zero, low), S::lt_i(zero, rest));
    let kth = S::max(
        S::select(some_left, side.left(S::sub_i(low, one)), lowest),
        S::select(some_right, side.right(S::sub_i(rest, one)), lowest),
    );
    let next = S::min(
        S::select(S::lt_i(low, h), side.left(low), infinity),
        S::select(S::lt_i(rest, right), side.right(rest), infinity),
    );
    let even = S::lt_i(last, S::add_i(h, h));
    let mean = S::mul(S::splat(0.5), S::add(kth, next));
    let value = S::select(S::and(even, S::not(S::eq(kth, next))), mean, kth);
    S::select(S::lt(count, S::splat(1.0)), S::splat(f64::NAN), value)
}

/// Distances from the median. Lanes that ask for a place outside get a row nearby and do not use
/// the answer.
#[derive(Clone, Copy)]
struct Sides<S: Simd, L> {
    sorted: L,
    median: S::F,
    h: S::I,
}

impl<S: Simd, L: Sorted<S>> Sides<S, L> {
    /// The `a`-th to the left.
    #[inline(always)]
    fn left(self, a: S::I) -> S::F {
        let i = S::sub_i(S::sub_i(self.h, S::splat_i(1)), a);
        S::sub(self.median, self.sorted.pick(i))
    }

    /// The `b`-th to the right.
    #[inline(always)]
    fn right(self, b: S::I) -> S::F {
        S::sub(self.sorted.pick(S::add_i(self.h, b)), self.median)
    }
}

/// [`quantile_of`] plain lanes.
#[inline(always)]
pub fn quantile<S: Simd>(sorted: &[f64], count: S::F, q: f64) -> S::F {
    quantile_of::<S>(sorted, count, q)
}

/// [`median_of`] plain lanes.
#[inline(always)]
pub fn median<S: Simd>(sorted: &[f64], count: S::F) -> S::F {
    median_of::<S>(sorted, count)
}

/// [`mad_of`] plain lanes.
#[inline(always)]
pub fn mad<S: Simd>(sorted: &[f64], count: S::F, median: S::F) -> S::F {
    mad_of::<S>(sorted, count, median)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exec::Level;
    use crate::simd::{Kernel, run};

    struct Statistics<'a> {
        rows: &'a mut [f64],
        count: [f64; LANES],
        q: f64,
    }

    impl Kernel for Statistics<'_> {
        type Output = [[f64; LANES]; 3];
        #[inline(always)]
        fn run<S: Simd>(self) -> Self::Output {
            sort::<S>(self.rows);
            let count = S::from_array(self.count);
            let centre = median::<S>(self.rows, count);
            let spread = mad::<S>(self.rows, count, centre);
            [quantile::<S>(self.rows, count, self.q), centre, spread].map(S::to_array)
        }
    }

    fn levels() -> impl Iterator<Item = Level> {
        Level::ALL.into_iter().filter(|level| *level <= Level::detect())
    }

    /// Deterministic noise; ties when `kinds` is small.
    fn noise(i: usize, kinds: u64) -> f64 {
        let mut z = (i as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % kinds) as f64 - kinds as f64 / 2.0
    }

    fn middle(sorted: &[f64]) -> f64 {
        let n = sorted.len();
        if n == 0 { f64::NAN } else { (sorted[(n - 1) / 2] + sorted[n / 2]) * 0.5 }
    }

    fn same(a: f64, b: f64) -> bool {
        a == b || (a.is_nan() && b.is_nan())
    }

    fn check(columns: &[Vec<f64>; LANES], q: f64) {
        let longest = columns.iter().map(Vec::len).max().expect("eight columns");
        for level in levels() {
            let mut lanes = Lanes::new(longest.max(1));
            let rows = lanes.values_mut();
            for (l, column) in columns.iter().enumerate() {
                column.iter().enumerate().for_each(|(i, &x)| rows[i * LANES + l] = x);
            }
            let count = std::array::from_fn(|l| columns[l].len() as f64);
            let [at_q, centre, spread] = run(level, Statistics { rows, count, q });
            for (l, column) in columns.iter().enumerate() {
                let mut sorted = column.clone();
                sorted.sort_by(f64::total_cmp);
                let n = sorted.len();
                let got: Vec<f64> = (0..n).map(|i| lanes.values()[i * LANES + l]).collect();
                assert_eq!(got, sorted, "{level:?} n {n} lane {l}");
                let m = middle(&sorted);
                assert!(same(centre[l], m), "{level:?} median of {n}: {} not {m}", centre[l]);
                let mut off: Vec<f64> = sorted.iter().map(|x| (x - m).abs()).collect();
                off.sort_by(f64::total_cmp);
                let want = middle(&off);
                assert!(same(spread[l], want), "{level:?} mad of {n}: {} not {want}", spread[l]);
                if n > 0 {
                    let p = q * (n - 1) as f64;
                    let (i, t) = (p as usize, p.fract());
                    let (a, b) = (sorted[i], sorted[(i + 1).min(n - 1)]);
                    let want = if t < 0.5 { a + (b - a) * t } else { b - (b - a) * (1.0 - t) };
                    assert_eq!(at_q[l], want, "{level:?} quantile {q} of {n}");
                } else {
                    assert!(at_q[l].is_nan());
                }
            }
        }
    }

    #[test]
    fn every_length_is_sorted_and_searched() {
        for longest in (1..=100).chain([127, 128, 129, 255, 257, 500, 513, 1000, 1040, 2049]) {
            let columns = std::array::from_fn(|l| {
                let kinds = if l % 2 == 0 { 1 << 40 } else { 5 };
                let n = longest - (l * longest / 11).min(longest);
                (0..n).map(|i| noise(i * 8 + l + longest * 7919, kinds)).collect()
            });
            check(&columns, 0.05);
        }
    }

    #[test]
    fn zeros_and_ones_on_a_ragged_merge() {
        // A network that sorts sequences of zeros and ones sorts everything.
        for ones in 0u32..1 << 12 {
            let pattern = ones.wrapping_mul(0x9E37_79B1);
            let columns = std::array::from_fn(|l| {
                (0..48).map(|i| f64::from(pattern.rotate_left(i * 5 + l as u32) & 1)).collect()
            });
            check(&columns, 0.5);
        }
    }

    #[test]
    fn infinities_are_values() {
        let mut lanes = Lanes::new(10);
        let rows = lanes.values_mut();
        for l in 0..LANES {
            (0..3).for_each(|i| rows[(l + i) * LANES + l] = [5.0, -1.0, 2.0][i]);
        }
        let count = std::array::from_fn(|l| l as f64 + 3.0); // l of them +inf
        let [top, _, _] = run(Level::detect(), Statistics { rows, count, q: 1.0 });
        assert_eq!(top[0], 5.0);
        assert!(top[1..].iter().all(|x| *x == f64::INFINITY));
    }

    proptest! {
        #[test]
        fn any_values_of_any_length(
            columns in prop::array::uniform8(prop::collection::vec(-1e12f64..1e12, 0..200)),
            q in 0.0f64..=1.0,
        ) {
            check(&columns, q);
        }
    }
}
