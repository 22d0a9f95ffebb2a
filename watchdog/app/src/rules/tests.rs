//! When rules are written, followed, tried again and removed, over a store that takes notes.

use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use watchdog_core::detector::{Assessment, DetectorConfig};
use watchdog_core::sample::{Memory, Sample};
use watchdog_core::units::{Moment, WallTime};
use watchdog_heap::store::{DumpStore, StoreBounds};
use watchdog_report::pipeline::{Options, Pipeline};

use super::*;
use crate::context::{PROC, Profiling};
use crate::otlp::Otlp;
use crate::state::Restored;
use crate::workload::{Process, Workload};

const MIB: u64 = 1024 * 1024;

/// What was stored, and how it goes on.
#[derive(Default)]
struct Kept {
    stored: Vec<Vec<Group>>,
    refuse: Option<StoreError>,
    asked: usize,
}

struct Shelf(Arc<Mutex<Kept>>);

#[async_trait]
impl RuleStore for Shelf {
    fn name(&self) -> &'static str {
        "shelf"
    }

    async fn store(&self, groups: &[Group]) -> Result<(), StoreError> {
        let mut kept = lock(&self.0);
        kept.asked += 1;
        if let Some(error) = &kept.refuse {
            return Err(error.clone());
        }
        kept.stored.push(groups.to_vec());
        Ok(())
    }
}

/// A watchdog that has watched `orders` for twelve hours, and a writer that has looked at nothing yet.
struct Stage {
    context: Arc<Context>,
    slot: Arc<Slot>,
    kept: Arc<Mutex<Kept>>,
    stop: CancellationToken,
    _data: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let bounds = StoreBounds { total_bytes: Bytes(1), ..StoreBounds::default() };
        let store = DumpStore::open(data.path().into(), bounds).unwrap();
        let pipeline = Pipeline::start(Vec::new(), &Options::default());
        let mut workload = Workload::new(DetectorConfig::default(), WallTime(0.0));
        for i in 0..2880_u32 {
            workload.observe(&sample(f64::from(i) * 15.0, 96));
        }
        let restored = Restored {
            workloads: vec![("orders".into(), workload)],
            ..Restored::cold(Path::new(PROC))
        };
        let context = Arc::new(Context::new(
            DetectorConfig::default(),
            store,
            Profiling::default(),
            (pipeline, Otlp::off()),
            restored,
        ));
        let (_, slot) = context.claim("orders", Process { pid: 1, start_ticks: 1, exe: None });
        {
            let mut status = lock(&slot.status);
            status.identity.name = "orders".into();
            status.assessment = Some(Assessment::default());
            status.sample = Some(sample(0.0, 96));
        }
        let kept = Arc::default();
        Self { context, slot, kept, stop: CancellationToken::new(), _data: data }
    }

    fn start(&self) -> tokio::task::JoinHandle<()> {
        let stores: Vec<Box<dyn RuleStore>> = vec![Box::new(Shelf(Arc::clone(&self.kept)))];
        let writer = Writer::new(&RulesConfig::default(), stores);
        tokio::spawn(writer.run(Arc::clone(&self.context), self.stop.clone()))
    }

    fn limit(&self, mib: u64) {
        let mut status = lock(&self.slot.status);
        status.sample = status.sample.map(|s| Sample { limit: Some(Bytes(mib * MIB)), ..s });
    }

    fn level(&self, level: Level) {
        lock(&self.slot.status).assessment = Some(Assessment { level, ..Assessment::default() });
    }

    fn observe(&self, from: f64, seconds: u32, mib: u64) {
        let mut workload = lock(&self.slot.workload);
        for i in 0..seconds / 15 {
            workload.observe(&sample(from + f64::from(i) * 15.0, mib));
        }
    }

    /// How many groups each write stored.
    fn stored(&self) -> Vec<usize> {
        lock(&self.kept).stored.iter().map(Vec::len).collect()
    }

    fn last(&self) -> String {
        let kept = lock(&self.kept);
        kept.stored.last().map(|groups| format!("{groups:?}")).unwrap_or_default()
    }
}

