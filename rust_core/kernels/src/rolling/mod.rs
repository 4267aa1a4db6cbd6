//! Rolling windows: a table `[rows, cols]`, one SIMD lane per column, walking down the rows.
//!
//! Five drivers, each with small parts:
//! * [`sliding`]: two-stack aggregates (sum, moments, extrema, semideviation); nothing is ever subtracted;
//! * [`sorted`]: a sorted window per column (median, quantile, MAD);
//! * [`ranked`]: values ranked once (median, quantile and rank of the last value in long windows);
//! * [`ranks`]: counting (rank of the last value in short windows);
//! * [`scan`]: recursions down the rows (EWM, Wilder).
//!
//! A driver reads its rows through a [`source::Source`], so the same code runs
//! on a table, on true ranges and on changes.

pub mod correlation;
pub mod extrema;
pub mod lanczos;
pub mod moments;
pub mod nearby;
pub mod places;
pub mod ranked;
pub mod ranks;
pub mod rankset;
pub mod scan;
pub mod semideviation;
pub mod sliding;
pub mod sorted;
pub mod source;
pub mod spectrum;
pub mod tiles;

use crate::Exec;
use source::Table;

/// Rows of a window, and how many of them must hold a value.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    len: usize,
    min_periods: usize,
}

impl Window {
    /// `1 <= min_periods <= len`.
    pub fn new(len: usize, min_periods: usize) -> Window {
        assert!(1 <= min_periods && min_periods <= len, "min_periods outside the window");
        Window { len, min_periods }
    }

    /// Every row of the window must hold a value.
    pub fn full(len: usize) -> Window {
        Window::new(len, len)
    }

    /// Rows that can matter in a table of `rows` rows; at least one.
    pub(crate) fn reach(&self, rows: usize) -> usize {
        self.len.min(rows).max(1)
    }

    /// Rows of the window.
    pub fn len(&self) -> usize {
        self.len
    }

    /// A window always holds at least its own row.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Values that a result needs.
    pub fn min_periods(&self) -> usize {
        self.min_periods
    }
}

/// What [`aggregate`] computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    /// Sum.
    Sum,
    /// Arithmetic mean.
    Mean,
    /// Variance with this `ddof`.
    Var(f64),
    /// Standard deviation with this `ddof`.
    Std(f64),
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Adjusted Fisher-Pearson skewness.
    Skew,
    /// Bias-corrected excess kurtosis.
    Kurt,
    /// Root mean square of the values of this sign, -1 or 1.
    Semideviation(f64),
}

/// One aggregate of every window, down every column.
pub fn aggregate(exec: Exec, x: Table, window: Window, what: Aggregate, out: &mut [f64]) {
    use moments::{Kurt, Mean, Powers, Skew, Sum, Variance};
    let run = |ddof, root| Powers(Variance { ddof, root });
    match what {
        Aggregate::Sum => sliding::sliding(exec, Sum, x, window, out),
        Aggregate::Mean => sliding::sliding(exec, Powers(Mean), x, window, out),
        Aggregate::Var(ddof) => sliding::sliding(exec, run(ddof, false), x, window, out),
        Aggregate::Std(ddof) => sliding::sliding(exec, run(ddof, true), x, window, out),
        Aggregate::Min => sliding::sliding(exec, extrema::Min, x, window, out),
        Aggregate::Max => sliding::sliding(exec, extrema::Max, x, window, out),
        Aggregate::Skew => sliding::sliding(exec, Powers(Skew), x, window, out),
        Aggregate::Kurt => sliding::sliding(exec, Powers(Kurt), x, window, out),
        Aggregate::Semideviation(sign) => {
            sliding::sliding(exec, semideviation::Semideviation { sign }, x, window, out);
        }
    }
}

#[cfg(test)]
mod tests;
