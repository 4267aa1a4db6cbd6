//! Quantiles of one feature over all assets, from the tails of sorted columns.

use super::between;

/// The rank pair of a quantile: index of the order statistic below, and the weight of the next.
#[inline(always)]
fn position(count: usize, q: f64) -> (usize, f64) {
    let position = q * count.saturating_sub(1) as f64;
    (position as usize, position - (position as usize) as f64)
}

/// What a pooled quantile needs, counted from the end that is walked.
pub struct Ends {
    /// Rank of the deeper one of its two order statistics.
    pub far: usize,
    /// The other one is the rank before, not the same.
    pub paired: bool,
    weight: f64,
    above: bool,
}

impl Ends {
    /// For quantile `q` of `count > 0` values, walked from below or from above.
    pub fn new(count: usize, q: f64, above: bool) -> Ends {
        let (index, weight) = position(count, q);
        let next = (index + 1).min(count - 1);
        let far = if above { count - 1 - index } else { next };
        Ends { far, paired: next > index, weight, above }
    }

    /// The quantile from the value nearer to the end and the deeper one (negated from above).
    pub fn value(&self, near: f64, far: f64) -> f64 {
        if self.above { between(-far, -near, self.weight) } else { between(near, far, self.weight) }
    }
}

/// One sorted column of a feature: `values[i * stride]`, ascending, `count` of them.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    /// First value.
    pub values: &'a [f64],
    /// Distance between values.
    pub stride: usize,
    /// Valid values.
    pub count: usize,
}

impl Column<'_> {
    /// The `i`-th value from the end that is walked: from below, or negated from above.
    #[inline(always)]
    pub fn get(&self, i: usize, above: bool) -> f64 {
        if above {
            -self.values[(self.count - 1 - i) * self.stride]
        } else {
            self.values[i * self.stride]
        }
    }

    /// Values at most `limit`, seen from the end that is walked.
    #[inline(always)]
    fn count_to(&self, limit: f64, above: bool) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle, above) <= limit {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// How many leading values of each column are needed so that together they hold the `wanted`
/// smallest values of all (largest where `above`); `out` has one place per column.
pub fn tail(columns: &[Column<'_>], wanted: usize, above: bool, out: &mut Vec<usize>) {
    let total: usize = columns.iter().map(|c| c.count).sum();
    out.clear();
    if wanted >= total {
        out.extend(columns.iter().map(|c| c.count));
        return;
    }
    // A limit that a column of typical width would reach at its share of the tail; twice as deep
    // until enough values lie below it. Depth reaches the whole column at last.
    let mut limits = Vec::with_capacity(columns.len());
    let mut share = wanted as f64 / total as f64;
    loop {
        limits.clear();
        for column in columns.iter().filter(|c| c.count > 0) {
            let depth = (share * column.count as f64) as usize;
            limits.push(column.get(depth.min(column.count - 1), above));
        }
        let middle = if share < 1.0 { limits.len() / 2 } else { limits.len() - 1 };
        let (_, limit, _) = limits.select_nth_unstable_by(middle, f64::total_cmp);
        let limit = *limit;
        out.clear();
        out.extend(columns.iter().map(|c| c.count_to(limit, above)));
        if out.iter().sum::<usize>() >= wanted {
            return;
        }
        share = (share * 1.25).max(1.0 / total as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tails_hold_the_wanted_extremes(
            mut columns in prop::collection::vec(prop::collection::vec(-20i32..20, 0..40), 1..8),
            share in 0.0f64..=1.2,
            above in any::<bool>(),
        ) {
            columns.iter_mut().for_each(|c| c.sort_unstable());
            let columns: Vec<Vec<f64>> =
                columns.iter().map(|c| c.iter().map(|&v| f64::from(v)).collect()).collect();
            let views: Vec<Column<'_>> = columns
                .iter()
                .map(|c| Column { values: c, stride: 1, count: c.len() })
                .collect();
            let mut all = columns.concat();
            all.sort_by(f64::total_cmp);
            if above {
                all.reverse();
            }
            let wanted = (share * all.len() as f64) as usize;
            let mut lengths = Vec::new();
            tail(&views, wanted, above, &mut lengths);
            let mut kept: Vec<f64> = views
                .iter()
                .zip(&lengths)
                .flat_map(|(c, &n)| (0..n).map(|i| c.get(i, above)))
                .map(|v| if above { -v } else { v })
                .collect();
            kept.sort_by(f64::total_cmp);
            if above {
                kept.reverse();
            }
            prop_assert!(kept.len() >= wanted.min(all.len()));
            prop_assert_eq!(&kept[..wanted.min(all.len())], &all[..wanted.min(all.len())]);
        }
    }
}
