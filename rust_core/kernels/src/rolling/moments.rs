//! Sums of powers about the anchor, and what follows from them.

use crate::simd::Simd;

use super::sliding::Accumulator;

/// Plain sum.
#[derive(Clone, Copy)]
pub struct Sum;

impl Accumulator for Sum {
    const ANCHORED: bool = false;
    type State<S: Simd> = S::F;
    type Factors<S: Simd> = ();
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
    fn factors<S: Simd>(self, _n: S::F) {}
    #[inline(always)]
    fn finish<S: Simd>(self, _factors: (), state: S::F, _anchor: S::F) -> S::F {
        state
    }
}

/// A statistic of `sum d^k`, `k = 1 ..= K`, with `d = x - anchor`.
pub trait Moment<const K: usize>: Copy + Sync {
    /// What follows from the count alone.
    type Factors<S: Simd>: Copy;
    /// Of `n` values; NaN where they are too few.
    fn factors<S: Simd>(self, n: S::F) -> Self::Factors<S>;
    /// The result of one value or more.
    fn of<S: Simd>(self, factors: Self::Factors<S>, sums: [S::F; K], anchor: S::F) -> S::F;
}

/// Keeps the first `K` power sums for a [`Moment`].
#[derive(Clone, Copy)]
pub struct Powers<const K: usize, M>(pub M);

impl<const K: usize, M: Moment<K>> Accumulator for Powers<K, M> {
    const ANCHORED: bool = true;
    type State<S: Simd> = [S::F; K];
    type Factors<S: Simd> = M::Factors<S>;
    #[inline(always)]
    fn empty<S: Simd>(self) -> [S::F; K] {
        [S::splat(0.0); K]
    }
    #[inline(always)]
    fn push<S: Simd>(self, state: [S::F; K], ok: S::M, v: S::F) -> [S::F; K] {
        let d = S::keep(ok, v);
        let (mut sums, mut power) = (state, d);
        for (k, sum) in sums.iter_mut().enumerate() {
            if k > 0 {
                power = S::mul(power, d);
            }
            *sum = S::add(*sum, power);
        }
        sums
    }
    #[inline(always)]
    fn merge<S: Simd>(self, a: [S::F; K], b: [S::F; K]) -> [S::F; K] {
        let mut sums = a;
        for (sum, part) in sums.iter_mut().zip(b) {
            *sum = S::add(*sum, part);
        }
        sums
    }
    #[inline(always)]
    fn factors<S: Simd>(self, n: S::F) -> M::Factors<S> {
        self.0.factors::<S>(n)
    }
    #[inline(always)]
    fn finish<S: Simd>(self, factors: M::Factors<S>, sums: [S::F; K], anchor: S::F) -> S::F {
        self.0.of::<S>(factors, sums, anchor)
    }
}

/// Arithmetic mean.
#[derive(Clone, Copy)]
pub struct Mean;

impl Moment<1> for Mean {
    /// `n` and `1 / n`.
    type Factors<S: Simd> = [S::F; 2];
    #[inline(always)]
    fn factors<S: Simd>(self, n: S::F) -> [S::F; 2] {
        [n, S::div(S::splat(1.0), n)]
    }
    #[inline(always)]
    fn of<S: Simd>(self, [n, per]: [S::F; 2], [s1]: [S::F; 1], anchor: S::F) -> S::F {
        // The quotient, rounded once, off the divider (Markstein 1990, theorem 8.1).
        let quotient = S::mul(s1, per);
        let rest = S::fnma(quotient, n, s1);
        S::add(anchor, S::fma(rest, per, quotient))
    }
}

/// `sum (x - mean)^2`; exactly 0 for a constant window, NaN where a sum is.
#[inline(always)]
fn second<S: Simd>(mean: S::F, s1: S::F, s2: S::F) -> S::F {
    S::max(S::splat(0.0), S::fnma(mean, s1, s2))
}

/// `value` where `enough`, else NaN.
#[inline(always)]
fn given<S: Simd>(enough: S::M, value: S::F) -> S::F {
    S::select(enough, value, S::splat(f64::NAN))
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
    /// `1 / n` and `1 / (n - ddof)`.
    type Factors<S: Simd> = [S::F; 2];
    #[inline(always)]
    fn factors<S: Simd>(self, n: S::F) -> [S::F; 2] {
        let (one, free) = (S::splat(1.0), S::sub(n, S::splat(self.ddof)));
        [S::div(one, n), given::<S>(S::lt(S::splat(0.0), free), S::div(one, free))]
    }
    #[inline(always)]
    fn of<S: Simd>(self, [per, free]: [S::F; 2], [s1, s2]: [S::F; 2], _anchor: S::F) -> S::F {
        let variance = S::mul(second::<S>(S::mul(s1, per), s1, s2), free);
        if self.root { S::sqrt(variance) } else { variance }
    }
}

