//! Which engine hashes what, on this processor.

use super::batch::{Job, run};
#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512, ShaNi};

/// The vector engine of the processor, and what it has for packets that would leave most lanes empty.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Engines {
    lanes: Lanes,
    single: Option<ShaNi>,
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
enum Lanes {
    Sixteen(Avx512),
    Eight(Avx2),
}

#[cfg(target_arch = "x86_64")]
impl Engines {
    pub(super) fn detect() -> Option<Self> {
        let lanes = Avx512::detect().map(Lanes::Sixteen).or_else(|| Avx2::detect().map(Lanes::Eight))?;
        Some(Self { lanes, single: ShaNi::detect() })
    }

    pub(super) fn run(self, jobs: &[Job], buffer: &mut [u8]) {
        // Full lanes cost as much as five packets, or four, one after the other.
        let (lanes, worthwhile) = match self.lanes {
            Lanes::Sixteen(_) => (16, 5),
            Lanes::Eight(_) => (8, 4),
        };
        let rest = jobs.len() % lanes;
        let alone = if rest < worthwhile && self.single.is_some() { rest } else { 0 };
        let (together, alone) = jobs.split_at(jobs.len() - alone);
        match self.lanes {
            Lanes::Sixteen(engine) => run(engine, together, buffer),
            Lanes::Eight(engine) => run(engine, together, buffer),
        }
        if let Some(engine) = self.single {
            run(engine, alone, buffer);
        }
    }
}

/// Other processors finish every packet on its own: there is no such value.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy)]
pub(super) enum Engines {}

#[cfg(not(target_arch = "x86_64"))]
impl Engines {
    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn run(self, jobs: &[Job], buffer: &mut [u8]) {
        run(super::sha1::Scalar, jobs, buffer);
    }
}
