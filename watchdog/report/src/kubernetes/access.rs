//! What the service account may do, as the API server itself says it.

use serde_json::json;

use super::api::{Api, Request};
use crate::sink::DeliveryError;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// What is done to a kind of object.
pub(super) struct Need {
    /// The API group; empty is the core one.
    pub(super) group: &'static str,
    pub(super) resource: &'static str,
    pub(super) verbs: &'static [&'static str],
}

impl Api {
    /// Whether all of this is allowed in the pod's namespace; else an error that names what is not.
    pub(super) async fn may(&self, need: &Need) -> Result<(), DeliveryError> {
        let namespace = &self.pod().namespace;
        let mut lacking = Vec::new();
        for verb in need.verbs {
            let (group, resource) = (need.group, need.resource);
            let asked = json!({
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": { "resourceAttributes": {
                    "namespace": namespace, "verb": verb, "group": group, "resource": resource,
                } },
            });
            let answer = self.object(Request::post(REVIEWS, asked)).await?;
            if answer["status"]["allowed"] != true {
                lacking.push(*verb);
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let dot = if need.group.is_empty() { "" } else { "." };
        Err(DeliveryError::permanent(format!(
            "the service account may not {} {}{dot}{} in the namespace {namespace}; bind it to the Role in \
             docs/kubernetes.md",
            lacking.join(" and "),
            need.resource,
            need.group,
        )))
    }
}
