//! Good files are read whole; every bad file of the gallery names all its mistakes.

use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigMistakes> {
    Config::parse(text, &WatchArgs::default(), Environment::default())
}

fn gallery() -> impl Iterator<Item = (String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    })
}

/// Each file says on its `# expect:` lines what must be found, and nothing else may be.
#[test]
fn every_mistake_of_the_gallery_is_reported_at_once() {
    let mut seen = 0;
    for (name, text) in gallery() {
        let expected: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        let ConfigMistakes(mistakes) = parse(&text).expect_err(&name);
        assert_eq!(mistakes.len(), expected.len(), "{name}: {mistakes:#?}");
        for part in expected {
            assert!(mistakes.iter().any(|m| m.contains(part)), "{name}: {part}: {mistakes:#?}");
        }
        seen += 1;
    }
    assert!(seen >= 5, "the gallery is missing");
}

#[test]
fn the_example_is_valid_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "xoxb-secret\n").unwrap();
    let example = include_str!("../../../../docs/oomen.example.toml")
        .replace("/etc/oomen/slack-token", token.to_str().unwrap())
        .replace("/etc/oomen/web-token", token.to_str().unwrap())
        .replace("/etc/oomen/webhook-secret", token.to_str().unwrap());
    let config = parse(&example).unwrap();
    assert_eq!(config.targets.len(), 3);
    assert!(config.targets[1].pprof.is_some());
    assert_eq!(config.targets[2].dump_files.as_deref(), Some(Path::new("/var/tmp/jeprof")));
    assert_eq!(config.heap.debug_dirs, [Path::new("/usr/lib/debug")]);
    assert_eq!(config.heap.keep, 20);
    assert!(config.heap.pyroscope.is_some());
    assert_eq!(config.targets[0].limit, Some(Bytes::from_mib(256)));
    let requests = config.targets[0].requests.as_ref().unwrap();
    assert_eq!(requests.counter.as_str(), "http_requests_total");
    assert!(config.targets[1].requests.is_none());
    let TellingConfig { runbook, slack, alertmanager, loki, webhook, otlp } = &config.telling;
    assert!(matches!(slack, Some(SlackConfig::Bot { channel, .. }) if channel == "#oncall"));
    assert!(runbook.is_some() && loki.is_some() && otlp.is_some());
    assert_eq!(alertmanager.as_ref().unwrap().labels, [("cluster".into(), "shop-1".into())]);
    assert!(webhook.as_ref().unwrap().secret.is_some());
    assert_eq!(config.targets[0].version.as_deref(), Some("1.4.0"));
    assert!(!format!("{config:?}").contains("xoxb-secret"), "a secret in Debug");
}

#[test]
fn flags_win_over_the_file() {
    let args = WatchArgs {
        process: Some("orders".into()),
        limit: Some(Bytes::from_mib(64)),
        requests_url: Some("http://localhost:1/m".parse().unwrap()),
        requests_counter: Some("served_total".parse().unwrap()),
        listen: Some("127.0.0.1:1".parse().unwrap()),
        ..WatchArgs::default()
    };
    let file = "listen = \"127.0.0.1:2\"\n[[target]]\npid = 7\n";
    let config = Config::parse(file, &args, Environment::default()).unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.targets[0].which, Which::Process("orders".into()));
    assert_eq!(config.targets[0].limit, Some(Bytes::from_mib(64)));
    let requests = config.targets[0].requests.as_ref().unwrap();
    assert_eq!(requests.url.as_str(), "http://localhost:1/m");
}

#[test]
fn nothing_to_watch_is_a_mistake_that_says_what_to_do() {
    let (args, environment) = (WatchArgs::default(), Environment::default);
    let mistakes = Config::load(&args, environment()).expect_err("empty").to_string();
    assert!(mistakes.contains("--process NAME"), "{mistakes}");
    assert!(Config::load_for_telling(&args, environment()).is_ok());
}

#[test]
fn slack_without_a_token_is_a_mistake_and_the_environment_mends_it() {
    let file = "[[target]]\npid = 7\n[slack]\nchannel = \"#x\"\n";
    assert!(parse(file).expect_err("no token").to_string().contains("OOMEN_SLACK_TOKEN"));
    let environment = Environment { slack_token: Some(SecretString::from("xoxb-1")) };
    assert!(
        Config::parse(file, &WatchArgs::default(), environment).unwrap().telling.slack.is_some()
    );
}
