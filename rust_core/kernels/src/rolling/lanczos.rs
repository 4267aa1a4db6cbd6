//! Largest eigenvalue of a symmetric positive semidefinite operator.
//!
//! Lanczos with full reorthogonalisation (Paige 1972; Golub and Van Loan,
//! Matrix Computations, 10.1). The start vector is fixed, so the result is a
//! function of the operator alone.

use crate::simd::Simd;

use super::tiles::Line;

/// A symmetric operator on vectors of lines; it is applied at least once, so a
/// null space (padding lanes) does no harm.
pub trait Operator {
    /// Lines of a vector.
    fn width(&self) -> usize;
    /// `out = A v`.
    fn apply<S: Simd>(&self, v: &[Line], out: &mut [Line]);
}

/// Steps before the iteration starts again from its best vector.
const RESTART: usize = 48;
/// Starts after which the value is taken as it is; real spectra need one.
const MOST_STARTS: usize = 64;
/// Residual relative to the eigenvalue; the error of the eigenvalue is its square, which is
/// rounding, over the gap relative to the eigenvalue.
const RESIDUAL: f64 = 1.5e-8;

/// Room for the vectors of one iteration after the other.
#[derive(Default)]
pub struct Krylov {
    basis: Vec<Line>,
    width: usize,
}

impl Krylov {
    /// The largest eigenvalue.
    #[inline(always)]
    pub fn largest<S: Simd, O: Operator>(&mut self, operator: &O) -> f64 {
        self.width = operator.width();
        self.basis.resize((RESTART + 1) * self.width, Line::splat(0.0));
        start::<S>(&mut self.basis[..self.width]);
        let mut value = 0.0;
        for _ in 0..MOST_STARTS {
            let run = self.iterate::<S, O>(operator);
            value = run.value;
            if run.converged {
                break;
            }
            self.restart::<S>(&run.weights);
        }
        value
    }

    /// At most [`RESTART`] steps from the first vector.
    #[inline(always)]
    fn iterate<S: Simd, O: Operator>(&mut self, operator: &O) -> Run {
        let width = self.width;
        let mut matrix = Tridiagonal { diagonal: [0.0; RESTART], beside: [0.0; RESTART], n: 0 };
        loop {
            let n = matrix.n + 1;
            let (known, next) = self.basis.split_at_mut(n * width);
            let next = &mut next[..width];
            let last = &known[(n - 1) * width..];
            operator.apply::<S>(last, next);
            matrix.diagonal[n - 1] = dot::<S>(last, next);
            matrix.n = n;
            for v in known.chunks_exact(width).rev() {
                let share = S::splat(dot::<S>(v, next));
                for (a, b) in next.iter_mut().zip(v) {
                    a.store::<S>(S::fnma(share, b.load::<S>(), a.load::<S>()));
                }
            }
            let norm = dot::<S>(next, next).sqrt();
            // Looking costs about as much as a step, so every other step is looked at.
            let exhausted = norm <= f64::EPSILON * matrix.diagonal[0];
            if exhausted || n.is_multiple_of(2) {
                let value = matrix.largest();
                let weights = matrix.vector(value);
                let converged = exhausted || norm * weights[n - 1].abs() <= RESIDUAL * value;
                if converged || n == RESTART {
                    return Run { value, weights, converged };
                }
            }
            matrix.beside[n - 1] = norm;
            scale::<S>(next, 1.0 / norm);
        }
    }

    /// Make the best vector of the last iteration the first of the next.
    #[inline(always)]
    fn restart<S: Simd>(&mut self, weights: &[f64; RESTART]) {
        let mut best = vec![Line::splat(0.0); self.width];
        for (v, &weight) in self.basis.chunks_exact(self.width).zip(weights) {
            for (a, b) in best.iter_mut().zip(v) {
                a.store::<S>(S::fma(S::splat(weight), b.load::<S>(), a.load::<S>()));
            }
        }
        normalise::<S>(&mut best);
        self.basis[..self.width].copy_from_slice(&best);
    }
}

