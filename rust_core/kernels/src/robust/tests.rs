//! The kernels against plain definitions.

use super::*;
use crate::exec::{Exec, Level};

fn noise(i: usize) -> f64 {
    let mut z = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) % 2001) as f64 / 100.0 - 10.0
}

struct Data {
    values: Vec<f64>,
    missing: Vec<bool>,
    shape: [usize; 3],
}

impl Data {
    fn new(shape: [usize; 3], ties: bool) -> Data {
        let n = shape.iter().product();
        let value = |i: usize| {
            let x = noise(i);
            if noise(i + 77_777) < -8.5 {
                f64::NAN
            } else if ties {
                x.round() + 0.0 // one zero only
            } else {
                // Values that differ in the last bits only: tags disturb their order.
                1.0 + (x * 1e3).round() * f64::EPSILON
            }
        };
        let values = (0..n).map(value).collect();
        let missing = (0..n).map(|i| noise(i + 5_000_000) > 9.5).collect();
        Data { values, missing, shape }
    }

    fn cube(&self) -> Cube<'_> {
        Cube { values: &self.values, missing: Some(&self.missing), shape: self.shape }
    }

    fn column(&self, rows: &[i64], asset: usize, feature: usize) -> Vec<f64> {
        let [_, assets, features] = self.shape;
        let mut column: Vec<f64> = rows
            .iter()
            .map(|&t| (t as usize * assets + asset) * features + feature)
            .filter(|&at| !self.values[at].is_nan() && !self.missing[at])
            .map(|at| self.values[at])
            .collect();
        column.sort_by(f64::total_cmp);
        column
    }
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let p = q * (sorted.len() - 1) as f64;
    between(sorted[p as usize], sorted[(p as usize + 1).min(sorted.len() - 1)], p.fract())
}

fn middle(sorted: &[f64]) -> f64 {
    let (a, b) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    if a == b { a } else { (a + b) * 0.5 }
}

/// Statistics in the order of [`Fit::statistics`].
fn expected(column: &[f64], low: f64, high: f64) -> Vec<f64> {
    if column.is_empty() {
        return [vec![0.0], vec![f64::NAN; 6]].concat();
    }
    let x: Vec<f64> = column.iter().map(|&v| clamp(v, low, high)).collect();
    let median = middle(&x);
    let mut off: Vec<f64> = x.iter().map(|v| (v - median).abs()).collect();
    off.sort_by(f64::total_cmp);
    let ends = [x[0], x[x.len() - 1]];
    let quartiles = [quantile(&x, 0.25), quantile(&x, 0.75)];
    vec![x.len() as f64, ends[0], ends[1], median, middle(&off), quartiles[0], quartiles[1]]
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| *level <= Level::detect())
}

/// Classes of the rows of several sets, one bit per set.
struct Sets {
    rows: Vec<i64>,
    class: Vec<u32>,
    member: Vec<bool>,
    classes: usize,
}

fn sets(of: &[Vec<i64>]) -> Sets {
    let mut rows = of.concat();
    rows.sort_unstable();
    rows.dedup();
    let key = |row: &i64| of.iter().map(|set| set.contains(row)).collect::<Vec<bool>>();
    let mut keys: Vec<Vec<bool>> = rows.iter().map(key).collect();
    let class = keys.clone();
    keys.sort();
    keys.dedup();
    let class = class.iter().map(|k| keys.binary_search(k).expect("listed") as u32).collect();
    let member = (0..of.len()).flat_map(|s| keys.iter().map(move |k| k[s])).collect();
    Sets { rows, class, member, classes: keys.len() }
}

impl Sets {
    fn view(&self) -> TrainingSets<'_> {
        TrainingSets {
            rows: &self.rows,
            class: &self.class,
            classes: self.classes,
            member: &self.member,
        }
    }
}

