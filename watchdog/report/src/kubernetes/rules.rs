//! Prometheus rules as one `PrometheusRule` of the Prometheus Operator, which goes with the pod.
//!
//! It is applied on the server, and never by force: what another manager has set stays as it is, and is an error that
//! names it. An object that is not this pod's is not touched. The pod owns the object, so that the cluster removes it where
//! the watchdog could not.

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::access::Need;
use super::api::{Api, Failure, Request};
use super::{KubernetesError, MANAGER, MAX_NAME, Pod, labels};
use crate::rules::{Group, RuleStore, StoreError};
use crate::sink::{DeliveryError, ErrorKind};

const GROUP: &str = "/apis/monitoring.coreos.com/v1";
const KIND: &str = "PrometheusRule";
const RESOURCE: &str = "prometheusrules";
/// As much of a pod's uid as tells it from an earlier pod of its name.
const UID_DIGITS: usize = 8;

const NEED: Need = Need {
    group: "monitoring.coreos.com",
    resource: RESOURCE,
    verbs: &["get", "create", "patch", "delete"],
};

/// Keeps the rules of one pod in the cluster.
#[derive(Debug)]
pub struct PrometheusRules {
    api: Api,
    labels: BTreeMap<String, String>,
}

/// Whose an object is.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Ours,
    /// Ours, with something in its specification that another manager has set.
    Shared,
    Another,
}

impl PrometheusRules {
    /// Rules of the pod of `api`, with these labels beside our own: those by which a Prometheus selects its rules.
    ///
    /// # Errors
    /// When a label would be refused.
    pub fn new(
        api: Api,
        given: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, KubernetesError> {
        Ok(Self { api, labels: labels(given.into_iter().collect())? })
    }

    /// Whether rules could be kept: the kind is known, and the service account may do what it takes.
    ///
    /// # Errors
    /// What is missing.
    pub async fn check(&self) -> Result<(), DeliveryError> {
        let known = self.api.object(Request::get(GROUP.into())).await?;
        let mut resources = known["resources"].as_array().into_iter().flatten();
        if !resources.any(|resource| resource["name"] == RESOURCE) {
            return Err(DeliveryError::permanent(
                "the cluster has the Prometheus Operator's API, but no PrometheusRule: install that definition",
            ));
        }
        self.api.may(&NEED).await
    }

    /// Makes the object hold exactly these groups of ours; without any it is removed.
    async fn keep(&self, groups: &[Group]) -> Result<(), DeliveryError> {
        let found = self.find().await?;
        let owner = found.as_ref().map(|object| owner(object, self.api.pod()));
        match (owner, groups.is_empty()) {
            (Some(Owner::Another), false) => Err(DeliveryError::permanent(format!(
                "the PrometheusRule {} is there and is not this pod's: it is left as it is",
                self.name()
            ))),
            (None | Some(Owner::Another), true) => Ok(()),
            (Some(Owner::Ours), true) => self.remove(&found.unwrap_or_default()).await,
            (Some(Owner::Shared), true) => self.apply(None).await,
            (_, false) => {
                let groups = serde_json::to_value(groups).map_err(|error| {
                    DeliveryError::permanent(format!("the rules cannot be written: {error}"))
                })?;
                self.apply(Some(groups)).await
            }
        }
    }

    async fn find(&self) -> Result<Option<Value>, DeliveryError> {
        Ok(absent_as_none(self.api.object(Request::get(self.path())).await)?)
    }

    async fn apply(&self, groups: Option<Value>) -> Result<(), DeliveryError> {
        let mut object = object(self.api.pod(), &self.name(), &self.labels);
        if let Some(groups) = groups {
            object["spec"] = json!({ "groups": groups });
        }
        let applied = self.api.send(Request::apply(self.path(), object)).await;
        applied.map(drop).map_err(|Failure { status, error }| match status {
            // The Operator may be installed after us, and nobody should have to start us again for that.
            Some(StatusCode::NOT_FOUND) => DeliveryError::retry(error.text),
            _ => error,
        })
    }

    /// Removes what was looked at, and only if nobody has changed it since.
    async fn remove(&self, found: &Value) -> Result<(), DeliveryError> {
        let metadata = &found["metadata"];
        let seen =
            json!({ "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"] });
        let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": seen });
        let removed = self.api.object(Request::delete(self.path(), options)).await;
        match absent_as_none(removed) {
            Ok(_) => Ok(()),
            // Somebody was faster: another look will tell.
            Err(error) if error.status == Some(StatusCode::CONFLICT) => {
                Err(DeliveryError::retry(error.error.text))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn name(&self) -> String {
        name(self.api.pod())
    }

    fn path(&self) -> String {
        let namespace = &self.api.pod().namespace;
        format!("{GROUP}/namespaces/{namespace}/{RESOURCE}/{}", self.name())
    }
}

#[async_trait]
impl RuleStore for PrometheusRules {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    async fn store(&self, groups: &[Group]) -> Result<(), StoreError> {
        self.keep(groups).await.map_err(|DeliveryError { kind, text, .. }| match kind {
            ErrorKind::Retry { .. } => StoreError::passing(text),
            ErrorKind::Permanent => StoreError::permanent(text),
        })
    }
}

/// What is not there was not found; that is no failure.
fn absent_as_none(result: Result<Value, Failure>) -> Result<Option<Value>, Failure> {
    match result {
        Ok(object) => Ok(Some(object)),
        Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A later pod of the same name has an object of its own: the earlier one's may be about to be removed.
fn name(pod: &Pod) -> String {
    let uid: String = pod.uid.chars().take(UID_DIGITS).collect();
    let room = MAX_NAME - MANAGER.len() - UID_DIGITS - 2;
    let pod = pod.name[..pod.name.len().min(room)].trim_end_matches(['-', '.']);
    format!("{MANAGER}-{pod}-{uid}")
}

fn object(pod: &Pod, name: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": pod.namespace,
            "labels": labels,
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid },
            ],
        },
    })
}

