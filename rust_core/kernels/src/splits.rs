//! Interval plans of purged, embargoed splits, and the rows that they stand for.
//!
//! Rows are positions on the time axis. An interval `[from, to)` is a pair of
//! `i64`; a set is a sorted list of disjoint, non-empty intervals. A plan
//! holds one set per split in compressed rows: split `k` owns the intervals
//! `offsets[k] .. offsets[k + 1]`.
//!
//! Row `i` carries the closed label interval `[i, end(i)]`. A test block of
//! rows `s ..= b` whose labels reach to `L` takes out of training every row
//! whose label interval meets `[s, L]`, and the `embargo` rows after `L`.

/// Half-open rows `[from, to)`.
pub type Interval = [i64; 2];

/// Where labels end.
#[derive(Clone, Copy, Debug)]
pub enum Labels<'a> {
    /// Row `i` ends at `i + h`.
    Horizon(i64),
    /// Row `i` ends at `ends[i] >= i`.
    Ends(&'a [i64]),
}

/// One interval set per split.
#[derive(Debug, Default)]
pub struct Sets {
    /// `splits + 1` positions in `intervals`.
    pub offsets: Vec<i64>,
    /// All intervals, split after split.
    pub intervals: Vec<Interval>,
}

impl Sets {
    fn with_capacity(splits: usize, intervals: usize) -> Sets {
        let mut offsets = Vec::with_capacity(splits + 1);
        offsets.push(0);
        Sets { offsets, intervals: Vec::with_capacity(intervals) }
    }

    fn close(&mut self) {
        self.offsets.push(self.intervals.len() as i64);
    }
}

/// The sets of every split.
#[derive(Debug, Default)]
pub struct Plan {
    /// Rows to train on.
    pub train: Sets,
    /// Rows to test on; adjacent groups are one block.
    pub test: Sets,
    /// Candidates whose label meets a test block.
    pub purged: Sets,
    /// Further candidates inside an embargo.
    pub embargoed: Sets,
}

/// What all splits of a plan share.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// Test groups, ordered and disjoint.
    pub groups: &'a [Interval],
    /// Candidates for training: an interval set.
    pub pool: &'a [Interval],
    /// Rows in all.
    pub n_samples: i64,
    /// Where labels end.
    pub labels: Labels<'a>,
    /// Rows that leave training after the labels of a test block.
    pub embargo: i64,
}

/// Plan the splits whose test groups are the rows of `combos` (`width` ascending ids each).
///
/// `reasons` also fills `purged` and `embargoed`; without it they stay empty.
pub fn plan(layout: &Layout<'_>, combos: &[i64], width: usize, reasons: bool) -> Plan {
    let splits = combos.len() / width;
    let groups: Vec<Group> = layout.groups.iter().map(|&g| Group::new(layout, g)).collect();
    let guess = splits * (layout.groups.len().min(width) + 1);
    let mut plan = Plan {
        train: Sets::with_capacity(splits, guess),
        test: Sets::with_capacity(splits, guess),
        ..Plan::default()
    };
    if reasons {
        plan.purged = Sets::with_capacity(splits, guess);
        plan.embargoed = Sets::with_capacity(splits, guess);
    }
    if !reasons && in_order(&groups) {
        for combo in combos.chunks_exact(width) {
            sweep(layout, &groups, combo, &mut plan);
            plan.train.close();
            plan.test.close();
        }
        return plan;
    }
    let mut scratch = Scratch::default();
    for combo in combos.chunks_exact(width) {
        scratch.collect(layout, &groups, combo, &mut plan.test.intervals);
        if reasons {
            scratch.explain(layout.pool, &mut plan);
        } else {
            scratch.overlap.append(&mut scratch.embargo);
            normalise(&mut scratch.overlap);
            partition(layout.pool, &scratch.overlap, |i| plan.train.intervals.push(i), |_| ());
        }
        plan.train.close();
        plan.test.close();
    }
    plan
}

/// Does every group take out one run of rows, and do the runs start and end in order?
fn in_order(groups: &[Group]) -> bool {
    let one_run = |g: &Group| match g.before[..] {
        [] => true,
        [[_, to]] => to == g.rows[0],
        _ => false,
    };
    groups.iter().all(one_run)
        && groups.is_sorted_by_key(Group::first_out)
        && groups.is_sorted_by_key(|g| g.reach)
}

