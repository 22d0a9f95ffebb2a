//! What our manifests must hold beyond being valid: the sidecar's shape, restricted pod security, closed networks.

use serde_json::{Value, json};

const WATCHDOG: &str = "oomen";
/// A service's port for operators.
const ADMIN: &str = "admin";
/// The volumes that restricted pod security allows and that we use.
const VOLUMES: [&str; 5] = ["emptyDir", "secret", "configMap", "downwardAPI", "projected"];

/// A rule finds what breaks it.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) find: fn(&[Value]) -> Vec<String>,
}

pub(super) const RULES: [Rule; 8] = [
    Rule { name: "the watchdog is a native sidecar that sees its neighbour", find: sidecar },
    Rule { name: "the watchdog knows its neighbour's limit", find: limit },
    Rule { name: "the watchdog's port and the probe are guarded", find: guarded },
    Rule { name: "the pod is restricted and has no capability", find: restricted },
    Rule { name: "every container has requests, limits and a versioned image", find: bounded },
    Rule { name: "probes tell the service's state and never the watchdog's", find: probes },
    Rule { name: "networks are closed but for what is listed", find: network },
    Rule { name: "service and disruption budget select the pod", find: selected },
];

/// The deployment.
pub(super) fn deployment(objects: &[Value]) -> Option<&Value> {
    objects.iter().find(|object| object["kind"] == "Deployment")
}

/// Its sidecars and containers.
pub(super) fn containers(deployment: &Value) -> impl Iterator<Item = &Value> {
    let pod = pod(deployment);
    list(&pod["initContainers"]).chain(list(&pod["containers"]))
}

/// Command and arguments of a container.
pub(super) fn words(container: &Value) -> Vec<&str> {
    list(&container["command"]).chain(list(&container["args"])).filter_map(Value::as_str).collect()
}

fn sidecar(objects: &[Value]) -> Vec<String> {
    let (pod, watchdog) = (of_pod(objects), watchdog(objects));
    broken(&[
        (list(&pod["initContainers"]).any(|c| c == watchdog), "oomen is not an init container"),
        (watchdog["restartPolicy"] == "Always", "oomen's restartPolicy is not Always"),
        (pod["shareProcessNamespace"] == true, "processes are not shared"),
    ])
}

fn limit(objects: &[Value]) -> Vec<String> {
    let reference = list(&watchdog(objects)["env"])
        .find(|variable| variable["name"] == "OOMEN_LIMIT_BYTES")
        .map_or(&Value::Null, |variable| &variable["valueFrom"]["resourceFieldRef"]);
    let neighbour = list(&of_pod(objects)["containers"])
        .find(|container| container["name"] == reference["containerName"]);
    broken(&[
        (reference["resource"] == "limits.memory", "OOMEN_LIMIT_BYTES is not limits.memory"),
        (reference["divisor"] == "1", "OOMEN_LIMIT_BYTES is not in bytes"),
        (
            neighbour.is_some_and(|c| c["resources"]["limits"]["memory"].is_string()),
            "OOMEN_LIMIT_BYTES refers to no container with a memory limit",
        ),
    ])
}

fn guarded(objects: &[Value]) -> Vec<String> {
    let watchdog = watchdog(objects);
    let token = flag(watchdog, "--web-token-file").unwrap_or_default();
    let mounted = list(&watchdog["volumeMounts"])
        .filter_map(|mount| mount["mountPath"].as_str())
        .any(|path| token.starts_with(&format!("{path}/")));
    // The probe answers loopback alone, whatever the port listens on.
    let probe = flag(watchdog, "--probe").and_then(|url| url.strip_prefix("http://127.0.0.1:"));
    let admin = list(&of_pod(objects)["containers"]).find_map(|c| flag(c, "--admin-listen"));
    let admin = admin.and_then(|address| address.rsplit_once(':')).map(|(_, port)| port);
    broken(&[
        (mounted, "the file of --web-token-file is not mounted"),
        (
            probe.is_some() && probe == admin,
            "--probe is not the service's --admin-listen, on loopback",
        ),
    ])
}

