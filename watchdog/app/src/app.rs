//! All wiring in one value: start it, use it, stop it. Two may run in one process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use watchdog_heap::store::{DumpStore, StoreBounds};
use watchdog_heap::symbolize::SymbolCache;
use watchdog_report::pipeline::{Options, Pipeline};
use watchdog_report::rules::RuleStore;
use watchdog_report::sink::Evidence;
use watchdog_web::AppContext;

use crate::config::{Config, KubernetesConfig};
use crate::context::{Context, NameSources, PROC, Profiling, wall_now};
use crate::otlp::Otlp;
use crate::pyroscope::Pushing;
use crate::recorders::Recorders;
use crate::rules::{self, Writer};
use crate::state::{self, Keeper, Restored};
use crate::supervisor::{MAX_PROCESSES, supervise};
use crate::telling::{Exhibits, sinks};

/// Time for the last deliveries at shutdown; with the web server's three seconds beside it, all ends within five.
const DRAIN: Duration = Duration::from_secs(4);

/// Time to find the processes of an earlier watchdog's incidents: two searches while something is watched.
const ABANDON: Duration = Duration::from_secs(30);

/// Time for the last spans and records of the log.
const EXPORT: Duration = Duration::from_millis(500);

/// How often old heap dumps are looked for; their age is counted in days.
const SWEEP: Duration = Duration::from_secs(3600);

/// A running watchdog.
pub struct App {
    /// The shared state, for whoever embeds the watchdog.
    pub context: Arc<Context>,
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    keeper: Option<JoinHandle<Keeper>>,
}

impl App {
    /// Opens the store, the sinks and the listener, and starts watching; what it does is exported by `otlp`.
    ///
    /// # Errors
    /// When the data directory cannot be used or the address cannot be listened on.
    pub async fn start(config: Config, otlp: Otlp) -> anyhow::Result<Self> {
        // reqwest is built without a provider of its own; a second start finds it installed.
        rustls::crypto::ring::default_provider().install_default().ok();
        let store = open_store(&config)?;
        let profiling = profiling(&config)?;
        let exhibits = Arc::new(Exhibits::default());
        let pipeline = pipeline(&config, &(Arc::clone(&exhibits) as _), &otlp)?;
        let places = config.targets.len() * MAX_PROCESSES;
        let restored = match config.state_interval {
            Some(_) => {
                let (detector, proc_root) = (config.detector, Path::new(PROC));
                state::restore(&config.data_dir, places, detector, proc_root, wall_now())
            }
            None => Restored::cold(Path::new(PROC)),
        };
        let context =
            Arc::new(Context::new(config.detector, store, profiling, (pipeline, otlp), restored));
        exhibits.open(&context);
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (place, target) in config.targets.into_iter().enumerate() {
            tasks.spawn(supervise(Arc::clone(&context), place, target, stop.child_token()));
        }
        if let Some(pyroscope) = &config.heap.pyroscope {
            let pushing = Pushing::new(pyroscope)?;
            tasks.spawn(pushing.run(Arc::clone(&context), stop.child_token()));
        }
        let cluster = config.kubernetes.as_ref().and_then(KubernetesConfig::rules);
        let mut stores = rules::stores(&config.rules)?;
        stores.extend(cluster.map(|store| Box::new(store) as Box<dyn RuleStore>));
        let rules = Writer::new(&config.rules, stores);
        tasks.spawn(rules.run(Arc::clone(&context), stop.child_token()));
        tasks.spawn(sweep(Arc::clone(&context), stop.child_token()));
        tasks.spawn(abandon(Arc::clone(&context), stop.child_token()));
        tasks.spawn(Arc::clone(&context.recorders).tend(stop.child_token()));
        let web = AppContext {
            source: Arc::clone(&context) as _,
            dumps: Arc::clone(&context) as _,
            token: config.web_token,
        };
        let closing = stop.child_token();
        tasks.spawn(async move {
            let served = watchdog_web::serve(listener, web, closing.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "the page cannot be served");
            }
        });
        let keeper = config.state_interval.map(|interval| {
            let keeper = Keeper::new(Arc::clone(&context), config.data_dir, places);
            tokio::spawn(keeper.run(interval, stop.child_token()))
        });
        Ok(Self { context, address, stop, tasks, keeper })
    }

    /// Stops watching, writes what the detectors remember, delivers what is pending and ends within five seconds.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let tasks = async {
            while self.tasks.join_next().await.is_some() {}
            // Only now the last samples are taken. A keeper that failed has said so.
            if let Some(keeper) = self.keeper
                && let Ok(mut keeper) = keeper.await
            {
                keeper.save().await;
            }
        };
        tokio::join!(
            async { tokio::time::timeout(DRAIN, tasks).await.ok() },
            self.context.pipeline.drain(DRAIN)
        );
        tracing::info!("stopped");
        self.context.otlp.shutdown(EXPORT).await;
    }
}

fn open_store(config: &Config) -> anyhow::Result<DumpStore> {
    let bounds = StoreBounds {
        count_per_target: config.heap.keep,
        bytes_per_target: config.heap.bytes_per_target,
        total_bytes: config.heap.max_bytes,
        max_age: Some(config.heap.max_age),
    };
    DumpStore::open(config.data_dir.clone(), bounds)
        .with_context(|| format!("the data directory {}", config.data_dir.display()))
}

/// The way to people. A watchdog that remembers nothing – a single run – forgets what it could not tell.
fn pipeline(
    config: &Config,
    evidence: &Arc<dyn Evidence>,
    otlp: &Otlp,
) -> anyhow::Result<Pipeline> {
    let sinks = sinks(config, evidence)?;
    let options = Options::default();
    if config.state_interval.is_none() {
        return Ok(Pipeline::start(sinks, &options));
    }
    let outbox = config.data_dir.join("outbox");
    Pipeline::resume(sinks, &options, &outbox, &(Arc::new(otlp.clone()) as _))
        .with_context(|| format!("the outbox {}", outbox.display()))
}

/// Ends the incidents that an earlier watchdog left open and whose process is not found.
async fn abandon(context: Arc<Context>, stop: CancellationToken) {
    if stop.run_until_cancelled(tokio::time::sleep(ABANDON)).await.is_some() {
        context.abandon_left_open();
    }
}

/// Lets old dumps go, also while no new ones come.
async fn sweep(context: Arc<Context>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
        let store = Arc::clone(&context.store);
        tokio::task::spawn_blocking(move || store.sweep(wall_now())).await.ok();
    }
}

/// The flight recorders and the names that were found before. A cache that cannot be used costs only time.
fn profiling(config: &Config) -> anyhow::Result<Profiling> {
    let recorders = match &config.heap.recorder_dir {
        Some(dir) => Recorders::open(dir)
            .with_context(|| format!("the flight recorders' directory {}", dir.display()))?,
        None => Recorders::default(),
    };
    let cache = SymbolCache::open(config.data_dir.join("symbols"))
        .inspect_err(|error| tracing::warn!(%error, "names of functions are not kept"))
        .ok();
    let debug_dirs = config.heap.debug_dirs.clone();
    Ok(Profiling { recorders, names: NameSources { cache: cache.map(Arc::new), debug_dirs } })
}