/// Test blocks and training rows of one combination, in one pass over ordered runs.
#[inline(always)]
fn sweep(layout: &Layout<'_>, groups: &[Group], combo: &[i64], plan: &mut Plan) {
    let mut pool = layout.pool.iter().copied();
    let mut open = pool.next();
    let mut next = 0;
    while next < combo.len() {
        let first = &groups[combo[next] as usize];
        let mut last = first;
        next += 1;
        while next < combo.len() && groups[combo[next] as usize].rows[0] == last.rows[1] {
            last = &groups[combo[next] as usize];
            next += 1;
        }
        plan.test.intervals.push([first.rows[0], last.rows[1]]);
        let [from, to] = [
            first.first_out(),
            last.reach.saturating_add(1).saturating_add(layout.embargo).min(layout.n_samples),
        ];
        while let Some([start, stop]) = open {
            if start < from {
                plan.train.intervals.push([start, stop.min(from)]);
            }
            if stop > to {
                open = Some([start.max(to), stop]);
                break;
            }
            open = pool.next();
        }
    }
    plan.train.intervals.extend(open);
    plan.train.intervals.extend(pool);
}

/// A test group and what it takes out of training.
struct Group {
    rows: Interval,
    /// Earlier rows whose label reaches into the group.
    before: Vec<Interval>,
    /// Last row that a label of the group touches.
    reach: i64,
}

impl Group {
    /// First row that the group takes out of training.
    fn first_out(&self) -> i64 {
        self.before.first().map_or(self.rows[0], |before| before[0])
    }

    fn new(layout: &Layout<'_>, rows: Interval) -> Group {
        let [start, stop] = rows;
        match layout.labels {
            Labels::Horizon(h) => Group {
                rows,
                before: if h > 0 { vec![[(start - h).max(0), start]] } else { Vec::new() },
                reach: (stop - 1).saturating_add(h),
            },
            Labels::Ends(ends) => {
                let mut before: Vec<Interval> = Vec::new();
                for row in (0..start).filter(|&row| ends[row as usize] >= start) {
                    match before.last_mut() {
                        Some(last) if last[1] == row => last[1] = row + 1,
                        _ => before.push([row, row + 1]),
                    }
                }
                let inside = &ends[start as usize..stop as usize];
                Group { rows, before, reach: inside.iter().copied().max().unwrap_or(stop - 1) }
            }
        }
    }
}

#[derive(Default)]
struct Scratch {
    overlap: Vec<Interval>,
    embargo: Vec<Interval>,
    kept: Vec<Interval>,
    cut: Vec<Interval>,
}

impl Scratch {
    /// Gather the test blocks of one combination and what each takes out.
    fn collect(
        &mut self,
        layout: &Layout<'_>,
        groups: &[Group],
        combo: &[i64],
        test: &mut Vec<Interval>,
    ) {
        self.overlap.clear();
        self.embargo.clear();
        let mut next = 0;
        while next < combo.len() {
            let first = &groups[combo[next] as usize];
            let (mut stop, mut reach) = (first.rows[1], first.reach);
            next += 1;
            while next < combo.len() && groups[combo[next] as usize].rows[0] == stop {
                let group = &groups[combo[next] as usize];
                (stop, reach) = (group.rows[1], reach.max(group.reach));
                next += 1;
            }
            test.push([first.rows[0], stop]);
            self.overlap.extend_from_slice(&first.before);
            let after = reach.saturating_add(1).min(layout.n_samples);
            self.overlap.push([first.rows[0], after]);
            let end = after.saturating_add(layout.embargo).min(layout.n_samples);
            if end > after {
                self.embargo.push([after, end]);
            }
        }
    }

    /// Train, purged and embargoed rows of one combination.
    fn explain(&mut self, pool: &[Interval], plan: &mut Plan) {
        normalise(&mut self.overlap);
        normalise(&mut self.embargo);
        self.kept.clear();
        self.cut.clear();
        partition(pool, &self.overlap, |i| self.kept.push(i), |i| self.cut.push(i));
        let from = plan.test.offsets[plan.test.offsets.len() - 1] as usize;
        let test = &plan.test.intervals[from..];
        partition(&self.cut, test, |i| plan.purged.intervals.push(i), |_| ());
        partition(
            &self.kept,
            &self.embargo,
            |i| plan.train.intervals.push(i),
            |i| plan.embargoed.intervals.push(i),
        );
        plan.purged.close();
        plan.embargoed.close();
    }
}

/// Sort and merge into an interval set.
fn normalise(set: &mut Vec<Interval>) {
    if !set.is_sorted() {
        set.sort_unstable();
    }
    let mut len = 0;
    for i in 0..set.len() {
        let [from, to] = set[i];
        if len > 0 && from <= set[len - 1][1] {
            set[len - 1][1] = set[len - 1][1].max(to);
        } else {
            set[len] = [from, to];
            len += 1;
        }
    }
    set.truncate(len);
}

