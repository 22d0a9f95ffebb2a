//! The configuration: a strict TOML file, overridden by flags. All mistakes are reported at once.

mod heap;
mod kubernetes;
mod rules;
mod section;
mod telling;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;
use watchdog_collect::requests::CounterName;
use watchdog_core::detector::DetectorConfig;
use watchdog_core::units::Bytes;

use crate::cli::WatchArgs;
use crate::rules::RulesConfig;
pub use heap::{HeapConfig, PyroscopeConfig};
pub use kubernetes::KubernetesConfig;
use section::Section;
pub use telling::{AlertmanagerConfig, LokiConfig, SlackConfig, TellingConfig, WebhookConfig};

/// Everything the watchdog needs to start.
#[derive(Debug)]
pub struct Config {
    /// What is watched; at least one.
    pub targets: Vec<TargetConfig>,
    /// Where the page, /metrics and the API listen.
    pub listen: SocketAddr,
    /// Bearer token for heap downloads; required when `listen` is not loopback.
    pub web_token: Option<SecretString>,
    /// Directory for heap dumps and the detectors' state.
    pub data_dir: PathBuf,
    /// How often the detectors' state is written to the data directory; `None` neither writes nor restores it.
    pub state_interval: Option<Duration>,
    /// How heap profiles are recorded, kept and passed on.
    pub heap: HeapConfig,
    /// Where rules fitted to the targets are kept.
    pub rules: RulesConfig,
    /// Where people are told.
    pub telling: TellingConfig,
    /// What is written to the cluster that the watchdog runs in.
    pub kubernetes: Option<KubernetesConfig>,
    /// Address of the page as people reach it.
    pub page_url: Option<Url>,
    /// The detector's settings.
    pub detector: DetectorConfig,
    /// Terminal reports as JSON lines.
    pub json: bool,
}

/// One target.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// Name in metrics and messages; the process's own by default.
    pub name: Option<String>,
    /// Which processes it means.
    pub which: Which,
    /// The service's version in messages.
    pub version: Option<String>,
    /// The service's admin address.
    pub probe: Option<Url>,
    /// Where a program without the probe serves heap profiles, as Go's net/http/pprof does.
    pub pprof: Option<Url>,
    /// What the dump files of a program whose jemalloc writes them begin with: its `prof_prefix`.
    pub dump_files: Option<PathBuf>,
    /// Where the service counts its requests.
    pub requests: Option<RequestsConfig>,
    /// The limit, when it is said by hand.
    pub limit: Option<Bytes>,
}

impl TargetConfig {
    /// Those processes, and nothing said of them.
    pub fn of(which: Which) -> Self {
        let (name, probe, pprof, dump_files) = (None, None, None, None);
        Self { name, which, version: None, probe, pprof, dump_files, requests: None, limit: None }
    }
}

/// Where a service counts its requests.
#[derive(Clone, Debug)]
pub struct RequestsConfig {
    /// Its metrics, in Prometheus' text format.
    pub url: Url,
    /// The counter in them.
    pub counter: CounterName,
}

/// Which processes a target means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One process, then the next of its name.
    Pid(u32),
    /// One process and no other.
    Only(u32),
    /// The next process of this name that starts after these clock ticks since boot.
    Next(String, u64),
    /// Every process of this name.
    Process(String),
    /// The main process of every other container of the pod.
    Pod,
}

/// Every mistake found in the configuration, each with where it is and how to mend it.
#[derive(Debug)]
pub struct ConfigMistakes(Vec<String>);

impl fmt::Display for ConfigMistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "the configuration has {} mistake{s}:", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  - {mistake}"))
    }
}

impl std::error::Error for ConfigMistakes {}

/// What the environment says.
#[derive(Debug, Default)]
pub struct Environment {
    /// `OOMEN_SLACK_TOKEN`.
    pub slack_token: Option<SecretString>,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        let slack_token = std::env::var("OOMEN_SLACK_TOKEN").ok().filter(|token| !token.is_empty());
        Self { slack_token: slack_token.map(SecretString::from) }
    }
}

