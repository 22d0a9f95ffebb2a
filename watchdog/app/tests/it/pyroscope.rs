//! Profiles are pushed to a Pyroscope-compatible server; the one here takes only what is exactly as `push.proto` says.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use watchdog_heap::pprof::{self, ReadLimits};

use crate::support::{
    CULPRIT, SOON, Service, Shop, Watchdog, eventually, held_by_function, shipped,
};

const TOKEN: &str = "very-secret-of-pyroscope";
const TENANT: &str = "team-shop";

/// A profile that came in.
#[derive(Clone)]
struct Pushed {
    labels: BTreeMap<String, String>,
    profile: Vec<u8>,
}

/// What came in, in order: a push, or what was wrong with it.
type Log = Arc<Mutex<Vec<Result<Pushed, String>>>>;

/// The server. Its first answer is an error that repeats the token, as careless proxies do.
struct Stand {
    url: String,
    log: Log,
    task: JoinHandle<()>,
}

impl Stand {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let log = Log::default();
        let came = Arc::clone(&log);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, Arc::clone(&came)));
            }
        });
        Self { url, log, task }
    }

    fn came(&self) -> Vec<Result<Pushed, String>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a push that fits; one that is not as it must be fails the test.
    async fn push(&self, what: &str, fits: impl Fn(&Pushed) -> bool) -> Pushed {
        eventually(what, SOON, async || {
            let came: Result<Vec<Pushed>, String> = self.came().into_iter().collect();
            came.unwrap_or_else(|wrong| panic!("{wrong}")).into_iter().rfind(&fits)
        })
        .await
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The requests of one connection, until the client closes it.
async fn serve(mut stream: TcpStream, log: Log) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let (head, body) = request(&mut stream, &mut bytes).await?;
        let read = read_push(&head, &body);
        let is_first = {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push(read);
            log.len() == 1
        };
        let answer = if is_first {
            let body = format!("no room for Bearer {TOKEN}");
            format!(
                "HTTP/1.1 500 Internal Server Error\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        } else {
            "HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\ncontent-length: 0\r\n\r\n".into()
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// The next request: its head in lower case, and its body.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let mut length = None;
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let said = head.lines().find_map(|line| header(line, "content-length"));
            let wanted =
                *length.get_or_insert(end + said.map_or(0, |n| n.parse().expect("a length")));
            if bytes.len() >= wanted {
                let body = bytes[end..wanted].to_vec();
                bytes.drain(..wanted);
                return Some((head, body));
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// The value of a header line of that name.
fn header<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (said, value) = line.split_once(": ")?;
    said.eq_ignore_ascii_case(name).then_some(value)
}

/// A request as it must be.
fn read_push(head: &str, body: &[u8]) -> Result<Pushed, String> {
    if !head.starts_with("POST /push.v1.PusherService/Push HTTP/1.1\r\n") {
        return Err(format!("not the method and path of a push: {head}"));
    }
    let bearer = format!("Bearer {TOKEN}");
    for (name, value) in [
        ("content-type", "application/proto"),
        ("authorization", &bearer),
        ("x-scope-orgid", TENANT),
    ] {
        let said: Vec<_> = head.lines().filter_map(|line| header(line, name)).collect();
        if said != [value] {
            return Err(format!("{name} is {said:?}"));
        }
    }
    let [(1, series)] = fields(body)?[..] else { return Err("not one series".into()) };
    let (mut labels, mut profiles) = (BTreeMap::new(), Vec::new());
    for (number, field) in fields(series)? {
        match number {
            1 => labels.extend([label(field)?]),
            2 => profiles.push(sample(field)?),
            other => return Err(format!("a series has no field {other}")),
        }
    }
    let [profile] = profiles.as_slice() else { return Err("not one sample".into()) };
    Ok(Pushed { labels, profile: profile.to_vec() })
}

fn label(pair: &[u8]) -> Result<(String, String), String> {
    let [(1, name), (2, value)] = fields(pair)?[..] else { return Err("no label pair".into()) };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string());
    Ok((text(name)?, text(value)?))
}

fn sample(sample: &[u8]) -> Result<&[u8], String> {
    match fields(sample)?[..] {
        [(1, profile)] | [(1, profile), (2, _)] => Ok(profile),
        _ => Err("not one raw profile".into()),
    }
}

/// The fields of a message of which all have a length.
fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, &[u8])>, String> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        if tag & 7 != 2 {
            return Err(format!("wire type {} where only lengths are", tag & 7));
        }
        let length = usize::try_from(varint(&mut bytes)?).map_err(|e| e.to_string())?;
        let (field, rest) = bytes.split_at_checked(length).ok_or("a field beyond the end")?;
        fields.push((tag >> 3, field));
        bytes = rest;
    }
    Ok(fields)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or("a number beyond the end")?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number without an end".into())
}

