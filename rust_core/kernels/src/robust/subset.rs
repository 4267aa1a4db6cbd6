//! Order statistics of a subset of a sorted column, by counting bits.
//!
//! Bit `i` of a set says whether the `i`-th smallest value belongs to it. The
//! `j`-th smallest of the subset is then the position of the `j`-th set bit,
//! found from running counts without touching the other values.

use super::{between, clamp};
use crate::simd::bits;

/// Words of a set over `n` positions.
pub fn words(n: usize) -> usize {
    n.div_ceil(64)
}

/// The chosen part of an ascending column, winsorised as it is read.
///
/// `FAST` promises that the CPU has BMI2.
pub struct Subset<'a, const FAST: bool> {
    values: &'a [f64],
    bits: &'a [u64],
    /// Chosen positions before each word, and their number.
    before: &'a [u32],
    /// Words per chosen value, in units of 2^-32.
    pace: u64,
    bounds: [f64; 2],
}

impl<'a, const FAST: bool> Subset<'a, FAST> {
    /// Count `bits` into `before` (one place more than words).
    #[inline(always)]
    pub fn new(
        values: &'a [f64],
        bits: &'a [u64],
        before: &'a mut [u32],
        bounds: [f64; 2],
    ) -> Self {
        let mut total = 0;
        for (slot, word) in before.iter_mut().zip(bits) {
            *slot = total;
            total += word.count_ones();
        }
        before[bits.len()] = total;
        let pace = ((bits.len() as u64) << 32) / u64::from(total.max(1));
        Subset { values, bits, before, pace, bounds }
    }

    /// Values in the subset.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.before[self.bits.len()] as usize
    }

    /// Position of the `j`-th smallest, `j < len`.
    #[inline(always)]
    fn find(&self, j: usize) -> usize {
        let j = j as u32;
        // Chosen values lie about evenly, so the word is close to its share.
        let mut word = ((u64::from(j) * self.pace) >> 32) as usize;
        while self.before[word] > j {
            word -= 1;
        }
        while self.before[word + 1] <= j {
            word += 1;
        }
        let (bits, i) = (self.bits[word], j - self.before[word]);
        #[cfg(target_arch = "x86_64")]
        if FAST {
            // SAFETY: `FAST` is only chosen where the CPU has BMI2.
            return word * 64 + unsafe { bits::nth_by_deposit(bits, i) } as usize;
        }
        word * 64 + bits::nth(bits, i) as usize
    }

    #[inline(always)]
    fn at(&self, position: usize) -> f64 {
        clamp(self.values[position], self.bounds[0], self.bounds[1])
    }

    /// The `j`-th smallest, `j < len`.
    #[inline(always)]
    fn get(&self, j: usize) -> f64 {
        self.at(self.find(j))
    }

    /// The `j`-th smallest and the next one, `j + 1 < len`.
    #[inline(always)]
    fn pair(&self, j: usize) -> [f64; 2] {
        let first = self.find(j);
        let rest = self.bits[first / 64] & (!1 << (first % 64));
        let next = match rest {
            0 => self.find(j + 1),
            _ => first / 64 * 64 + rest.trailing_zeros() as usize,
        };
        [self.at(first), self.at(next)]
    }

    /// Quantile by linear interpolation.
    #[inline(always)]
    pub fn quantile(&self, q: f64) -> f64 {
        let last = self.len() - 1;
        let position = q * last as f64;
        let index = position as usize;
        if index == last {
            return self.get(last);
        }
        let [a, b] = self.pair(index);
        between(a, b, position - index as f64)
    }

    /// Smallest and largest value.
    #[inline(always)]
    pub fn range(&self) -> [f64; 2] {
        [self.get(0), self.get(self.len() - 1)]
    }

    /// Median.
    #[inline(always)]
    pub fn median(&self) -> f64 {
        let n = self.len();
        if n % 2 == 1 {
            return self.get(n / 2);
        }
        let [a, b] = self.pair(n / 2 - 1);
        middle(a, b)
    }

    /// Median of the distances from `centre`, which lies between the middle values.
    ///
    /// `guess` is about where the nearest half begins, as a share of the
    /// subset; it only saves steps and comes back improved.
    #[inline(always)]
    pub fn mad(&self, centre: f64, guess: &mut f64) -> f64 {
        let n = self.len();
        let k = (n - 1) / 2;
        // The k + 1 nearest are neighbours j ..= j + k; find the first j at
        // which the right end is at least as far away as the left one.
        let short = |j: usize| self.get(j + k) - centre < centre - self.get(j);
        let (mut low, mut high) = (0, n - k);
        let (mut probe, mut step) = (((*guess * n as f64) as usize).min(n - k - 1), 1);
        if short(probe) {
            low = probe + 1;
            while low < high {
                probe = (low + step - 1).min(high - 1);
                if !short(probe) {
                    high = probe;
                    break;
                }
                (low, step) = (probe + 1, 2 * step);
            }
        } else {
            high = probe;
            while low < high {
                probe = high.saturating_sub(step).max(low);
                if short(probe) {
                    low = probe + 1;
                    break;
                }
                (high, step) = (probe, 2 * step);
            }
        }
        while low < high {
            let probe = low.midpoint(high);
            if short(probe) {
                low = probe + 1;
            } else {
                high = probe;
            }
        }
        *guess = low as f64 / n as f64;
        let lower = self.half_width(k, low, centre);
        if n % 2 == 1 {
            return lower;
        }
        let upper = self.half_width(k + 1, low, centre);
        let upper =
            if low > 0 { upper.min(self.half_width(k + 1, low - 1, centre)) } else { upper };
        middle(lower, upper)
    }

    /// The smaller half-width of the neighbours that begin at `j` or one before it.
    #[inline(always)]
    fn half_width(&self, k: usize, j: usize, centre: f64) -> f64 {
        let width = |j: usize| (centre - self.get(j)).max(self.get(j + k) - centre);
        let here = if j + k < self.len() { width(j) } else { f64::INFINITY };
        if j > 0 && j - 1 + k < self.len() { here.min(width(j - 1)) } else { here }
    }
}

