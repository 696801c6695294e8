//! Which layer each video of a transport gets out of what the path carries.

use crate::layer::Layer;

/// What flows is kept if it takes a little more than the estimate, which is below what the link carries ...
const KEEP: f64 = 1.06;
/// ... and something better needs a little less.
const RAISE: f64 = 1.06;

/// A layer that can be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Which one.
    pub layer: Layer,
    /// Pixels of its picture.
    pub area: u32,
    /// Bit/s on the wire, ...
    pub bitrate: u64,
    /// ... and the most that was of late: what is not had yet is chosen by that.
    pub highest: u64,
}

/// The layers that one subscription may get, from the cheapest to the best, and what it has.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    rungs: Vec<Rung>,
    current: Option<usize>,
}

impl Ladder {
    /// `rungs` are in order of their worth. Of these, whatever costs more than something better is left out, but what
    /// flows. Where that is no choice any more, the best within it stands for it, so that no other layer is a beginning.
    pub fn fill(&mut self, rungs: impl Iterator<Item = Rung>, current: Option<Layer>) {
        self.rungs.clear();
        for rung in rungs {
            while self.rungs.last().is_some_and(|last| last.bitrate >= rung.bitrate && Some(last.layer) != current) {
                self.rungs.pop();
            }
            self.rungs.push(rung);
        }
        let position = |current: Layer| self.rungs.iter().rposition(|rung| rung.layer.is_within(current));
        self.current = current.and_then(position);
    }

    /// What it has.
    pub fn current(&self) -> Option<usize> {
        self.current
    }

    /// A layer by its index.
    pub fn layer(&self, index: usize) -> Option<Layer> {
        self.rungs.get(index).map(|rung| rung.layer)
    }

    /// What a rung counts for: what flows, or is cheaper, for less.
    fn cost(&self, index: usize) -> u64 {
        if self.current.is_some_and(|current| index <= current) {
            return (self.bitrate(index) as f64 / KEEP) as u64;
        }
        self.wanted(index)
    }

    /// What the link has to carry for a rung.
    fn wanted(&self, index: usize) -> u64 {
        let better = self.current.is_some_and(|current| index > current);
        let highest = self.rungs.get(index).filter(|_| better).map_or(0, |rung| rung.highest);
        highest.max((self.bitrate(index) as f64 * RAISE) as u64)
    }

    fn bitrate(&self, index: usize) -> u64 {
        self.rungs.get(index).map_or(0, |rung| rung.bitrate)
    }

    fn area(&self, index: usize) -> u32 {
        self.rungs.get(index).map_or(0, |rung| rung.area)
    }
}

/// What each ladder gets, and what more would take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Index of the rung, for each ladder.
    pub rungs: Vec<usize>,
    /// Bit/s of all that is sent then.
    pub bitrate: u64,
    /// Bit/s that must be there for the next better one, None if all get the best.
    pub next: Option<u64>,
    /// Bit/s that must be there for the best of all.
    pub top: u64,
}

impl Plan {
    /// Divides `budget` (bit/s) among the ladders, after `fixed` which is sent in any case. The cheapest rung is always
    /// given. What is better is given to the smallest picture first, so that all see something before one sees more.
    pub fn make(&mut self, ladders: &[Ladder], budget: u64, fixed: u64) {
        self.rungs.clear();
        self.rungs.resize(ladders.len(), 0);
        let cost = |rungs: &[usize]| rungs.iter().zip(ladders).map(|(&rung, ladder)| ladder.cost(rung)).sum::<u64>();
        let mut blocked = vec![false; ladders.len()];
        self.next = None;
        while let Some(index) = smallest(&self.rungs, ladders, &blocked) {
            self.rungs[index] += 1;
            if cost(&self.rungs) + fixed > budget {
                let wanted = fixed + total(&self.rungs, ladders, Ladder::wanted);
                self.next = Some(self.next.map_or(wanted, |next| next.min(wanted)));
                self.rungs[index] -= 1;
                blocked[index] = true;
            }
        }
        self.bitrate = fixed + total(&self.rungs, ladders, Ladder::bitrate);
        let best: Vec<usize> = ladders.iter().map(|ladder| ladder.rungs.len().saturating_sub(1)).collect();
        self.top = fixed + total(&best, ladders, Ladder::wanted);
    }
}

