//! AVX2 with FMA: two registers per vector; integers as plain arrays.

use std::arch::x86_64::*;

use super::baseline::Baseline;
use super::{Kernel, LANES, Simd};
use crate::network::Register;

/// The AVX2 level.
#[derive(Clone, Copy)]
pub struct Avx2;

/// Two halves of a vector.
pub type Pair = [__m256d; 2];

/// Does this CPU run it?
pub fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Run `kernel` with the features switched on.
///
/// # Safety
/// [`available`] holds.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

#[inline(always)]
fn mask_of(m: [bool; LANES]) -> Pair {
    let lanes = m.map(|set| if set { f64::from_bits(u64::MAX) } else { 0.0 });
    Avx2::from_array(lanes)
}

#[inline(always)]
fn mask_to(m: Pair) -> [bool; LANES] {
    Avx2::to_array(m).map(|lane| lane.to_bits() != 0)
}

impl Register for __m256d {
    type Item = f64;
    const LAST: f64 = f64::INFINITY;
    #[inline(always)]
    fn splat(x: f64) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm256_set1_pd(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_pd(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f64) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_pd(p, self) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm256_min_pd(self, other) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm256_max_pd(self, other) }
    }
}

impl Register for __m256i {
    type Item = i32;
    const LAST: i32 = i32::MAX;
    #[inline(always)]
    fn splat(x: i32) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm256_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_si256(p.cast(), self) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm256_min_epi32(self, other) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm256_max_epi32(self, other) }
    }
}

impl Simd for Avx2 {
    type Register = __m256d;
    type Narrow = __m256i;
    type F = Pair;
    type I = [i64; LANES];
    type M = Pair;

