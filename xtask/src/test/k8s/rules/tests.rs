//! Each rule is seen to fail, by one change at a time to a small pod that keeps them all.

use super::*;

fn container(name: &str, words: &[&str]) -> Value {
    json!({
        "name": name, "image": format!("registry/{name}:1.0"), "args": words,
        "livenessProbe": {"tcpSocket": {}},
        "ports": [{"name": name}],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "1Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]}},
    })
}

fn good() -> Value {
    let mut oomen =
        container("oomen", &["watch", "--web-token-file=/t/token", "--probe=http://127.0.0.1:1"]);
    oomen["restartPolicy"] = json!("Always");
    oomen["volumeMounts"] = json!([{"mountPath": "/t"}]);
    oomen["env"] = json!([{"name": "OOMEN_LIMIT_BYTES", "valueFrom": {"resourceFieldRef":
        {"containerName": "shop", "resource": "limits.memory", "divisor": "1"}}}]);
    let mut shop = container("shop", &["--admin-listen=0.0.0.0:1"]);
    shop["ports"] = json!([{"name": "shop"}, {"name": "admin"}]);
    shop["startupProbe"] = json!({"httpGet": {}});
    shop["readinessProbe"] = json!({"httpGet": {}});
    json!([
        {"kind": "Deployment", "spec": {"template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {
                "automountServiceAccountToken": false, "shareProcessNamespace": true,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 7,
                                    "seccompProfile": {"type": "RuntimeDefault"}},
                "initContainers": [oomen], "containers": [shop],
                "volumes": [{"name": "d", "emptyDir": {}}],
            }}}},
        {"kind": "Namespace",
         "metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
        {"kind": "ServiceAccount", "automountServiceAccountToken": false},
        {"kind": "Service", "spec": {"selector": {"app": "shop"}, "ports": [{"targetPort": "shop"}]}},
        {"kind": "PodDisruptionBudget", "spec": {"selector": {"matchLabels": {"app": "shop"}}}},
        {"kind": "NetworkPolicy", "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}},
        {"kind": "NetworkPolicy", "spec": {
            "ingress": [{"from": [monitoring()], "ports": [{"port": "oomen"}, {"port": "admin"}]}],
            "egress": [{"to": [{}], "ports": [{"port": 53}]}]}},
    ])
}

/// The rules that find something.
fn finders(objects: &Value) -> Vec<&'static str> {
    let objects = objects.as_array().expect("a list");
    RULES.iter().filter(|rule| !(rule.find)(objects).is_empty()).map(|rule| rule.name).collect()
}

const POD: &str = "/0/spec/template/spec";

#[test]
fn a_pod_that_keeps_every_rule_passes() {
    assert_eq!(finders(&good()), Vec::<&str>::new());
}

