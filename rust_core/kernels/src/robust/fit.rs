//! Winsor bounds and order statistics of every training set.
//!
//! Eight features of one asset are sorted at once. With a single training set
//! its statistics are read off the sorted lanes. With several, the rows of all
//! sets are sorted once, carrying their positions, and each set is read as a
//! [`Subset`] of the sorted column: order statistics only select values, so
//! both ways give the same bits.

use super::pooled::{Column, position, tail};
use super::subset::{Subset, words};
use super::{Cube, Octet, between, clamp_lanes};
use std::ops::Range;

use crate::exec::{Exec, Level, SharedOut};
use crate::order::{self, BLOCK, Lanes};
use crate::simd::{self, Kernel, LANES, Simd};

/// Statistics per training set, asset and feature, in this order.
pub const STATISTICS: usize = 7;

/// Training sets over the rows that at least one of them has.
#[derive(Clone, Copy, Debug)]
pub struct TrainingSets<'a> {
    /// Rows of all sets together, ascending.
    pub rows: &'a [i64],
    /// Class of each of these rows; rows of a class are in the same sets.
    pub class: &'a [u32],
    /// Number of classes.
    pub classes: usize,
    /// Has set `k` class `c`, `[sets, classes]`?
    pub member: &'a [bool],
}

impl TrainingSets<'_> {
    /// Number of sets.
    pub fn len(&self) -> usize {
        self.member.len() / self.classes.max(1)
    }

    /// No set at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn single(&self) -> bool {
        self.member.iter().all(|&m| m) && self.len() == 1
    }
}

/// What [`fit`] finds for `K` sets, `A` assets and `J` features.
#[derive(Debug)]
pub struct Fit {
    /// Lower and upper winsor bound, `[2, K, J]`; NaN without observations.
    pub bounds: Vec<f64>,
    /// Count, minimum, maximum, median, MAD, lower and upper quartile of the winsorised
    /// training values, `[7, K, A, J]`; NaN (count 0) without observations.
    pub statistics: Vec<f64>,
}

/// Fit `features` on every training set; `quantiles` are the pooled winsor levels.
///
/// Observed values in training rows are finite.
pub fn fit(
    exec: Exec,
    cube: Cube<'_>,
    features: &[usize],
    sets: TrainingSets<'_>,
    quantiles: [f64; 2],
) -> Fit {
    let (k, a, j) = (sets.len(), cube.shape[1], features.len());
    let mut out = Fit {
        bounds: vec![f64::NAN; 2 * k * j],
        statistics: vec![f64::NAN; STATISTICS * k * a * j],
    };
    let octets = Octet::all(features);
    let exec = exec.for_work(sets.rows.len() * a * j * 4);
    if sets.single() {
        Single::new(exec, cube, sets.rows).fit(&octets, quantiles, &mut out);
    } else if k > 0 {
        Shared::new(exec, cube, sets).fit(&octets, quantiles, &mut out);
    }
    out
}

/// Assets that are read together: a row of the cube is one page, or close to it, so reading
/// asset by asset would walk through all pages once for each.
const TOGETHER: usize = 8;

/// Read the training values of one octet of a few assets: rows of eight lanes for each asset,
/// missing values as `+inf`.
struct Read<'a> {
    cube: Cube<'a>,
    rows: &'a [i64],
    octet: Octet,
    assets: Range<usize>,
    /// `[asset, row, lane]`, padded to `stride` places per asset.
    lanes: &'a mut [f64],
    stride: usize,
}

