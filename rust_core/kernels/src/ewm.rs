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
}

/// Weights of eight columns.
///
/// Over complete rows they converge after a while, and with them whatever
/// follows from them: divisions are made only while a weight still changes.
#[derive(Clone, Copy)]
struct Weights<F> {
    /// Weight of all values so far, before the present row.
    past: F,
    /// Share of a new value in the result.
    share: F,
    /// Weight of all values so far.
    all: F,
    count: F,
}

impl<F: Copy> Weights<F> {
    #[inline(always)]
    fn start<S: Simd<F = F>>() -> Self {
        let (zero, none) = (S::splat(0.0), S::splat(f64::NAN));
        Weights { past: none, share: zero, all: zero, count: zero }
    }

    /// Take a row that has a value where `ok`; returns where the result is defined.
    #[inline(always)]
    fn step<S: Simd<F = F>>(&mut self, decay: &Decay, ok: S::M) -> S::M {
        let (one, fresh) = (S::splat(1.0), S::splat(decay.fresh()));
        let past = S::mul(self.all, S::splat(1.0 - decay.alpha));
        if changes::<S>(past, self.past) {
            self.share = S::div(fresh, S::add(past, fresh));
        }
        self.past = past;
        self.all = S::select(ok, if decay.adjust { S::add(past, one) } else { one }, past);
        self.count = S::add(self.count, S::keep(ok, one));
        S::le(S::splat(decay.min_periods.max(1) as f64), self.count)
    }
}

/// Does any lane differ?
#[inline(always)]
fn changes<S: Simd>(a: S::F, b: S::F) -> bool {
    !S::all(S::eq(a, b))
}

#[derive(Clone, Copy)]
struct Mean(Decay);

impl Recursion for Mean {
    type Clock<S: Simd> = Weights<S::F>;
    type State<S: Simd> = S::F;
    #[inline(always)]
    fn start<S: Simd>(self) -> (Weights<S::F>, S::F) {
        (Weights::start::<S>(), S::splat(0.0))
    }
    #[inline(always)]
    fn tick<S: Simd>(self, weights: &mut Weights<S::F>, ok: S::M) -> S::M {
        weights.step::<S>(&self.0, ok)
    }
    #[inline(always)]
    fn step<S: Simd>(self, weights: &Weights<S::F>, mean: &mut S::F, ok: S::M, v: S::F) -> S::F {
        *mean = S::select(ok, S::fma(weights.share, S::sub(v, *mean), *mean), *mean);
        *mean
    }
}

#[derive(Clone, Copy)]
struct Deviation {
    decay: Decay,
    bias: bool,
}

#[derive(Clone, Copy)]
struct DeviationClock<F> {
    weights: Weights<F>,
    /// Sum of the squared weights, in the unit of the squared weight.
    squares: F,
    /// What makes the variance unbiased; NaN while there is one value.
    correction: F,
}

#[derive(Clone, Copy)]
struct DeviationState<F> {
    mean: F,
    /// What the mean lacks by rounding: it may be far larger than the deviation.
    rest: F,
    variance: F,
}

impl Recursion for Deviation {
    type Clock<S: Simd> = DeviationClock<S::F>;
    type State<S: Simd> = DeviationState<S::F>;
    #[inline(always)]
    fn start<S: Simd>(self) -> (DeviationClock<S::F>, DeviationState<S::F>) {
        let (zero, none) = (S::splat(0.0), S::splat(f64::NAN));
        let weights = Weights::start::<S>();
        let clock = DeviationClock { weights, squares: zero, correction: none };
        (clock, DeviationState { mean: zero, rest: zero, variance: zero })
    }
    #[inline(always)]
    fn tick<S: Simd>(self, clock: &mut DeviationClock<S::F>, ok: S::M) -> S::M {
        let before = clock.weights.all;
        let defined = clock.weights.step::<S>(&self.decay, ok);
        if self.bias {
            clock.correction = S::splat(1.0);
            return defined;
        }
        let squares = self.squares::<S>(clock, ok);
        if changes::<S>(squares, clock.squares) || changes::<S>(clock.weights.all, before) {
            clock.correction = correction::<S>(&clock.weights, squares);
        }
        clock.squares = squares;
        defined
    }
    #[inline(always)]
    fn step<S: Simd>(
        self,
        clock: &DeviationClock<S::F>,
        state: &mut DeviationState<S::F>,
        ok: S::M,
        v: S::F,
    ) -> S::F {
        let share = clock.weights.share;
        let d = S::sub(S::sub(v, state.mean), state.rest);
        let grown = S::fma(share, S::mul(d, d), state.variance);
        let variance = S::mul(S::sub(S::splat(1.0), share), grown);
        state.variance = S::select(ok, variance, state.variance);
        let (mean, rest) = two_sum::<S>(state.mean, S::fma(share, d, state.rest));
        state.mean = S::select(ok, mean, state.mean);
        state.rest = S::select(ok, rest, state.rest);
        S::sqrt(S::mul(clock.correction, state.variance))
    }
}

impl Deviation {
    /// Sum of the squared weights after the present row.
    #[inline(always)]
    fn squares<S: Simd>(&self, clock: &DeviationClock<S::F>, ok: S::M) -> S::F {
        let keep = 1.0 - self.decay.alpha;
        let decayed = S::mul(clock.squares, S::splat(keep * keep));
        let fresh = S::splat(self.decay.fresh());
        let mut squares = S::fma(fresh, fresh, decayed);
        if !self.decay.adjust {
            let all = S::add(clock.weights.past, fresh);
            squares = S::div(squares, S::mul(all, all));
        }
        S::select(ok, squares, decayed)
    }
}

/// `a + b` rounded, and what the rounding has taken (Knuth).
#[inline(always)]
fn two_sum<S: Simd>(a: S::F, b: S::F) -> (S::F, S::F) {
    let sum = S::add(a, b);
    let part = S::sub(sum, a);
    (sum, S::add(S::sub(a, S::sub(sum, part)), S::sub(b, part)))
}

/// `W^2 / (W^2 - sum w^2)`; NaN with one value, whose weights cancel only up to rounding.
#[inline(always)]
fn correction<S: Simd>(weights: &Weights<S::F>, squares: S::F) -> S::F {
    let total = S::mul(weights.all, weights.all);
    let rest = S::sub(total, squares);
    let several = S::le(S::splat(2.0), weights.count);
    let defined = S::and(several, S::lt(S::splat(0.0), rest));
    S::select(defined, S::div(total, rest), S::splat(f64::NAN))
}

#[cfg(test)]
mod tests;
