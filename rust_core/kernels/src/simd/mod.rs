//! Eight `f64` lanes on every CPU: one source, the instruction set chosen at run time.
//!
//! A kernel is a value that implements [`Kernel`]; its `run` is generic over
//! [`Simd`] and `#[inline(always)]`, as is everything that it calls. [`run`]
//! enters it through a function that carries the target features, so that the
//! intrinsics are inlined. Eight lanes everywhere means that buffers and the
//! order of operations are the same on every level.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod baseline;
pub mod bits;

use crate::exec::Level;
use crate::network::Register;

/// Lanes of a vector on every level.
pub const LANES: usize = 8;

/// Work that runs at any level.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// The work; mark the implementation `#[inline(always)]`.
    fn run<S: Simd>(self) -> Self::Output;
}

/// Run `kernel` at `level`, which the CPU must have (see [`crate::Exec::new`]).
pub fn run<K: Kernel>(level: Level, kernel: K) -> K::Output {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            assert!(avx512::available());
            // SAFETY: the features are there.
            unsafe { avx512::enter(kernel) }
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => {
            assert!(avx2::available());
            // SAFETY: the features are there.
            unsafe { avx2::enter(kernel) }
        }
        _ => kernel.run::<baseline::Baseline>(),
    }
}

/// Operations on eight `f64` (`F`), eight `i64` (`I`) and eight booleans (`M`).
///
/// Comparisons with NaN are false. `min(a, b)` and `max(a, b)` return `b` when
/// either is NaN. `fma` is fused where the level has it and rounds twice on
/// the baseline, so results may differ by rounding between levels.
pub trait Simd: Copy + Send + Sync + 'static {
    /// Eight `f64`.
    type F: Copy;
    /// A register of `f64`: a vector, or a part of it.
    type Register: Register<Item = f64>;
    /// A register of `i32`, of the same size.
    type Narrow: Register<Item = i32>;
    /// Eight `i64`.
    type I: Copy;
    /// Eight booleans.
    type M: Copy;

    /// All lanes `x`.
    fn splat(x: f64) -> Self::F;
    /// From an array.
    fn from_array(x: [f64; LANES]) -> Self::F;
    /// To an array.
    fn to_array(x: Self::F) -> [f64; LANES];
    /// Read eight values.
    ///
    /// # Safety
    /// `p .. p + 8` is readable.
    unsafe fn load(p: *const f64) -> Self::F;
    /// Write eight values.
    ///
    /// # Safety
    /// `p .. p + 8` is writable.
    unsafe fn store(p: *mut f64, x: Self::F);
    /// Read the first `n <= 8` values, `fill` elsewhere.
    ///
    /// # Safety
    /// `p .. p + n` is readable.
    unsafe fn load_n(p: *const f64, n: usize, fill: f64) -> Self::F;
    /// Write the first `n <= 8` values.
    ///
    /// # Safety
    /// `p .. p + n` is writable.
    unsafe fn store_n(p: *mut f64, n: usize, x: Self::F);
    /// Lane `l` reads `p[i[l] * 8 + l]`: the `i`-th row of a buffer of eight-lane rows.
    ///
    /// # Safety
    /// Every such place is readable.
    unsafe fn gather_rows(p: *const f64, i: Self::I) -> Self::F;

    /// `a + b`.
    fn add(a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`.
    fn sub(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`.
    fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`.
    fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a * b`.
    fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The smaller; `b` if either is NaN.
    fn min(a: Self::F, b: Self::F) -> Self::F;
    /// The larger; `b` if either is NaN.
    fn max(a: Self::F, b: Self::F) -> Self::F;
    /// Square root.
    fn sqrt(a: Self::F) -> Self::F;
    /// Absolute value.
    fn abs(a: Self::F) -> Self::F;
    /// Sum of the lanes, in a fixed tree order that is equal on every level.
    #[inline(always)]
    fn sum(a: Self::F) -> f64 {
        let x = Self::to_array(a);
        ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))
    }

    /// `a < b`.
    fn lt(a: Self::F, b: Self::F) -> Self::M;
    /// `a <= b`.
    fn le(a: Self::F, b: Self::F) -> Self::M;
    /// `a == b`.
    fn eq(a: Self::F, b: Self::F) -> Self::M;
    /// Neither NaN.
    #[inline(always)]
    fn valid(a: Self::F) -> Self::M {
        Self::eq(a, a)
    }
    /// `m ? a : b`.
    fn select(m: Self::M, a: Self::F, b: Self::F) -> Self::F;
    /// Both.
    fn and(a: Self::M, b: Self::M) -> Self::M;
    /// Either.
    fn or(a: Self::M, b: Self::M) -> Self::M;
    /// Negation.
    fn not(a: Self::M) -> Self::M;
    /// Bit `l` is lane `l`.
    fn bits(a: Self::M) -> u8;
    /// Is every lane set?
    #[inline(always)]
    fn all(a: Self::M) -> bool {
        Self::bits(a) == u8::MAX
    }
    /// Is any lane set?
    #[inline(always)]
    fn any(a: Self::M) -> bool {
        Self::bits(a) != 0
    }
    /// Lane `l` is bit `l`.
    fn from_bits(bits: u8) -> Self::M;
    /// `x` where `m`, else 0.
    #[inline(always)]
    fn keep(m: Self::M, x: Self::F) -> Self::F {
        Self::select(m, x, Self::splat(0.0))
    }

    /// All lanes `x`.
    fn splat_i(x: i64) -> Self::I;
    /// From an array.
    fn from_array_i(x: [i64; LANES]) -> Self::I;
    /// To an array.
    fn to_array_i(x: Self::I) -> [i64; LANES];
    /// `a + b`.
    fn add_i(a: Self::I, b: Self::I) -> Self::I;
    /// `a - b`.
    fn sub_i(a: Self::I, b: Self::I) -> Self::I;
    /// The smaller.
    fn min_i(a: Self::I, b: Self::I) -> Self::I;
    /// The larger.
    fn max_i(a: Self::I, b: Self::I) -> Self::I;
    /// `a >> 1`, for `a >= 0`.
    fn half_i(a: Self::I) -> Self::I;
    /// Both bits.
    fn and_i(a: Self::I, b: Self::I) -> Self::I;
    /// Either bit, not both.
    fn xor_i(a: Self::I, b: Self::I) -> Self::I;
    /// `a << by`; 0 where `by` is outside `0..64`.
    fn shl_i(a: Self::I, by: Self::I) -> Self::I;
    /// The bits of a float.
    fn as_int(a: Self::F) -> Self::I;
    /// Widen eight numbers.
    fn widen(x: &[u32; LANES]) -> Self::I;
    /// `a < b`.
    fn lt_i(a: Self::I, b: Self::I) -> Self::M;
    /// `a == b`.
    fn eq_i(a: Self::I, b: Self::I) -> Self::M;
    /// `m ? a : b`.
    fn select_i(m: Self::M, a: Self::I, b: Self::I) -> Self::I;
    /// Truncate; the values fit in 51 bits.
    fn to_int(a: Self::F) -> Self::I;
    /// Convert; the values fit in 51 bits.
    fn to_float(a: Self::I) -> Self::F;

    /// Square root, within 2 ulp of normal values, off the divider where the level can; NaN of NaN,
    /// 0 of 0, NaN or infinity of infinity.
    #[inline(always)]
    fn root(a: Self::F) -> Self::F {
        Self::sqrt(a)
    }
    /// Position of the `i`-th set bit of `word`, which has more than `i`.
    #[inline(always)]
    fn nth_bit(word: u64, i: u32) -> u32 {
        bits::nth(word, i)
    }
    /// Vectors of eight `f64` that the registers hold; tiles are cut to it.
    const VECTORS: usize;
    /// Lane `l` of vector `i` becomes lane `i` of vector `l`.
    #[inline(always)]
    fn transpose(rows: [Self::F; LANES]) -> [Self::F; LANES] {
        let rows = rows.map(Self::to_array);
        let mut columns = [[0.0; LANES]; LANES];
        for (i, row) in rows.iter().enumerate() {
            for (l, value) in row.iter().enumerate() {
                columns[l][i] = *value;
            }
        }
        columns.map(Self::from_array)
    }
}

/// Ask for the cache line at `p`, which need not be readable.
#[inline(always)]
pub fn prefetch(p: *const f64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

#[cfg(test)]
mod tests;
