//! Kernels of fastpanel: slices in, slices out, no Python.
//!
//! Every kernel is a function of its arguments alone. Threads and the SIMD
//! level come in through [`Exec`]; nothing reads the environment or a global.
//!
//! Laws that hold for every kernel and are tested:
//! * thread count changes no bit (fixed chunking);
//! * cutting off later rows changes no bit of earlier rows;
//! * a NaN that has left a window leaves no trace.

pub mod cross_section;
pub mod ewm;
pub mod exec;
pub mod interleave;
pub mod network;
pub mod order;
pub mod robust;
pub mod rolling;
pub mod scoring;
pub mod simd;
pub mod splits;
pub mod technical;

pub use exec::{Exec, Level};