#[inline(always)]
fn middle(a: f64, b: f64) -> f64 {
    if a == b { a } else { (a + b) * 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted_middle(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        (values[(n - 1) / 2] + values[n / 2]) * 0.5
    }

    proptest! {
        #[test]
        fn every_statistic_is_that_of_the_listed_subset(
            mut values in prop::collection::vec(-9i32..9, 1..300),
            chosen in prop::collection::vec(any::<bool>(), 300),
            q in 0.0f64..=1.0,
            mut guess in 0.0f64..=1.0,
            low in -9i32..0,
        ) {
            values.sort_unstable();
            let values: Vec<f64> = values.iter().map(|&v| f64::from(v) * 0.37).collect();
            let bounds = [f64::from(low) * 0.37, 2.0];
            let mut bits = vec![0u64; words(values.len())];
            (0..values.len()).filter(|&i| chosen[i]).for_each(|i| bits[i / 64] |= 1 << (i % 64));
            let listed: Vec<f64> = (0..values.len())
                .filter(|&i| chosen[i])
                .map(|i| values[i].clamp(bounds[0], bounds[1]))
                .collect();
            let mut before = vec![0; bits.len() + 1];
            let subset = Subset::<false>::new(&values, &bits, &mut before, bounds);
            prop_assert_eq!(subset.len(), listed.len());
            prop_assume!(!listed.is_empty());
            let centre = subset.median();
            prop_assert_eq!(centre, sorted_middle(listed.clone()));
            let off = listed.iter().map(|x| (x - centre).abs()).collect();
            prop_assert_eq!(subset.mad(centre, &mut guess), sorted_middle(off));
            prop_assert_eq!(subset.range(), [listed[0], listed[listed.len() - 1]]);
            let p = q * (listed.len() - 1) as f64;
            let (a, b) = (listed[p as usize], listed[(p as usize + 1).min(listed.len() - 1)]);
            prop_assert_eq!(subset.quantile(q), between(a, b, p.fract()));
        }
    }
}
