//! Every operation on every level that this CPU has, against scalar arithmetic.

use super::*;

const A: [f64; LANES] = [1.5, -2.0, f64::NAN, 0.0, 7.25, f64::INFINITY, -0.5, 9.0];
const B: [f64; LANES] = [1.0, 3.0, 1.0, f64::NAN, -7.25, 2.0, -0.5, 4.0];

struct Arithmetic;
impl Kernel for Arithmetic {
    type Output = Vec<[f64; LANES]>;
    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Output {
        let (a, b) = (S::from_array(A), S::from_array(B));
        let half = S::half_i(S::from_array_i([0, 1, 2, 3, 4, 5, 6, 7]));
        let mut out = vec![f64::NAN; LANES];
        // SAFETY: both buffers hold eight values; three are written.
        let part = unsafe {
            S::store_n(out.as_mut_ptr(), 3, S::load_n(B.as_ptr(), 2, 5.0));
            S::load(out.as_ptr())
        };
        let rows: Vec<f64> = (0..32).map(f64::from).collect();
        // SAFETY: rows 0..=3 exist.
        let gathered = unsafe { S::gather_rows(rows.as_ptr(), half) };
        [
            S::add(a, b),
            S::sub(a, b),
            S::mul(a, b),
            S::div(a, b),
            S::min(a, b),
            S::max(a, b),
            S::sqrt(S::abs(b)),
            S::fma(a, b, b),
            S::fnma(a, b, b),
            S::select(S::lt(a, b), a, b),
            S::select(S::le(a, b), a, b),
            S::select(S::eq(a, b), a, b),
            S::keep(S::not(S::valid(a)), b),
            S::keep(S::or(S::lt(a, b), S::valid(a)), b),
            S::keep(S::and(S::valid(b), S::from_bits(0b0101_0101)), b),
            part,
            gathered,
            S::to_float(S::to_int(S::splat(-3.75))),
            S::to_float(S::select_i(
                S::lt_i(half, S::splat_i(2)),
                S::add_i(half, half),
                S::sub_i(half, S::splat_i(9)),
            )),
            S::to_float(S::and_i(half, S::splat_i(2))),
            S::to_float(S::xor_i(half, S::splat_i(2))),
            S::to_float(S::shl_i(half, S::from_array_i([-1, 0, 40, 64, 3, 1, 200, i64::MIN]))),
            S::to_float(S::sub_i(S::as_int(S::splat(1.0)), S::splat_i(0x3fef_ffff_ffff_fff0))),
            S::to_float(S::widen(&[0, 1, 2, 3, 4, 5, 6, u32::MAX])),
            S::keep(S::eq_i(half, S::splat_i(2)), b),
            S::to_float(S::min_i(S::max_i(half, S::splat_i(1)), S::splat_i(2))),
            S::splat(S::sum(S::from_array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]))),
            S::splat(f64::from(S::bits(S::lt(a, b)))),
        ]
        .map(S::to_array)
        .to_vec()
    }
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

#[test]
fn levels_agree_with_scalar_arithmetic() {
    let lane = |f: fn(f64, f64) -> f64| -> [f64; LANES] { std::array::from_fn(|l| f(A[l], B[l])) };
    let truth = [
        lane(|a, b| a + b),
        lane(|a, b| a - b),
        lane(|a, b| a * b),
        lane(|a, b| a / b),
        lane(|a, b| if a < b { a } else { b }),
        lane(|a, b| if a > b { a } else { b }),
        lane(|_, b| b.abs().sqrt()),
        lane(|a, b| a * b + b),
        lane(|a, b| b - a * b),
        lane(|a, b| if a < b { a } else { b }),
        lane(|a, b| if a <= b { a } else { b }),
        lane(|a, b| if a == b { a } else { b }),
        lane(|a, b| if a.is_nan() { b } else { 0.0 }),
        lane(|a, b| if a.is_nan() { 0.0 } else { b }),
        std::array::from_fn(|l| if l % 2 == 0 { B[l] } else { 0.0 }),
        std::array::from_fn(|l| [1.0, 3.0, 5.0].get(l).copied().unwrap_or(f64::NAN)),
        [0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0],
        [-3.0; LANES],
        [0.0, 0.0, 2.0, 2.0, -7.0, -7.0, -6.0, -6.0],
        [0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0],
        [2.0, 2.0, 3.0, 3.0, 0.0, 0.0, 1.0, 1.0],
        [0.0, 0.0, 40f64.exp2(), 0.0, 16.0, 4.0, 0.0, 0.0],
        [16.0; LANES],
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, f64::from(u32::MAX)],
        std::array::from_fn(|l| if l / 2 == 2 { B[l] } else { 0.0 }),
        [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0],
        [36.0; LANES],
        [2.0; LANES],
    ];
    for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
        for (row, (got, want)) in run(level, Arithmetic).iter().zip(&truth).enumerate() {
            for l in 0..LANES {
                assert!(
                    same(got[l], want[l]),
                    "{level:?} row {row} lane {l}: {} not {}",
                    got[l],
                    want[l]
                );
            }
        }
    }
}

