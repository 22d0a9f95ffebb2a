//! Turns what happens to a service into what the kernel, its allocator and its request counter show of it.

use watchdog_core::sample::{Allocator, Memory, Sample};
use watchdog_core::units::{Bytes, Moment, WallTime};

use super::dice::Dice;
use super::plan::Plan;
use super::service::{Service, Work};
use super::wave;

/// The kernel counts in pages.
const PAGE: f64 = 4096.0;
/// Any date does: 2026-01-01.
const EPOCH: f64 = 1_767_225_600.0;
/// How far the base wanders at most.
const WANDER: f64 = 0.015;

/// What was seen of a service.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// What arrived, up to the kill.
    pub(super) samples: Vec<Sample>,
    /// Seconds at which the limit was reached, between the last sample and the one that would have been next.
    pub(super) kill: Option<f64>,
}

/// Samples the plan until its end or until the limit is reached.
pub(super) fn render(service: &Service, plan: &Plan, dice: &mut Dice) -> Run {
    let mut scene = Scene::new(service, plan, dice);
    let mut samples = Vec::with_capacity(plan.clock.times.len());
    let mut kill = None;
    for index in 0..plan.clock.times.len() {
        let sample = scene.sample(index, dice);
        if sample.used().as_f64() >= service.limit {
            kill = Some(reached(samples.last(), &sample));
            break;
        }
        samples.push(sample);
    }
    // The two samples before a kill arrive always, so that the truth can be read off the series.
    let sure = if kill.is_some() { samples.len().saturating_sub(2) } else { samples.len() };
    let mut index = 0;
    samples.retain(|sample| {
        index += 1;
        index > sure || (plan.clock.kept[index - 1] && !scene.is_down(sample.at.0))
    });
    Run { samples, kill }
}

/// When the straight line between two samples reaches the limit.
fn reached(before: Option<&Sample>, after: &Sample) -> f64 {
    let (Some(before), Some(limit)) = (before, after.limit) else { return after.at.0 };
    let share = (limit - before.used()).fraction_of(after.used() - before.used());
    before.at.0 + share * after.at.since(before.at)
}

struct Scene<'a> {
    service: &'a Service,
    plan: &'a Plan,
    /// Seconds at which the first process started.
    born: f64,
    wandering: Vec<f64>,
    slack: Vec<f64>,
    busy: Vec<f64>,
    burst: f64,
    /// Pages the allocator has in use or has not yet given back.
    footprint: f64,
    restarts: usize,
}

impl<'a> Scene<'a> {
    fn new(service: &'a Service, plan: &'a Plan, dice: &mut Dice) -> Self {
        let times = &plan.clock.times;
        Self {
            service,
            plan,
            born: -dice.between(0.0, plan.clock.cadence.min(10.0)),
            wandering: wave::wander(times, service.wander_memory, dice),
            slack: wave::wander(times, service.wander_memory, dice),
            busy: wave::wander(times, service.work.memory, dice),
            burst: (service.work.scale * Work::BURST)
                .min(plan.ceiling - plan.peak() - WANDER)
                .max(0.0),
            footprint: 0.0,
            restarts: 0,
        }
    }

    fn is_down(&self, t: f64) -> bool {
        self.plan
            .restarts
            .iter()
            .any(|restart| (restart.at - restart.down..restart.at).contains(&t))
    }

    fn sample(&mut self, index: usize, dice: &mut Dice) -> Sample {
        let (service, plan) = (self.service, self.plan);
        let at = plan.clock.times[index];
        let restarts = plan.restarts.partition_point(|restart| restart.at <= at);
        if restarts > self.restarts {
            (self.restarts, self.footprint) = (restarts, 0.0);
        }
        let started = restarts.checked_sub(1).map_or(self.born, |last| plan.restarts[last].at);

        let heap = self.heap(index, at - started);
        let active = heap + service.scattered * plan.fragments[index];
        let since = if index == 0 { 0.0 } else { at - plan.clock.times[index - 1] };
        let unreturned = (self.footprint - active).max(0.0) * (-since / plan.decay).exp();
        self.footprint = active + unreturned;
        let resident =
            self.footprint + (1.0 - service.scattered) * plan.fragments[index] + service.metadata;
        let anon = resident + service.outside + plan.outside[index];
        let shmem = service.shmem + plan.shmem[index];
        // The kernel drops file pages when others need the room.
        let file = (service.file + plan.file[index]).min(1.0 - anon - shmem).max(0.0);

        let (anon, shmem, file) = (self.pages(anon), self.pages(shmem), self.pages(file));
        let slack = (service.slack + 0.004 * self.slack[index]).clamp(0.02, 0.1);
        Sample {
            at: Moment(at),
            wall: WallTime(EPOCH + at),
            memory: Memory { rss: anon + file + shmem, anon, file, shmem, swap: Bytes(0) },
            limit: Some(Bytes(service.limit as u64)),
            cgroup: None,
            allocator: self.reading(index, heap / (1.0 + slack), active, resident),
            load: service.shows_load.then(|| self.requests(index, dice)),
            age: at - started,
        }
    }

    /// The heap in active pages: base, what happens, wandering and the requests in flight.
    fn heap(&self, index: usize, age: f64) -> f64 {
        let (service, plan) = (self.service, self.plan);
        let base = plan.base - service.outside - service.metadata - service.shmem;
        let tau = service.warm_up.min(plan.warm_up);
        let warm = 1.0 - (1.0 - service.cold) * (-age / tau).exp();
        let wandering = (service.wander * self.wandering[index]).clamp(-WANDER, WANDER);
        let work = service.work.scale * Work::TYPICAL * plan.load[index];
        let work = (work * (service.work.spread * self.busy[index]).exp()).min(self.burst);
        (base + wandering) * warm + plan.heap[index] + work
    }

    fn reading(
        &self,
        index: usize,
        allocated: f64,
        active: f64,
        resident: f64,
    ) -> Option<Allocator> {
        let due = self.service.reads_allocator.is_some_and(|every| index.is_multiple_of(every));
        due.then(|| Allocator {
            allocated: Bytes((allocated * self.service.limit) as u64),
            active: self.pages(active),
            resident: self.pages(resident),
            // Addresses kept and extents mapped are not memory; any plausible share of it does.
            retained: self.pages(resident / 8.0),
            mapped: self.pages(resident * 1.05),
            metadata: self.pages(self.service.metadata),
            profiling: self.service.profiling,
        })
    }

    /// Requests counted over one cadence, a second.
    fn requests(&self, index: usize, dice: &mut Dice) -> f64 {
        let cadence = self.plan.clock.cadence;
        dice.events(self.service.requests * self.plan.load[index] * cadence) / cadence
    }

    /// Whole pages of a fraction of the limit.
    fn pages(&self, fraction: f64) -> Bytes {
        Bytes((fraction * self.service.limit / PAGE) as u64 * PAGE as u64)
    }
}