    #[inline(always)]
    fn splat(x: f64) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_set1_pd(x); 2] }
    }
    #[inline(always)]
    fn from_array(x: [f64; LANES]) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { Self::load(x.as_ptr()) }
    }
    #[inline(always)]
    fn to_array(x: Self::F) -> [f64; LANES] {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { std::mem::transmute(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { [_mm256_loadu_pd(p), _mm256_loadu_pd(p.add(4))] }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f64, x: Self::F) {
        // SAFETY: the caller's promise.
        unsafe {
            _mm256_storeu_pd(p, x[0]);
            _mm256_storeu_pd(p.add(4), x[1])
        }
    }
    #[inline(always)]
    fn add(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_add_pd(a[0], b[0]), _mm256_add_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_sub_pd(a[0], b[0]), _mm256_sub_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_mul_pd(a[0], b[0]), _mm256_mul_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn div(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_div_pd(a[0], b[0]), _mm256_div_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_fmadd_pd(a[0], b[0], c[0]), _mm256_fmadd_pd(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_fnmadd_pd(a[0], b[0], c[0]), _mm256_fnmadd_pd(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn min(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_min_pd(a[0], b[0]), _mm256_min_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn max(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_max_pd(a[0], b[0]), _mm256_max_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn sqrt(a: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_sqrt_pd(a[0]), _mm256_sqrt_pd(a[1])] }
    }
    #[inline(always)]
    fn abs(a: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            let sign = _mm256_set1_pd(-0.0);
            [_mm256_andnot_pd(sign, a[0]), _mm256_andnot_pd(sign, a[1])]
        }
    }
    #[inline(always)]
    fn lt(a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            [_mm256_cmp_pd::<_CMP_LT_OQ>(a[0], b[0]), _mm256_cmp_pd::<_CMP_LT_OQ>(a[1], b[1])]
        }
    }
    #[inline(always)]
    fn le(a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            [_mm256_cmp_pd::<_CMP_LE_OQ>(a[0], b[0]), _mm256_cmp_pd::<_CMP_LE_OQ>(a[1], b[1])]
        }
    }
    #[inline(always)]
    fn eq(a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            [_mm256_cmp_pd::<_CMP_EQ_OQ>(a[0], b[0]), _mm256_cmp_pd::<_CMP_EQ_OQ>(a[1], b[1])]
        }
    }
    #[inline(always)]
    fn select(m: Self::M, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_blendv_pd(b[0], a[0], m[0]), _mm256_blendv_pd(b[1], a[1], m[1])] }
    }
    #[inline(always)]
    fn keep(m: Self::M, x: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_and_pd(m[0], x[0]), _mm256_and_pd(m[1], x[1])] }
    }
    #[inline(always)]
    fn and(a: Self::M, b: Self::M) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_and_pd(a[0], b[0]), _mm256_and_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn or(a: Self::M, b: Self::M) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_or_pd(a[0], b[0]), _mm256_or_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn not(a: Self::M) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            let all = _mm256_castsi256_pd(_mm256_set1_epi64x(-1));
            [_mm256_andnot_pd(a[0], all), _mm256_andnot_pd(a[1], all)]
        }
    }
    #[inline(always)]
    fn bits(a: Self::M) -> u8 {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { (_mm256_movemask_pd(a[0]) | _mm256_movemask_pd(a[1]) << 4) as u8 }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f64, n: usize, fill: f64) -> Self::F {
        // SAFETY: the caller's promise; what the mask leaves out is not read.
        unsafe {
            if n >= LANES {
                return Self::load(p);
            }
            let (count, lane) = (_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3));
            let first = _mm256_cmpgt_epi64(count, lane);
            let second = _mm256_cmpgt_epi64(count, _mm256_setr_epi64x(4, 5, 6, 7));
            let loaded = [
                _mm256_maskload_pd(p, first),
                _mm256_maskload_pd(p.wrapping_add(LANES / 2), second),
            ];
            let some = [_mm256_castsi256_pd(first), _mm256_castsi256_pd(second)];
            Self::select(some, loaded, Self::splat(fill))
        }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f64, n: usize, x: Self::F) {
        // SAFETY: the caller's promise.
        unsafe {
            if n >= LANES { Self::store(p, x) } else { Baseline::store_n(p, n, Self::to_array(x)) }
        }
    }
    #[inline(always)]
    unsafe fn gather_rows(p: *const f64, i: Self::I) -> Self::F {
        // SAFETY: the caller's promise.
        Self::from_array(unsafe { Baseline::gather_rows(p, i) })
    }
    #[inline(always)]
    fn from_bits(bits: u8) -> Self::M {
        mask_of(Baseline::from_bits(bits))
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
        Baseline::add_i(a, b)
    }
    #[inline(always)]
    fn sub_i(a: Self::I, b: Self::I) -> Self::I {
        Baseline::sub_i(a, b)
    }
    #[inline(always)]
    fn min_i(a: Self::I, b: Self::I) -> Self::I {
        Baseline::min_i(a, b)
    }
    #[inline(always)]
    fn max_i(a: Self::I, b: Self::I) -> Self::I {
        Baseline::max_i(a, b)
    }
    #[inline(always)]
    fn half_i(a: Self::I) -> Self::I {
        Baseline::half_i(a)
    }
    #[inline(always)]
    fn lt_i(a: Self::I, b: Self::I) -> Self::M {
        mask_of(Baseline::lt_i(a, b))
    }
    #[inline(always)]
    fn select_i(m: Self::M, a: Self::I, b: Self::I) -> Self::I {
        Baseline::select_i(mask_to(m), a, b)
    }
    #[inline(always)]
    fn to_int(a: Self::F) -> Self::I {
        Baseline::to_int(Self::to_array(a))
    }
    #[inline(always)]
    fn to_float(a: Self::I) -> Self::F {
        Self::from_array(Baseline::to_float(a))
    }
    const VECTORS: usize = 8;
    #[inline(always)]
    fn transpose(rows: [Self::F; LANES]) -> [Self::F; LANES] {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            let mut out = [[_mm256_setzero_pd(); 2]; LANES];
            for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (a, b) = (rows[4 * from][to], rows[4 * from + 1][to]);
                let (c, d) = (rows[4 * from + 2][to], rows[4 * from + 3][to]);
                let (ab0, ab1) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
                let (cd0, cd1) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
                out[4 * to][from] = _mm256_permute2f128_pd::<0x20>(ab0, cd0);
                out[4 * to + 1][from] = _mm256_permute2f128_pd::<0x20>(ab1, cd1);
                out[4 * to + 2][from] = _mm256_permute2f128_pd::<0x31>(ab0, cd0);
                out[4 * to + 3][from] = _mm256_permute2f128_pd::<0x31>(ab1, cd1);
            }
            out
        }
    }
}