impl Kernel for Read<'_> {
    /// Observed values of each asset and lane.
    type Output = [[usize; LANES]; TOGETHER];

    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Output {
        const AHEAD: usize = 6;
        let mut counts = [S::splat(0.0); TOGETHER];
        for (i, &time) in self.rows.iter().enumerate() {
            if let Some(&later) = self.rows.get(i + AHEAD) {
                self.cube.prefetch(later as usize, &self.assets, &self.octet);
            }
            for (slot, asset) in self.assets.clone().enumerate() {
                let x = self.cube.load::<S>(time as usize, asset, &self.octet);
                let valid = S::valid(x);
                counts[slot] = S::add(counts[slot], S::keep(valid, S::splat(1.0)));
                // One zero only: the network may not choose between two of them.
                let x = S::select(valid, S::add(x, S::splat(0.0)), S::splat(f64::INFINITY));
                let at = slot * self.stride + i * LANES;
                let out = &mut self.lanes[at..at + LANES];
                // SAFETY: `out` has eight places.
                unsafe { S::store(out.as_mut_ptr(), x) };
            }
        }
        for lanes in self.lanes.chunks_exact_mut(self.stride) {
            lanes[self.rows.len() * LANES..].fill(f64::INFINITY);
        }
        counts.map(|count| S::to_array(count).map(|c| c as usize))
    }
}

/// Sort lanes; with a tag, the low bits of a sorted value name its row.
struct Sort<'a> {
    lanes: &'a mut [f64],
    rows: usize,
    tag: Option<u64>,
}

impl Kernel for Sort<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        if let Some(low) = self.tag {
            let used = self.lanes[..self.rows * LANES].chunks_exact_mut(LANES);
            for (i, row) in used.enumerate() {
                for value in row {
                    let tagged = f64::from_bits((value.to_bits() & !low) | i as u64);
                    *value = if *value == f64::INFINITY { *value } else { tagged };
                }
            }
        }
        order::sort::<S>(self.lanes);
    }
}

/// The way of a single training set.
struct Single<'a> {
    exec: Exec,
    cube: Cube<'a>,
    rows: &'a [i64],
    /// Places of one asset's lanes.
    stride: usize,
    lanes: Lanes,
    counts: Vec<usize>,
}

impl<'a> Single<'a> {
    fn new(exec: Exec, cube: Cube<'a>, rows: &'a [i64]) -> Self {
        let padded = rows.len().next_multiple_of(BLOCK);
        let assets = cube.shape[1];
        let lanes = Lanes::new(padded * assets);
        Single { exec, cube, rows, stride: padded * LANES, lanes, counts: vec![0; assets * LANES] }
    }

    fn fit(&mut self, octets: &[Octet], quantiles: [f64; 2], out: &mut Fit) {
        let features: usize = octets.iter().map(|o| o.width).sum();
        for (o, &octet) in octets.iter().enumerate() {
            self.sort(octet);
            let mut bounds = [[f64::NAN; LANES]; 2];
            for lane in 0..octet.width {
                let found = self.bounds(lane, quantiles);
                for (side, bound) in found.into_iter().enumerate() {
                    bounds[side][lane] = bound;
                    out.bounds[side * features + o * LANES + lane] = bound;
                }
            }
            self.statistics(octet, o * LANES, features, bounds, &mut out.statistics);
        }
    }

    fn sort(&mut self, octet: Octet) {
        let (exec, cube, rows, stride) = (self.exec, self.cube, self.rows, self.stride);
        let lanes = SharedOut::new(self.lanes.values_mut());
        let counts = SharedOut::new(&mut self.counts);
        let total = cube.shape[1];
        exec.for_each(total.div_ceil(TOGETHER), |group| {
            let assets = group * TOGETHER..((group + 1) * TOGETHER).min(total);
            // SAFETY: the assets of a group belong to one task.
            let (lanes, counts) = unsafe {
                (
                    lanes.slice(assets.start * stride, assets.len() * stride),
                    counts.slice(assets.start * LANES, assets.len() * LANES),
                )
            };
            let read = Read { cube, rows, octet, assets, lanes, stride };
            let found = simd::run(exec.level(), read);
            for (count, found) in counts.chunks_exact_mut(LANES).zip(found) {
                count.copy_from_slice(&found);
            }
            for lanes in lanes.chunks_exact_mut(stride.max(1)) {
                simd::run(exec.level(), Sort { lanes, rows: rows.len(), tag: None });
            }
        });
    }