#[test]
fn each_wrong_value_is_found_by_one_rule() {
    for (place, value) in [
        ("initContainers/0/restartPolicy", json!("Never")),
        ("shareProcessNamespace", json!(false)),
        ("initContainers/0/env/0/name", json!("OOMEN_LIMIT")),
        ("initContainers/0/env/0/valueFrom/resourceFieldRef/resource", json!("limits.cpu")),
        ("initContainers/0/env/0/valueFrom/resourceFieldRef/divisor", json!("1Mi")),
        ("initContainers/0/env/0/valueFrom/resourceFieldRef/containerName", json!("shp")),
        ("initContainers/0/args/1", json!("--web-token-file=/elsewhere/token")),
        ("initContainers/0/args/2", json!("--probe=http://127.0.0.1:2")),
        ("initContainers/0/args/2", json!("--probe=http://192.0.2.1:1")),
        ("containers/0/args/0", json!("--admin-listen=0.0.0.0:2")),
        ("securityContext/runAsNonRoot", json!(false)),
        ("securityContext/runAsUser", json!(0)),
        ("securityContext/seccompProfile/type", json!("Unconfined")),
        ("automountServiceAccountToken", json!(true)),
        ("volumes/0", json!({"name": "d", "hostPath": {}})),
        ("containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("containers/0/securityContext/readOnlyRootFilesystem", json!(false)),
        (
            "initContainers/0/securityContext/capabilities",
            json!({"drop": ["ALL"], "add": ["SYS_PTRACE"]}),
        ),
        ("containers/0/resources/requests/cpu", json!(null)),
        ("containers/0/resources/requests/memory", json!("2Mi")),
        ("containers/0/image", json!("registry:5000/shop")),
        ("containers/0/readinessProbe", json!({"tcpSocket": {}})),
    ] {
        let mut objects = good();
        *objects.pointer_mut(&format!("{POD}/{place}")).expect(place) = value.clone();
        assert_eq!(finders(&objects).len(), 1, "{place} {value}");
    }
}

#[test]
fn each_addition_that_weakens_the_pod_is_found() {
    for (place, key, value) in [
        ("", "hostPID", json!(true)),
        ("/containers/0/securityContext", "runAsUser", json!(8)),
        ("/initContainers/0", "readinessProbe", json!({})),
        ("/initContainers/0", "startupProbe", json!({})),
    ] {
        let mut objects = good();
        let at = objects.pointer_mut(&format!("{POD}{place}")).expect(place);
        at[key] = value;
        assert_eq!(finders(&objects).len(), 1, "{place} {key}");
    }
}

#[test]
fn objects_beside_the_pod_are_held_to_the_rules_too() {
    for (place, value) in [
        ("/1/metadata/labels/pod-security.kubernetes.io~1enforce", json!("baseline")),
        ("/2/automountServiceAccountToken", json!(true)),
        ("/3/spec/selector/app", json!("other")),
        ("/3/spec/ports/0/targetPort", json!("other")),
        ("/4/spec/selector/matchLabels", json!({})),
        ("/5/spec/policyTypes", json!(["Ingress"])),
        ("/6/spec/ingress/0/from/0", json!({"podSelector": {}})),
        ("/6/spec/egress/0", json!({"to": [{}]})),
        ("/6/spec/egress/0", json!({"ports": [{"port": 443}]})),
    ] {
        let mut objects = good();
        *objects.pointer_mut(place).expect(place) = value;
        assert_eq!(finders(&objects).len(), 1, "{place}");
    }
}

#[test]
fn without_any_object_nothing_passes_by_absence() {
    assert_eq!(finders(&json!([])).len(), RULES.len());
}

#[test]
fn a_monitor_that_misses_a_container_or_names_it_otherwise_is_found() {
    let objects = good();
    let pods = objects.as_array().expect("a list");
    let monitor = |selector: Value, port: &str, path: &str, job: &str| {
        json!({"kind": "PodMonitor", "spec": {"selector": {"matchLabels": selector},
            "jobLabel": job, "podMetricsEndpoints": [{"port": port, "path": path}]}})
    };
    let (ours, all) = (json!({"app": "shop"}), [json!({"kind": "PrometheusRule"})]);
    let check = |monitors: &[Value]| monitor_misses(&[monitors, &all].concat(), pods).len();
    let watchdog = monitor(ours.clone(), "oomen", "/metrics", "");
    let service = monitor(ours.clone(), "admin", "/metrics", "app");
    assert_eq!(check(&[watchdog.clone(), service.clone()]), 0);
    for wrong in [
        monitor(json!({"app": "other"}), "admin", "/metrics", "app"),
        monitor(ours.clone(), "elsewhere", "/metrics", "app"),
        monitor(ours.clone(), "admin", "/", "app"),
        monitor(ours.clone(), "admin", "/metrics", ""),
        // Nobody is let in to it.
        monitor(ours, "shop", "/metrics", "app"),
    ] {
        assert_eq!(check(&[watchdog.clone(), wrong.clone()]), 1, "{wrong}");
    }
    assert_eq!(check(&[service]), 1);
    assert_eq!(monitor_misses(&[], pods).len(), 3);
}
