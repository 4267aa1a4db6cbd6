//! The fused transform: winsorise, centre, scale, clip, impute, append the mask.

use super::{Cube, Octet, clamp_lanes};
use crate::exec::{Exec, SharedOut};
use crate::simd::{self, Kernel, LANES, Simd};

/// How kept features are scaled. `K` kept features, `A` assets.
#[derive(Clone, Copy, Debug)]
pub struct Scaling<'a> {
    /// Input column of every kept feature, `[K]`.
    pub kept: &'a [usize],
    /// Centre, `[A, K]`.
    pub centre: &'a [f64],
    /// Scale, `[A, K]`; `+inf` sets the column to 0.
    pub scale: &'a [f64],
    /// Bounds of the raw values, `[K]`; infinite where there are none.
    pub low: &'a [f64],
    /// As `low`.
    pub high: &'a [f64],
    /// Bounds of the scaled values, `[K]`; infinite where there are none.
    pub clip: [&'a [f64]; 2],
    /// What a missing value becomes.
    pub fill: f64,
    /// Append one 0/1 channel per kept feature.
    pub channels: bool,
}

impl Scaling<'_> {
    /// Output channels per asset.
    pub fn width(&self) -> usize {
        self.kept.len() * if self.channels { 2 } else { 1 }
    }
}

/// Scaled values `[T, A, K]`, or `[T, A, 2 K]` with the mask channels behind.
///
/// # Panics
/// `out` does not have that size.
pub fn transform(exec: Exec, cube: Cube<'_>, scaling: &Scaling<'_>, out: &mut [f64]) {
    const ROWS: usize = 16;
    let [times, assets, _] = cube.shape;
    let width = scaling.width();
    let octets = Octet::all(scaling.kept);
    assert_eq!(out.len(), times * assets * width, "output size");
    let shared = SharedOut::new(out);
    exec.for_work(times * assets * width).for_each(times.div_ceil(ROWS), |chunk| {
        let rows = chunk * ROWS..((chunk + 1) * ROWS).min(times);
        // SAFETY: one range of times per task.
        let out = unsafe { shared.slice(rows.start * assets * width, rows.len() * assets * width) };
        let task = Task { cube, scaling, octets: &octets, first: rows.start, out, width };
        simd::run(exec.level(), task);
    });
}

struct Task<'a> {
    cube: Cube<'a>,
    scaling: &'a Scaling<'a>,
    octets: &'a [Octet],
    first: usize,
    out: &'a mut [f64],
    width: usize,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let (assets, kept) = (self.cube.shape[1], self.scaling.kept.len());
        for (i, out) in self.out.chunks_exact_mut(self.width).enumerate() {
            let (time, asset) = (self.first + i / assets, i % assets);
            let (values, channels) = out.split_at_mut(kept);
            for (o, octet) in self.octets.iter().enumerate() {
                let place = o * LANES..o * LANES + octet.width;
                let x = self.cube.load::<S>(time, asset, octet);
                let z = scale::<S>(self.scaling, x, asset * kept, place.clone());
                // SAFETY: the slice has `width` places.
                unsafe { S::store_n(values[place.clone()].as_mut_ptr(), octet.width, z) };
                if self.scaling.channels {
                    let missing = S::select(S::valid(x), S::splat(0.0), S::splat(1.0));
                    // SAFETY: as above.
                    unsafe { S::store_n(channels[place].as_mut_ptr(), octet.width, missing) };
                }
            }
        }
    }
}

#[inline(always)]
fn scale<S: Simd>(
    scaling: &Scaling<'_>,
    x: S::F,
    asset: usize,
    place: std::ops::Range<usize>,
) -> S::F {
    let of_asset = asset + place.start..asset + place.end;
    let [low, high] = [scaling.low, scaling.high].map(|bound| &bound[place.clone()]);
    let [least, most] = scaling.clip.map(|clip| &clip[place.clone()]);
    let raw = clamp_lanes::<S>(x, read::<S>(low), read::<S>(high));
    let scale = read::<S>(&scaling.scale[of_asset.clone()]);
    let z = S::div(S::sub(raw, read::<S>(&scaling.centre[of_asset])), scale);
    let z = clamp_lanes::<S>(z, read::<S>(least), read::<S>(most));
    let z = S::select(S::eq(scale, S::splat(f64::INFINITY)), S::splat(0.0), z);
    S::select(S::valid(x), z, S::splat(scaling.fill))
}

/// All of `part`, at most eight values.
#[inline(always)]
fn read<S: Simd>(part: &[f64]) -> S::F {
    // SAFETY: `part` has as many values as are read.
    unsafe { S::load_n(part.as_ptr(), part.len(), 0.0) }
}