    /// Pooled winsor bounds of one feature.
    fn bounds(&self, lane: usize, [low, high]: [f64; 2]) -> [f64; 2] {
        let columns: Vec<Column<'_>> = (0..self.cube.shape[1])
            .map(|asset| Column {
                values: &self.lanes.values()[asset * self.stride + lane..],
                stride: LANES,
                count: self.counts[asset * LANES + lane],
            })
            .collect();
        let total: usize = columns.iter().map(|c| c.count).sum();
        if total == 0 {
            return [f64::NAN; 2];
        }
        let mut lengths = Vec::new();
        [(low, false), (high, true)].map(|(q, above)| {
            let ends = Ends::new(total, q, above);
            tail(&columns, ends.far + 1, above, &mut lengths);
            let mut values: Vec<f64> = columns
                .iter()
                .zip(&lengths)
                .flat_map(|(column, &n)| (0..n).map(|i| column.get(i, above)))
                .collect();
            let (front, far, _) = values.select_nth_unstable_by(ends.far, f64::total_cmp);
            let far = *far;
            let near = if ends.paired {
                front.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            } else {
                far
            };
            ends.value(near, far)
        })
    }

    fn statistics(
        &mut self,
        octet: Octet,
        first: usize,
        features: usize,
        bounds: [[f64; LANES]; 2],
        out: &mut [f64],
    ) {
        let (exec, assets, stride, rows) =
            (self.exec, self.cube.shape[1], self.stride, self.rows.len());
        let lanes = SharedOut::new(self.lanes.values_mut());
        let (counts, out) = (&self.counts, SharedOut::new(out));
        exec.for_each(assets, |asset| {
            // SAFETY: one asset per task.
            let lanes = unsafe { lanes.slice(asset * stride, stride) };
            let count = std::array::from_fn(|lane| counts[asset * LANES + lane] as f64);
            let found = simd::run(exec.level(), Statistics { lanes, rows, count, bounds });
            for (s, values) in found.iter().enumerate() {
                let at = (s * assets + asset) * features + first;
                // SAFETY: one asset per task.
                unsafe { out.slice(at, octet.width) }.copy_from_slice(&values[..octet.width]);
            }
        });
    }
}

/// Winsorise sorted lanes and read their statistics.
struct Statistics<'a> {
    lanes: &'a mut [f64],
    rows: usize,
    count: [f64; LANES],
    bounds: [[f64; LANES]; 2],
}

impl Kernel for Statistics<'_> {
    type Output = [[f64; LANES]; STATISTICS];

    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Output {
        let [low, high] = self.bounds.map(S::from_array);
        for row in self.lanes[..self.rows * LANES].chunks_exact_mut(LANES) {
            // SAFETY: `row` has eight places.
            unsafe {
                S::store(row.as_mut_ptr(), clamp_lanes::<S>(S::load(row.as_ptr()), low, high));
            }
        }
        let (lanes, count) = (&*self.lanes, S::from_array(self.count));
        let quantile = |q| order::quantile::<S>(lanes, count, q);
        let median = order::median::<S>(lanes, count);
        let mad = order::mad::<S>(lanes, count, median);
        let (least, most) = (quantile(0.0), quantile(1.0));
        [count, least, most, median, mad, quantile(0.25), quantile(0.75)].map(S::to_array)
    }
}

/// What a pooled quantile needs, counted from the end that is walked.
struct Ends {
    /// Rank of the deeper one of its two order statistics.
    far: usize,
    /// The other one is the rank before, not the same.
    paired: bool,
    weight: f64,
    above: bool,
}