const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9911);
/// What a crash of the watchdog loses at most. A week's history of a target is 160 KiB to write.
const DEFAULT_STATE_INTERVAL: Duration = Duration::from_secs(60);
const NOTHING_TO_WATCH: &str =
    "target: nothing to watch: use --process NAME, --pid N or --pod, or a [[target]] in the file";
/// A hundred targets of one watchdog; beyond it the mistake is more likely than the wish.
const MAX_TARGETS: usize = 100;

impl Config {
    /// Reads the file the flags name, lets the flags override it, and checks the whole.
    ///
    /// # Errors
    /// [`ConfigMistakes`] with all of them.
    pub fn load(args: &WatchArgs, environment: Environment) -> Result<Self, ConfigMistakes> {
        Self::read(args, environment, true)
    }

    fn read(
        args: &WatchArgs,
        environment: Environment,
        watches: bool,
    ) -> Result<Self, ConfigMistakes> {
        let text = match &args.config {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                ConfigMistakes(vec![format!("cannot read {}: {error}", path.display())])
            })?,
        };
        let config = Self::parse(&text, args, environment)?;
        if watches && config.targets.is_empty() {
            return Err(ConfigMistakes(vec![NOTHING_TO_WATCH.into()]));
        }
        Ok(config)
    }

    /// The same where nothing is to be watched, only somebody told: targets may be missing.
    ///
    /// # Errors
    /// [`ConfigMistakes`] with all others.
    pub fn load_for_telling(
        args: &WatchArgs,
        environment: Environment,
    ) -> Result<Self, ConfigMistakes> {
        Self::read(args, environment, false)
    }

    fn parse(
        text: &str,
        args: &WatchArgs,
        environment: Environment,
    ) -> Result<Self, ConfigMistakes> {
        let table = text
            .parse::<toml::Table>()
            .map_err(|error| ConfigMistakes(vec![format!("not valid TOML: {error}")]))?;
        let mut root = Section::root(table);
        let mut config = Self {
            listen: args.listen.or(root.parsed("listen")).unwrap_or(DEFAULT_LISTEN),
            web_token: None,
            data_dir: args
                .data_dir
                .clone()
                .or(root.string("data_dir").map(PathBuf::from))
                .unwrap_or_else(|| PathBuf::from("oomen-data")),
            state_interval: Some(DEFAULT_STATE_INTERVAL),
            heap: HeapConfig::default(),
            rules: RulesConfig::default(),
            telling: TellingConfig::default(),
            kubernetes: KubernetesConfig::read(&mut root, |name| std::env::var(name).ok()),
            page_url: args.page_url.clone().or(root.parsed("page_url")),
            detector: DetectorConfig::default(),
            json: args.json,
            targets: Vec::new(),
        };
        config.read_web_token(&mut root, args);
        config.read_state(&mut root);
        config.read_heap(&mut root, args);
        config.read_rules(&mut root);
        config.read_detector(&mut root, args);
        config.read_telling(&mut root, args, environment);
        config.read_targets(&mut root, args);
        let mistakes = root.finish();
        if mistakes.is_empty() { Ok(config) } else { Err(ConfigMistakes(mistakes)) }
    }

    fn read_web_token(&mut self, root: &mut Section, args: &WatchArgs) {
        let file = args.web_token_file.clone().or(root.string("web_token_file").map(PathBuf::from));
        self.web_token = file.and_then(|file| read_secret(root, "web_token_file", &file));
        if !self.listen.ip().is_loopback() && self.web_token.is_none() {
            root.mistake(
                "web_token_file",
                &format!(
                    "is needed, because heap dumps must not be open to everybody on {}: name a file \
                     with a token, or listen on 127.0.0.1",
                    self.listen
                ),
            );
        }
    }

    fn read_state(&mut self, root: &mut Section) {
        if let Some(seconds) = root.seconds("state_interval", 1.0..=3600.0) {
            self.state_interval = Some(Duration::from_secs_f64(seconds));
        }
    }

    fn read_detector(&mut self, root: &mut Section, args: &WatchArgs) {
        let mut section = root.section("detector");
        let default = DetectorConfig::default();
        let warm_up = args.warm_up.map(|d| d.as_secs_f64());
        self.detector = DetectorConfig {
            warm_up: warm_up
                .or(section.seconds("warm_up", 0.0..=86_400.0))
                .unwrap_or(default.warm_up),
            max_interval: section
                .seconds("max_interval", 0.05..=300.0)
                .unwrap_or(default.max_interval),
            worst_rate: section
                .parsed::<Bytes>("worst_rate")
                .map_or(default.worst_rate, Bytes::as_f64),
        };
        if self.detector.worst_rate < 1.0 {
            section.mistake("worst_rate", "must be at least one byte per second");
        }
        root.absorb(section);
    }

    fn read_targets(&mut self, root: &mut Section, args: &WatchArgs) {
        for mut section in root.sections("target", MAX_TARGETS) {
            let name = section.string("name");
            let version = section.string("version");
            let probe = section.parsed("probe");
            let pprof = section.parsed("pprof");
            let dump_files = section.string("dump_files").map(PathBuf::from);
            let requests = read_requests(&mut section);
            let limit = section.parsed("limit");
            let pid = section.integer("pid", 1..=u64::from(u32::MAX));
            let process = section.string("process");
            let pod = section.boolean("pod").unwrap_or(false);
            let which = match (pid, process, pod) {
                (Some(pid), None, false) => u32::try_from(pid).ok().map(Which::Pid),
                (None, Some(process), false) => Some(Which::Process(process)),
                (None, None, true) => Some(Which::Pod),
                _ => None,
            };
            match which {
                Some(which) => {
                    let target = TargetConfig::of(which);
                    self.targets.push(TargetConfig {
                        name,
                        version,
                        probe,
                        pprof,
                        dump_files,
                        requests,
                        limit,
                        ..target
                    });
                }
                None => section.mistake(
                    "process",
                    "say exactly one of process = \"NAME\", pid = N or pod = true",
                ),
            }
            root.absorb(section);
        }
        self.flags_to_target(args);
    }

    /// Flags that choose a process replace the file's targets; the others amend a single one.
    fn flags_to_target(&mut self, args: &WatchArgs) {
        let which = match (args.pid, &args.process, args.pod) {
            (Some(pid), _, _) => Some(Which::Pid(pid)),
            (_, Some(name), _) => Some(Which::Process(name.clone())),
            (_, _, true) => Some(Which::Pod),
            _ => None,
        };
        if let Some(which) = which {
            self.targets = vec![TargetConfig::of(which)];
        }
        if let [target] = self.targets.as_mut_slice() {
            target.name = args.name.clone().or(target.name.take());
            target.probe = args.probe.clone().or(target.probe.take());
            target.pprof = args.pprof.clone().or(target.pprof.take());
            target.dump_files = args.dump_files.clone().or(target.dump_files.take());
            let requests = args.requests_url.clone().zip(args.requests_counter.clone());
            target.requests = requests
                .map(|(url, counter)| RequestsConfig { url, counter })
                .or(target.requests.take());
            target.limit = args.limit.or(target.limit);
        }
    }
}