struct Transposed;
impl Kernel for Transposed {
    type Output = [[f64; LANES]; LANES];
    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Output {
        let mut rows = [S::splat(0.0); LANES];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = S::from_array(std::array::from_fn(|l| (i * 10 + l) as f64));
        }
        S::transpose(rows).map(S::to_array)
    }
}

#[test]
fn transpose_swaps_rows_and_lanes() {
    for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
        for (l, column) in run(level, Transposed).iter().enumerate() {
            let want: [f64; LANES] = std::array::from_fn(|i| (i * 10 + l) as f64);
            assert_eq!(*column, want, "{level:?}");
        }
    }
}

struct Roots([f64; LANES]);
impl Kernel for Roots {
    type Output = [f64; LANES];
    #[inline(always)]
    fn run<S: Simd>(self) -> [f64; LANES] {
        S::to_array(S::root(S::from_array(self.0)))
    }
}

#[test]
fn root_is_within_two_ulp_and_keeps_zero_and_nan() {
    for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
        for i in 0..20_000 {
            let scale = 10f64.powi(i % 600 - 300);
            let x: [f64; LANES] =
                std::array::from_fn(|l| (1.0 + f64::from(i * 8 + l as i32) / 7.0) * scale);
            for (got, x) in run(level, Roots(x)).into_iter().zip(x) {
                let ulp = f64::from_bits(x.sqrt().to_bits() + 1) - x.sqrt();
                assert!((got - x.sqrt()).abs() <= 2.0 * ulp, "{level:?} root of {x:e}: {got:e}");
            }
        }
        let edge = run(level, Roots([0.0, -0.0, f64::NAN, 1.0, 4.0, 5e-324, 1e-310, 1e308]));
        assert_eq!(edge[..2], [0.0, 0.0]);
        assert!(edge[2].is_nan());
        assert_eq!(edge[3..5], [1.0, 2.0]);
        assert!((edge[5] / 5e-324f64.sqrt() - 1.0).abs() < 1e-3);
        assert!((edge[6] / 1e-310f64.sqrt() - 1.0).abs() < 1e-12);
        assert!((edge[7] / 1e154 - 1.0).abs() < 1e-15);
    }
}

struct NthBits<'a>(&'a [u64]);
impl Kernel for NthBits<'_> {
    type Output = Vec<Vec<u32>>;
    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Output {
        let all = |&word: &u64| (0..word.count_ones()).map(|i| S::nth_bit(word, i)).collect();
        self.0.iter().map(all).collect()
    }
}

#[test]
fn every_set_bit_of_many_words_is_found() {
    let mut word = 0x9e37_79b9_7f4a_7c15u64;
    let mut words = vec![u64::MAX, 1 << 63, 0];
    for turn in 0..200u32 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        words.push(match turn % 4 {
            0 => word,
            1 => word & word.rotate_left(13) & word.rotate_left(31),
            2 => word | word.rotate_left(13) | word.rotate_left(31),
            _ => (1 << (turn % 64)) | (1 << 63),
        });
    }
    let set = |word: &u64| (0..64).filter(|bit| (word >> bit) & 1 == 1).collect::<Vec<u32>>();
    let want: Vec<_> = words.iter().map(set).collect();
    for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
        assert_eq!(run(level, NthBits(&words)), want, "{level:?}");
    }
}
