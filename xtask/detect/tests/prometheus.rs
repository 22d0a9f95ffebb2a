//! The rules against a real Prometheus: the same samples, the same queries, the same answers.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use watchdog_core::sample::{Allocator, Memory, Sample};
use watchdog_core::units::{Bytes, Moment};
use xtask_detect::rules::{Condition, Data, Expr, Function, Metric, Op, Rule, Series, Settings};

/// The release whose semantics `rules` documents; another one may count the ends of a window otherwise.
const VERSION: &str = "2.42.";
/// Midnight of a day in 2023: a multiple of every interval, so that evaluations here and there coincide.
const EPOCH: f64 = 1_702_080_000.0;
const MIB: f64 = 1_048_576.0;
const HOUR: f64 = 3600.0;
/// Beside a dozen busy programs it takes half a minute.
const DEADLINE: Duration = Duration::from_secs(180);

/// A made-up container.
struct Pod {
    name: &'static str,
    series: Series,
    kill: Option<f64>,
}

impl Pod {
    fn new(name: &'static str, samples: &[Sample], kill: Option<f64>) -> Self {
        Self { name, series: Series::from_samples(samples), kill }
    }

    fn data(&self) -> Data<'_> {
        Data::new(&self.series, self.kill, Settings::of(&self.series))
    }
}

fn times(step: f64, end: f64) -> impl Iterator<Item = f64> {
    (0..).map(move |i| step * f64::from(i)).take_while(move |t| *t <= end)
}

fn sample(at: f64, anon_mib: f64, limit_mib: f64) -> Sample {
    let bytes = |mib: f64| Bytes((mib * MIB).round() as u64);
    let memory = Memory { anon: bytes(anon_mib), file: bytes(30.0), ..Memory::default() };
    Sample { at: Moment(at), memory, limit: Some(bytes(limit_mib)), ..Sample::default() }
}

/// Not random, but no pattern of the windows' length either.
fn wobble(at: f64) -> f64 {
    (at / 77.0).sin() * 5.0 + (at / 1013.0).cos() * 9.0
}

/// Containers that are scraped often, on the grid of the evaluations.
fn on_the_grid() -> Vec<Pod> {
    let leak = times(15.0, 7.0 * HOUR).map(|t| sample(t, 300.0 + t / 35.0 + wobble(t), 1024.0));
    let saw =
        times(30.0, 5.0 * HOUR).map(|t| sample(t, 200.0 + 700.0 * (t % 2400.0) / 2400.0, 1024.0));
    let step = times(60.0, 4.0 * HOUR).map(|t| {
        let limit = if t < 2.5 * HOUR { 512.0 } else { 600.0 };
        sample(t, if t < HOUR { 100.0 } else { 480.0 }, limit)
    });
    let gaps = times(30.0, 3.0 * HOUR)
        .filter(|t| !(3000.0..3600.0).contains(t) && !(6030.0..6270.0).contains(t))
        .map(|t| sample(t, 480.0 + wobble(t) / 4.0, 512.0));
    let start = times(30.0, 60.0).map(|t| sample(t, 40.0 + t, 256.0));
    let two = times(30.0, 30.0).map(|t| sample(t, 40.0 + t, 256.0));
    vec![
        Pod::new("leak", &leak.collect::<Vec<_>>(), Some(7.0 * HOUR)),
        Pod::new("saw-tooth", &saw.collect::<Vec<_>>(), None),
        Pod::new("step", &step.collect::<Vec<_>>(), None),
        Pod::new("gaps", &gaps.collect::<Vec<_>>(), None),
        Pod::new("start-up", &start.collect::<Vec<_>>(), None),
        Pod::new("two samples", &two.collect::<Vec<_>>(), None),
    ]
}

