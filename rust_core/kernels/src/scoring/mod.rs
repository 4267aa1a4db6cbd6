//! Scores of ensembles: eight points per vector for scalar scores, eight
//! members per vector for multivariate ones.

mod crps;
mod energy;
mod ensemble;
mod field;
mod quantile;
mod variogram;

pub use crps::crps;
pub use energy::{Energy, energy_score};
pub use ensemble::Ensemble;
pub use quantile::{pit, quantiles};
pub use variogram::{Variogram, variogram_score};

#[cfg(test)]
mod tests;