/// `1 / sqrt(sum (x - mean)^2)`; NaN for a constant window.
#[derive(Clone, Copy)]
pub struct InverseNorm;

impl Moment<2> for InverseNorm {
    /// `1 / n`.
    type Factors<S: Simd> = S::F;
    #[inline(always)]
    fn factors<S: Simd>(self, n: S::F) -> S::F {
        S::div(S::splat(1.0), n)
    }
    #[inline(always)]
    fn of<S: Simd>(self, per: S::F, [s1, s2]: [S::F; 2], _anchor: S::F) -> S::F {
        let m2 = second::<S>(S::mul(s1, per), s1, s2);
        let result = S::div(S::splat(1.0), S::sqrt(m2));
        given::<S>(S::lt(S::splat(0.0), m2), result)
    }
}

/// Adjusted Fisher-Pearson skewness: needs three values, NaN for a constant window.
#[derive(Clone, Copy)]
pub struct Skew;

impl Moment<3> for Skew {
    /// `1 / n` and `sqrt(n (n - 1)) / (n - 2)`.
    type Factors<S: Simd> = [S::F; 2];
    #[inline(always)]
    fn factors<S: Simd>(self, n: S::F) -> [S::F; 2] {
        let (one, less) = (S::splat(1.0), S::sub(n, S::splat(1.0)));
        let adjust = S::div(S::sqrt(S::mul(n, less)), S::sub(less, one));
        [S::div(one, n), given::<S>(S::le(S::splat(3.0), n), adjust)]
    }
    #[inline(always)]
    fn of<S: Simd>(self, [per, adjust]: [S::F; 2], sums: [S::F; 3], _anchor: S::F) -> S::F {
        let [s1, s2, s3] = sums;
        let mean = S::mul(s1, per);
        let m2 = S::mul(second::<S>(mean, s1, s2), per);
        // sum (d - mean)^3 = s3 - 3 mean s2 + 2 mean^2 s1
        let m3 = S::fnma(S::mul(S::splat(3.0), mean), s2, s3);
        let m3 = S::mul(S::fma(S::mul(mean, mean), S::add(s1, s1), m3), per);
        S::div(S::mul(adjust, m3), S::mul(m2, S::root(m2)))
    }
}

/// Bias-corrected excess kurtosis: needs four values, NaN for a constant window.
#[derive(Clone, Copy)]
pub struct Kurt;

impl Moment<4> for Kurt {
    /// `1 / n`, and the factors of the fourth moment and of the normal one.
    type Factors<S: Simd> = [S::F; 3];
    #[inline(always)]
    fn factors<S: Simd>(self, n: S::F) -> [S::F; 3] {
        let (one, two, three) = (S::splat(1.0), S::splat(2.0), S::splat(3.0));
        let less = S::sub(n, one);
        let adjust = S::div(less, S::mul(S::sub(n, two), S::sub(n, three)));
        let adjust = given::<S>(S::lt(three, n), adjust);
        let normal = S::mul(adjust, S::mul(three, less));
        [S::div(one, n), S::mul(adjust, S::add(n, one)), normal]
    }
    #[inline(always)]
    fn of<S: Simd>(self, factors: [S::F; 3], sums: [S::F; 4], _anchor: S::F) -> S::F {
        let ([per, adjust, normal], [s1, s2, s3, s4]) = (factors, sums);
        let mean = S::mul(s1, per);
        let square = S::mul(mean, mean);
        let m2 = S::mul(second::<S>(mean, s1, s2), per);
        // sum (d - mean)^4 = s4 - 4 mean s3 + 6 mean^2 s2 - 3 mean^3 s1
        let m4 = S::fnma(S::mul(S::splat(4.0), mean), s3, s4);
        let m4 = S::fma(S::mul(S::splat(6.0), square), s2, m4);
        let m4 = S::fnma(S::mul(S::splat(3.0), S::mul(square, mean)), s1, m4);
        let ratio = S::div(S::mul(m4, per), S::mul(m2, m2));
        S::sub(S::mul(adjust, ratio), normal)
    }
}
