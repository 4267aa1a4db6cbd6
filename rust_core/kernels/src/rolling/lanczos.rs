//! Largest eigenvalue of a symmetric positive semidefinite operator.
//!
//! Lanczos with full reorthogonalisation (Paige 1972; Golub and Van Loan,
//! Matrix Computations, 10.1). The start vector is fixed, so the result is a
//! function of the operator alone.

use crate::simd::Simd;

use super::tiles::Line;

/// A symmetric operator on vectors of lines; lanes that pad a vector hold 0 and stay 0.
pub trait Operator {
    /// Entries of a vector.
    fn dim(&self) -> usize;
    /// `out = A v`.
    fn apply<S: Simd>(&self, v: &[Line], out: &mut [Line]);
}

/// Steps before the iteration starts again from its best vector.
const RESTART: usize = 48;
/// Residual relative to the eigenvalue; the error of the eigenvalue is its square over the gap.
const RESIDUAL: f64 = 1e-9;

/// Starts after which the value is taken as it is; real spectra need one.
const MOST_RUNS: usize = 64;

/// The largest eigenvalue.
#[inline(always)]
pub fn largest<S: Simd, O: Operator>(operator: &O) -> f64 {
    let width = operator.dim().div_ceil(crate::simd::LANES);
    let mut basis = vec![Line::splat(0.0); (RESTART + 1) * width];
    start::<S>(operator.dim(), &mut basis[..width]);
    let mut value = 0.0;
    for _ in 0..MOST_RUNS {
        let run = krylov::<S, O>(operator, &mut basis, width);
        value = run.value;
        if run.converged {
            break;
        }
        let best = combine::<S>(&basis, width, &run.weights);
        basis[..width].copy_from_slice(&best);
        normalise::<S>(&mut basis[..width]);
    }
    value
}

/// Unequal positive entries: no eigenvector of real data is orthogonal to them.
#[inline(always)]
fn start<S: Simd>(dim: usize, v: &mut [Line]) {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    for i in 0..dim {
        v[i / 8].0[i % 8] = 0.5 + (GOLDEN * (i + 1) as f64).fract();
    }
    normalise::<S>(v);
}

struct Run {
    value: f64,
    weights: Vec<f64>,
    converged: bool,
}

/// At most [`RESTART`] steps from the first vector of `basis`.
#[inline(always)]
fn krylov<S: Simd, O: Operator>(operator: &O, basis: &mut [Line], width: usize) -> Run {
    let mut tri = Tridiagonal::default();
    for k in 0..RESTART {
        let (known, next) = basis.split_at_mut((k + 1) * width);
        let next = &mut next[..width];
        operator.apply::<S>(&known[k * width..], next);
        tri.diagonal.push(dot::<S>(&known[k * width..], next));
        for v in known.chunks_exact(width).rev() {
            let share = dot::<S>(v, next);
            for (a, b) in next.iter_mut().zip(v) {
                a.store::<S>(S::fnma(S::splat(share), b.load::<S>(), a.load::<S>()));
            }
        }
        let norm = dot::<S>(next, next).sqrt();
        let value = tri.largest();
        let weights = tri.vector(value);
        let exhausted = k + 1 == operator.dim() || norm <= f64::EPSILON * value;
        let residual = norm * weights[k].abs();
        let converged = exhausted || residual <= RESIDUAL * value;
        if converged || k + 1 == RESTART {
            return Run { value, weights, converged };
        }
        tri.beside.push(norm);
        scale::<S>(next, 1.0 / norm);
    }
    unreachable!("the last step returns")
}

/// A symmetric tridiagonal matrix.
#[derive(Default)]
struct Tridiagonal {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
}

impl Tridiagonal {
    /// Its largest eigenvalue, by bisection on the Sturm sequence.
    fn largest(&self) -> f64 {
        let n = self.diagonal.len();
        let around = |i: usize| {
            let left = if i > 0 { self.beside[i - 1].abs() } else { 0.0 };
            let right = self.beside.get(i).map_or(0.0, |b| b.abs());
            left + right
        };
        let mut low = self.diagonal.iter().copied().fold(0.0, f64::max);
        let mut high = (0..n).map(|i| self.diagonal[i] + around(i)).fold(low, f64::max);
        while high - low > 2.0 * f64::EPSILON * high {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if self.all_below(middle) { high = middle } else { low = middle }
        }
        0.5 * (low + high)
    }

    /// Are all eigenvalues below `x`?
    fn all_below(&self, x: f64) -> bool {
        let mut pivot = self.diagonal[0] - x;
        for (d, b) in self.diagonal[1..].iter().zip(&self.beside) {
            if pivot >= 0.0 {
                return false;
            }
            pivot = d - x - b * b / pivot;
        }
        pivot < 0.0
    }

    /// Unit eigenvector of `value`, from its last entry up: that is where it is small.
    fn vector(&self, value: f64) -> Vec<f64> {
        let n = self.diagonal.len();
        let mut v = vec![1.0; n];
        for i in (0..n - 1).rev() {
            let mut above = (value - self.diagonal[i + 1]) * v[i + 1];
            if i + 2 < n {
                above -= self.beside[i + 1] * v[i + 2];
            }
            v[i] = above / self.beside[i];
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
        v
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

#[inline(always)]
fn scale<S: Simd>(v: &mut [Line], by: f64) {
    for x in v {
        x.store::<S>(S::mul(x.load::<S>(), S::splat(by)));
    }
}

#[inline(always)]
fn normalise<S: Simd>(v: &mut [Line]) {
    let norm = dot::<S>(v, v).sqrt();
    scale::<S>(v, 1.0 / norm);
}

#[inline(always)]
fn combine<S: Simd>(basis: &[Line], width: usize, weights: &[f64]) -> Vec<Line> {
    let mut sum = vec![Line::splat(0.0); width];
    for (v, &weight) in basis.chunks_exact(width).zip(weights) {
        for (a, b) in sum.iter_mut().zip(v) {
            a.store::<S>(S::fma(S::splat(weight), b.load::<S>(), a.load::<S>()));
        }
    }
    sum
}
