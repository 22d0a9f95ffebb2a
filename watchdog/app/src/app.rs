//! All wiring in one value: start it, use it, stop it. Two may run in one process.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use watchdog_heap::store::{DumpStore, StoreBounds};
use watchdog_report::pipeline::{Options, Pipeline};
use watchdog_report::sink::Sink;
use watchdog_report::slack::{SlackOptions, SlackSink};
use watchdog_report::terminal::{Format, TerminalSink};
use watchdog_web::AppContext;

use crate::config::{Config, SlackConfig};
use crate::context::{Context, PROC, wall_now};
use crate::state::{self, Keeper, Restored};
use crate::supervisor::{MAX_PROCESSES, supervise};

/// Time for the last deliveries at shutdown; with the web server's three seconds beside it, all ends within five.
const DRAIN: Duration = Duration::from_secs(4);

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
    /// Opens the store, the sinks and the listener, and starts watching.
    ///
    /// # Errors
    /// When the data directory cannot be used or the address cannot be listened on.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        // reqwest is built without a provider of its own; a second start finds it installed.
        rustls::crypto::ring::default_provider().install_default().ok();
        let bounds =
            StoreBounds { count_per_target: config.keep_dumps, total_bytes: config.max_dump_bytes };
        let store = DumpStore::open(config.data_dir.clone(), bounds)
            .with_context(|| format!("the data directory {}", config.data_dir.display()))?;
        let pipeline = Pipeline::start(sinks(&config)?, &Options::default());
        let places = config.targets.len() * MAX_PROCESSES;
        let restored = match config.state_interval {
            Some(_) => {
                let (detector, proc_root) = (config.detector, Path::new(PROC));
                state::restore(&config.data_dir, places, detector, proc_root, wall_now())
            }
            None => Restored::cold(Path::new(PROC)),
        };
        let context = Arc::new(Context::new(config.detector, store, pipeline, restored));
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for target in config.targets {
            tasks.spawn(supervise(Arc::clone(&context), target, stop.child_token()));
        }
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
    }
}

/// Where people are told: always the terminal, and Slack where it is configured.
fn sinks(config: &Config) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let color = std::io::stdout().is_terminal();
    let format = if config.json { Format::Json } else { Format::Text { color } };
    let mut sinks: Vec<Box<dyn Sink>> =
        vec![Box::new(TerminalSink::new(std::io::stdout(), format)?)];
    if let Some(slack) = &config.slack {
        sinks.push(Box::new(slack_sink(slack, config.page_url.as_ref())?));
    }
    Ok(sinks)
}

/// The Slack sink that the configuration describes.
///
/// # Errors
/// When the API address cannot be used.
pub fn slack_sink(slack: &SlackConfig, page: Option<&url::Url>) -> anyhow::Result<SlackSink> {
    Ok(SlackSink::new(SlackOptions {
        token: slack.token.clone(),
        channel: slack.channel.clone(),
        api_url: slack.api_url.clone(),
        page: page.cloned(),
    })?)
}
