//! Root mean square of the values on one side of zero.

use crate::simd::Simd;

use super::sliding::Accumulator;

/// Values that a side needs; one alone has no spread.
const FEWEST: f64 = 2.0;

/// Sum of squares and number of the values with this sign.
#[derive(Clone, Copy)]
pub struct Semideviation {
    /// -1 for the values below zero, 1 for those above.
    pub sign: f64,
}

impl Accumulator for Semideviation {
    const ANCHORED: bool = false;
    type State<S: Simd> = [S::F; 2];
    type Factors<S: Simd> = ();
    #[inline(always)]
    fn empty<S: Simd>(self) -> [S::F; 2] {
        [S::splat(0.0); 2]
    }
    #[inline(always)]
    fn push<S: Simd>(self, [squares, count]: [S::F; 2], _ok: S::M, v: S::F) -> [S::F; 2] {
        let zero = S::splat(0.0);
        let part = S::max(S::mul(v, S::splat(self.sign)), zero); // zero where the value is missing
        let one = S::keep(S::lt(zero, part), S::splat(1.0));
        [S::fma(part, part, squares), S::add(count, one)]
    }
    #[inline(always)]
    fn merge<S: Simd>(self, a: [S::F; 2], b: [S::F; 2]) -> [S::F; 2] {
        [S::add(a[0], b[0]), S::add(a[1], b[1])]
    }
    #[inline(always)]
    fn factors<S: Simd>(self, _n: S::F) {}
    #[inline(always)]
    fn finish<S: Simd>(self, _: (), [squares, count]: [S::F; 2], _anchor: S::F) -> S::F {
        let enough = S::le(S::splat(FEWEST), count);
        S::select(enough, S::root(S::div(squares, count)), S::splat(f64::NAN))
    }
}
