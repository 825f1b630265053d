//! Crashes at every operation of random work: what was committed is there, what came after it is
//! there up to some batch, and each sync is needed for that.

use std::sync::Arc;

use dunlin_log::{Durability, FaultyDisk, Log, Options, Position, SyncPoint, Urgency};

/// Small, so that a short run has several.
const SEGMENT_BYTES: u64 = 3000;

/// Crashes in a row, each after going on with what the one before had left.
const CRASHES: u64 = 3;

#[derive(Clone, Copy)]
struct Case {
    seed: u64,
    durability: Durability,
    ignored: Option<SyncPoint>,
}

/// A record that was appended, and where the log said that it went.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    segment: u64,
    position: Position,
    bytes: Vec<u8>,
}

/// What the log has to give back.
#[derive(Default)]
struct Model {
    records: Vec<Record>,
    /// Everything up to here was committed.
    committed: Position,
    /// Everything up to here was committed and, whatever the durability, synced.
    synced: Position,
    /// Segments before this one are dropped, and perhaps those before the other one.
    dropped: u64,
    dropping: u64,
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

/// How far [`Case::crash_twice`] came.
#[derive(Debug, PartialEq, Eq)]
enum Twice {
    Crashed,
    /// The work, or the opening, was done before its crash.
    NotReached,
}

impl Case {
    /// Works until the disk crashes at an operation, and again, and checks what is there each time.
    fn crash(self, crash_at: u64) -> Result<(), String> {
        let mut chance = Chance(self.seed);
        let mut model = Model::default();
        let mut disk = FaultyDisk::new(self.seed ^ crash_at);
        for crash in 0..CRASHES {
            if let Some(point) = self.ignored {
                disk.ignore_sync(point);
            }
            let crash_at = if crash == 0 {
                crash_at
            } else {
                disk.operations() + chance.below(40)
            };
            disk.crash_at(crash_at);
            if let Some(log) = self.open(&disk, &mut model)? {
                work(&log, &mut model, &mut chance);
            }
            let power_lost = chance.below(2) == 0;
            if power_lost {
                disk = FaultyDisk::over(&disk.survivors(), chance.below(u64::MAX));
            } else {
                disk.restart();
            }
            model.crashed(power_lost && self.durability == Durability::Os);
            self.open(&disk, &mut model)?
                .ok_or("it crashed again by itself")?;
        }
        // At the end nothing but what was synced may count.
        let left = FaultyDisk::over(&disk.survivors(), 0);
        self.open(&left, &mut model)?;
        Ok(())
    }

    /// Fills three segments and drops the first; crashes there, and again while opening the log.
    fn crash_twice(self, first: u64, second: u64) -> Result<Twice, String> {
        let mut model = Model::default();
        let disk = FaultyDisk::new(self.seed ^ first << 8 ^ second << 16);
        disk.crash_at(first);
        if let Some(log) = self.open(&disk, &mut model)? {
            let done = (0..9).all(|byte| {
                append(&log, &mut model, vec![byte; 900]);
                commit(&log, &mut model)
            });
            if done && drop_oldest(&log, &mut model) {
                return Ok(Twice::NotReached);
            }
        }
        disk.restart();
        disk.crash_at(disk.operations() + second);
        if self.open(&disk, &mut model)?.is_some() {
            return Ok(Twice::NotReached);
        }
        model.crashed(self.durability == Durability::Os);
        let left = FaultyDisk::over(&disk.survivors(), 0);
        self.open(&left, &mut model)?;
        Ok(Twice::Crashed)
    }

