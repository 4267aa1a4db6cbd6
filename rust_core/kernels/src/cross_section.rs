//! Kernels of this family.