/// Containers that are scraped often but at odd moments: a quarter second off, late, with a heap of their own.
fn off_the_grid() -> Vec<Pod> {
    let jitter = |t: f64| (t * 0.37).sin().mul_add(16.0, 16.0).floor() / 8.0;
    let heap = times(10.0, 2.0 * HOUR).map(|t| {
        let grown = (t - 1800.0).clamp(0.0, 900.0) * 12.0;
        let allocated = Bytes((grown * 1e6) as u64);
        let allocator = Some(Allocator { allocated, ..Allocator::default() });
        Sample { allocator, ..sample(t + jitter(t), 200.0 + grown + wobble(t), 16_384.0) }
    });
    let unlimited = times(20.0, 3.0 * HOUR)
        .map(|t| Sample { limit: None, ..sample(t + 0.25, 100.0 + t / 20.0, 0.0) });
    let minutes = times(60.0, 6.0 * HOUR)
        .map(|t| sample(t + 59.75 + jitter(t), 300.0 + t / 120.0 + wobble(t), 512.0));
    vec![
        Pod::new("heap", &heap.collect::<Vec<_>>(), Some(2.0 * HOUR)),
        Pod::new("unlimited", &unlimited.collect::<Vec<_>>(), None),
        Pod::new("minutes", &minutes.collect::<Vec<_>>(), Some(6.0 * HOUR + 75.5)),
    ]
}

/// Scraped every ten minutes, by a Prometheus that is told to look back further.
fn slow() -> Vec<Pod> {
    let drift = times(600.0, 30.0 * HOUR)
        .filter(|t| !(40_000.0..45_000.0).contains(t))
        .map(|t| sample(t + 1.5, 300.0 + t / 600.0 + wobble(t) * 3.0, 512.0));
    vec![Pod::new("slow", &drift.collect::<Vec<_>>(), Some(30.0 * HOUR + 60.0))]
}

/// Every query of the rules, and each function on its own so that values are compared that no threshold hides.
fn queries() -> BTreeMap<String, Expr> {
    let over =
        |function, metric, seconds| Expr::Over(function, metric, Duration::from_secs(seconds));
    let ahead = Function::PredictLinear(Duration::from_secs(14_400));
    let rules = Rule::ALL.iter().flat_map(|rule| rule.alerts());
    let conditions = rules.filter_map(|alert| match alert.condition {
        Condition::Query(expr) => Some(expr),
        Condition::CorootLeakCheck => None,
    });
    let bare = [
        over(ahead, Metric::WorkingSet, 3600),
        over(ahead, Metric::UsagePercent, 21_600),
        over(Function::Deriv, Metric::Rss, 21_600),
        over(Function::Deriv, Metric::Rss, 600),
        over(Function::Deriv, Metric::Heap, 600),
        over(Function::MinOverTime, Metric::Rss, 600),
        over(Function::Increase, Metric::Restarts, 720),
        over(Function::Increase, Metric::Rss, 1800),
        Expr::from(Metric::WorkingSet).with(Op::Per, Metric::Limit),
    ];
    conditions.chain(bare).map(|expr| (expr.to_string(), expr)).collect()
}

#[test]
fn the_installed_prometheus_is_the_one_whose_semantics_are_written_down() {
    let output = Command::new("prometheus").arg("--version").output();
    let text = output.expect("prometheus is not installed: apt-get install prometheus");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let version = text.split_whitespace().nth(2).expect("prometheus, version N");
    assert!(version.starts_with(VERSION), "{version}: read rules.rs again and compare");
}

#[test]
fn queries_give_what_prometheus_gives() {
    let pods: Vec<_> = on_the_grid().into_iter().chain(off_the_grid()).collect();
    let seen = compare(&pods);
    let silent: Vec<_> = seen.iter().filter(|(_, values)| **values == 0).collect();
    assert_eq!(silent.len(), 1, "all but ten restarts were seen: {silent:?}");
    assert!(silent[0].0.ends_with(") > 10"), "{silent:?}");
}

#[test]
fn queries_on_slow_series_give_what_prometheus_gives_with_a_longer_lookback() {
    let seen = compare(&slow());
    assert!(seen.values().filter(|values| **values > 0).count() >= 15, "{seen:?}");
}