/// A watchdog that pushes every second, and says all it has to say.
async fn watchdog(service: &Service, url: &str, data: &tempfile::TempDir) -> Watchdog {
    let token = data.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).expect("written");
    let config = data.path().join("oomen.toml");
    let text = format!(
        "[pyroscope]\nurl = \"{url}\"\ninterval = \"1s\"\ntoken_file = \"{}\"\ntenant = \"{TENANT}\"\n",
        token.display()
    );
    std::fs::write(&config, text).expect("written");
    let flags = [
        format!("--config={}", config.display()),
        format!("--pid={}", service.pid()),
        format!("--probe={}", service.admin),
    ];
    let mut command = Command::new(shipped("oomen"));
    command.env("RUST_LOG", "trace").env_remove("POD_NAME").env_remove("POD_NAMESPACE");
    let kept = data.path().join("data");
    Watchdog::start_as(&mut command, &kept, &flags.each_ref().map(String::as_str)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_profile_is_pushed_as_the_protocol_says_and_an_error_stops_nothing() {
    let stand = Stand::start().await;
    let shop = Shop::new();
    let service = shop.start().await;
    let data = tempfile::tempdir().expect("a directory");
    let watchdog = watchdog(&service, &stand.url, &data).await;
    watchdog.program.says("heap profiles are not pushed to Pyroscope").await;
    service.leak(20_000_000).await;
    let leaks = |pushed: &Pushed| {
        let held = held_by_function(&pushed.profile);
        held.get(CULPRIT).is_some_and(|bytes| *bytes > 10 << 20)
    };
    let pushed = stand.push("a profile with the leak", leaks).await;

    let labels = [("__name__", "memory"), ("service_name", shop.name.as_str())];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(pushed.labels, BTreeMap::from(labels));
    assert!(pushed.profile.starts_with(b"\x1f\x8b"), "the profile is not compressed");
    let read = pprof::read(&pushed.profile, &ReadLimits::default()).expect("a profile");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.expect("a time").as_secs_f64() - read.profile.taken.0;
    assert!((0.0..60.0).contains(&age), "it says that it is {age} s old");
    assert!(stand.came().len() >= 2, "the refused one is not tried for ever");

    let complaints = watchdog.program.stderr();
    let complaints = complaints.matches("heap profiles are not pushed to Pyroscope").count();
    assert_eq!(complaints, 1, "one refusal is said once");
    assert!(!watchdog.everything_readable().await.contains(TOKEN), "the token can be read");
    assert_eq!(watchdog.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said_once_and_watching_goes_on() {
    let shop = Shop::new();
    let service = shop.start().await;
    let data = tempfile::tempdir().expect("a directory");
    let nobody = format!("http://127.0.0.1:{}", crate::support::free_port());
    let watchdog = watchdog(&service, &nobody, &data).await;
    watchdog.program.says("heap profiles are not pushed to Pyroscope").await;
    let reads = format!(
        "oomen_source_reads_total{{target=\"{}\",source=\"proc\",outcome=\"ok\"}}",
        shop.name
    );
    let before = watchdog.metric(&reads).await.expect("a series");
    watchdog.metric_fits(&reads, |count| count >= before + 3.0).await;
    assert!(!watchdog.everything_readable().await.contains(TOKEN), "the token can be read");
}