fn restricted(objects: &[Value]) -> Vec<String> {
    let pod = of_pod(objects);
    let context = &pod["securityContext"];
    let namespace = objects.iter().find(|object| object["kind"] == "Namespace");
    let enforced = namespace.map_or(
        &Value::Null,
        |namespace| &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
    );
    let account = objects.iter().find(|object| object["kind"] == "ServiceAccount");
    let host = ["hostPID", "hostIPC", "hostNetwork"].iter().any(|key| pod[key] == true);
    let allowed = |volume: &Value| VOLUMES.iter().any(|kind| volume.get(kind).is_some());
    let mut found = broken(&[
        (enforced == "restricted", "the namespace does not enforce restricted"),
        (context["runAsNonRoot"] == true, "the pod may run as root"),
        (context["runAsUser"].as_u64().is_some_and(|user| user > 0), "the pod has no user"),
        (context["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile"),
        (pod["automountServiceAccountToken"] == false, "the pod mounts an API token"),
        (
            account.is_some_and(|account| account["automountServiceAccountToken"] == false),
            "the service account mounts an API token",
        ),
        (!host, "a namespace of the host is used"),
        (list(&pod["volumes"]).all(allowed), "a volume of a kind that restricted forbids"),
    ]);
    found.extend(each_container(objects, |container| {
        let context = &container["securityContext"];
        broken(&[
            (context["allowPrivilegeEscalation"] == false, "privileges may escalate"),
            (context["readOnlyRootFilesystem"] == true, "its root is writable"),
            (context["capabilities"] == json!({ "drop": ["ALL"] }), "it has capabilities"),
            // Another user than the neighbour's cannot read /proc/PID/root.
            (context.get("runAsUser").is_none(), "it has another user than the pod"),
        ])
    }));
    found
}

fn bounded(objects: &[Value]) -> Vec<String> {
    each_container(objects, |container| {
        let resources = &container["resources"];
        let image = container["image"].as_str().unwrap_or_default();
        // A colon before the last slash parts a registry's port.
        let last = image.rsplit('/').next().unwrap_or_default();
        let tag = last.split_once(':').map_or("", |(_, tag)| tag);
        broken(&[
            (resources["requests"]["cpu"].is_string(), "no cpu request"),
            (resources["limits"]["memory"].is_string(), "no memory limit"),
            (
                resources["requests"]["memory"] == resources["limits"]["memory"],
                "its memory request is not its limit: it is among the first to be killed on a full node",
            ),
            (tag.starts_with(|c: char| c.is_ascii_digit()), "its image has no version"),
        ])
    })
}

fn probes(objects: &[Value]) -> Vec<String> {
    each_container(objects, |container| {
        if container == watchdog(objects) {
            return broken(&[
                (container.get("livenessProbe").is_some(), "no liveness probe"),
                (container.get("readinessProbe").is_none(), "its readiness would be the pod's"),
                (container.get("startupProbe").is_none(), "its start would hold up the service's"),
            ]);
        }
        broken(&[
            (container.get("startupProbe").is_some(), "no startup probe"),
            (container.get("livenessProbe").is_some(), "no liveness probe"),
            (container.get("readinessProbe").is_some(), "no readiness probe"),
            (container["livenessProbe"] != container["readinessProbe"], "two probes are the same"),
        ])
    })
}

fn network(objects: &[Value]) -> Vec<String> {
    let policies: Vec<_> =
        objects.iter().filter(|object| object["kind"] == "NetworkPolicy").collect();
    let closed = json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] });
    let open = |policy: &&Value| {
        let rules = list(&policy["spec"]["ingress"]).chain(list(&policy["spec"]["egress"]));
        let named = |rule: &Value| {
            rule.get("ports").is_some() && (rule.get("from").is_some() || rule.get("to").is_some())
        };
        !rules.into_iter().all(named)
    };
    broken(&[
        (policies.iter().any(|policy| policy["spec"] == closed), "nothing closes the namespace"),
        (!policies.iter().any(open), "a way is open to everybody or on every port"),
        (
            ways_in(objects, ADMIN).all(|from| *from == monitoring()),
            "others than the monitoring reach the service's admin port",
        ),
    ])
}