/// Every query on every pod: the same evaluations have a value, and the values agree to a millionth. Returns how many
/// there were of each query.
fn compare(pods: &[Pod]) -> BTreeMap<String, usize> {
    let settings = Settings::of(&pods[0].series);
    let folder = tempfile::tempdir().expect("a temporary directory");
    blocks(folder.path(), pods);
    let server = Server::start(folder.path(), settings.lookback);
    let mut seen = BTreeMap::new();
    for (text, expr) in queries() {
        let ends = pods.iter().filter_map(|pod| pod.data().evaluations(&expr).last());
        let end = ends.fold(0.0, f64::max);
        let theirs = server.query(&text, end, settings.interval);
        for pod in pods {
            assert_eq!(Settings::of(&pod.series), settings, "{}", pod.name);
            let data = pod.data();
            let evaluations: Vec<_> = data.evaluations(&expr).collect();
            let mut asked: Vec<_> = theirs.get(pod.name).cloned().unwrap_or_default();
            asked.retain(|(at, _)| evaluations.contains(at));
            let ours = data.evaluate(&expr);
            *seen.entry(text.clone()).or_insert(0) += ours.len();
            agree(&ours, &asked, &format!("{}: {text}", pod.name));
        }
    }
    seen
}

fn agree(ours: &[(f64, f64)], theirs: &[(f64, f64)], what: &str) {
    let at = |points: &[(f64, f64)]| points.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    let (mine, other) = (at(ours), at(theirs));
    let odd: Vec<_> = mine
        .iter()
        .filter(|at| !other.contains(at))
        .chain(other.iter().filter(|at| !mine.contains(at)))
        .collect();
    assert!(odd.is_empty(), "{what}: only one of us has a value at {odd:?}");
    for ((at, ours), (_, theirs)) in ours.iter().zip(theirs) {
        let scale = ours.abs().max(theirs.abs()).max(1e-9);
        assert!((ours - theirs).abs() <= 1e-6 * scale, "{what} at {at}: {ours}, not {theirs}");
    }
}

/// The samples of all pods as blocks in a data directory.
fn blocks(folder: &Path, pods: &[Pod]) {
    let mut text = String::new();
    for metric in Metric::ALL {
        for pod in pods {
            let extra = metric
                .label()
                .map_or_else(String::new, |(name, value)| format!(",{name}=\"{value}\""));
            for (at, value) in pod.data().points(metric) {
                let (name, pod, at) = (metric.name(), pod.name, EPOCH + at);
                writeln!(text, "{name}{{pod=\"{pod}\"{extra}}} {value} {at}").expect("memory");
            }
        }
    }
    text.push_str("# EOF\n");
    let input = folder.join("samples.txt");
    fs::write(&input, text).expect("written");
    let mut command = Command::new("promtool");
    command.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"]);
    run(command.arg(&input).arg(folder.join("data")));
}

fn run(command: &mut Command) {
    let output = command.output().expect("promtool is not installed: apt-get install prometheus");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let end: String = text.lines().take(40).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "{command:?}: {}\n{end}", output.status);
}

