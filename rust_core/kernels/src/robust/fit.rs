//! Winsor bounds and order statistics of every training set.
//!
//! Eight features of one asset are sorted at once. With a single training set
//! its statistics are read off the sorted lanes. With several, the rows of all
//! sets are sorted once, carrying their positions, and each set is read as a
//! [`Subset`](super::subset::Subset) of the sorted column: order statistics only select values, so
//! both ways give the same bits.

use super::shared::Shared;
use super::{Cube, Octet, single};
use crate::exec::Exec;

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
    let exec = exec.for_work(sets.rows.len() * a * j * 4);
    out.statistics[..k * a * j].fill(0.0);
    if a * j * sets.rows.len() == 0 {
        return out;
    }
    if sets.single() {
        single::fit(exec, cube, sets.rows, features, quantiles, &mut out);
    } else if k > 0 {
        Shared::new(exec, cube, sets).fit(&Octet::all(features), quantiles, &mut out);
    }
    out
}
