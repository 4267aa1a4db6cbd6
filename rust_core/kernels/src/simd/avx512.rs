//! AVX-512: one register per vector, mask registers.

use std::arch::x86_64::*;

use super::{Kernel, LANES, Simd};
use crate::network::Register;

/// The AVX-512 level.
#[derive(Clone, Copy)]
pub struct Avx512;

/// Does this CPU run it?
pub fn available() -> bool {
    super::avx2::available()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

/// Run `kernel` with the features switched on.
///
/// # Safety
/// [`available`] holds.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

#[inline(always)]
fn first(n: usize) -> __mmask8 {
    if n >= LANES { 0xff } else { (1 << n) - 1 }
}

impl Register for __m512d {
    type Item = f64;
    const LAST: f64 = f64::INFINITY;
    #[inline(always)]
    fn splat(x: f64) -> Self {
        Avx512::splat(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Avx512::load(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f64) {
        // SAFETY: the caller's promise.
        unsafe { Avx512::store(p, self) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Avx512::min(self, other)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Avx512::max(self, other)
    }
}

impl Register for __m512i {
    type Item = i32;
    const LAST: i32 = i32::MAX;
    #[inline(always)]
    fn splat(x: i32) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_si512(p.cast(), self) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_min_epi32(self, other) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_max_epi32(self, other) }
    }
}

impl Simd for Avx512 {
    type Register = __m512d;
    type Narrow = __m512i;
    type F = __m512d;
    type I = __m512i;
    type M = __mmask8;

    #[inline(always)]
    fn splat(x: f64) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_set1_pd(x) }
    }
    #[inline(always)]
    fn from_array(x: [f64; LANES]) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_loadu_pd(x.as_ptr()) }
    }
    #[inline(always)]
    fn to_array(x: Self::F) -> [f64; LANES] {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { std::mem::transmute(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_pd(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f64, x: Self::F) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_pd(p, x) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f64, n: usize, fill: f64) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { _mm512_mask_loadu_pd(_mm512_set1_pd(fill), first(n), p) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f64, n: usize, x: Self::F) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_mask_storeu_pd(p, first(n), x) }
    }
    #[inline(always)]
    unsafe fn gather_rows(p: *const f64, i: Self::I) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe {
            let lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
            _mm512_i64gather_pd::<8>(_mm512_add_epi64(_mm512_slli_epi64::<3>(i), lane), p)
        }
    }
    #[inline(always)]
    fn add(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_add_pd(a, b) }
    }
    #[inline(always)]
    fn sub(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_sub_pd(a, b) }
    }
    #[inline(always)]
    fn mul(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_mul_pd(a, b) }
    }
    #[inline(always)]
    fn div(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_div_pd(a, b) }
    }
    #[inline(always)]
    fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_fmadd_pd(a, b, c) }
    }
    #[inline(always)]
    fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_fnmadd_pd(a, b, c) }
    }
    #[inline(always)]
    fn min(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_min_pd(a, b) }
    }
    #[inline(always)]
    fn max(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_max_pd(a, b) }
    }
    #[inline(always)]
    fn sqrt(a: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_sqrt_pd(a) }
    }
    #[inline(always)]
    fn abs(a: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_abs_pd(a) }
    }
    #[inline(always)]
    fn lt(a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    fn le(a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_cmp_pd_mask::<_CMP_LE_OQ>(a, b) }
    }
    #[inline(always)]
    fn eq(a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn select(m: Self::M, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_mask_blend_pd(m, b, a) }
    }
    #[inline(always)]
    fn keep(m: Self::M, x: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_maskz_mov_pd(m, x) }
    }
    #[inline(always)]
    fn splat_i(x: i64) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_set1_epi64(x) }
    }
    #[inline(always)]
    fn from_array_i(x: [i64; LANES]) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { std::mem::transmute(x) }
    }
    #[inline(always)]
    fn to_array_i(x: Self::I) -> [i64; LANES] {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { std::mem::transmute(x) }
    }
    #[inline(always)]
    fn add_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_add_epi64(a, b) }
    }
    #[inline(always)]
    fn sub_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_sub_epi64(a, b) }
    }
    #[inline(always)]
    fn min_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_min_epi64(a, b) }
    }
    #[inline(always)]
    fn max_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_max_epi64(a, b) }
    }
    #[inline(always)]
    fn half_i(a: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_srli_epi64::<1>(a) }
    }
    #[inline(always)]
    fn and_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    fn xor_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_xor_si512(a, b) }
    }
    #[inline(always)]
    fn shl_i(a: Self::I, by: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_sllv_epi64(a, by) }
    }
    #[inline(always)]
    fn as_int(a: Self::F) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_castpd_si512(a) }
    }
    #[inline(always)]
    fn widen(x: &[u32; LANES]) -> Self::I {
        // SAFETY: eight numbers are readable.
        unsafe { _mm512_cvtepu32_epi64(_mm256_loadu_si256(x.as_ptr().cast())) }
    }
    #[inline(always)]
    fn lt_i(a: Self::I, b: Self::I) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_cmplt_epi64_mask(a, b) }
    }
    #[inline(always)]
    fn eq_i(a: Self::I, b: Self::I) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_cmpeq_epi64_mask(a, b) }
    }
    #[inline(always)]
    fn select_i(m: Self::M, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_mask_blend_epi64(m, b, a) }
    }
    #[inline(always)]
    fn to_int(a: Self::F) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_cvttpd_epi64(a) }
    }
    #[inline(always)]
    fn to_float(a: Self::I) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm512_cvtepi64_pd(a) }
    }
    #[inline(always)]
    fn and(a: Self::M, b: Self::M) -> Self::M {
        a & b
    }
    #[inline(always)]
    fn or(a: Self::M, b: Self::M) -> Self::M {
        a | b
    }
    #[inline(always)]
    fn not(a: Self::M) -> Self::M {
        !a
    }
    #[inline(always)]
    fn bits(a: Self::M) -> u8 {
        a
    }
    #[inline(always)]
    fn from_bits(bits: u8) -> Self::M {
        bits
    }
    #[inline(always)]
    fn root(a: Self::F) -> Self::F {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            // 14 bits from the estimate, then (1 - e)^(-1/2) to the third order in
            // e = 1 - a estimate^2: a third of the divider's time on some CPUs.
            let positive = _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(a, _mm512_setzero_pd());
            let estimate = _mm512_maskz_rsqrt14_pd(positive, a);
            let root = _mm512_mul_pd(a, estimate);
            let e = _mm512_fnmadd_pd(root, estimate, _mm512_set1_pd(1.0));
            let series = _mm512_fmadd_pd(e, _mm512_set1_pd(0.3125), _mm512_set1_pd(0.375));
            let series = _mm512_fmadd_pd(series, e, _mm512_set1_pd(0.5));
            _mm512_fmadd_pd(_mm512_mul_pd(series, e), root, root)
        }
    }
    #[inline(always)]
    fn nth_bit(word: u64, i: u32) -> u32 {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { super::bits::nth_by_deposit(word, i) }
    }
    const VECTORS: usize = 32;
    #[inline(always)]
    fn transpose(r: [Self::F; LANES]) -> [Self::F; LANES] {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            let mut pairs = [_mm512_setzero_pd(); LANES];
            for i in 0..4 {
                pairs[2 * i] = _mm512_unpacklo_pd(r[2 * i], r[2 * i + 1]);
                pairs[2 * i + 1] = _mm512_unpackhi_pd(r[2 * i], r[2 * i + 1]);
            }
            // Columns {l, l + 4} of four rows, for l = 0..4.
            let mut fours = [_mm512_setzero_pd(); LANES];
            for half in 0..2 {
                for odd in 0..2 {
                    let (a, b) = (pairs[4 * half + odd], pairs[4 * half + 2 + odd]);
                    fours[4 * half + odd] = _mm512_shuffle_f64x2::<0x88>(a, b);
                    fours[4 * half + 2 + odd] = _mm512_shuffle_f64x2::<0xdd>(a, b);
                }
            }
            let mut out = [_mm512_setzero_pd(); LANES];
            for l in 0..4 {
                out[l] = _mm512_shuffle_f64x2::<0x88>(fours[l], fours[l + 4]);
                out[l + 4] = _mm512_shuffle_f64x2::<0xdd>(fours[l], fours[l + 4]);
            }
            out
        }
    }
}