/// A Prometheus that scrapes nothing; killed when this is dropped, also while a test panics.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about it then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(folder: &Path, lookback: Duration) -> Self {
        let config = folder.join("prometheus.yml");
        fs::write(&config, "global: {}\n").expect("written");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        drop(listener);
        let log = folder.join("prometheus.log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={addr}"))
            .arg(format!("--query.lookback-delta={}s", lookback.as_secs()))
            .args(["--storage.tsdb.retention.time=100y", "--log.level=warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("prometheus is not installed: apt-get install prometheus");
        let mut server = Self { child, addr };
        let until = Instant::now() + DEADLINE;
        while get(addr, "/-/ready").map_or(true, |(status, _)| status != 200) {
            let ended = server.child.try_wait().expect("a child of ours");
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "prometheus ended: {}", log());
            assert!(Instant::now() < until, "prometheus is not ready: {}", log());
            thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// The answer of each pod from the epoch to `end`: seconds since the epoch and values.
    fn query(&self, text: &str, end: f64, step: Duration) -> BTreeMap<String, Vec<(f64, f64)>> {
        let path = format!(
            "/api/v1/query_range?start={EPOCH}&end={}&step={}&query={}",
            EPOCH + end,
            step.as_secs(),
            encode(text)
        );
        let (status, body) = get(self.addr, &path).expect(text);
        assert_eq!(status, 200, "{text}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        let results = answer["data"]["result"].as_array().expect("a matrix");
        results
            .iter()
            .map(|result| {
                let pod = result["metric"]["pod"].as_str().expect("the pod's name");
                let points = result["values"].as_array().expect("points").iter().map(|point| {
                    let at = point[0].as_f64().expect("seconds") - EPOCH;
                    (at, point[1].as_str().expect("text").parse().expect("a number"))
                });
                (pod.to_owned(), points.collect())
            })
            .collect()
    }
}

/// Status and body; an error while nobody listens.
fn get(addr: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&addr, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.expect("a status"), body.to_owned()))
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// `promtool test rules` evaluates each alert with its `for` at every step; it is asked at each whether it fires.
#[test]
fn alerts_fire_when_prometheus_says_so() {
    let mut rules = String::from("groups:\n- name: baselines\n  rules:\n");
    let mut alerts = Vec::new();
    for (index, alert) in Rule::ALL.iter().flat_map(|rule| rule.alerts()).enumerate() {
        if let Condition::Query(expr) = &alert.condition {
            let hold = alert.hold.as_secs();
            writeln!(rules, "  - alert: alert{index}\n    expr: '{expr}'\n    for: {hold}s")
                .expect("memory");
            alerts.push((index, alert));
        }
    }
    let mut tests = String::from("rule_files: [rules.yml]\nevaluation_interval: 30s\ntests:\n");
    let mut firing = 0;
    for pod in on_the_grid() {
        let data = pod.data();
        writeln!(tests, "- name: {}\n  interval: 15s\n  input_series:", pod.name).expect("memory");
        for metric in Metric::ALL {
            let label = metric
                .label()
                .map_or_else(String::new, |(name, value)| format!("{{{name}=\"{value}\"}}"));
            let values = notation(data.points(metric));
            if !values.is_empty() {
                writeln!(tests, "  - series: '{}{label}'\n    values: '{values}'", metric.name())
                    .expect("memory");
            }
        }
        tests.push_str("  alert_rule_test:\n");
        for (index, alert) in &alerts {
            let Condition::Query(expr) = &alert.condition else { continue };
            let fired = data.fired(alert);
            // An interval ends where the alert is gone, or with the last evaluation while it still fires.
            let held = data.evaluate(expr).last().map(|(at, _)| *at);
            for at in data.evaluations(expr) {
                let on = fired
                    .iter()
                    .any(|(from, to)| *from <= at && (at < *to || at == *to && held == Some(at)));
                let expected = if on { "[{}]" } else { "[]" };
                firing += usize::from(on);
                writeln!(
                    tests,
                    "  - {{eval_time: {at}s, alertname: alert{index}, exp_alerts: {expected}}}"
                )
                .expect("memory");
            }
        }
    }
    assert!(firing > 1000, "{firing}");
    let folder = tempfile::tempdir().expect("a temporary directory");
    fs::write(folder.path().join("rules.yml"), rules).expect("written");
    fs::write(folder.path().join("tests.yml"), tests).expect("written");
    let mut command = Command::new("promtool");
    run(command.args(["test", "rules", "tests.yml"]).current_dir(folder.path()));
}

/// Values every 15 s in promtool's notation, `_` where there is none.
fn notation(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    let mut next = 0.0;
    for (at, value) in points {
        while next < at {
            text.push_str("_ ");
            next += 15.0;
        }
        write!(text, "{value} ").expect("memory");
        next += 15.0;
    }
    text.trim_end().to_owned()
}