/// Cut the set `a` along the set `b`: parts outside and inside of `b`, in order.
#[inline(always)]
fn partition(
    a: &[Interval],
    b: &[Interval],
    mut outside: impl FnMut(Interval),
    mut inside: impl FnMut(Interval),
) {
    let mut cut = b.iter().peekable();
    for &[mut from, to] in a {
        while from < to {
            match cut.peek() {
                Some(&&[_, end]) if end <= from => {
                    cut.next();
                }
                Some(&&[start, _]) if start > from => {
                    let stop = start.min(to);
                    outside([from, stop]);
                    from = stop;
                }
                Some(&&[_, end]) => {
                    let stop = end.min(to);
                    inside([from, stop]);
                    from = stop;
                }
                None => {
                    outside([from, to]);
                    from = to;
                }
            }
        }
    }
}

/// Rows in an interval set.
pub fn count(set: &[Interval]) -> usize {
    set.iter().map(|[from, to]| (to - from).max(0) as usize).sum()
}

/// Write the rows of an interval set; `out` has [`count`] places.
pub fn fill(set: &[Interval], out: &mut [i64]) {
    let mut rest = out;
    for &[from, to] in set {
        let (rows, tail) = rest.split_at_mut((to - from).max(0) as usize);
        for (slot, row) in rows.iter_mut().zip(from..) {
            *slot = row;
        }
        rest = tail;
    }
}

/// The first `limit` combinations of `width` out of `0..n`, lexicographic, row after row.
pub fn combinations(n: usize, width: usize, limit: usize) -> Vec<i64> {
    let mut out = Vec::new();
    each_combination(n, width, |combo| {
        out.extend_from_slice(combo);
        out.len() < limit.saturating_mul(width)
    });
    out
}

/// Visit combinations in lexicographic order while `visit` returns true.
fn each_combination(n: usize, width: usize, mut visit: impl FnMut(&[i64]) -> bool) {
    if width == 0 || width > n {
        return;
    }
    let mut combo: Vec<i64> = (0..width as i64).collect();
    while visit(&combo) {
        let last = |i: usize| (n - width + i) as i64;
        let Some(i) = (0..width).rev().find(|&i| combo[i] < last(i)) else { return };
        combo[i] += 1;
        for j in i + 1..width {
            combo[j] = combo[j - 1] + 1;
        }
    }
}

/// `limit` distinct combinations that spread test appearances evenly over the groups.
///
/// Greedy: each step takes the unused combination that leaves the smallest
/// (largest minus smallest count, sum of squared counts); ties go to the
/// lexicographically first.
pub fn balanced_combinations(n: usize, width: usize, limit: usize) -> Vec<i64> {
    let all = combinations(n, width, usize::MAX);
    let total = all.len().checked_div(width).unwrap_or(0);
    let mut used = vec![false; total];
    let mut counts = vec![0i64; n];
    let mut out = Vec::with_capacity(limit.min(total) * width);
    for _ in 0..limit.min(total) {
        let bound = best_cost(&counts, width);
        let mut best: Option<((i64, i64), usize)> = None;
        for (k, combo) in all.chunks_exact(width).enumerate().filter(|(k, _)| !used[*k]) {
            let cost = cost(&mut counts, combo);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, k));
                if cost == bound {
                    break;
                }
            }
        }
        let Some((_, k)) = best else { break };
        used[k] = true;
        let combo = &all[k * width..(k + 1) * width];
        combo.iter().for_each(|&g| counts[g as usize] += 1);
        out.extend_from_slice(combo);
    }
    out
}

/// (spread, sum of squares) after `combo` is added; `counts` comes back unchanged.
fn cost(counts: &mut [i64], combo: &[i64]) -> (i64, i64) {
    combo.iter().for_each(|&g| counts[g as usize] += 1);
    let (mut least, mut most, mut squares) = (i64::MAX, i64::MIN, 0);
    for &c in counts.iter() {
        (least, most, squares) = (least.min(c), most.max(c), squares + c * c);
    }
    combo.iter().for_each(|&g| counts[g as usize] -= 1);
    (most - least, squares)
}