fn selected(objects: &[Value]) -> Vec<String> {
    let labels = &template(objects)["metadata"]["labels"];
    let ports: Vec<_> = deployment(objects)
        .into_iter()
        .flat_map(containers)
        .flat_map(|container| list(&container["ports"]))
        .map(|port| &port["name"])
        .collect();
    let of_kind = |kind: &str| objects.iter().find(|o| o["kind"] == kind).unwrap_or(&Value::Null);
    let (service, budget) = (of_kind("Service"), of_kind("PodDisruptionBudget"));
    let targets: Vec<_> = list(&service["spec"]["ports"]).map(|port| &port["targetPort"]).collect();
    broken(&[
        (matches(&service["spec"]["selector"], labels), "the service selects another pod"),
        (
            !targets.is_empty() && targets.iter().all(|target| ports.contains(target)),
            "the service's port is none of the pod's",
        ),
        (
            matches(&budget["spec"]["selector"]["matchLabels"], labels),
            "the disruption budget selects another pod",
        ),
    ])
}

/// Who is let in to this port.
fn ways_in<'a>(objects: &'a [Value], port: &'a str) -> impl Iterator<Item = &'a Value> {
    let policies = objects.iter().filter(|object| object["kind"] == "NetworkPolicy");
    let rules = policies.flat_map(|policy| list(&policy["spec"]["ingress"]));
    let of_port =
        rules.filter(move |rule| list(&rule["ports"]).any(|listed| listed["port"] == port));
    of_port.flat_map(|rule| list(&rule["from"]))
}

/// Where Prometheus runs.
fn monitoring() -> Value {
    let labels = json!({ "kubernetes.io/metadata.name": "monitoring" });
    json!({ "namespaceSelector": { "matchLabels": labels } })
}

/// Why the Operator's monitors would not scrape each container of these pods, or not under the name by which it is chosen.
pub(super) fn monitor_misses(monitors: &[Value], objects: &[Value]) -> Vec<String> {
    let labels = &template(objects)["metadata"]["labels"];
    let rules = monitors.iter().any(|object| object["kind"] == "PrometheusRule");
    let mut found = broken(&[(rules, "there is no PrometheusRule")]);
    found.extend(each_container(objects, |container| {
        let monitor = monitors.iter().find(|object| {
            object["kind"] == "PodMonitor"
                && matches(&object["spec"]["selector"]["matchLabels"], labels)
                && list(&object["spec"]["podMetricsEndpoints"])
                    .any(|endpoint| is_scraped(container, endpoint, objects))
        });
        let job =
            monitor.map(|monitor| &labels[monitor["spec"]["jobLabel"].as_str().unwrap_or("")]);
        let named = container == watchdog(objects) || job == Some(&container["name"]);
        broken(&[
            (monitor.is_some(), "no monitor scrapes it"),
            (monitor.is_none() || named, "its job is not its name"),
        ])
    }));
    found
}

/// Whether what an endpoint names is a port of this container to which Prometheus is let in.
fn is_scraped(container: &Value, endpoint: &Value, objects: &[Value]) -> bool {
    let port = &endpoint["port"];
    let let_in = || {
        port.as_str().is_some_and(|port| ways_in(objects, port).any(|from| *from == monitoring()))
    };
    endpoint["path"] == "/metrics"
        && list(&container["ports"]).any(|open| open["name"] == *port)
        && let_in()
}

/// Whether a selector that selects something selects these labels.
fn matches(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| &labels[key] == value)
    })
}

fn each_container(objects: &[Value], find: impl Fn(&Value) -> Vec<String>) -> Vec<String> {
    let containers: Vec<_> = deployment(objects).into_iter().flat_map(containers).collect();
    if containers.len() < 2 {
        return vec!["there is no pod with a service and a watchdog".into()];
    }
    let named = |container: &Value, what: String| format!("{}: {what}", container["name"]);
    containers
        .iter()
        .flat_map(|c| find(c).into_iter().map(|what| named(c, what)).collect::<Vec<_>>())
        .collect()
}

fn flag<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    words(container).iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn watchdog(objects: &[Value]) -> &Value {
    deployment(objects)
        .and_then(|deployment| containers(deployment).find(|c| c["name"] == WATCHDOG))
        .unwrap_or(&Value::Null)
}

fn template(objects: &[Value]) -> &Value {
    deployment(objects).map_or(&Value::Null, |deployment| &deployment["spec"]["template"])
}

fn of_pod(objects: &[Value]) -> &Value {
    deployment(objects).map_or(&Value::Null, pod)
}

fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn broken(rules: &[(bool, &str)]) -> Vec<String> {
    rules.iter().filter(|(kept, _)| !kept).map(|(_, what)| (*what).to_owned()).collect()
}

#[cfg(test)]
mod tests;