    /// Opens the log and compares; none if the disk crashed meanwhile.
    fn open(self, disk: &FaultyDisk, model: &mut Model) -> Result<Option<Log>, String> {
        let options = Options {
            durability: self.durability,
            segment_bytes: SEGMENT_BYTES,
            low_space_bytes: 0,
            seed: self.seed,
            ..Options::default()
        };
        let mut records = Vec::new();
        let mut replay = |segment, record: &[u8]| {
            records.push((segment, record.to_vec()));
            Ok(())
        };
        match Log::open(Arc::new(disk.clone()), options, &mut replay, &mut |_| ()) {
            Ok(log) => {
                model.found(records, &log)?;
                Ok(Some(log))
            }
            Err(error) if error.to_string().contains("as ordered") => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Model {
    /// After a power loss only what was synced is owed, where the durability says so.
    fn crashed(&mut self, synced_only: bool) {
        if synced_only {
            self.committed = self.synced;
        }
    }

    /// Checks what replay gave, which from now on counts as committed and synced.
    fn found(&mut self, found: Vec<(u64, Vec<u8>)>, log: &Log) -> Result<(), String> {
        let end = log.committed();
        let owed = |oldest: u64| -> Vec<&Record> {
            let counts = |record: &&Record| record.segment >= oldest && record.position <= end;
            self.records.iter().filter(counts).collect()
        };
        let same = |owed: &[&Record]| {
            let pairs = owed.iter().map(|record| (record.segment, &record.bytes));
            pairs.eq(found.iter().map(|(segment, bytes)| (*segment, bytes)))
        };
        if end < self.committed {
            return Err(format!(
                "{:?} was committed, and the log ends with {end:?}",
                self.committed
            ));
        }
        let oldest = [self.dropped, self.dropping]
            .into_iter()
            .find(|&oldest| same(&owed(oldest)));
        let Some(oldest) = oldest else {
            return Err(format!(
                "{} records are not those of {}",
                found.len(),
                owed(self.dropped).len()
            ));
        };
        self.records
            .retain(|record| record.segment >= oldest && record.position <= end);
        (self.dropped, self.dropping) = (oldest, oldest);
        (self.committed, self.synced) = (end, end);
        Ok(())
    }
}

/// Appends, commits and drops at random, for a while or until the disk crashes.
fn work(log: &Log, model: &mut Model, chance: &mut Chance) {
    for _ in 0..40 {
        let done = match chance.below(20) {
            0..12 => {
                // Some longer than a sector of the disk, a few than a segment.
                let length =
                    [20, 200, 1200, 4000][(chance.below(40) as usize).saturating_sub(33).min(3)];
                append(
                    log,
                    model,
                    vec![chance.below(256) as u8; chance.below(length) as usize],
                );
                true
            }
            12..19 => commit(log, model),
            _ => drop_oldest(log, model),
        };
        if !done {
            return;
        }
    }
}

fn append(log: &Log, model: &mut Model, bytes: Vec<u8>) {
    let appended = log.append(&bytes, Urgency::Now);
    model.records.push(Record {
        segment: appended.segment,
        position: appended.position,
        bytes,
    });
}

/// Commits one batch; false if the disk crashed.
fn commit(log: &Log, model: &mut Model) -> bool {
    let done = log.commit().is_ok();
    model.committed = log.committed();
    // A segment is synced before the next one is created.
    let newest = log.segments().1;
    let finished = model
        .records
        .iter()
        .filter(|record| record.segment < newest)
        .map(|record| record.position)
        .max();
    model.synced = model
        .synced
        .max(finished.unwrap_or_default())
        .min(model.committed);
    done
}

/// Appends what lives in the oldest segment once more and drops the segment.
fn drop_oldest(log: &Log, model: &mut Model) -> bool {
    let (oldest, newest) = log.segments();
    if oldest == newest {
        return true;
    }
    let lives = |record: &&Record| {
        record.segment == oldest && record.bytes.first().is_some_and(|byte| byte % 2 == 0)
    };
    let living: Vec<_> = model
        .records
        .iter()
        .filter(lives)
        .map(|record| record.bytes.clone())
        .collect();
    for bytes in living {
        append(log, model, bytes);
    }
    let end = log.appended();
    while log.committed() < end {
        if !commit(log, model) {
            return false;
        }
    }
    model.dropping = oldest + 1;
    let done = log.drop_before(oldest + 1).is_ok();
    if done {
        model.dropped = oldest + 1;
        model.records.retain(|record| record.segment > oldest);
        model.synced = model.committed;
    }
    done
}

/// Crashes at every operation that work with these seeds does.
fn crash_everywhere(durability: Durability, seeds: std::ops::Range<u64>) -> u64 {
    let mut crashes = 0;
    for seed in seeds {
        let case = Case {
            seed,
            durability,
            ignored: None,
        };
        for crash_at in 0..operations(case) {
            if let Err(error) = case.crash(crash_at) {
                panic!("seed {seed}, crash at {crash_at}: {error}");
            }
            crashes += CRASHES;
        }
    }
    crashes
}

/// How many operations there are until the first crash, at most.
fn operations(case: Case) -> u64 {
    let disk = FaultyDisk::new(case.seed);
    let mut model = Model::default();
    if let Ok(Some(log)) = case.open(&disk, &mut model) {
        work(&log, &mut model, &mut Chance(case.seed));
    }
    disk.operations()
}

#[test]
fn nothing_committed_is_lost() {
    let crashes = crash_everywhere(Durability::Fsync, 0..400);
    println!("{crashes} crashes");
    assert!(crashes > 20_000);
}

/// The process crashes at every operation, the machine at every operation of the opening that
/// follows: what the first left in the system's cache is not taken for durable.
#[test]
fn a_crash_while_recovering_from_a_crash_loses_nothing() {
    for (durability, seed) in [
        (Durability::Fsync, 1),
        (Durability::Os, 2),
        (Durability::Fsync, 3),
    ] {
        let case = Case {
            seed,
            durability,
            ignored: None,
        };
        let mut first = 0;
        while case.crash_twice(first, 0) != Ok(Twice::NotReached) {
            let mut second = 0;
            loop {
                match case.crash_twice(first, second) {
                    Ok(Twice::Crashed) => second += 1,
                    Ok(Twice::NotReached) => break,
                    Err(error) => {
                        panic!("{durability:?}, crashes at {first} and {second}: {error}")
                    }
                }
            }
            first += 1;
        }
        assert!(first > 30, "{first} operations");
    }
}

#[test]
fn without_syncs_a_power_loss_takes_the_end_only() {
    let crashes = crash_everywhere(Durability::Os, 0..120);
    println!("{crashes} crashes");
    assert!(crashes > 10_000);
}

#[test]
fn each_sync_is_needed() {
    for point in SyncPoint::ALL {
        let durability = match point {
            SyncPoint::Finished => Durability::Os,
            _ => Durability::Fsync,
        };
        let lost = (0..200).find_map(|seed| {
            let case = Case {
                seed,
                durability,
                ignored: Some(point),
            };
            (0..operations(case)).find_map(|crash_at| {
                let error = case.crash(crash_at).err()?;
                Some(format!("seed {seed}, crash at {crash_at}: {error}"))
            })
        });
        println!("without {point:?}: {lost:?}");
        assert!(lost.is_some(), "{point:?} can be left out");
    }
}
