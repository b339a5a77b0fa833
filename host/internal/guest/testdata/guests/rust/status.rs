//! What the status says, taken from the observed Deployment.

use crate::json::{Value, Writer};
use crate::{View, CHECKSUM};

pub struct Status<'a> {
    generation: i64,
    phase: &'a str,
    available_replicas: i64,
    available: Condition<'a>,
    degraded: Condition<'a>,
}

struct Condition<'a> {
    status: &'a str,
    reason: &'a str,
    message: String,
}

impl<'a> Condition<'a> {
    fn new(holds: bool, reason: &'a str, message: String) -> Self {
        Condition { status: if holds { "True" } else { "False" }, reason, message }
    }

    fn write(&self, w: &mut Writer, kind: &str) {
        w.object(|w| {
            w.field("type", kind);
            w.field("status", self.status);
            w.field("reason", self.reason);
            w.field("message", &self.message);
        });
    }
}

impl<'a> Status<'a> {
    pub fn new(generation: i64) -> Self {
        let none = || Condition::new(false, "AsExpected", String::new());
        Status { generation, phase: "Pending", available_replicas: 0, available: none(), degraded: none() }
    }

    pub fn observe_nothing(&mut self) {
        self.available = Condition::new(false, "NoDeployment", "the Deployment does not exist yet".to_string());
    }

    pub fn observe(&mut self, view: &View, deployment: &'a Value<'a>) {
        let status = deployment.get("status");
        self.available_replicas = number(status, "availableReplicas");
        let message = format!("{} of {} replicas are available", self.available_replicas, view.replicas);
        let up = find(status, "Available").get("status").text() == "True";
        let reason = if up { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" };
        self.available = Condition::new(up, reason, message);
        self.phase = if rolled_out(view, deployment) { "Available" } else { "Progressing" };
        if let Some(failure) = failure(status) {
            self.degrade(failure.get("reason").text(), failure.get("message").text());
        }
    }

    pub fn degrade(&mut self, reason: &'a str, message: &str) {
        self.phase = "Degraded";
        self.degraded = Condition::new(true, reason, message.to_string());
    }

    pub fn write(&self, w: &mut Writer) {
        w.member("status").object(|w| {
            w.member("observedGeneration").number(self.generation);
            w.field("phase", self.phase);
            w.member("availableReplicas").number(self.available_replicas);
            w.member("conditions").array(|w| {
                self.available.write(w, "Available");
                self.degraded.write(w, "Degraded");
            });
        });
    }
}

fn number(object: &Value, name: &str) -> i64 {
    object.get(name).whole().unwrap_or(0)
}

/// Returns a Deployment's condition, null if it has none of this type.
fn find<'a>(status: &'a Value<'a>, kind: &str) -> &'a Value<'a> {
    status.get("conditions").items().iter().find(|c| c.get("type").text() == kind).unwrap_or(&Value::Null)
}

/// Tells whether the Deployment is the one that view wants, and all its Pods are new and available.
fn rolled_out(view: &View, deployment: &Value) -> bool {
    let status = deployment.get("status");
    let template = deployment.get("spec").get("template");
    let containers = template.get("spec").get("containers").items();
    template.get("metadata").get("annotations").get(CHECKSUM).text() == view.checksum
        && containers.first().map_or(false, |c| c.get("image").text() == view.image)
        && number(deployment.get("metadata"), "generation") == number(status, "observedGeneration")
        && number(deployment.get("spec"), "replicas") == view.replicas
        && ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|count| number(status, count) == view.replicas)
}

/// Returns the condition that says why the Deployment cannot go on by itself.
fn failure<'a>(status: &'a Value<'a>) -> Option<&'a Value<'a>> {
    [("ReplicaFailure", "True"), ("Progressing", "False")]
        .iter()
        .map(|(kind, bad)| (find(status, kind), bad))
        .find(|(condition, bad)| condition.get("status").text() == **bad)
        .map(|(condition, _)| condition)
}