fn sample(t: f64, mib: u64) -> Sample {
    Sample {
        at: Moment(t),
        age: t + 100.0,
        memory: Memory { anon: Bytes(mib * MIB), ..Memory::default() },
        limit: Some(Bytes(256 * MIB)),
        ..Sample::default()
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn rules_are_written_once_and_again_when_the_limit_changes_but_not_within_a_minute() {
    let stage = Stage::new();
    let writer = stage.start();
    pass(20).await;
    assert_eq!(stage.stored(), [1]);
    assert!(stage.last().contains("256.0 MiB"), "{}", stage.last());
    stage.limit(512);
    pass(30).await;
    assert_eq!(stage.stored(), [1], "not within a minute");
    pass(40).await;
    assert_eq!(stage.stored(), [1, 1]);
    assert!(stage.last().contains("512.0 MiB"), "{}", stage.last());
    pass(3600).await;
    assert_eq!(stage.stored(), [1, 1], "nothing has changed");
    let status = lock(&stage.context.rules).clone();
    assert_eq!((status[0].written, status[0].failed, status[0].groups), (2, 0, 1));
    stage.stop.cancel();
    writer.await.unwrap();
    assert_eq!(stage.stored(), [1, 1], "what is kept stays when the watchdog stops");
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_target_that_is_gone_go_when_nothing_follows_it() {
    let stage = Stage::new();
    let _writer = stage.start();
    pass(20).await;
    lock(&stage.slot.status).up = false;
    pass(240).await;
    assert_eq!(stage.stored(), [1], "it may only be restarting");
    lock(&stage.slot.status).up = true;
    pass(30).await;
    lock(&stage.slot.status).up = false;
    pass(280).await;
    assert_eq!(stage.stored(), [1]);
    pass(40).await;
    assert_eq!(stage.stored(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_found_yet_after_the_start_is_not_removed() {
    let stage = Stage::new();
    lock(&stage.slot.status).up = false;
    let _writer = stage.start();
    pass(270).await;
    assert_eq!(stage.stored(), Vec::<usize>::new());
    pass(60).await;
    assert_eq!(stage.stored(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_leak_that_is_suspected_is_not_learned() {
    let stage = Stage::new();
    let _writer = stage.start();
    pass(20).await;
    let before = stage.last();
    stage.level(Level::Suspect);
    stage.observe(50_000.0, 6000, 190);
    pass(200).await;
    assert_eq!(stage.last(), before);
    stage.level(Level::Calm);
    pass(200).await;
    assert!(stage.last().contains("190.0 MiB"), "{}", stage.last());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_hardly_moves_does_not_move_the_rules() {
    let stage = Stage::new();
    let _writer = stage.start();
    pass(20).await;
    stage.observe(50_000.0, 6000, 97);
    pass(200).await;
    assert_eq!(stage.stored(), [1]);
    stage.observe(60_000.0, 6000, 110);
    pass(200).await;
    assert_eq!(stage.stored(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_ever_more_seldom_until_it_passes() {
    let stage = Stage::new();
    lock(&stage.kept).refuse = Some(StoreError::passing("the disk is full"));
    let _writer = stage.start();
    pass(3600).await;
    let asked = lock(&stage.kept).asked;
    assert!((10..=30).contains(&asked), "{asked}");
    let failed = lock(&stage.context.rules)[0].failed;
    assert_eq!(usize::try_from(failed).unwrap(), asked);
    lock(&stage.kept).refuse = None;
    pass(310).await;
    assert_eq!(stage.stored(), [1]);
    lock(&stage.kept).refuse = Some(StoreError::permanent("another hand"));
    stage.limit(512);
    let asked = lock(&stage.kept).asked;
    pass(1200).await;
    assert!(lock(&stage.kept).asked - asked <= 5);
}
