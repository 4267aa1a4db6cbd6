//! The statistics of one sorted column in every training set.

use super::fit::{STATISTICS, TrainingSets};
use super::subset::{Subset, words};
use crate::exec::Level;

/// How the bits of a set are put together.
pub struct SetPlan {
    /// Is each row of the union in the set?
    pub inside: Vec<bool>,
    /// Classes to join: those of the set, or those that it lacks.
    classes: Vec<u32>,
    lacking: bool,
}

impl SetPlan {
    /// The plan of one set, given which classes it has.
    pub fn new(sets: &TrainingSets<'_>, member: &[bool]) -> SetPlan {
        let of = |wanted: bool| -> Vec<u32> {
            (0..).zip(member).filter(|&(_, &m)| m == wanted).map(|(c, _)| c).collect()
        };
        let (has, lacks) = (of(true), of(false));
        let lacking = lacks.len() < has.len();
        SetPlan {
            inside: sets.class.iter().map(|&c| member[c as usize]).collect(),
            classes: if lacking { lacks } else { has },
            lacking,
        }
    }
}

/// Room for the bits of one column.
pub struct SetScratch {
    /// `[class, word]`.
    classes: Vec<u64>,
    bits: Vec<u64>,
    before: Vec<u32>,
}

impl SetScratch {
    /// Room for `n` rows.
    pub fn new(n: usize, classes: usize) -> SetScratch {
        let words = words(n);
        SetScratch {
            classes: vec![0; classes * words],
            bits: vec![0; words],
            before: vec![0; words + 1],
        }
    }
}

/// The statistics of one column in every set.
pub struct ColumnTask<'a> {
    /// Valid values, ascending.
    pub values: &'a [f64],
    /// Row of each, as a position in the union.
    pub places: &'a [u32],
    /// Class of each row.
    pub class: &'a [u32],
    /// The sets.
    pub plans: &'a [SetPlan],
    /// Winsor bounds of each set.
    pub bounds: &'a [[f64; 2]],
}

impl ColumnTask<'_> {
    /// Hand the statistics of every set to `put`; `fast` comes from [`has_bit_instructions`].
    pub fn statistics(
        &self,
        fast: bool,
        scratch: &mut SetScratch,
        put: impl FnMut(usize, [f64; STATISTICS]),
    ) {
        #[cfg(target_arch = "x86_64")]
        if fast {
            assert!(has_bit_instructions(Level::Avx2));
            // SAFETY: the features are there.
            return unsafe { with_bit_instructions(self, scratch, put) };
        }
        debug_assert!(!fast);
        self.run::<false>(scratch, put);
    }

    #[inline(always)]
    fn run<const FAST: bool>(
        &self,
        scratch: &mut SetScratch,
        mut put: impl FnMut(usize, [f64; STATISTICS]),
    ) {
        let width = words(self.values.len());
        let SetScratch { classes, bits, before } = scratch;
        let (bits, before) = (&mut bits[..width], &mut before[..width + 1]);
        classes.fill(0);
        for (i, &place) in self.places.iter().enumerate() {
            let class = self.class[place as usize] as usize;
            classes[class * width + i / 64] |= 1 << (i % 64);
        }
        let mut guess = 0.25;
        for (k, plan) in self.plans.iter().enumerate() {
            self.gather(plan, classes, bits);
            let subset = Subset::<FAST>::new(self.values, bits, before, self.bounds[k]);
            if subset.len() == 0 {
                let mut empty = [f64::NAN; STATISTICS];
                empty[0] = 0.0;
                put(k, empty);
                continue;
            }
            let [least, most] = subset.range();
            let median = subset.median();
            let mad = subset.mad(median, &mut guess);
            let quartiles = [subset.quantile(0.25), subset.quantile(0.75)];
            let count = subset.len() as f64;
            put(k, [count, least, most, median, mad, quartiles[0], quartiles[1]]);
        }
    }

    /// The bits of one set: join its classes, or take away those that it lacks.
    #[inline(always)]
    fn gather(&self, plan: &SetPlan, classes: &[u64], bits: &mut [u64]) {
        let width = bits.len();
        bits.fill(0);
        if plan.classes.len() * width > 4 * self.values.len() {
            for (i, &place) in self.places.iter().enumerate() {
                bits[i / 64] |= u64::from(plan.inside[place as usize]) << (i % 64);
            }
            return;
        }
        for &class in &plan.classes {
            let from = &classes[class as usize * width..][..width];
            bits.iter_mut().zip(from).for_each(|(bit, &word)| *bit |= word);
        }
        if plan.lacking {
            bits.iter_mut().for_each(|word| *word = !*word);
            let rest = self.values.len() % 64;
            if rest > 0 {
                bits[width - 1] &= (1 << rest) - 1;
            }
        }
    }
}

/// May kernels of this level count and place bits in hardware?
pub fn has_bit_instructions(level: Level) -> bool {
    #[cfg(target_arch = "x86_64")]
    return level >= Level::Avx2
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("bmi2");
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = level;
        false
    }
}

/// # Safety
/// The CPU has the features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt,bmi2")]
unsafe fn with_bit_instructions(
    task: &ColumnTask<'_>,
    scratch: &mut SetScratch,
    put: impl FnMut(usize, [f64; STATISTICS]),
) {
    task.run::<true>(scratch, put);
}
