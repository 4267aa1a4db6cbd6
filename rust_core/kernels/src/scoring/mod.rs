//! Scores of ensembles.
