//! `oomen doctor`: is everything there that a watch needs, and how is each lack mended?

mod heap;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use watchdog_collect::collector::{Collector, CollectorOptions};
use watchdog_collect::requests::{RequestsClient, RequestsError};
use watchdog_core::units::{Moment, WallTime};
use watchdog_heap::symbolize::Symbolizer;
use watchdog_report::sink::{Evidence, NoEvidence};

use crate::cli::WatchArgs;
use crate::config::{Config, Environment, RequestsConfig, TargetConfig};
use crate::supervisor::{downward_limit, search};
use crate::telling::configured;
use crate::watcher::Probe;

/// What one check found.
enum Finding {
    /// It is well.
    Good(String),
    /// It works without, but less.
    Lacking { what: String, mend: String },
    /// It does not work.
    Broken { what: String, mend: String },
}

use Finding::{Broken, Good, Lacking};

/// How long a place may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs every check and prints each with its remedy.
///
/// # Errors
/// Never for what a check finds; only when nothing can be checked at all.
pub async fn run(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    let config = match Config::load(args, Environment::read()) {
        Ok(config) => config,
        Err(mistakes) => {
            print(&Broken {
                what: mistakes.to_string(),
                mend: "see docs/oomen.example.toml".into(),
            });
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut findings = vec![Good("the configuration is valid".into())];
    for target in &config.targets {
        check_target(target, &mut findings).await;
    }
    findings.push(check_data_dir(&config.data_dir));
    findings.push(heap::check_recorders(config.heap.recorder_dir.as_deref()));
    findings.push(check_listen(&config).await);
    check_sinks(&config, &mut findings).await;
    findings.extend(check_rules(&config).await);
    findings.iter().for_each(print);
    let broken = findings.iter().any(|finding| matches!(finding, Broken { .. }));
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(finding: &Finding) {
    match finding {
        Good(what) => println!("ok      {what}"),
        Lacking { what, mend } => println!("lacks   {what}\n          mend: {mend}"),
        Broken { what, mend } => println!("broken  {what}\n          mend: {mend}"),
    }
}

async fn check_target(target: &TargetConfig, findings: &mut Vec<Finding>) {
    match search(Path::new("/proc"), &mut target.clone()) {
        Ok(found) if found.is_empty() => findings.push(Lacking {
            what: format!("no process matches {:?} now", target.which),
            mend: "nothing, if it starts later; else check the name with `ps -e`".into(),
        }),
        Ok(found) => {
            for process in &found {
                findings.push(Good(format!("found {} (pid {})", process.name, process.pid)));
                check_process(target, process.pid, findings);
            }
        }
        Err(error) => {
            let mend = "is it running, and in this pid namespace?".into();
            findings.push(Broken { what: format!("no process to watch: {error}"), mend });
        }
    }
    match heap::check_others(target).await {
        Some(finding) => findings.push(finding),
        None => check_probe(target, findings).await,
    }
    findings.push(check_requests(target).await);
}

fn check_process(target: &TargetConfig, pid: u32, findings: &mut Vec<Finding>) {
    let options = CollectorOptions {
        proc_root: "/proc".into(),
        pid,
        limit_override: target.limit,
        downward_limit: downward_limit(),
    };
    let sampled = Collector::attach(options).and_then(|mut collector| {
        let sample = collector.sample(Moment(0.0), WallTime(0.0))?;
        Ok((collector, sample))
    });
    let (collector, sample) = match sampled {
        Ok(pair) => pair,
        Err(error) => {
            let mend = "run as the same user as the process".into();
            findings.push(Broken { what: format!("its memory cannot be read: {error}"), mend });
            return;
        }
    };
    findings.push(Good(format!("its memory can be read: {} in use", sample.used())));
    if let Some(problem) = collector.cgroup_problem() {
        findings.push(Lacking {
            what: format!("its cgroup cannot be read: {problem}"),
            mend: "run as the same user, without dropping capabilities the process has".into(),
        });
    }
    findings.push(match (sample.limit, collector.limit_source()) {
        (Some(limit), Some(source)) => Good(format!("its limit is {limit} (from {source})")),
        _ => Broken {
            what: "no memory limit is known, so no kill can be forecast".into(),
            mend:
                "say it with --limit, or set OOMEN_LIMIT_BYTES by the Downward API (limits.memory)"
                    .into(),
        },
    });
    findings.push(match Symbolizer::attach(Path::new("/proc"), pid) {
        Ok(symbolizer) if symbolizer.has_symbols() => Good("its binary has symbols".into()),
        Ok(_) => Lacking {
            what: "its binary is stripped: functions will be module+offset".into(),
            mend: "build with debug = \"line-tables-only\" and without strip".into(),
        },
        Err(error) => Lacking {
            what: format!("its binary cannot be read, so no function can be named: {error}"),
            mend: "run as the same user as the process, with at least its capabilities".into(),
        },
    });
}

async fn check_probe(target: &TargetConfig, findings: &mut Vec<Finding>) {
    let Some(url) = &target.probe else {
        findings.push(Lacking {
            what: "no probe: the kind of growth and the function stay unknown".into(),
            mend: "link oomen-probe into the service and name its admin address with --probe"
                .into(),
        });
        return;
    };
    let answer = match Probe::new(url) {
        Ok(probe) => probe.allocator.fetch().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    findings.push(match answer {
        Ok(allocator) if allocator.profiling => {
            Good("the probe answers, heap profiling is on".into())
        }
        Ok(_) => Broken {
            what: "the probe answers, but heap profiling is off".into(),
            mend: "does _RJEM_MALLOC_CONF in the service's environment say prof:false?".into(),
        },
        Err(error) => Broken {
            what: format!("the probe does not answer: {error}"),
            mend: "is --probe the service's admin address, and the service up?".into(),
        },
    });
}

async fn check_requests(target: &TargetConfig) -> Finding {
    let Some(RequestsConfig { url, counter }) = target.requests.clone() else {
        return Lacking {
            what: "no request counter: growth with the load cannot be told from a leak".into(),
            mend: "name the service's metrics with --requests-url and its counter of requests with --requests-counter"
                .into(),
        };
    };
    let answer = match RequestsClient::new(url, counter.clone()) {
        Ok(client) => client.fetch().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(total) => Good(format!("the request counter {counter} is read: {total} so far")),
        Err(error @ RequestsError::Http(_)) => Broken {
            what: format!("the service's metrics cannot be read: {error}"),
            mend: "does --requests-url name the service's metrics in Prometheus' text format, and is the service up?"
                .into(),
        },
        Err(error) => Broken {
            what: format!("no requests are counted: {error}"),
            mend: "name one of those that its lines `# TYPE … counter` list, with --requests-counter"
                .into(),
        },
    }
}

fn check_data_dir(dir: &Path) -> Finding {
    let written = std::fs::create_dir_all(dir).and_then(|()| {
        let file = dir.join(".doctor");
        std::fs::write(&file, b"")?;
        std::fs::remove_file(&file)
    });
    match written {
        Ok(()) => Good(format!("heap dumps can be kept in {}", dir.display())),
        Err(error) => Broken {
            what: format!("heap dumps cannot be kept in {}: {error}", dir.display()),
            mend: "name a directory that can be written with --data-dir".into(),
        },
    }
}

async fn check_listen(config: &Config) -> Finding {
    match tokio::net::TcpListener::bind(config.listen).await {
        Ok(_) => Good(format!("{} is free to listen on", config.listen)),
        Err(error) => Broken {
            what: format!("cannot listen on {}: {error}", config.listen),
            mend: "is a watchdog running there already? else choose another with --listen".into(),
        },
    }
}

/// Whether rules can be kept in the cluster, where they are to be.
async fn check_rules(config: &Config) -> Option<Finding> {
    let rules = config.kubernetes.as_ref()?.rules()?;
    let mend = || "see docs/kubernetes.md".into();
    Some(match tokio::time::timeout(PATIENCE, rules.check()).await {
        Ok(Ok(())) => Good("rules can be kept in the cluster".into()),
        Ok(Err(error)) => {
            Broken { what: format!("no rules can be kept in the cluster: {error}"), mend: mend() }
        }
        Err(_) => {
            let what = format!("the API server does not answer within {PATIENCE:?}");
            Broken { what, mend: mend() }
        }
    })
}

/// Every place where people are told, asked as it is before a report.
async fn check_sinks(config: &Config, findings: &mut Vec<Finding>) {
    let evidence: Arc<dyn Evidence> = Arc::new(NoEvidence);
    let sinks = match configured(config, &evidence) {
        Ok(sinks) => sinks,
        Err(error) => {
            let mend = "see docs/oomen.example.toml".into();
            findings.push(Broken { what: format!("nobody can be told: {error}"), mend });
            return;
        }
    };
    if sinks.is_empty() {
        findings.push(Lacking {
            what: "nobody is told: only the terminal".into(),
            mend: "--slack-channel with a token in OOMEN_SLACK_TOKEN or --slack-token-file, or \
                   [slack], [alertmanager], [loki], [webhook] or [kubernetes] in the configuration"
                .into(),
        });
    }
    for sink in sinks {
        let name = sink.name();
        // Both ways to Slack have one section.
        let section = name.strip_suffix("-webhook").unwrap_or(name);
        let answer = tokio::time::timeout(PATIENCE, sink.warm_up()).await;
        findings.push(match answer {
            Ok(Ok(())) => Good(format!("{name} can be told")),
            Ok(Err(error)) => Broken {
                what: format!("{name} cannot be told: {error}"),
                mend: format!("check [{section}] and the way out to it"),
            },
            Err(_) => Broken {
                what: format!("{name} does not answer within {PATIENCE:?}"),
                mend: format!("check [{section}] and the way out to it"),
            },
        });
    }
}
