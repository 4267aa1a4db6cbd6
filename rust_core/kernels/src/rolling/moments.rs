//! Sums of powers about the anchor, and what follows from them.

use crate::simd::Simd;

use super::sliding::Accumulator;

/// Plain sum.
#[derive(Clone, Copy)]
pub struct Sum;

impl Accumulator for Sum {
    const ANCHORED: bool = false;
    type State<S: Simd> = S::F;
    #[inline(always)]
    fn empty<S: Simd>(self) -> S::F {
        S::splat(0.0)
    }
    #[inline(always)]
    fn push<S: Simd>(self, state: S::F, ok: S::M, v: S::F) -> S::F {
        S::add(state, S::keep(ok, v))
    }
    #[inline(always)]
    fn merge<S: Simd>(self, a: S::F, b: S::F) -> S::F {
        S::add(a, b)
    }
    #[inline(always)]
    fn finish<S: Simd>(self, _n: S::F, state: S::F, _anchor: S::F) -> S::F {
        state
    }
}

/// A statistic of `sum d^k`, `k = 1 ..= K`, with `d = x - anchor`.
pub trait Moment<const K: usize>: Copy + Sync {
    /// The result of `n >= 1` values.
    fn of<S: Simd>(self, n: S::F, sums: [S::F; K], anchor: S::F) -> S::F;
}

/// Keeps the first `K` power sums for a [`Moment`].
#[derive(Clone, Copy)]
pub struct Powers<const K: usize, M>(pub M);

impl<const K: usize, M: Moment<K>> Accumulator for Powers<K, M> {
    const ANCHORED: bool = true;
    type State<S: Simd> = [S::F; K];
    #[inline(always)]
    fn empty<S: Simd>(self) -> [S::F; K] {
        [S::splat(0.0); K]
    }
    #[inline(always)]
    fn push<S: Simd>(self, state: [S::F; K], ok: S::M, v: S::F) -> [S::F; K] {
        let d = S::keep(ok, v);
        let mut power = d;
        std::array::from_fn(|k| {
            if k > 0 {
                power = S::mul(power, d);
            }
            S::add(state[k], power)
        })
    }
    #[inline(always)]
    fn merge<S: Simd>(self, a: [S::F; K], b: [S::F; K]) -> [S::F; K] {
        std::array::from_fn(|k| S::add(a[k], b[k]))
    }
    #[inline(always)]
    fn finish<S: Simd>(self, n: S::F, state: [S::F; K], anchor: S::F) -> S::F {
        self.0.of::<S>(n, state, anchor)
    }
}

/// Arithmetic mean.
#[derive(Clone, Copy)]
pub struct Mean;

impl Moment<1> for Mean {
    #[inline(always)]
    fn of<S: Simd>(self, n: S::F, [s1]: [S::F; 1], anchor: S::F) -> S::F {
        S::add(anchor, S::div(s1, n))
    }
}

/// `sum (x - mean)^2`; exactly 0 for a constant window, NaN where a sum is.
#[inline(always)]
fn second<S: Simd>(mean: S::F, s1: S::F, s2: S::F) -> S::F {
    S::max(S::splat(0.0), S::fnma(mean, s1, s2))
}

/// Variance or, with `root`, standard deviation.
#[derive(Clone, Copy)]
pub struct Variance {
    /// Degrees of freedom taken off the count.
    pub ddof: f64,
    /// Take the square root?
    pub root: bool,
}

impl Moment<2> for Variance {
    #[inline(always)]
    fn of<S: Simd>(self, n: S::F, [s1, s2]: [S::F; 2], _anchor: S::F) -> S::F {
        let free = S::sub(n, S::splat(self.ddof));
        let variance = S::div(second::<S>(S::div(s1, n), s1, s2), free);
        let result = if self.root { S::sqrt(variance) } else { variance };
        S::select(S::lt(S::splat(0.0), free), result, S::splat(f64::NAN))
    }
}

/// `1 / sqrt(sum (x - mean)^2)`; NaN for a constant window.
#[derive(Clone, Copy)]
pub struct InverseNorm;

impl Moment<2> for InverseNorm {
    #[inline(always)]
    fn of<S: Simd>(self, n: S::F, [s1, s2]: [S::F; 2], _anchor: S::F) -> S::F {
        let m2 = second::<S>(S::div(s1, n), s1, s2);
        let result = S::div(S::splat(1.0), S::sqrt(m2));
        S::select(S::lt(S::splat(0.0), m2), result, S::splat(f64::NAN))
    }
}

/// Adjusted Fisher-Pearson skewness: needs three values, NaN for a constant window.
#[derive(Clone, Copy)]
pub struct Skew;

impl Moment<3> for Skew {
    #[inline(always)]
    fn of<S: Simd>(self, n: S::F, [s1, s2, s3]: [S::F; 3], _anchor: S::F) -> S::F {
        let (one, three) = (S::splat(1.0), S::splat(3.0));
        let mean = S::div(s1, n);
        let m2 = S::div(second::<S>(mean, s1, s2), n);
        // sum (d - mean)^3 = s3 - 3 mean s2 + 2 mean^2 s1
        let m3 = S::fnma(S::mul(three, mean), s2, s3);
        let m3 = S::div(S::fma(S::mul(mean, mean), S::add(s1, s1), m3), n);
        let biased = S::div(m3, S::mul(m2, S::sqrt(m2)));
        let less = S::sub(n, one);
        let adjust = S::div(S::sqrt(S::mul(n, less)), S::sub(less, one));
        S::select(S::le(three, n), S::mul(adjust, biased), S::splat(f64::NAN))
    }
}

/// Bias-corrected excess kurtosis: needs four values, NaN for a constant window.
#[derive(Clone, Copy)]
pub struct Kurt;

impl Moment<4> for Kurt {
    #[inline(always)]
    fn of<S: Simd>(self, n: S::F, [s1, s2, s3, s4]: [S::F; 4], _anchor: S::F) -> S::F {
        let (one, two, three) = (S::splat(1.0), S::splat(2.0), S::splat(3.0));
        let mean = S::div(s1, n);
        let square = S::mul(mean, mean);
        let m2 = S::div(second::<S>(mean, s1, s2), n);
        // sum (d - mean)^4 = s4 - 4 mean s3 + 6 mean^2 s2 - 3 mean^3 s1
        let m4 = S::fnma(S::mul(S::splat(4.0), mean), s3, s4);
        let m4 = S::fma(S::mul(S::splat(6.0), square), s2, m4);
        let m4 = S::div(S::fnma(S::mul(three, S::mul(square, mean)), s1, m4), n);
        let ratio = S::div(m4, S::mul(m2, m2));
        let less = S::sub(n, one);
        let excess = S::sub(S::mul(S::add(n, one), ratio), S::mul(three, less));
        let adjust = S::div(less, S::mul(S::sub(n, two), S::sub(n, three)));
        S::select(S::lt(three, n), S::mul(adjust, excess), S::splat(f64::NAN))
    }
}