/// The cost that no choice of `width` groups can beat: the least used ones.
fn best_cost(counts: &[i64], width: usize) -> (i64, i64) {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let lowest: Vec<i64> = (0..width as i64).collect();
    cost(&mut sorted, &lowest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(set: &[Interval]) -> Vec<i64> {
        let mut out = vec![0; count(set)];
        fill(set, &mut out);
        out
    }

    fn of(sets: &Sets, k: usize) -> &[Interval] {
        &sets.intervals[sets.offsets[k] as usize..sets.offsets[k + 1] as usize]
    }

    const BLOCKS: [Interval; 5] = [[0, 4], [4, 8], [8, 12], [12, 16], [16, 20]];

    #[test]
    fn worked_example_purges_both_sides_and_embargoes_after_every_block() {
        let layout = Layout {
            groups: &BLOCKS,
            pool: &[[0, 20]],
            n_samples: 20,
            labels: Labels::Horizon(1),
            embargo: 2,
        };
        let plan = plan(&layout, &[1, 3], 2, true);
        assert_eq!(rows(of(&plan.train, 0)), [0, 1, 2, 19]);
        assert_eq!(of(&plan.test, 0), [[4, 8], [12, 16]]);
        assert_eq!(rows(of(&plan.purged, 0)), [3, 8, 11, 16]);
        assert_eq!(rows(of(&plan.embargoed, 0)), [9, 10, 17, 18]);
    }

    #[test]
    fn combinations_are_lexicographic_and_limited() {
        assert_eq!(combinations(4, 2, 99), [0, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3]);
        assert_eq!(combinations(6, 2, 3), [0, 1, 0, 2, 0, 3]);
        assert_eq!(combinations(16, 8, usize::MAX).len(), 12870 * 8);
        assert!(combinations(2, 3, 9).is_empty());
    }

    #[test]
    fn balanced_combinations_spread_appearances() {
        assert_eq!(balanced_combinations(4, 2, 2), [0, 1, 2, 3]);
        assert_eq!(balanced_combinations(6, 2, 3), [0, 1, 2, 3, 4, 5]);
        let five = balanced_combinations(5, 2, 5);
        assert!((0..5).all(|g| five.iter().filter(|&&x| x == g).count() == 2));
    }

    proptest! {
        #[test]
        fn plan_agrees_with_the_definition(
            ends in prop::collection::vec(0i64..6, 24),
            warmup in 0i64..5,
            len in 2i64..5,
            combo in prop::sample::subsequence(vec![0i64, 1, 2, 3], 1..4),
            embargo in 0i64..5,
            whole in any::<bool>(),
        ) {
            let ends: Vec<i64> = (0..).zip(&ends).map(|(i, e)| i + e).collect();
            let groups: Vec<Interval> =
                (0..4).map(|g| [warmup + g * len, warmup + (g + 1) * len]).collect();
            let n = groups[3][1];
            let pool: Vec<Interval> = if whole { vec![[0, n]] } else { vec![[0, 2.min(warmup)], [warmup, n]] };
            let pool: Vec<Interval> = pool.into_iter().filter(|[a, b]| a < b).collect();
            let in_pool = |i: &i64| pool.iter().any(|[a, b]| a <= i && i < b);
            let layout = Layout {
                groups: &groups,
                pool: &pool,
                n_samples: n,
                labels: Labels::Ends(&ends),
                embargo,
            };
            let steady = Layout { labels: Labels::Horizon(embargo + 1), ..layout };
            prop_assert_eq!(
                rows(of(&plan(&steady, &combo, combo.len(), true).train, 0)),
                rows(of(&plan(&steady, &combo, combo.len(), false).train, 0))
            );
            let full = plan(&layout, &combo, combo.len(), true);
            let quick = plan(&layout, &combo, combo.len(), false);
            let test: Vec<i64> =
                combo.iter().flat_map(|&g| groups[g as usize][0]..groups[g as usize][1]).collect();
            // Row by row: label intervals of a training row and of a test row may not meet,
            // nor may it lie in the rows after the labels of a block of adjacent test rows.
            let meets = |i: i64| test.iter().any(|&j| i <= ends[j as usize] && j <= ends[i as usize]);
            let blocks = of(&full.test, 0);
            let after = |i: i64| blocks.iter().any(|&[s, e]| {
                let reach = (s..e).map(|j| ends[j as usize]).max().expect("not empty");
                i > reach && i <= reach + embargo
            });
            let bridged = |i: i64| blocks.iter().any(|&[s, e]| {
                i >= s && i <= (s..e).map(|j| ends[j as usize]).max().expect("not empty")
            });
            let train: Vec<i64> =
                (0..n).filter(in_pool).filter(|&i| !meets(i) && !bridged(i) && !after(i)).collect();
            prop_assert_eq!(rows(of(&full.train, 0)), train.clone());
            prop_assert_eq!(rows(of(&quick.train, 0)), train);
            let mut all = [
                rows(of(&full.train, 0)), rows(of(&full.test, 0)),
                rows(of(&full.purged, 0)), rows(of(&full.embargoed, 0)),
            ].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..n).filter(in_pool).collect::<Vec<i64>>());
        }
    }
}