/// `requests = { url = "…", counter = "…" }` of a target.
fn read_requests(target: &mut Section) -> Option<RequestsConfig> {
    let present = target.has("requests");
    let mut section = target.section("requests");
    for (key, what) in [
        ("url", "the service's metrics, as \"http://127.0.0.1:9101/metrics\""),
        ("counter", "the metric that counts requests, as \"http_requests_total\""),
    ] {
        if present && !section.has(key) {
            section.mistake(key, &format!("is missing: {what}"));
        }
    }
    let url = section.parsed::<Url>("url");
    if url.as_ref().is_some_and(|url| url.scheme() != "http") {
        section.mistake("url", "must begin with http://: the counter is read without TLS");
    }
    let counter = section.parsed("counter");
    target.absorb(section);
    url.zip(counter).map(|(url, counter)| RequestsConfig { url, counter })
}

/// A secret from a file, without its line end. The file's content never reaches a message.
fn read_secret(section: &mut Section, key: &str, path: &Path) -> Option<SecretString> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Some(SecretString::from(text.trim())),
        Ok(_) => {
            section.mistake(key, &format!("{} is empty", path.display()));
            None
        }
        Err(error) => {
            section.mistake(key, &format!("cannot read {}: {error}", path.display()));
            None
        }
    }
}

#[cfg(test)]
mod tests;