fn owner(object: &Value, pod: &Pod) -> Owner {
    let metadata = &object["metadata"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let managed = metadata["labels"]["app.kubernetes.io/managed-by"] == MANAGER;
    let of_pod =
        list(&metadata["ownerReferences"]).iter().any(|one| one["uid"] == pod.uid.as_str());
    if !(managed && of_pod) {
        return Owner::Another;
    }
    let shared = list(&metadata["managedFields"])
        .iter()
        .any(|entry| entry["manager"] != MANAGER && entry["fieldsV1"].get("f:spec").is_some());
    if shared { Owner::Shared } else { Owner::Ours }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        let uid = "0f3c2d1e-8c11-4c2e-9d0a-6f5e4d3c2b1a".into();
        Pod { namespace: "shop".into(), name: "shop-7d9f".into(), uid }
    }

    fn ours() -> Value {
        object(&pod(), &name(&pod()), &labels(BTreeMap::new()).expect("labels"))
    }

    #[test]
    fn the_object_is_called_after_the_pod_and_its_incarnation() {
        assert_eq!(name(&pod()), "oomen-shop-7d9f-0f3c2d1e");
        let long = name(&Pod { name: "a.".repeat(126), ..pod() });
        assert!(long.len() <= 253 && !long.contains(".-"), "{long}");
    }

    #[test]
    fn an_object_is_ours_by_its_label_and_by_the_pod_that_owns_it() {
        assert_eq!(owner(&ours(), &pod()), Owner::Ours);
        let mut unmarked = ours();
        unmarked["metadata"]["labels"] = json!({});
        assert_eq!(owner(&unmarked, &pod()), Owner::Another);
        let later = Pod { uid: "1".into(), ..pod() };
        assert_eq!(owner(&ours(), &later), Owner::Another);
        assert_eq!(owner(&json!({}), &pod()), Owner::Another);
    }

    #[test]
    fn what_another_manager_has_set_in_it_is_kept_but_its_status_does_not_count() {
        let with = |manager: &str, fields: Value| {
            let mut object = ours();
            object["metadata"]["managedFields"] =
                json!([{ "manager": manager, "fieldsV1": fields }]);
            owner(&object, &pod())
        };
        assert_eq!(with(MANAGER, json!({ "f:spec": {} })), Owner::Ours);
        assert_eq!(with("kubectl-edit", json!({ "f:spec": {} })), Owner::Shared);
        assert_eq!(with("prometheus-operator", json!({ "f:status": {} })), Owner::Ours);
    }
}
