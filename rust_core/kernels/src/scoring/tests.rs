//! Every score on every level against its definition written as loops.

use proptest::prelude::*;

use super::*;
use crate::exec::{Exec, Level};

fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| *level <= Level::detect())
}

/// Deterministic noise in [-1, 1).
fn noise(n: usize, seed: u64) -> Vec<f64> {
    let step = |state: &mut u64| {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    let mut state = seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
    std::iter::from_fn(|| step(&mut state)).skip(3).take(n).collect()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs().max(1e-300)
}

fn norm(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

fn energy_of(members: &[Vec<f64>], truth: &[f64], weights: &[f64], fair: bool) -> f64 {
    let total: f64 = weights.iter().sum();
    let (mut first, mut second, mut squares) = (0.0, 0.0, 0.0);
    for (a, wa) in members.iter().zip(weights) {
        first += wa / total * norm(a, truth);
        squares += wa / total * wa / total;
        for (b, wb) in members.iter().zip(weights) {
            second += wa / total * wb / total * norm(a, b);
        }
    }
    first - 0.5 * second / if fair { 1.0 - squares } else { 1.0 }
}

fn points_of(values: &[f64], [outer, members, inner, dims]: [usize; 4]) -> Vec<Vec<Vec<f64>>> {
    let at = |o: usize, m: usize, i: usize| ((o * members + m) * inner + i) * dims;
    (0..outer * inner)
        .map(|p| {
            (0..members).map(|m| values[at(p / inner, m, p % inner)..][..dims].to_vec()).collect()
        })
        .collect()
}

#[test]
fn energy_score_is_its_definition() {
    let shapes = [[1, 1, 1, 1], [2, 2, 3, 2], [1, 17, 5, 9], [3, 40, 1, 20], [1, 133, 2, 50]];
    for (seed, shape) in shapes.into_iter().enumerate() {
        let [outer, members, inner, dims] = shape;
        let points = outer * inner;
        let values = noise(outer * members * inner * dims, seed as u64);
        let truth = noise(points * dims, 77);
        let weights: Vec<f64> = noise(points * members, 5).iter().map(|w| w.abs() + 0.1).collect();
        let mask: Vec<bool> = noise(points * dims, 9).iter().map(|x| *x > 0.4).collect();
        let ensemble = Ensemble::new(&values, shape);
        for level in levels() {
            for fair in [false, members > 1] {
                for (weighted, masked) in
                    [(false, false), (true, false), (false, true), (true, true)]
                {
                    let options = Energy {
                        weights: weighted.then_some(weights.as_slice()),
                        mask: masked.then_some(mask.as_slice()),
                        transform: None,
                        fair,
                    };
                    let mut out = vec![0.0; points];
                    energy_score(ensemble, &truth, options, Exec::new(2, level), &mut out);
                    for (p, members_of) in points_of(&values, shape).iter().enumerate() {
                        let keep: Vec<usize> =
                            (0..dims).filter(|d| !(masked && mask[p * dims + d])).collect();
                        let pick = |x: &[f64]| keep.iter().map(|d| x[*d]).collect::<Vec<_>>();
                        let kept: Vec<_> = members_of.iter().map(|m| pick(m)).collect();
                        let of_members = if weighted {
                            weights[p * members..(p + 1) * members].to_vec()
                        } else {
                            vec![1.0; members]
                        };
                        let want = if keep.is_empty() {
                            f64::NAN
                        } else {
                            energy_of(
                                &kept,
                                &pick(&truth[p * dims..(p + 1) * dims]),
                                &of_members,
                                fair,
                            )
                        };
                        assert!(
                            close(out[p], want, 1e-12),
                            "{level:?} {shape:?} fair {fair} w {weighted} mask {masked}: {} {want}",
                            out[p]
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn transform_is_applied_to_truth_and_members() {
    let shape = [2, 13, 2, 7];
    let values = noise(2 * 13 * 2 * 7, 1);
    let truth = noise(4 * 7, 2);
    let full = noise(49, 3);
    let matrix: Vec<f64> =
        (0..49).map(|i| if i % 7 <= i / 7 { full[i] } else { f64::NAN }).collect();
    let apply = |x: &[f64]| -> Vec<f64> {
        x.chunks(7)
            .flat_map(|x| {
                (0..7)
                    .map(|k| (0..=k).map(|d| matrix[k * 7 + d] * x[d]).sum())
                    .collect::<Vec<f64>>()
            })
            .collect()
    };
    let (moved, moved_truth) = (apply(&values), apply(&truth));
    for level in levels() {
        let (mut out, mut want) = (vec![0.0; 4], vec![0.0; 4]);
        let options = Energy { transform: Some(&matrix), ..Energy::default() };
        let exec = Exec::new(1, level);
        energy_score(Ensemble::new(&values, shape), &truth, options, exec, &mut out);
        let moved = Ensemble::new(&moved, shape);
        energy_score(moved, &moved_truth, Energy::default(), exec, &mut want);
        assert!(out.iter().zip(&want).all(|(a, b)| close(*a, *b, 1e-12)), "{out:?} {want:?}");
    }
}

#[test]
fn columns_beyond_the_cache_are_visited_once() {
    // 700 dimensions: 36 blocks of 45 kB, so the columns come in several groups.
    let shape = [1, 283, 1, 700];
    let values = noise(283 * 700, 4);
    let truth = noise(700, 5);
    let want = energy_of(&points_of(&values, shape)[0], &truth, &[1.0; 283], false);
    for level in levels() {
        let mut out = [0.0];
        let exec = Exec::new(1, level);
        energy_score(Ensemble::new(&values, shape), &truth, Energy::default(), exec, &mut out);
        assert!(close(out[0], want, 1e-12), "{level:?}: {} {want}", out[0]);
    }
}

fn crps_of(members: &[f64], truth: f64, fair: bool) -> f64 {
    let m = members.len() as f64;
    let first: f64 = members.iter().map(|x| (x - truth).abs()).sum();
    let second: f64 = members.iter().flat_map(|x| members.iter().map(move |y| (x - y).abs())).sum();
    first / m - 0.5 * second / if fair { m * (m - 1.0) } else { m * m }
}

fn check_scalars(values: &[f64], truth: &[f64], shape: [usize; 4]) {
    let points = points_of(values, shape);
    let ensemble = Ensemble::new(values, shape);
    for level in levels() {
        let exec = Exec::new(2, level);
        let mut out = vec![0.0; points.len()];
        for fair in [false, shape[1] > 1] {
            crps(ensemble, truth, fair, exec, &mut out);
            for ((got, members), y) in out.iter().zip(&points).zip(truth) {
                let members: Vec<f64> = members.iter().map(|m| m[0]).collect();
                let want = crps_of(&members, *y, fair);
                let size = members.iter().fold(0.0f64, |a, x| a.max((x - y).abs()));
                assert!((got - want).abs() <= 1e-13 * size, "{level:?} {shape:?}: {got} {want}");
            }
        }
        pit(ensemble, truth, exec, &mut out);
        let mut at = vec![0.0; points.len() * 2];
        quantiles(ensemble, &[0.0, 0.3], exec, &mut at);
        for (p, members) in points.iter().enumerate() {
            let mut members: Vec<f64> = members.iter().map(|m| m[0]).collect();
            members.sort_by(f64::total_cmp);
            let below = members.iter().filter(|x| **x < truth[p]).count() as f64;
            let ties = members.iter().filter(|x| **x == truth[p]).count() as f64;
            assert!(close(out[p], (below + 0.5 * ties) / members.len() as f64, 1e-15));
            let place = 0.3 * (members.len() - 1) as f64;
            let (i, t) = (place as usize, place.fract());
            let next = members[(i + 1).min(members.len() - 1)];
            let want = members[i] + (next - members[i]) * t;
            assert_eq!(at[p], members[0]);
            assert!((at[points.len() + p] - want).abs() <= 1e-14);
        }
    }
}

#[test]
fn scalar_scores_are_their_definitions_in_every_layout() {
    for shape in
        [[1, 1, 1, 1], [9, 5, 1, 1], [1, 33, 11, 1], [3, 64, 8, 1], [20, 100, 1, 1], [2, 17, 3, 1]]
    {
        let points = shape[0] * shape[2];
        let values = noise(points * shape[1], 8);
        check_scalars(&values, &noise(points, 9), shape);
        // Ties among members and with the truth.
        let round = |x: Vec<f64>| x.iter().map(|x| (x * 3.0).round()).collect::<Vec<_>>();
        check_scalars(&round(values), &round(noise(points, 9)), shape);
    }
}

#[test]
fn nan_marks_its_own_point_only() {
    for shape in [[8, 40, 1, 1], [1, 40, 8, 1]] {
        let mut values = noise(320, 1);
        let truth = noise(8, 2);
        let ensemble_points = points_of(&values, shape);
        let place = if shape[2] == 1 { 3 * 40 + 7 } else { 7 * 8 + 3 };
        values[place] = f64::NAN;
        for level in levels() {
            let exec = Exec::new(1, level);
            let ensemble = Ensemble::new(&values, shape);
            let (mut score, mut place, mut at) = (vec![0.0; 8], vec![0.0; 8], vec![0.0; 8]);
            crps(ensemble, &truth, false, exec, &mut score);
            pit(ensemble, &truth, exec, &mut place);
            quantiles(ensemble, &[0.5], exec, &mut at);
            for p in 0..8 {
                let bad = p == 3;
                assert_eq!([score[p], place[p], at[p]].map(f64::is_nan), [bad; 3], "{level:?}");
                if !bad {
                    let members: Vec<f64> = ensemble_points[p].iter().map(|m| m[0]).collect();
                    assert!(close(score[p], crps_of(&members, truth[p], false), 1e-12));
                }
            }
        }
    }
}

fn variogram_of(
    members: &[Vec<f64>],
    y: &[f64],
    pairs: &[f64],
    p: f64,
    w: &[f64],
    fair: bool,
) -> f64 {
    let dims = y.len();
    let rho = |x: &[f64], i: usize, j: usize| (x[i] - x[j]).abs().powf(p);
    let total: f64 = w.iter().sum();
    let mut score = 0.0;
    for i in 0..dims {
        for j in 0..dims {
            let (mut near, mut apart, mut squares) = (0.0, 0.0, 0.0);
            for (a, wa) in members.iter().zip(w) {
                near += wa / total * (rho(a, i, j) - rho(y, i, j)).powi(2);
                squares += (wa / total).powi(2);
                for (b, wb) in members.iter().zip(w) {
                    apart += wa * wb / total / total * (rho(a, i, j) - rho(b, i, j)).powi(2);
                }
            }
            score +=
                pairs[i * dims + j] * (near - 0.5 * apart / if fair { 1.0 - squares } else { 1.0 });
        }
    }
    score
}

#[test]
fn variogram_score_is_its_definition() {
    let shape = [2, 19, 2, 5];
    let values = noise(2 * 19 * 2 * 5, 1);
    let truth = noise(4 * 5, 2);
    let pairs: Vec<f64> = noise(4 * 25, 3).iter().map(|w| w.abs()).collect();
    let weights: Vec<f64> = noise(4 * 19, 4).iter().map(|w| w.abs() + 0.05).collect();
    for level in levels() {
        for order in [0.5, 1.0, 2.0, 1.3] {
            for fair in [false, true] {
                for given in [0, 1, 2] {
                    let options = Variogram {
                        order,
                        pairs: [None, Some(&pairs[..25]), Some(&pairs[..])][given],
                        weights: (given == 2).then_some(weights.as_slice()),
                        fair,
                    };
                    let mut out = vec![0.0; 4];
                    let ensemble = Ensemble::new(&values, shape);
                    variogram_score(ensemble, &truth, options, Exec::new(2, level), &mut out);
                    for (p, members) in points_of(&values, shape).iter().enumerate() {
                        let of_pairs = match given {
                            0 => vec![1.0; 25],
                            1 => pairs[..25].to_vec(),
                            _ => pairs[p * 25..(p + 1) * 25].to_vec(),
                        };
                        let of_members = match given {
                            2 => weights[p * 19..(p + 1) * 19].to_vec(),
                            _ => vec![1.0; 19],
                        };
                        let y = &truth[p * 5..(p + 1) * 5];
                        let want = variogram_of(members, y, &of_pairs, order, &of_members, fair);
                        assert!(close(out[p], want, 1e-11), "{level:?} {order}: {} {want}", out[p]);
                    }
                }
            }
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let shape = [1, 70, 300, 4];
    let values = noise(70 * 300 * 4, 6);
    let truth = noise(1200, 7);
    let ensemble = Ensemble::new(&values, shape);
    let (mut one, mut many) = (vec![0.0; 300], vec![0.0; 300]);
    energy_score(ensemble, &truth, Energy::default(), Exec::new(1, Level::detect()), &mut one);
    energy_score(ensemble, &truth, Energy::default(), Exec::new(3, Level::detect()), &mut many);
    assert_eq!(one, many);
    let scalars = Ensemble::new(&values, [1, 70, 1200, 1]);
    let (mut one, mut many) = (vec![0.0; 1200], vec![0.0; 1200]);
    crps(scalars, &truth, false, Exec::new(1, Level::detect()), &mut one);
    crps(scalars, &truth, false, Exec::new(3, Level::detect()), &mut many);
    assert_eq!(one, many);
}

#[test]
fn no_points_are_no_work() {
    for shape in [[9, 2, 0, 1], [0, 2, 3, 1], [0, 2, 1, 1]] {
        pit(Ensemble::new(&[], shape), &[], Exec::serial(), &mut []);
        crps(Ensemble::new(&[], shape), &[], false, Exec::serial(), &mut []);
    }
}

proptest! {
    #[test]
    fn energy_score_of_one_dimension_is_the_crps(
        members in prop::collection::vec(-1e3f64..1e3, 2..60),
        y in -1e3f64..1e3,
        fair: bool,
    ) {
        let shape = [1, members.len(), 1, 1];
        let (mut a, mut b) = ([0.0], [0.0]);
        let ensemble = Ensemble::new(&members, shape);
        let options = Energy { fair, ..Energy::default() };
        energy_score(ensemble, &[y], options, Exec::serial(), &mut a);
        crps(ensemble, &[y], fair, Exec::serial(), &mut b);
        prop_assert!((a[0] - b[0]).abs() <= 1e-10, "{} {}", a[0], b[0]);
    }
}
