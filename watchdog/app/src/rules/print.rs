//! `oomen rules`: asks a running watchdog what it has learned, and prints the rules that fit it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use watchdog_core::fit::Fit;
use watchdog_core::incident::TargetIdentity;
use watchdog_core::units::{Bytes, span};
use watchdog_report::rules::file::{MARKER, replace};
use watchdog_report::rules::{Group, Selector, TargetFit, group, plain, yaml};

use crate::cli::rules::{RulesArgs, RulesFormat};

/// How long the watchdog may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer about the most targets that a watchdog may have is a hundredth of this.
const MAX_ANSWER: usize = 64 << 20;

/// What the API says of the targets.
#[derive(Deserialize)]
struct Answer {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    identity: TargetIdentity,
    limit: Option<Bytes>,
    /// Missing from watchdogs that are older than these rules.
    #[serde(default)]
    fit: Option<Fit>,
}

/// Prints the rules, or writes them to a file.
///
/// # Errors
/// When there is no watchdog, its answer is none, or the file cannot be written.
pub async fn run(args: &RulesArgs) -> anyhow::Result<ExitCode> {
    let selector = selector(args)?;
    let (mut groups, mut silent) = (Vec::new(), Vec::new());
    for target in ask(args).await?.targets {
        let fit = fit(target);
        match group(&fit, &selector) {
            Some(group) => groups.push(group),
            None => silent.push(format!("{:?}: {}", fit.target, why_not(&fit))),
        }
    }
    if groups.is_empty() && silent.is_empty() {
        silent.push("the watchdog watches nothing".to_owned());
    }
    silent.iter().for_each(|why| eprintln!("oomen: no rules: {why}"));
    let text = format!("{}{}", head(&silent), body(args, &groups)?);
    match &args.out {
        Some(path) => replace(path, &text)?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn selector(args: &RulesArgs) -> anyhow::Result<Selector> {
    let labels = args.labels.iter().cloned().collect();
    Ok(match &args.metric {
        Some(metric) => Selector::new(metric, labels)?,
        None if args.labels.is_empty() => Selector::default(),
        None => Selector::default().with(labels)?,
    })
}

async fn ask(args: &RulesArgs) -> anyhow::Result<Answer> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let url = targets(&args.from)?;
    let shown = args.from.origin().ascii_serialization();
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let mut request = client.get(url);
    if let Some(path) = &args.token_file {
        let token = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        request = request.bearer_auth(token.trim());
    }
    let sent = request.send().await.map_err(reqwest::Error::without_url);
    let mut answer = sent.with_context(|| {
        format!(
            "no watchdog answers at {shown}: start `oomen watch`, or name its address with --from"
        )
    })?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            bail!(
                "{shown} wants a token ({}): name a file with it by --token-file",
                answer.status()
            )
        }
        status => bail!("{shown} answers {status}: is it a watchdog?"),
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        body.extend_from_slice(&part);
        ensure!(body.len() <= MAX_ANSWER, "{shown} answers more than {}", Bytes(MAX_ANSWER as u64));
    }
    serde_json::from_slice(&body)
        .with_context(|| format!("{shown} does not answer as a watchdog does"))
}

fn targets(from: &Url) -> anyhow::Result<Url> {
    let mut url = from.clone();
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("--from must be an address such as http://127.0.0.1:9911"))?
        .pop_if_empty()
        .extend(["api", "v1", "targets"]);
    Ok(url)
}

fn fit(target: Target) -> TargetFit {
    TargetFit {
        target: target.identity.name,
        workload: target.identity.workload,
        namespace: target.identity.namespace,
        pod: target.identity.pod,
        limit: target.limit,
        fit: target.fit.unwrap_or_default(),
    }
}

fn why_not(fit: &TargetFit) -> String {
    if fit.limit.is_none() {
        return "it has no limit that could kill it".to_owned();
    }
    match fit.fit.scales.is_empty() {
        true => format!(
            "not learned yet, as it was watched for {}; the first rules need a little more than two hours",
            span(fit.fit.watched)
        ),
        false => {
            "it lives so near to its limit that no rule could tell danger from its usual state"
                .to_owned()
        }
    }
}

/// Comments; a target's name cannot leave its line.
fn head(silent: &[String]) -> String {
    let mut head = format!("{MARKER} Changes are lost when it is written again.\n");
    for why in silent {
        // Writing to a String cannot fail.
        let _ = writeln!(head, "# No rules: {why}.");
    }
    head
}

fn body(args: &RulesArgs, groups: &[Group]) -> anyhow::Result<String> {
    Ok(match args.format {
        RulesFormat::Prometheus => plain(groups)?,
        RulesFormat::Operator => yaml(&json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": args.name},
            "spec": {"groups": groups},
        }))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_found_below_any_address() {
        for (from, url) in [
            ("http://h:1", "http://h:1/api/v1/targets"),
            ("http://h:1/oomen/", "http://h:1/oomen/api/v1/targets"),
        ] {
            assert_eq!(targets(&from.parse().unwrap()).unwrap().as_str(), url);
        }
        assert!(targets(&"mailto:a@b".parse().unwrap()).is_err());
    }

    #[test]
    fn a_target_without_rules_is_named_in_one_line_of_comment() {
        let fit = TargetFit {
            target: "a\ngroups: [{}]".into(),
            limit: Some(Bytes(1)),
            ..TargetFit::default()
        };
        let head = head(&[format!("{:?}: {}", fit.target, why_not(&fit))]);
        assert!(head.lines().all(|line| line.starts_with('#')), "{head}");
        assert!(head.starts_with(MARKER) && head.contains("not learned yet"), "{head}");
    }
}
