//! AVX2 with FMA and the bit instructions of its time: two registers per vector.

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
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

/// Run `kernel` with the features switched on.
///
/// # Safety
/// [`available`] holds.
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

/// Two halves of a vector of integers.
pub type Ints = [__m256i; 2];

/// A number whose last bits hold an integer of up to 51 bits when it is added.
const INTEGERS: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52

impl Avx2 {
    /// The same bits.
    #[inline(always)]
    fn as_ints(a: Pair) -> Ints {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_castpd_si256(a[0]), _mm256_castpd_si256(a[1])] }
    }

    /// The same bits.
    #[inline(always)]
    fn as_floats(a: Ints) -> Pair {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_castsi256_pd(a[0]), _mm256_castsi256_pd(a[1])] }
    }
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
    type I = Ints;
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
    fn all(a: Self::M) -> bool {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm256_movemask_pd(_mm256_and_pd(a[0], a[1])) == 0xf }
    }
    #[inline(always)]
    fn any(a: Self::M) -> bool {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { _mm256_movemask_pd(_mm256_or_pd(a[0], a[1])) != 0 }
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
            Self::select(Self::as_floats([first, second]), loaded, Self::splat(fill))
        }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f64, n: usize, x: Self::F) {
        // In pieces: masked stores are slow on some CPUs.
        // SAFETY: only places below `n` are written.
        unsafe {
            if n >= LANES {
                return Self::store(p, x);
            }
            let (mut p, mut rest) = (p, x[0]);
            if n & 4 != 0 {
                _mm256_storeu_pd(p, rest);
                (p, rest) = (p.add(4), x[1]);
            }
            let mut rest = [_mm256_castpd256_pd128(rest), _mm256_extractf128_pd::<1>(rest)];
            if n & 2 != 0 {
                _mm_storeu_pd(p, rest[0]);
                (p, rest[0]) = (p.add(2), rest[1]);
            }
            if n & 1 != 0 {
                _mm_store_sd(p, rest[0]);
            }
        }
    }
    #[inline(always)]
    unsafe fn gather_rows(p: *const f64, i: Self::I) -> Self::F {
        // SAFETY: the caller's promise.
        Self::from_array(unsafe { Baseline::gather_rows(p, Self::to_array_i(i)) })
    }
    #[inline(always)]
    fn from_bits(bits: u8) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            let bits = _mm256_set1_epi64x(i64::from(bits));
            let (low, high) = (_mm256_setr_epi64x(1, 2, 4, 8), _mm256_setr_epi64x(16, 32, 64, 128));
            [
                _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(bits, low), low)),
                _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(bits, high), high)),
            ]
        }
    }
    #[inline(always)]
    fn splat_i(x: i64) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_set1_epi64x(x); 2] }
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
        unsafe { [_mm256_add_epi64(a[0], b[0]), _mm256_add_epi64(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_sub_epi64(a[0], b[0]), _mm256_sub_epi64(a[1], b[1])] }
    }
    #[inline(always)]
    fn min_i(a: Self::I, b: Self::I) -> Self::I {
        Self::select_i(Self::lt_i(a, b), a, b)
    }
    #[inline(always)]
    fn max_i(a: Self::I, b: Self::I) -> Self::I {
        Self::select_i(Self::lt_i(a, b), b, a)
    }
    #[inline(always)]
    fn half_i(a: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_srli_epi64::<1>(a[0]), _mm256_srli_epi64::<1>(a[1])] }
    }
    #[inline(always)]
    fn and_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_and_si256(a[0], b[0]), _mm256_and_si256(a[1], b[1])] }
    }
    #[inline(always)]
    fn xor_i(a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_xor_si256(a[0], b[0]), _mm256_xor_si256(a[1], b[1])] }
    }
    #[inline(always)]
    fn shl_i(a: Self::I, by: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { [_mm256_sllv_epi64(a[0], by[0]), _mm256_sllv_epi64(a[1], by[1])] }
    }
    #[inline(always)]
    fn as_int(a: Self::F) -> Self::I {
        Self::as_ints(a)
    }
    #[inline(always)]
    fn widen(x: &[u32; LANES]) -> Self::I {
        // SAFETY: eight numbers are readable.
        unsafe {
            let p: *const __m128i = x.as_ptr().cast();
            let halves = [_mm_loadu_si128(p), _mm_loadu_si128(p.add(1))];
            [_mm256_cvtepu32_epi64(halves[0]), _mm256_cvtepu32_epi64(halves[1])]
        }
    }
    #[inline(always)]
    fn lt_i(a: Self::I, b: Self::I) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            [
                _mm256_castsi256_pd(_mm256_cmpgt_epi64(b[0], a[0])),
                _mm256_castsi256_pd(_mm256_cmpgt_epi64(b[1], a[1])),
            ]
        }
    }
    #[inline(always)]
    fn eq_i(a: Self::I, b: Self::I) -> Self::M {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            [
                _mm256_castsi256_pd(_mm256_cmpeq_epi64(a[0], b[0])),
                _mm256_castsi256_pd(_mm256_cmpeq_epi64(a[1], b[1])),
            ]
        }
    }
    #[inline(always)]
    fn select_i(m: Self::M, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            [
                _mm256_blendv_epi8(b[0], a[0], _mm256_castpd_si256(m[0])),
                _mm256_blendv_epi8(b[1], a[1], _mm256_castpd_si256(m[1])),
            ]
        }
    }
    #[inline(always)]
    fn to_int(a: Self::F) -> Self::I {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe {
            const DOWN: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
            let bias = Self::splat(INTEGERS);
            let whole = [_mm256_round_pd::<DOWN>(a[0]), _mm256_round_pd::<DOWN>(a[1])];
            Self::sub_i(Self::as_ints(Self::add(whole, bias)), Self::as_ints(bias))
        }
    }
    #[inline(always)]
    fn to_float(a: Self::I) -> Self::F {
        let bias = Self::splat(INTEGERS);
        Self::sub(Self::as_floats(Self::add_i(a, Self::as_ints(bias))), bias)
    }
    #[inline(always)]
    fn nth_bit(word: u64, i: u32) -> u32 {
        // SAFETY: the level is only entered where the CPU has it.
        unsafe { super::bits::nth_by_deposit(word, i) }
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
