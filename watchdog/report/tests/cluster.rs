//! Events and rules in a real API server, with no more rights than the shipped Role gives.
//!
//! `cargo xtask test cluster` starts the server, applies the shipped manifests and sets these variables.

#![expect(clippy::expect_used, clippy::panic, reason = "all of it is tests")]

use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use watchdog_core::incident::{Incident, State};
use watchdog_report::kubernetes::events::EventSink;
use watchdog_report::kubernetes::rules::PrometheusRules;
use watchdog_report::kubernetes::{Api, ClusterOptions, Pod};
use watchdog_report::rules::{Annotations, Group, Rule, RuleStore};
use watchdog_report::sink::{Delivery, DeliveryError, Sink};

const RULES: &str = "/apis/monitoring.coreos.com/v1/namespaces/shop/prometheusrules";

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name}: run `cargo xtask test cluster`"))
}

fn pod(name: &str) -> Pod {
    let uid = format!("{:08x}-8c11-4c2e-9d0a-6f5e4d3c2b1a", name.len());
    Pod { namespace: "shop".into(), name: name.into(), uid }
}

/// The service account of the manifests, for a pod of this name.
fn api(pod: Pod) -> Api {
    with_account(pod, variable("OOMEN_CLUSTER_ACCOUNT").as_ref())
}

fn with_account(pod: Pod, account: &std::path::Path) -> Api {
    rustls::crypto::ring::default_provider().install_default().ok();
    let server = variable("OOMEN_CLUSTER_SERVER").parse().expect("a URL");
    Api::new(ClusterOptions { account_dir: account.to_owned(), ..ClusterOptions::new(server) }, pod)
}

fn rules(pod: Pod) -> PrometheusRules {
    let labels = [("release".to_owned(), "kube-prometheus-stack".to_owned())];
    PrometheusRules::new(api(pod), labels).expect("labels")
}

/// What the cluster's administrator sees and does.
async fn admin(method: Method, path: &str, body: &Value) -> (u16, Value) {
    rustls::crypto::ring::default_provider().install_default().ok();
    let ca = format!("{}/ca.crt", variable("OOMEN_CLUSTER_ACCOUNT"));
    let ca = Certificate::from_pem_bundle(&std::fs::read(ca).expect("read")).expect("PEM");
    let client = Client::builder().tls_certs_only(ca).no_proxy().build().expect("a client");
    let url = format!("{}{path}", variable("OOMEN_CLUSTER_SERVER").trim_end_matches('/'));
    let kind =
        if method == Method::PATCH { "application/apply-patch+yaml" } else { "application/json" };
    let request = client.request(method, url).bearer_auth(variable("OOMEN_CLUSTER_ADMIN"));
    let answer = request.header("content-type", kind).body(body.to_string()).send().await;
    let answer = answer.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("an object"))
}

async fn get(path: &str) -> (u16, Value) {
    admin(Method::GET, path, &Value::Null).await
}

fn path(pod: &Pod) -> String {
    format!("{RULES}/oomen-{}-{}", pod.name, &pod.uid[..8])
}

fn group(name: &str, expr: &str) -> Group {
    let annotations = Annotations {
        summary: "A process leaks.".into(),
        description: "{{ $labels.target }} leaks.".into(),
        runbook_url: "https://example.org/".into(),
    };
    let labels = [("severity".to_owned(), "warning".to_owned())].into();
    let (hold, keep_firing_for) = (Some("5m".into()), None);
    let alert = "OomenFitted".into();
    let rule = Rule { alert, expr: expr.into(), hold, keep_firing_for, labels, annotations };
    Group { name: name.into(), rules: vec![rule] }
}

/// Somebody else's apply, who insists.
async fn another_applies(pod: &Pod, groups: Value) -> Value {
    let name = path(pod).rsplit('/').next().expect("a name").to_owned();
    let object = json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": { "name": name },
        "spec": { "groups": groups },
    });
    let path = format!("{}?fieldManager=the-team&force=true", path(pod));
    let (status, object) = admin(Method::PATCH, &path, &object).await;
    assert!(matches!(status, 200 | 201), "{object}");
    object
}

