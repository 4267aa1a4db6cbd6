//! Exponentially weighted mean and standard deviation, as pandas defines them.
//!
//! Weights decay by position, also over missing rows (`ignore_na=False`); a
//! missing row repeats the last result. An infinity counts as missing: it
//! would never leave the memory.

use crate::Exec;
use crate::rolling::scan::{Recursion, scan};
use crate::rolling::source::Table;
use crate::simd::Simd;

/// Weighting of past values.
#[derive(Clone, Copy, Debug)]
pub struct Decay {
    /// Weight of a new value, in `(0, 1]`.
    pub alpha: f64,
    /// Divide by the sum of the weights (finite history) instead of recursing from the first value.
    pub adjust: bool,
    /// Values that a result needs.
    pub min_periods: usize,
}

/// Weighted mean up to and including every row.
pub fn ewm_mean(exec: Exec, x: Table, decay: Decay, out: &mut [f64]) {
    scan(exec, Mean(decay), x, out);
}

/// Weighted standard deviation, unbiased unless `bias`.
pub fn ewm_std(exec: Exec, x: Table, decay: Decay, bias: bool, out: &mut [f64]) {
    scan(exec, Deviation { decay, bias }, x, out);
}

impl Decay {
    /// Weight of a new value before normalisation.
    #[inline(always)]
    fn fresh(&self) -> f64 {
        if self.adjust { 1.0 } else { self.alpha }
    }

    /// From the weight before a row: the weight of the past at that row and the share of the new value.
    #[inline(always)]
    fn weigh<S: Simd>(&self, weight: S::F) -> (S::F, S::F) {
        let past = S::mul(weight, S::splat(1.0 - self.alpha));
        let fresh = S::splat(self.fresh());
        (past, S::div(fresh, S::add(past, fresh)))
    }

    /// The weight after a row.
    #[inline(always)]
    fn after<S: Simd>(&self, ok: S::M, past: S::F) -> S::F {
        let one = S::splat(1.0);
        S::select(ok, if self.adjust { S::add(past, one) } else { one }, past)
    }

    #[inline(always)]
    fn enough<S: Simd>(&self, count: S::F) -> S::M {
        S::le(S::splat(self.min_periods.max(1) as f64), count)
    }
}

#[inline(always)]
fn finite<S: Simd>(v: S::F) -> S::M {
    S::lt(S::abs(v), S::splat(f64::INFINITY))
}

#[derive(Clone, Copy)]
struct Mean(Decay);

#[derive(Clone, Copy)]
struct MeanState<F> {
    mean: F,
    weight: F,
    count: F,
}

impl Recursion for Mean {
    type State<S: Simd> = MeanState<S::F>;
    #[inline(always)]
    fn start<S: Simd>(self) -> MeanState<S::F> {
        let zero = S::splat(0.0);
        MeanState { mean: zero, weight: zero, count: zero }
    }
    #[inline(always)]
    fn step<S: Simd>(self, state: &mut MeanState<S::F>, v: S::F) -> S::F {
        let ok = finite::<S>(v);
        let (past, share) = self.0.weigh::<S>(state.weight);
        let step = S::fma(share, S::sub(v, state.mean), state.mean);
        state.mean = S::select(ok, step, state.mean);
        state.weight = self.0.after::<S>(ok, past);
        state.count = S::add(state.count, S::keep(ok, S::splat(1.0)));
        S::select(self.0.enough::<S>(state.count), state.mean, S::splat(f64::NAN))
    }
}

#[derive(Clone, Copy)]
struct Deviation {
    decay: Decay,
    bias: bool,
}

#[derive(Clone, Copy)]
struct DeviationState<F> {
    mean: F,
    variance: F,
    weight: F,
    /// Sum of the squared weights, in the unit of `weight` squared.
    squares: F,
    count: F,
}

impl Recursion for Deviation {
    type State<S: Simd> = DeviationState<S::F>;
    #[inline(always)]
    fn start<S: Simd>(self) -> DeviationState<S::F> {
        let zero = S::splat(0.0);
        DeviationState { mean: zero, variance: zero, weight: zero, squares: zero, count: zero }
    }
    #[inline(always)]
    fn step<S: Simd>(self, state: &mut DeviationState<S::F>, v: S::F) -> S::F {
        let (one, fresh) = (S::splat(1.0), self.decay.fresh());
        let keep = 1.0 - self.decay.alpha;
        let ok = finite::<S>(v);
        let (past, share) = self.decay.weigh::<S>(state.weight);

        let d = S::sub(v, state.mean);
        let grown = S::fma(share, S::mul(d, d), state.variance);
        let variance = S::mul(S::sub(one, share), grown);
        state.variance = S::select(ok, variance, state.variance);
        state.mean = S::select(ok, S::fma(share, d, state.mean), state.mean);

        let decayed = S::mul(state.squares, S::splat(keep * keep));
        let mut squares = S::add(decayed, S::splat(fresh * fresh));
        if !self.decay.adjust {
            let all = S::add(past, S::splat(fresh));
            squares = S::div(squares, S::mul(all, all));
        }
        state.squares = S::select(ok, squares, decayed);
        state.weight = self.decay.after::<S>(ok, past);
        state.count = S::add(state.count, S::keep(ok, one));

        let mut variance = state.variance;
        if !self.bias {
            let total = S::mul(state.weight, state.weight);
            let rest = S::sub(total, state.squares);
            let unbiased = S::mul(S::div(total, rest), variance);
            // One value has no deviation; its weights cancel only up to rounding.
            let two = S::le(S::splat(2.0), state.count);
            let defined = S::and(two, S::lt(S::splat(0.0), rest));
            variance = S::select(defined, unbiased, S::splat(f64::NAN));
        }
        S::select(self.decay.enough::<S>(state.count), S::sqrt(variance), S::splat(f64::NAN))
    }
}