impl Ends {
    fn new(count: usize, q: f64, above: bool) -> Ends {
        let (index, weight) = position(count, q);
        let next = (index + 1).min(count - 1);
        let far = if above { count - 1 - index } else { next };
        Ends { far, paired: next > index, weight, above }
    }

    /// The quantile from the value nearer to the end and the deeper one (negated from above).
    fn value(&self, near: f64, far: f64) -> f64 {
        if self.above { between(-far, -near, self.weight) } else { between(near, far, self.weight) }
    }
}

/// The way of several training sets.
struct Shared<'a> {
    exec: Exec,
    cube: Cube<'a>,
    sets: TrainingSets<'a>,
    plans: Vec<SetPlan>,
    /// Sorted values and their rows, `[asset, lane, row]`, and the valid ones of each.
    values: Vec<f64>,
    places: Vec<u32>,
    counts: Vec<usize>,
    /// Valid values per class, `[asset, lane, class]`.
    tally: Vec<u32>,
}

/// How the bits of a set are put together.
struct SetPlan {
    /// Is each row of the union in the set?
    inside: Vec<bool>,
    /// Classes to join: those of the set, or those that it lacks.
    classes: Vec<u32>,
    lacking: bool,
}

impl SetPlan {
    fn new(sets: &TrainingSets<'_>, member: &[bool]) -> SetPlan {
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

impl<'a> Shared<'a> {
    fn new(exec: Exec, cube: Cube<'a>, sets: TrainingSets<'a>) -> Self {
        let (n, columns) = (sets.rows.len(), cube.shape[1] * LANES);
        let plans = sets.member.chunks(sets.classes).map(|m| SetPlan::new(&sets, m)).collect();
        Shared {
            exec,
            cube,
            sets,
            plans,
            values: vec![0.0; columns * n],
            places: vec![0; columns * n],
            counts: vec![0; columns],
            tally: vec![0; columns * sets.classes],
        }
    }

    fn fit(&mut self, octets: &[Octet], quantiles: [f64; 2], out: &mut Fit) {
        let features: usize = octets.iter().map(|o| o.width).sum();
        let sets = self.plans.len();
        for (o, &octet) in octets.iter().enumerate() {
            self.sort(octet);
            let mut bounds = vec![[f64::NAN; 2]; octet.width * sets];
            let shared = SharedOut::new(&mut bounds);
            self.exec.for_each(octet.width, |lane| {
                // SAFETY: one lane per task.
                self.bounds(lane, quantiles, unsafe { shared.slice(lane * sets, sets) });
            });
            for (i, [low, high]) in bounds.iter().enumerate() {
                let at = (i % sets) * features + o * LANES + i / sets;
                out.bounds[at] = *low;
                out.bounds[sets * features + at] = *high;
            }
            self.statistics(octet, o * LANES, features, &bounds, &mut out.statistics);
        }
    }

    fn sort(&mut self, octet: Octet) {
        let (exec, cube, sets) = (self.exec, self.cube, self.sets);
        let (n, classes, total) = (sets.rows.len(), sets.classes, cube.shape[1]);
        let stride = n.next_multiple_of(BLOCK) * LANES;
        let low = (n as u64).next_power_of_two() - 1;
        let values = SharedOut::new(&mut self.values);
        let places = SharedOut::new(&mut self.places);
        let counts = SharedOut::new(&mut self.counts);
        let tally = SharedOut::new(&mut self.tally);
        let room = || Lanes::new(stride / LANES * TOGETHER.min(total));
        let scratch = || (room(), Lanes::new(n), Vec::new());
        let groups = total.div_ceil(TOGETHER);
        exec.for_each_with(groups, scratch, |(raw, lanes, pairs), group| {
            let assets = group * TOGETHER..((group + 1) * TOGETHER).min(total);
            let raw = &mut raw.values_mut()[..assets.len() * stride];
            let first = assets.start;
            let read = Read { cube, rows: sets.rows, octet, assets, lanes: raw, stride };
            let found = simd::run(exec.level(), read);
            for (asset, (raw, found)) in raw.chunks_exact(stride).zip(found).enumerate() {
                lanes.values_mut().copy_from_slice(raw);
                let sort = Sort { lanes: lanes.values_mut(), rows: n, tag: Some(low) };
                simd::run(exec.level(), sort);
                for lane in 0..octet.width {
                    let column = (first + asset) * LANES + lane;
                    // SAFETY: the assets of a group belong to one task.
                    let (values, places, tally) = unsafe {
                        counts.slice(column, 1)[0] = found[lane];
                        (
                            values.slice(column * n, found[lane]),
                            places.slice(column * n, found[lane]),
                            tally.slice(column * classes, classes),
                        )
                    };
                    untag(lanes.values(), raw, lane, low, (values, places), pairs);
                    tally.fill(0);
                    places.iter().for_each(|&p| tally[sets.class[p as usize] as usize] += 1);
                }
            }
        });
    }

    /// Pooled winsor bounds of one feature for every set.
    fn bounds(&self, lane: usize, quantiles: [f64; 2], out: &mut [[f64; 2]]) {
        let (n, classes) = (self.sets.rows.len(), self.sets.classes);
        let ids: Vec<usize> = (0..self.cube.shape[1]).map(|asset| asset * LANES + lane).collect();
        let columns: Vec<Column<'_>> = ids
            .iter()
            .map(|&id| Column { values: &self.values[id * n..], stride: 1, count: self.counts[id] })
            .collect();
        let mut per_class = vec![0usize; classes];
        for &id in &ids {
            let tally = &self.tally[id * classes..(id + 1) * classes];
            per_class.iter_mut().zip(tally).for_each(|(sum, &t)| *sum += t as usize);
        }
        let totals: Vec<usize> = self
            .sets
            .member
            .chunks(classes)
            .map(|m| m.iter().zip(&per_class).filter(|(m, _)| **m).map(|(_, c)| c).sum())
            .collect();
        for (side, q) in quantiles.into_iter().enumerate() {
            self.ends(&ids, &columns, &totals, (q, side == 1), |k, bound| out[k][side] = bound);
        }
    }

    /// One pooled quantile of every set, from one sorted tail that is deep enough for all.
    fn ends(
        &self,
        ids: &[usize],
        columns: &[Column<'_>],
        totals: &[usize],
        (q, above): (f64, bool),
        mut put: impl FnMut(usize, f64),
    ) {
        let n = self.sets.rows.len();
        let whole: usize = columns.iter().map(|c| c.count).sum();
        let ends: Vec<Option<Ends>> =
            totals.iter().map(|&t| (t > 0).then(|| Ends::new(t, q, above))).collect();
        let deepest = ends.iter().zip(totals).filter_map(|(ends, &total)| {
            Some((ends.as_ref()?.far + 1) as f64 * whole as f64 / total as f64)
        });
        let mut wanted = (deepest.fold(0.0, f64::max) * 1.1) as usize + 16;
        let (mut lengths, mut entries) = (Vec::new(), Vec::<(f64, u32)>::new());
        loop {
            tail(columns, wanted, above, &mut lengths);
            entries.clear();
            for ((column, &id), &length) in columns.iter().zip(ids).zip(&lengths) {
                let place = |i: usize| id * n + if above { column.count - 1 - i } else { i };
                entries.extend((0..length).map(|i| (column.get(i, above), self.places[place(i)])));
            }
            entries.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let found: Option<Vec<_>> = ends
                .iter()
                .zip(&self.plans)
                .map(|(ends, plan)| match ends {
                    None => Some(f64::NAN),
                    Some(ends) => walk(&entries, &plan.inside, ends),
                })
                .collect();
            if let Some(found) = found {
                found.into_iter().enumerate().for_each(|(k, bound)| put(k, bound));
                return;
            }
            wanted = (2 * wanted).min(whole);
        }
    }

    fn statistics(
        &self,
        octet: Octet,
        first: usize,
        features: usize,
        bounds: &[[f64; 2]],
        out: &mut [f64],
    ) {
        let (n, assets, sets) = (self.sets.rows.len(), self.cube.shape[1], self.plans.len());
        let out = SharedOut::new(out);
        let scratch = || SetScratch::new(n, self.sets.classes);
        let fast = has_bit_instructions(self.exec.level());
        self.exec.for_each_with(assets, scratch, |scratch, asset| {
            for lane in 0..octet.width {
                let column = asset * LANES + lane;
                let task = ColumnTask {
                    values: &self.values[column * n..][..self.counts[column]],
                    places: &self.places[column * n..][..self.counts[column]],
                    class: self.sets.class,
                    plans: &self.plans,
                    bounds: &bounds[lane * sets..(lane + 1) * sets],
                };
                let put = |k: usize, found: [f64; STATISTICS]| {
                    for (s, value) in found.into_iter().enumerate() {
                        let at = ((s * sets + k) * assets + asset) * features + first + lane;
                        // SAFETY: one asset per task.
                        unsafe { *out.at(at) = value };
                    }
                };
                #[cfg(target_arch = "x86_64")]
                if fast {
                    // SAFETY: the features are there.
                    unsafe { with_bit_instructions(&task, scratch, put) };
                    continue;
                }
                debug_assert!(!fast);
                task.run::<false>(scratch, put);
            }
        });
    }
}

/// The quantile of the entries inside a set; `None` if the tail is not deep enough.
fn walk(entries: &[(f64, u32)], inside: &[bool], ends: &Ends) -> Option<f64> {
    let (mut rank, mut last) = (0, f64::NAN);
    for &(value, place) in entries {
        if !inside[place as usize] {
            continue;
        }
        if rank == ends.far {
            let near = if ends.paired { last } else { value };
            return Some(ends.value(near, value));
        }
        (rank, last) = (rank + 1, value);
    }
    None
}

/// Read values and rows back from tagged lanes; restore the order that the tags disturbed.
fn untag(
    lanes: &[f64],
    raw: &[f64],
    lane: usize,
    low: u64,
    (values, places): (&mut [f64], &mut [u32]),
    pairs: &mut Vec<(f64, u32)>,
) {
    let (mut ordered, mut before) = (true, f64::NEG_INFINITY);
    for (i, (value, place)) in values.iter_mut().zip(places.iter_mut()).enumerate() {
        let row = lanes[i * LANES + lane].to_bits() & low;
        (*place, *value) = (row as u32, raw[row as usize * LANES + lane]);
        ordered &= *value >= before;
        before = *value;
    }
    if ordered {
        return;
    }
    // Values that agree in all but the tag bits stand in the order of their rows.
    pairs.clear();
    pairs.extend(values.iter().copied().zip(places.iter().copied()));
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    for ((value, place), pair) in values.iter_mut().zip(places).zip(pairs.iter()) {
        (*value, *place) = *pair;
    }
}

struct SetScratch {
    /// `[class, word]`.
    classes: Vec<u64>,
    bits: Vec<u64>,
    before: Vec<u32>,
}

impl SetScratch {
    fn new(n: usize, classes: usize) -> SetScratch {
        let words = words(n);
        SetScratch {
            classes: vec![0; classes * words],
            bits: vec![0; words],
            before: vec![0; words + 1],
        }
    }
}

/// The statistics of one column in every set.
struct ColumnTask<'a> {
    values: &'a [f64],
    places: &'a [u32],
    class: &'a [u32],
    plans: &'a [SetPlan],
    bounds: &'a [[f64; 2]],
}

impl ColumnTask<'_> {
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

fn has_bit_instructions(level: Level) -> bool {
    #[cfg(target_arch = "x86_64")]
    return level >= Level::Avx2
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("bmi2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
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