#[tokio::test]
async fn rules_pass_the_real_schema_and_belong_to_the_pod() {
    let pod = pod("created");
    rules(pod.clone()).store(&[group("a", "up == 0")]).await.expect("kept");
    let (status, object) = get(&path(&pod)).await;
    assert_eq!(status, 200);
    let rule = &object["spec"]["groups"][0]["rules"][0];
    assert_eq!((&rule["alert"], &rule["for"]), (&json!("OomenFitted"), &json!("5m")));
    let metadata = &object["metadata"];
    assert_eq!(metadata["labels"]["release"], "kube-prometheus-stack");
    let owner = json!([{ "apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid }]);
    assert_eq!(metadata["ownerReferences"], owner);
    assert_eq!(metadata["managedFields"][0]["manager"], "oomen");
    assert_eq!(metadata["managedFields"][0]["operation"], "Apply");
}

#[tokio::test]
async fn without_the_definition_storing_is_an_error_that_may_pass_and_removing_is_none() {
    let rules = rules(pod("early"));
    let error = rules.store(&[group("a", "up == 0")]).await.expect_err("no definition");
    assert!(error.may_pass, "{error}");
    for part in ["404", "PrometheusRule installed"] {
        assert!(error.text.contains(part), "{part}: {error}");
    }
    rules.store(&[]).await.expect("nothing of ours is there");
}

#[tokio::test]
async fn rules_follow_what_they_are_made_from_and_go_with_the_last_target() {
    let (pod, version) =
        (pod("followed"), |object: &Value| object["metadata"]["resourceVersion"].clone());
    let rules = rules(pod.clone());
    rules.store(&[group("a", "m > 1"), group("b", "m > 1")]).await.expect("kept");
    let (_, first) = get(&path(&pod)).await;
    rules.store(&[group("a", "m > 1"), group("b", "m > 1")]).await.expect("kept");
    let (_, same) = get(&path(&pod)).await;
    assert_eq!(version(&first), version(&same), "nothing was written");
    rules.store(&[group("a", "m > 2")]).await.expect("kept");
    let (_, changed) = get(&path(&pod)).await;
    assert_eq!(changed["spec"]["groups"].as_array().expect("groups").len(), 1);
    assert_eq!(changed["spec"]["groups"][0]["rules"][0]["expr"], "m > 2");
    for _ in 0..2 {
        rules.store(&[]).await.expect("removed");
        assert_eq!(get(&path(&pod)).await.0, 404);
    }
}

#[tokio::test]
async fn what_the_schema_refuses_is_an_error_that_names_the_field() {
    let mut wrong = group("a", "up == 0");
    wrong.rules[0].hold = Some("soon".into());
    let error = rules(pod("refused")).store(&[wrong]).await.expect_err("refused");
    assert!(!error.may_pass, "{error}");
    for part in ["422", "spec.groups[0].rules[0].for"] {
        assert!(error.text.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn what_another_manager_has_changed_stays_and_the_error_names_it() {
    let pod = pod("contested");
    let rules = rules(pod.clone());
    rules.store(&[group("a", "m > 1")]).await.expect("kept");
    another_applies(&pod, json!([group("a", "m > 9000")])).await;
    let error = rules.store(&[group("a", "m > 2")]).await.expect_err("a conflict");
    assert!(!error.may_pass, "{error}");
    for part in ["409", "the-team"] {
        assert!(error.text.contains(part), "{part}: {error}");
    }
    let (_, object) = get(&path(&pod)).await;
    assert_eq!(object["spec"]["groups"][0]["rules"][0]["expr"], "m > 9000");
}

#[tokio::test]
async fn a_group_of_another_in_our_object_outlives_ours() {
    let pod = pod("shared-with-another");
    let rules = rules(pod.clone());
    rules.store(&[group("a", "m > 1")]).await.expect("kept");
    another_applies(&pod, json!([group("theirs", "m > 3")])).await;
    rules.store(&[group("a", "m > 2")]).await.expect("kept beside it");
    rules.store(&[]).await.expect("ours removed");
    let (status, object) = get(&path(&pod)).await;
    assert_eq!(status, 200);
    let groups = object["spec"]["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0]["name"], "theirs");
}

#[tokio::test]
async fn an_object_of_our_name_that_is_not_ours_is_not_touched() {
    let pod = pod("foreign");
    let before = another_applies(&pod, json!([group("theirs", "m > 3")])).await;
    let rules = rules(pod.clone());
    let error = rules.store(&[group("a", "m > 1")]).await.expect_err("refused");
    assert!(!error.may_pass && error.text.contains("not this pod's"), "{error}");
    rules.store(&[]).await.expect("nothing of ours is there");
    assert_eq!(get(&path(&pod)).await.1, before);
}

#[tokio::test]
async fn what_the_role_does_not_allow_is_named() {
    let account = variable("OOMEN_CLUSTER_STRANGER");
    let stranger = with_account(pod("forbidden"), account.as_ref());
    let rules = PrometheusRules::new(stranger.clone(), []).expect("no labels");
    let error = rules.store(&[group("a", "up == 0")]).await.expect_err("forbidden");
    assert!(!error.may_pass, "{error}");
    for part in ["403", "cannot get resource \"prometheusrules\"", "docs/kubernetes.md"] {
        assert!(error.text.contains(part), "{part}: {error}");
    }
    let error = rules.check().await.expect_err("forbidden").text;
    for part in ["may not get and create and patch and delete", "prometheusrules", "shop"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let sink = EventSink::new(stranger);
    let error = sink.warm_up().await.expect_err("forbidden").text;
    assert!(error.contains("may not create and patch events"), "{error}");
    let error = tell(&sink, &[incident(State::Confirmed, 1)]).await.expect_err("forbidden");
    assert!(error.text.contains("cannot patch resource \"events\""), "{error}");
}

#[tokio::test]
async fn the_shipped_role_is_enough() {
    rules(pod("allowed")).check().await.expect("allowed");
    EventSink::new(api(pod("allowed"))).warm_up().await.expect("allowed");
}

#[tokio::test]
async fn a_token_that_was_replaced_is_used_at_once() {
    let (account, dir) = (variable("OOMEN_CLUSTER_ACCOUNT"), TempDir::new().expect("a directory"));
    std::fs::copy(format!("{account}/ca.crt"), dir.path().join("ca.crt")).expect("copied");
    let rules = PrometheusRules::new(with_account(pod("renewed"), dir.path()), []).expect("labels");
    let error = rules.store(&[]).await.expect_err("there is none");
    assert!(error.may_pass && error.text.contains("token"), "{error}");
    std::fs::write(dir.path().join("token"), "expired").expect("written");
    let error = rules.store(&[]).await.expect_err("it is not valid");
    assert!(error.text.contains("401") && !error.text.contains("expired"), "{error}");
    std::fs::copy(format!("{account}/token"), dir.path().join("token")).expect("copied");
    rules.store(&[]).await.expect("nothing is there");
}

fn incident(state: State, revision: u32) -> Incident {
    let sample = include_str!("report/confirmed.json");
    Incident { state, revision, ..serde_json::from_str(sample).expect("sample") }
}

/// Tells one state after the other, each twice, as after a lost answer. What is remembered goes on.
async fn tell(sink: &EventSink, states: &[Incident]) -> Result<(), DeliveryError> {
    let mut memory = None;
    for incident in states {
        let incidents = std::slice::from_ref(incident);
        let delivery = Delivery { incidents, memory: memory.as_ref(), unsure_since: None };
        sink.deliver(delivery).await?;
        memory = sink.deliver(delivery).await?.memory;
    }
    Ok(())
}

#[tokio::test]
async fn each_state_of_an_incident_is_one_event_on_the_pod() {
    let pod = pod("eventful");
    let course = [
        incident(State::Suspected, 1),
        incident(State::Confirmed, 2),
        incident(State::Confirmed, 3),
        incident(State::Imminent, 4),
        incident(State::Killed, 5),
    ];
    tell(&EventSink::new(api(pod.clone())), &course).await.expect("told");
    let selector = format!("involvedObject.kind=Pod,involvedObject.uid={}", pod.uid);
    let (_, list) = get(&format!("/api/v1/namespaces/shop/events?fieldSelector={selector}")).await;
    let mut events: Vec<_> = list["items"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            assert!(event["message"].as_str().expect("text").contains("recommendations"));
            let text = |key: &str| event[key].as_str().expect("text").to_owned();
            (text("reason"), text("type"), event["count"].as_u64().expect("a count"))
        })
        .collect();
    events.sort();
    let expected = [
        ("MemoryLeakConfirmed", 2),
        ("MemoryLeakSuspected", 1),
        ("OOMKillImminent", 1),
        ("OOMKilled", 1),
    ];
    let expected = expected.map(|(reason, count)| (reason.to_owned(), "Warning".to_owned(), count));
    assert_eq!(events, expected);
}
