//! Several training sets: their rows are sorted once, and each set is read as a [`Subset`] of the
//! sorted column.

use super::column::{ColumnTask, SetPlan, SetScratch, has_bit_instructions};
use super::fit::{Fit, STATISTICS, TrainingSets};
use super::pooled::{Column, Ends, tail};
use super::read::{Read, Sort, together, untag};
use super::{Cube, Octet};
use crate::exec::{Exec, SharedOut};
use crate::order::{BLOCK, Lanes};
use crate::simd::{self, LANES};

/// The way of several training sets.
pub struct Shared<'a> {
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

impl<'a> Shared<'a> {
    /// Room for all assets of one octet.
    pub fn new(exec: Exec, cube: Cube<'a>, sets: TrainingSets<'a>) -> Self {
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

    /// Fill `out`, octet after octet.
    pub fn fit(&mut self, octets: &[Octet], quantiles: [f64; 2], out: &mut Fit) {
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
        let observed = SharedOut::new(&mut self.counts);
        let tally = SharedOut::new(&mut self.tally);
        let wide = together(n);
        let room = || Lanes::new(stride / LANES * wide.min(total));
        let scratch = || (room(), vec![[0.0; LANES]; wide], Lanes::new(n), Vec::new());
        let groups = total.div_ceil(wide);
        let flat = cube.flat(&[]).0;
        exec.for_each_with(groups, scratch, |(raw, found, lanes, pairs), group| {
            let assets = group * wide..((group + 1) * wide).min(total);
            let raw = &mut raw.values_mut()[..assets.len() * stride];
            let first = assets.start;
            let found = &mut found[..assets.len()];
            let of_asset = |asset| octet.of_asset(asset, cube.shape[2]);
            let (octets, rows): (Vec<Octet>, _) = (assets.map(of_asset).collect(), sets.rows);
            let (lanes_read, counts) = (&mut *raw, &mut *found);
            let read =
                Read { cube: flat, rows, octets: &octets, lanes: lanes_read, stride, counts };
            simd::run(exec.level(), read);
            for (asset, (raw, found)) in raw.chunks_exact(stride).zip(&*found).enumerate() {
                lanes.values_mut().copy_from_slice(raw);
                let sort = Sort { lanes: lanes.values_mut(), rows: n, tag: Some(low) };
                simd::run(exec.level(), sort);
                for (lane, &count) in found[..octet.width].iter().enumerate() {
                    let count = count as usize;
                    let column = (first + asset) * LANES + lane;
                    // SAFETY: the assets of a group belong to one task.
                    let (values, places, tally) = unsafe {
                        observed.slice(column, 1)[0] = count;
                        (
                            values.slice(column * n, count),
                            places.slice(column * n, count),
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
                task.statistics(fast, scratch, put);
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
