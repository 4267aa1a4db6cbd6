//! Smallest and largest value.

use crate::simd::Simd;

use super::sliding::Accumulator;

/// Smallest value.
#[derive(Clone, Copy)]
pub struct Min;

impl Accumulator for Min {
    const ANCHORED: bool = false;
    type State<S: Simd> = S::F;
    type Factors<S: Simd> = ();
    #[inline(always)]
    fn empty<S: Simd>(self) -> S::F {
        S::splat(f64::INFINITY)
    }
    #[inline(always)]
    fn push<S: Simd>(self, state: S::F, _ok: S::M, v: S::F) -> S::F {
        S::min(v, state) // the second where the first is NaN
    }
    #[inline(always)]
    fn merge<S: Simd>(self, a: S::F, b: S::F) -> S::F {
        S::min(a, b)
    }
    #[inline(always)]
    fn factors<S: Simd>(self, _n: S::F) {}
    #[inline(always)]
    fn finish<S: Simd>(self, _factors: (), state: S::F, _anchor: S::F) -> S::F {
        state
    }
}

/// Largest value.
#[derive(Clone, Copy)]
pub struct Max;

impl Accumulator for Max {
    const ANCHORED: bool = false;
    type State<S: Simd> = S::F;
    type Factors<S: Simd> = ();
    #[inline(always)]
    fn empty<S: Simd>(self) -> S::F {
        S::splat(f64::NEG_INFINITY)
    }
    #[inline(always)]
    fn push<S: Simd>(self, state: S::F, _ok: S::M, v: S::F) -> S::F {
        S::max(v, state) // the second where the first is NaN
    }
    #[inline(always)]
    fn merge<S: Simd>(self, a: S::F, b: S::F) -> S::F {
        S::max(a, b)
    }
    #[inline(always)]
    fn factors<S: Simd>(self, _n: S::F) {}
    #[inline(always)]
    fn finish<S: Simd>(self, _factors: (), state: S::F, _anchor: S::F) -> S::F {
        state
    }
}