#[test]
fn fits_of_many_sets_equal_their_definition_and_separate_fits() {
    for (shape, ties) in [([131, 3, 11], true), ([90, 1, 3], false), ([65, 5, 8], true)] {
        let data = Data::new(shape, ties);
        let n = shape[0] as i64;
        let of = [
            (0..n).filter(|t| t % 4 != 1).collect::<Vec<i64>>(),
            (0..n / 2).collect(),
            (5..n - 7).filter(|t| !(20..50).contains(t)).collect(),
            vec![],
            vec![7],
        ];
        let features: Vec<usize> = (0..shape[2]).filter(|f| f % 5 != 3).collect();
        let joint = sets(&of);
        for (level, quantiles) in levels().flat_map(|l| [(l, [0.02, 0.97]), (l, [0.0, 1.0])]) {
            let exec = Exec::new(2, level);
            let found = fit(exec, data.cube(), &features, joint.view(), quantiles);
            let [j, assets, k] = [features.len(), shape[1], of.len()];
            for (s, rows) in of.iter().enumerate() {
                let alone = sets(std::slice::from_ref(rows));
                let single = fit(exec, data.cube(), &features, alone.view(), quantiles);
                for (i, &feature) in features.iter().enumerate() {
                    let mut pool: Vec<f64> =
                        (0..assets).flat_map(|a| data.column(rows, a, feature)).collect();
                    pool.sort_by(f64::total_cmp);
                    let mut bounds = [f64::NAN; 2];
                    if !pool.is_empty() {
                        bounds = quantiles.map(|q| quantile(&pool, q));
                    }
                    for (side, want) in bounds.into_iter().enumerate() {
                        let got = found.bounds[(side * k + s) * j + i];
                        assert!(same(got, want), "{got} not {want} {level:?}");
                    }
                    for asset in 0..assets {
                        let column = data.column(rows, asset, feature);
                        let want = expected(&column, bounds[0], bounds[1]);
                        for (stat, want) in want.into_iter().enumerate() {
                            let got = found.statistics[((stat * k + s) * assets + asset) * j + i];
                            assert!(same(got, want), "set {s} stat {stat}: {got} not {want}");
                            if !rows.is_empty() {
                                let got = single.statistics[(stat * assets + asset) * j + i];
                                assert!(same(got, want), "alone {s} {stat}: {got} not {want}");
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One set of all rows, against the definition.
fn check_alone(data: &Data, quantiles: [f64; 2]) {
    let [times, assets, features] = data.shape;
    let rows: Vec<i64> = (0..times as i64).collect();
    let all: Vec<usize> = (0..features).collect();
    let set = sets(std::slice::from_ref(&rows));
    for level in levels() {
        let found = fit(Exec::new(2, level), data.cube(), &all, set.view(), quantiles);
        for f in 0..features {
            let columns: Vec<_> = (0..assets).map(|a| data.column(&rows, a, f)).collect();
            let mut pool = columns.concat();
            pool.sort_by(f64::total_cmp);
            let [low, high] = quantiles.map(|q| quantile(&pool, q));
            assert!(same(found.bounds[f], low) && same(found.bounds[features + f], high));
            for (a, column) in columns.iter().enumerate() {
                for (s, want) in expected(column, low, high).into_iter().enumerate() {
                    let got = found.statistics[(s * assets + a) * features + f];
                    assert!(same(got, want), "asset {a} feature {f} stat {s}: {got} not {want}");
                }
            }
        }
    }
}

#[test]
fn columns_are_winsorised_however_far_they_lie_outside_the_bounds() {
    let mut data = Data::new([200, 12, 9], true);
    for (i, value) in data.values.iter_mut().enumerate() {
        let (asset, feature) = (i / 9 % 12, i % 9);
        match asset {
            0 => *value *= 1e3, // quartiles and median beyond both bounds
            1 => *value += 40.0,
            2 => *value -= 40.0,
            3 => *value = if feature < 4 { 2.0 } else { *value + 8.0 },
            _ => {}
        }
    }
    for quantiles in [[0.005, 0.995], [0.1, 0.8], [0.25, 0.75], [0.0, 1.0]] {
        check_alone(&data, quantiles);
    }
}

#[test]
fn bounds_are_exact_where_a_sample_misleads() {
    let mut data = Data::new([400, 12, 2], false);
    let places = 400 * 12;
    let drawn: Vec<usize> = (0..2048).map(|i| i * places / 2048).collect();
    for (i, value) in data.values.iter_mut().enumerate() {
        // What is drawn is small in one feature and large in the other.
        let far = if drawn.binary_search(&(i / 2)).is_ok() { -1e3 } else { 1e3 };
        *value = noise(i) + if i % 2 == 0 { far } else { -far };
    }
    check_alone(&data, [0.1, 0.9]);
}

/// Jobs of whole sets of rows.
fn jobs_of(of: &[Vec<i64>]) -> [Vec<i64>; 4] {
    let mut known: Vec<(i64, i64)> = Vec::new();
    let (mut offsets, mut list) = (vec![0], Vec::new());
    for set in of {
        let mut blocks: Vec<i64> = set.iter().map(|t| t / 64).collect();
        blocks.dedup();
        for block in blocks {
            let bits =
                set.iter().filter(|&&t| t / 64 == block).fold(0u64, |b, t| b | 1 << (t % 64));
            let job = (block, bits as i64);
            let at = known.iter().position(|&k| k == job).unwrap_or_else(|| {
                known.push(job);
                known.len() - 1
            });
            list.push(at as i64);
        }
        offsets.push(list.len() as i64);
    }
    [known.iter().map(|k| k.0).collect(), known.iter().map(|k| k.1).collect(), offsets, list]
}

#[test]
fn moments_equal_two_passes_over_the_pooled_pairs() {
    let mut data = Data::new([150, 4, 11], true);
    for i in 0..data.values.len() {
        data.values[i] += 1e4 * (i % 11) as f64; // far from 0
    }
    let complete = Data { missing: vec![false; data.missing.len()], ..data };
    let mut complete = complete;
    let holes = complete.values.clone();
    complete.values.iter_mut().for_each(|x| *x = if x.is_nan() { 3.0 } else { *x });
    let of = [(0..150).collect::<Vec<i64>>(), (10..140).filter(|t| t % 3 != 0).collect(), vec![]];
    let [block, rows, offsets, list] = jobs_of(&of);
    let jobs = Jobs { block: &block, rows: &rows, offsets: &offsets, list: &list };
    let holed = Data { values: holes, missing: vec![false; complete.missing.len()], ..complete };
    let full = Data { values: complete.values, missing: holed.missing.clone(), shape: holed.shape };
    for (level, data) in levels().flat_map(|l| [(l, &holed), (l, &full)]) {
        let found = moments(Exec::new(2, level), data.cube(), jobs, true);
        let plain = moments(Exec::new(2, level), data.cube(), jobs, false);
        for (s, rows) in of.iter().enumerate() {
            let sample = |f: usize| -> Vec<f64> {
                rows.iter()
                    .flat_map(|&t| (0..4).map(move |a| (t as usize * 4 + a) * 11 + f))
                    .map(|at| data.values[at])
                    .collect()
            };
            for i in 0..11 {
                let x = sample(i);
                let of_x: Vec<f64> = x.iter().copied().filter(|v| !v.is_nan()).collect();
                let n = of_x.len() as f64;
                let mean = of_x.iter().sum::<f64>() / n;
                let variance = of_x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                for m in [&found, &plain] {
                    assert_eq!(m.count[s * 11 + i], n);
                    let got = m.variance[s * 11 + i];
                    assert!(rows.is_empty() || (got / variance - 1.0).abs() < 1e-12);
                }
                for j in 0..11 {
                    let pairs: Vec<(f64, f64)> = x
                        .iter()
                        .zip(sample(j))
                        .filter(|(a, b)| !a.is_nan() && !b.is_nan())
                        .map(|(&a, b)| (a, b))
                        .collect();
                    let n = pairs.len() as f64;
                    let (ma, mb) =
                        pairs.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
                    let sum = |f: fn(f64, f64) -> f64| {
                        pairs.iter().map(|p| f(p.0 - ma, p.1 - mb)).sum::<f64>()
                    };
                    let want = sum(|a, b| a * b) / (sum(|a, _| a * a) * sum(|_, b| b * b)).sqrt();
                    let got = found.correlation[(s * 11 + i) * 11 + j];
                    assert!(rows.is_empty() || (got - want).abs() < 1e-12, "{got} {want}");
                }
            }
            let alone = jobs_of(std::slice::from_ref(rows));
            let [block, bits, offsets, list] = &alone;
            let job = Jobs { block, rows: bits, offsets, list };
            let single = moments(Exec::new(1, level), data.cube(), job, true);
            let part = &found.correlation[s * 121..(s + 1) * 121];
            assert!(single.correlation.iter().zip(part).all(|(a, b)| same(*a, *b)));
        }
    }
}

#[test]
fn transform_winsorises_scales_clips_and_marks() {
    let data = Data::new([40, 3, 10], true);
    let kept = [0, 1, 2, 4, 5, 6, 7, 8, 9];
    let k = kept.len();
    let centre: Vec<f64> = (0..3 * k).map(|i| noise(i) / 5.0).collect();
    let mut scale: Vec<f64> = (0..3 * k).map(|i| noise(i + 99).abs() + 0.1).collect();
    scale[k + 2] = f64::INFINITY;
    let (mut low, mut high) = (vec![-6.0; k], vec![7.0; k]);
    let (mut clip_low, mut clip_high) = (vec![-4.0; k], vec![4.0; k]);
    for (side, infinite) in
        [(&mut low, true), (&mut clip_low, true), (&mut high, false), (&mut clip_high, false)]
    {
        side[3] = if infinite { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    for (level, fill) in levels().flat_map(|l| [(l, 0.0), (l, f64::NAN)]) {
        let scaling = Scaling {
            kept: &kept,
            centre: &centre,
            scale: &scale,
            low: &low,
            high: &high,
            clip: [&clip_low, &clip_high],
            fill,
            channels: true,
        };
        let mut out = vec![0.5; 40 * 3 * scaling.width()];
        transform(Exec::new(2, level), data.cube(), &scaling, &mut out);
        for (i, row) in out.chunks_exact(2 * k).enumerate() {
            for (c, &f) in kept.iter().enumerate() {
                let at = i * 10 + f;
                let (x, e) = (data.values[at], i % 3 * k + c);
                let missing = x.is_nan() || data.missing[at];
                let z = (clamp(x, low[c], high[c]) - centre[e]) / scale[e];
                let z = if scale[e] == f64::INFINITY {
                    0.0
                } else {
                    clamp(z, clip_low[c], clip_high[c])
                };
                assert!(same(row[c], if missing { fill } else { z }), "{} {z}", row[c]);
                assert_eq!(row[k + c], f64::from(u8::from(missing)));
            }
        }
    }
}
