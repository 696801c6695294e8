//! Which engine hashes what, on this processor.

use super::batch::{Job, run};
use super::sha1::Portable;
#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512, ShaNi};

/// The engines that the processor has.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Engines {
    wide: Option<Avx512>,
    narrow: Option<Avx2>,
    single: Option<ShaNi>,
}

#[cfg(target_arch = "x86_64")]
impl Engines {
    /// Jobs from which sixteen lanes are faster than one after the other.
    const WIDE_FROM: usize = 6;
    /// Jobs from which eight lanes are.
    const NARROW_FROM: usize = 4;

    pub(super) fn detect() -> Self {
        Self { wide: Avx512::detect(), narrow: Avx2::detect(), single: ShaNi::detect() }
    }

    pub(super) fn run(self, jobs: &[Job], buffer: &mut [u8]) {
        let rest = match (self.wide, self.narrow) {
            (Some(wide), _) => {
                let (full, rest) = split(jobs, 16, Self::WIDE_FROM);
                run(wide, full, buffer);
                rest
            }
            (None, Some(narrow)) => {
                let (full, rest) = split(jobs, 8, Self::NARROW_FROM);
                run(narrow, full, buffer);
                rest
            }
            (None, None) => jobs,
        };
        match (self.single, self.narrow) {
            (Some(single), _) => run(single, rest, buffer),
            (None, Some(narrow)) => run(narrow, rest, buffer),
            (None, None) => run::<4, _>(Portable, rest, buffer),
        }
    }
}

/// The jobs that fill the lanes well enough, and the rest.
#[cfg(target_arch = "x86_64")]
fn split(jobs: &[Job], lanes: usize, from: usize) -> (&[Job], &[Job]) {
    let rest = jobs.len() % lanes;
    jobs.split_at(if rest < from { jobs.len() - rest } else { jobs.len() })
}

/// The engines that the processor has.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy)]
pub(super) struct Engines;

#[cfg(not(target_arch = "x86_64"))]
impl Engines {
    pub(super) fn detect() -> Self {
        Self
    }

    pub(super) fn run(self, jobs: &[Job], buffer: &mut [u8]) {
        run::<4, _>(Portable, jobs, buffer);
    }
}