fn total(rungs: &[usize], ladders: &[Ladder], bitrate: impl Fn(&Ladder, usize) -> u64) -> u64 {
    rungs.iter().zip(ladders).map(|(&rung, ladder)| bitrate(ladder, rung)).sum()
}

fn smallest(rungs: &[usize], ladders: &[Ladder], blocked: &[bool]) -> Option<usize> {
    let can_rise = |&index: &usize| !blocked[index] && rungs[index] + 1 < ladders[index].rungs.len();
    (0..ladders.len()).filter(can_rise).min_by_key(|&index| ladders[index].area(rungs[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBS: [(u32, u64); 3] = [(480 * 270, 150), (960 * 540, 500), (1920 * 1080, 2000)];

    fn ladder(rungs: &[(u32, u64)], current: Option<u8>) -> Ladder {
        let rungs = (0..).zip(rungs);
        let rungs = rungs.map(|(index, &(area, kilobits))| Rung {
            layer: Layer { encoding: index, spatial: 0, temporal: 0 },
            area,
            bitrate: kilobits * 1000,
            highest: kilobits * 1000,
        });
        let mut ladder = Ladder::default();
        ladder.fill(rungs, current.map(|encoding| Layer { encoding, spatial: 0, temporal: 0 }));
        ladder
    }

    fn plan(ladders: &[Ladder], kilobits: u64, fixed: u64) -> Plan {
        let mut plan = Plan::default();
        plan.make(ladders, kilobits * 1000, fixed * 1000);
        plan
    }

    #[test]
    fn the_best_that_fits_and_at_least_the_cheapest() {
        for (budget, rung) in [(0, 0), (100, 0), (589, 0), (591, 1), (2170, 1), (2190, 2), (90_000, 2)] {
            assert_eq!(plan(&[ladder(&OBS, None)], budget, 60).rungs, [rung], "{budget}");
        }
    }

    #[test]
    fn what_flows_is_kept_in_a_band() {
        for (budget, current, rung) in [(1960, 2, 2), (1930, 2, 1), (2170, 2, 2), (2170, 1, 1), (2190, 1, 2)] {
            assert_eq!(plan(&[ladder(&OBS, Some(current))], budget, 60).rungs, [rung], "{budget} from {current}");
        }
    }

    #[test]
    fn what_more_would_take() {
        let plan = plan(&[ladder(&OBS, Some(0))], 300, 60);
        assert_eq!((plan.bitrate, plan.next, plan.top), (210_000, Some(590_000), 2_180_000));
        assert_eq!(super::tests::plan(&[ladder(&OBS, Some(2))], 9000, 60).next, None);
    }

    #[test]
    fn several_share_and_the_smallest_picture_is_raised_first() {
        let ladders = [ladder(&OBS, None), ladder(&OBS, None)];
        for (budget, rungs) in [(400, [0, 0]), (900, [1, 0]), (1300, [1, 1]), (2800, [2, 1]), (5000, [2, 2])] {
            assert_eq!(plan(&ladders, budget, 60).rungs, rungs, "{budget}");
        }
        let uneven =
            [ladder(&OBS, None), ladder(&[(160 * 90, 50)], None), ladder(&[(320 * 180, 90), (640 * 360, 300)], None)];
        assert_eq!(plan(&uneven, 800, 0).rungs, [0, 0, 1]);
    }

    #[test]
    fn a_small_picture_that_costs_more_than_a_larger_one_is_no_choice() {
        let ladder = ladder(&[(100, 900), (200, 300), (400, 1000)], None);
        assert_eq!(ladder.layer(0).map(|layer| layer.encoding), Some(1));
        assert_eq!(plan(&[ladder], 500, 0).rungs, [0]);
    }
}