struct Run {
    value: f64,
    weights: [f64; RESTART],
    converged: bool,
}

/// Unequal positive entries: no eigenvector of real data is orthogonal to them.
#[inline(always)]
fn start<S: Simd>(v: &mut [Line]) {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    for (i, entry) in v.iter_mut().flat_map(|line| &mut line.0).enumerate() {
        *entry = 0.5 + (GOLDEN * (i + 1) as f64).fract();
    }
    normalise::<S>(v);
}

/// A symmetric tridiagonal matrix of `n` rows.
struct Tridiagonal {
    diagonal: [f64; RESTART],
    beside: [f64; RESTART],
    n: usize,
}

impl Tridiagonal {
    /// Its largest eigenvalue, by Laguerre's method from above: monotone, of third order.
    fn largest(&self) -> f64 {
        const MOST_STEPS: usize = 100;
        let around = |i: usize| {
            let left = if i > 0 { self.beside[i - 1] } else { 0.0 };
            self.diagonal[i] + left + if i + 1 < self.n { self.beside[i] } else { 0.0 }
        };
        let n = self.n as f64;
        let mut x = (0..self.n).map(around).fold(0.0, f64::max);
        for _ in 0..MOST_STEPS {
            let Some((first, second)) = self.sums(x) else { break };
            if first <= 0.0 {
                break; // rounding has carried it past the eigenvalue
            }
            let spread = ((n - 1.0) * (n * second - first * first)).max(0.0).sqrt();
            let step = n / (first + spread);
            x -= step;
            if step.abs() <= 2.0 * f64::EPSILON * x {
                break;
            }
        }
        x
    }

    /// `sum 1 / (x - e)` and `sum 1 / (x - e)^2` over the eigenvalues `e`, from the pivots of
    /// the matrix less `x` and their derivatives; `None` where a pivot is 0.
    fn sums(&self, x: f64) -> Option<(f64, f64)> {
        let (mut first, mut second) = (0.0, 0.0);
        let (mut inverse, mut slope, mut bend) = (0.0, 0.0, 0.0);
        for i in 0..self.n {
            let b = if i > 0 { self.beside[i - 1] * inverse } else { 0.0 };
            let pivot = self.diagonal[i] - x - b * self.beside[i.max(1) - 1];
            (bend, slope) = (b * b * (bend - 2.0 * slope * slope * inverse), b * b * slope - 1.0);
            if pivot == 0.0 {
                return None;
            }
            inverse = 1.0 / pivot;
            let ratio = slope * inverse;
            first += ratio;
            second += ratio * ratio - bend * inverse;
        }
        Some((first, second))
    }

    /// Unit eigenvector of `value`, from its last entry up: that is where it is small.
    fn vector(&self, value: f64) -> [f64; RESTART] {
        let mut v = [0.0; RESTART];
        v[self.n - 1] = 1.0;
        for i in (0..self.n - 1).rev() {
            let mut above = (value - self.diagonal[i + 1]) * v[i + 1];
            if i + 2 < self.n {
                above -= self.beside[i + 1] * v[i + 2];
            }
            v[i] = above / self.beside[i];
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.map(|x| x / norm)
    }
}

#[inline(always)]
fn dot<S: Simd>(a: &[Line], b: &[Line]) -> f64 {
    let mut sum = S::splat(0.0);
    for (x, y) in a.iter().zip(b) {
        sum = S::fma(x.load::<S>(), y.load::<S>(), sum);
    }
    S::sum(sum)
}

/// Multiply every entry.
#[inline(always)]
pub fn scale<S: Simd>(v: &mut [Line], by: f64) {
    for x in v {
        x.store::<S>(S::mul(x.load::<S>(), S::splat(by)));
    }
}

#[inline(always)]
fn normalise<S: Simd>(v: &mut [Line]) {
    let norm = dot::<S>(v, v).sqrt();
    scale::<S>(v, 1.0 / norm);
}
