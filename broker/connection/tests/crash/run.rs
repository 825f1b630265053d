//! A run: lives of a broker, one after the other, on one disk.

use std::fmt;
use std::time::Duration;

use dunlin_log::{Durability, FaultyDisk, SyncPoint};
use dunlin_time::Wall;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::broker::{Broker, Keeping};
use crate::model::{Counts, Wrong};
use crate::world::{Down, World};

/// What a run is made of; all else follows from the seed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub durability: Durability,
    /// A sync that is left out.
    pub ignored: Option<SyncPoint>,
    pub trouble: Trouble,
    /// Crashes take turns: of the process, and of the machine soon after the next start, when what
    /// the first left in the system's cache may count without being durable.
    pub in_turns: bool,
    /// Says what happens.
    pub loud: bool,
}

/// What is wrong with the disk beside crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// A sync fails; the broker lives on for a while, as if its end took long.
    SyncFails,
    /// The disk is full for a part of every life.
    Full,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub counts: Counts,
    pub wrong: Option<Wrong>,
}

/// Why a life ended.
enum End {
    Crashed,
    Finished,
    /// The store could not be opened.
    Shut(String),
}

/// Crashes of one run, at most.
const CRASHES: u64 = 5;

impl Plan {
    pub fn new(seed: u64) -> Self {
        Plan {
            seed,
            durability: Durability::Fsync,
            ignored: None,
            trouble: Trouble::None,
            in_turns: false,
            loud: false,
        }
    }

    /// Plays it.
    pub fn run(self) -> Outcome {
        let mut run = Run {
            plan: self,
            world: World::new(self.seed),
            disk: FaultyDisk::new(self.seed),
            wall: Wall(1_000_000_000_000),
            crashed_at: Wall(0),
        };
        run.world.model.loud = self.loud;
        let crashes = 1 + run.world.chance.below(CRASHES);
        let segment_bytes = run.world.chance.pick(match self.in_turns {
            true => &[500, 900],
            false => &[1200, 2500, 6000, 20_000],
        });
        let keeping = Keeping {
            durability: self.durability,
            segment_bytes,
        };
        let mut left = crashes;
        let wrong = loop {
            let end = run.live(keeping, left);
            if let Some(wrong) = run.world.model.wrong.first() {
                break Some(wrong.clone());
            }
            match end {
                End::Finished => break None,
                End::Shut(why) => break Some(Wrong::Other(why)),
                End::Crashed => {}
            }
            left = left.saturating_sub(1);
            run.world.model.counts.crashes += 1;
            let power_lost = run.crash();
            if power_lost && self.durability == Durability::Os {
                // Anything from the end may be gone; the rest has to be readable.
                let end = run.live(keeping, 0);
                break match end {
                    End::Shut(why) => Some(Wrong::Other(why)),
                    _ => None,
                };
            }
        };
        Outcome {
            counts: run.world.model.counts,
            wrong,
        }
    }
}

struct Run {
    plan: Plan,
    world: World,
    disk: FaultyDisk,
    wall: Wall,
    crashed_at: Wall,
}

impl Run {
    /// One life of the broker; with no crashes left it ends well.
    fn live(&mut self, keeping: Keeping, left: u64) -> End {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime of one thread");
        let tasks = LocalSet::new();
        let end = runtime.block_on(tasks.run_until(self.live_inside(keeping, left)));
        self.world.lose_connections();
        end
    }

    async fn live_inside(&mut self, keeping: Keeping, left: u64) -> End {
        if let Some(point) = self.plan.ignored {
            self.disk.ignore_sync(point);
        }
        let chance = &mut self.world.chance;
        if left > 0 && chance.one_in(5) {
            // While it opens the store.
            self.disk
                .crash_at(self.disk.operations() + chance.below(30));
        }
        let broker = match Broker::start(&self.disk, keeping, self.wall) {
            Ok(broker) => broker,
            Err(error) if error.to_string().contains("as ordered") => return End::Crashed,
            Err(error) => return End::Shut(format!("the store does not open: {error}")),
        };
        self.world.model.restarted(self.crashed_at, self.wall);
        if self.world.inspect(&broker).await.is_err() {
            return End::Crashed;
        }
        let outcome = match left {
            0 => self.end_well(&broker).await,
            _ => self.work(&broker).await,
        };
        self.wall = broker.now().wall;
        match outcome {
            Ok(()) if left == 0 => End::Finished,
            _ => End::Crashed,
        }
    }

    async fn work(&mut self, broker: &Broker) -> Result<(), Down> {
        let chance = &mut self.world.chance;
        let soon = self.plan.in_turns && self.world.model.counts.crashes % 2 == 1;
        if soon || chance.below(4) > 0 {
            let within = if soon { 25 } else { 150 };
            self.disk
                .crash_at(self.disk.operations() + chance.below(within));
        }
        if self.plan.trouble == Trouble::SyncFails {
            self.disk.fail_sync(self.disk.syncs() + chance.below(40));
        }
        let steps = 20 + chance.below(200);
        let full = (chance.below(steps), chance.below(steps));
        self.world.arrive(broker);
        for step in 0..steps {
            if self.plan.trouble == Trouble::Full {
                self.fill(step, full);
            }
            let outcome = self.world.step(broker).await;
            if !self.world.model.wrong.is_empty() {
                return Ok(());
            }
            if outcome.is_err() && self.plan.trouble != Trouble::SyncFails {
                return outcome;
            }
        }
        Ok(())
    }

    /// The disk has next to no room from the first of two steps until the second.
    fn fill(&self, step: u64, (from, to): (u64, u64)) {
        if step == from {
            self.disk.set_capacity(self.disk.used() + 200);
        } else if step == to {
            self.disk.set_capacity(u64::MAX);
        }
    }

    async fn end_well(&mut self, broker: &Broker) -> Result<(), Down> {
        for _ in 0..self.world.chance.below(40) {
            self.world.step(broker).await?;
        }
        self.world.finish(broker).await
    }

    /// The process is killed, or the machine loses power, and some time later there is another;
    /// whether it was the power.
    fn crash(&mut self) -> bool {
        let chance = &mut self.world.chance;
        let power_lost = match self.plan.in_turns {
            true => self.world.model.counts.crashes.is_multiple_of(2),
            false => chance.below(3) > 0,
        };
        if power_lost {
            self.disk = FaultyDisk::over(&self.disk.survivors(), chance.next());
        } else {
            self.disk.restart();
        }
        self.disk.set_capacity(u64::MAX);
        self.crashed_at = self.wall;
        self.wall = self.wall + Duration::from_millis(chance.pick(&[0, 100, 4000, 25_000]));
        power_lost
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}; again with DUNLIN_CRASH_SEED={}", self.seed)
    }
}
