//! Adding the moments of one job to those of a set: the pairwise update of Chan, Golub and LeVeque,
//! on the planes that [`super::moments`] lays out.

use crate::simd::{Kernel, LANES, Simd};

/// Add the moments of other samples to a sum.
pub struct Merge<'a> {
    /// The sum.
    pub sum: &'a mut [f64],
    /// What is added.
    pub other: &'a [f64],
    /// Features of both.
    pub features: usize,
    /// Do both have the moments of pairs?
    pub pairs: bool,
}

impl Kernel for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self) {
        if self.pairs {
            // Needs the old means and counts, so it comes first.
            for i in (0..self.features).step_by(LANES) {
                for j in (i..self.features).step_by(LANES) {
                    self.products::<S>(i, j);
                }
            }
        }
        let plane = if self.pairs { self.features * self.features } else { self.features };
        assert!(self.sum.len() >= 3 * plane && self.other.len() >= 3 * plane);
        for at in (0..plane).step_by(LANES) {
            let width = LANES.min(plane - at);
            // SAFETY: `width` values follow in each of the three planes.
            unsafe { self.squares::<S>(at, plane, width) };
        }
    }
}

impl Merge<'_> {
    /// Entries of features `i ..` with `j ..` in plane `p`, at most eight by eight; 0 beyond.
    #[inline(always)]
    fn square<S: Simd>(&self, of: &[f64], p: usize, i: usize, j: usize) -> [S::F; LANES] {
        let features = self.features;
        let (size, width) = (features * features, LANES.min(features - j));
        let mut rows = [S::splat(0.0); LANES];
        let plane = of[p * size..][..size].chunks_exact(features);
        for (row, values) in rows.iter_mut().zip(plane.skip(i)) {
            let values = &values[j..j + width];
            // SAFETY: so many values are readable.
            *row = unsafe { S::load_n(values.as_ptr(), width, 0.0) };
        }
        rows
    }

    #[inline(always)]
    fn products<S: Simd>(&mut self, i: usize, j: usize) {
        let features = self.features;
        let size = features * features;
        let n = self.square::<S>(self.sum, 0, i, j);
        let m = self.square::<S>(self.other, 0, i, j);
        let mean = self.square::<S>(self.sum, 1, i, j);
        let other = self.square::<S>(self.other, 1, i, j);
        let mean_of_j = S::transpose(self.square::<S>(self.sum, 1, j, i));
        let other_of_j = S::transpose(self.square::<S>(self.other, 1, j, i));
        let old = self.square::<S>(self.sum, 3, i, j);
        let new = self.square::<S>(self.other, 3, i, j);
        let (width, zero) = (LANES.min(features - j), S::splat(0.0));
        let rows = self.sum[3 * size..].chunks_exact_mut(features).skip(i).take(LANES);
        for (r, row) in rows.enumerate() {
            let apart = S::mul(S::sub(other[r], mean[r]), S::sub(other_of_j[r], mean_of_j[r]));
            let weight = S::div(S::mul(n[r], m[r]), S::add(n[r], m[r]));
            let shift = S::keep(S::lt(zero, n[r]), S::mul(apart, weight));
            let merged = S::add(old[r], S::add(new[r], shift));
            let merged = S::select(S::lt(zero, m[r]), merged, old[r]);
            // SAFETY: so many values are writable.
            unsafe { S::store_n(row[j..j + width].as_mut_ptr(), width, merged) };
        }
    }

    /// # Safety
    /// The first three planes have `width` values from `at` on.
    #[inline(always)]
    unsafe fn squares<S: Simd>(&mut self, at: usize, plane: usize, width: usize) {
        let (mut ours, mut theirs) = ([S::splat(0.0); 3], [S::splat(0.0); 3]);
        for p in 0..3 {
            // SAFETY: the caller's promise.
            unsafe {
                ours[p] = S::load_n(self.sum.as_ptr().add(p * plane + at), width, 0.0);
                theirs[p] = S::load_n(self.other.as_ptr().add(p * plane + at), width, 0.0);
            }
        }
        let ([n, mean, square], [m, other, more]) = (ours, theirs);
        let zero = S::splat(0.0);
        let (apart, sum) = (S::sub(other, mean), S::add(n, m));
        let weight = S::div(S::mul(n, m), sum);
        let (some, old) = (S::lt(zero, m), S::lt(zero, n));
        let shift = S::keep(old, S::mul(S::mul(apart, apart), weight));
        let moved = S::select(old, S::add(mean, S::mul(apart, S::div(m, sum))), other);
        let merged = [sum, moved, S::add(square, S::add(more, shift))];
        for p in 0..3 {
            let kept = S::select(some, merged[p], ours[p]);
            // SAFETY: the caller's promise.
            unsafe { S::store_n(self.sum.as_mut_ptr().add(p * plane + at), width, kept) };
        }
    }
}
