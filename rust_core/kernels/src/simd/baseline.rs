//! Plain arrays: what every CPU runs (SSE2 on x86-64, NEON on aarch64 by auto-vectorisation).

use super::{LANES, Simd};
use crate::network::Register;

/// The level without intrinsics.
#[derive(Clone, Copy)]
pub struct Baseline;

#[inline(always)]
fn zip<A: Copy, B: Copy, C>(a: [A; LANES], b: [B; LANES], f: impl Fn(A, B) -> C) -> [C; LANES] {
    std::array::from_fn(|l| f(a[l], b[l]))
}

impl Register for [f64; LANES] {
    type Item = f64;
    const LAST: f64 = f64::INFINITY;
    #[inline(always)]
    fn splat(x: f64) -> Self {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Baseline::load(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f64) {
        // SAFETY: the caller's promise.
        unsafe { Baseline::store(p, self) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Baseline::min(self, other)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Baseline::max(self, other)
    }
}

impl Register for [i32; 2 * LANES] {
    type Item = i32;
    const LAST: i32 = i32::MAX;
    #[inline(always)]
    fn splat(x: i32) -> Self {
        [x; 2 * LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        std::array::from_fn(|l| Ord::min(self[l], other[l]))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        std::array::from_fn(|l| Ord::max(self[l], other[l]))
    }
}

impl Simd for Baseline {
    type Register = [f64; LANES];
    type Narrow = [i32; 2 * LANES];
    type F = [f64; LANES];
    type I = [i64; LANES];
    type M = [bool; LANES];

    #[inline(always)]
    fn splat(x: f64) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    fn from_array(x: [f64; LANES]) -> Self::F {
        x
    }
    #[inline(always)]
    fn to_array(x: Self::F) -> [f64; LANES] {
        x
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[f64; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f64, x: Self::F) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[f64; LANES]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f64, n: usize, fill: f64) -> Self::F {
        // SAFETY: only places below `n` are read.
        std::array::from_fn(|l| if l < n { unsafe { *p.add(l) } } else { fill })
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f64, n: usize, x: Self::F) {
        for (l, value) in x.iter().enumerate().take(n.min(LANES)) {
            // SAFETY: only places below `n` are written.
            unsafe { *p.add(l) = *value }
        }
    }
    #[inline(always)]
    unsafe fn gather_rows(p: *const f64, i: Self::I) -> Self::F {
        // SAFETY: the caller's promise.
        std::array::from_fn(|l| unsafe { *p.add(i[l] as usize * LANES + l) })
    }
    #[inline(always)]
    fn add(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x * y)
    }
    #[inline(always)]
    fn div(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x / y)
    }
    #[inline(always)]
    fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|l| a[l] * b[l] + c[l])
    }
    #[inline(always)]
    fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|l| c[l] - a[l] * b[l])
    }
    #[inline(always)]
    fn min(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    fn max(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn sqrt(a: Self::F) -> Self::F {
        a.map(f64::sqrt)
    }
    #[inline(always)]
    fn abs(a: Self::F) -> Self::F {
        a.map(f64::abs)
    }
    #[inline(always)]
    fn lt(a: Self::F, b: Self::F) -> Self::M {
        zip(a, b, |x, y| x < y)
    }
    #[inline(always)]
    fn le(a: Self::F, b: Self::F) -> Self::M {
        zip(a, b, |x, y| x <= y)
    }
    #[inline(always)]
    fn eq(a: Self::F, b: Self::F) -> Self::M {
        zip(a, b, |x, y| x == y)
    }
    #[inline(always)]
    fn select(m: Self::M, a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|l| if m[l] { a[l] } else { b[l] })
    }
    #[inline(always)]
    fn and(a: Self::M, b: Self::M) -> Self::M {
        zip(a, b, |x, y| x & y)
    }
    #[inline(always)]
    fn or(a: Self::M, b: Self::M) -> Self::M {
        zip(a, b, |x, y| x | y)
    }
    #[inline(always)]
    fn not(a: Self::M) -> Self::M {
        a.map(|x| !x)
    }
    #[inline(always)]
    fn bits(a: Self::M) -> u8 {
        a.iter().enumerate().fold(0, |bits, (l, &set)| bits | (u8::from(set) << l))
    }
    #[inline(always)]
    fn from_bits(bits: u8) -> Self::M {
        std::array::from_fn(|l| bits >> l & 1 == 1)
    }
    #[inline(always)]
    fn splat_i(x: i64) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    fn from_array_i(x: [i64; LANES]) -> Self::I {
        x
    }
    #[inline(always)]
    fn to_array_i(x: Self::I) -> [i64; LANES] {
        x
    }
    #[inline(always)]
    fn add_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    fn sub_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    fn min_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i64::min)
    }
    #[inline(always)]
    fn max_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i64::max)
    }
    #[inline(always)]
    fn half_i(a: Self::I) -> Self::I {
        a.map(|x| x >> 1)
    }
    #[inline(always)]
    fn and_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |x, y| x & y)
    }
    #[inline(always)]
    fn xor_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |x, y| x ^ y)
    }
    #[inline(always)]
    fn shl_i(a: Self::I, by: Self::I) -> Self::I {
        zip(a, by, |x, by| if (0..64).contains(&by) { x << by } else { 0 })
    }
    #[inline(always)]
    fn as_int(a: Self::F) -> Self::I {
        a.map(|x| x.to_bits() as i64)
    }
    #[inline(always)]
    fn widen(x: &[u32; LANES]) -> Self::I {
        x.map(i64::from)
    }
    #[inline(always)]
    fn lt_i(a: Self::I, b: Self::I) -> Self::M {
        zip(a, b, |x, y| x < y)
    }
    #[inline(always)]
    fn eq_i(a: Self::I, b: Self::I) -> Self::M {
        zip(a, b, |x, y| x == y)
    }
    #[inline(always)]
    fn select_i(m: Self::M, a: Self::I, b: Self::I) -> Self::I {
        std::array::from_fn(|l| if m[l] { a[l] } else { b[l] })
    }
    #[inline(always)]
    fn to_int(a: Self::F) -> Self::I {
        a.map(|x| x as i64)
    }
    #[inline(always)]
    fn to_float(a: Self::I) -> Self::F {
        a.map(|x| x as f64)
    }
    const VECTORS: usize = 4;
}
