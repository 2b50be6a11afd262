//! What jobs and apps have to obey beyond the models.

mod access;
mod volumes;

use std::collections::HashSet;

use serde_json::{Value, json};

use super::resources::{bytes, ephemeral, millis, pair};
use super::{environments, image};
use crate::error::{ArmError, Result};
use crate::limits;
use crate::server::Simulator;

pub use access::{configuration, identities};
pub use volumes::volumes;

fn invalid(message: impl Into<String>) -> ArmError {
    ArmError::bad("InvalidParameterValueInContainerTemplate", message)
}

/// The fields of an object that a list's entries have as names.
fn names<'a>(list: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    let field = field.to_owned();
    list.as_array().into_iter().flatten().map(move |entry| entry[&field].as_str().unwrap_or_default())
}

/// Checks a job, and fills in what is left out.
///
/// # Errors
/// 400 in the provider's words.
pub fn job(simulator: &Simulator, doc: &mut Value) -> Result<()> {
    let name = doc["name"].as_str().unwrap_or_default().to_owned();
    environment(simulator, &doc["properties"]["environmentId"])?;
    let configuration = &mut doc["properties"]["configuration"];
    if !configuration.is_object() {
        return Err(ArmError::bad(
            "JobConfigurationRequired",
            format!("The job '{name}' has no configuration."),
        ));
    }
    if configuration["triggerType"] != "Manual" {
        let message = format!(
            "The trigger type '{}' is not simulated; only 'Manual' is.",
            configuration["triggerType"]
        );
        return Err(ArmError::bad("JobTriggerTypeNotSupported", message));
    }
    number(configuration, "replicaTimeout", (1, limits::REPLICA_TIMEOUT), None)?;
    number(configuration, "replicaRetryLimit", (0, limits::RETRIES), Some(0))?;
    if configuration["manualTriggerConfig"].is_null() {
        configuration["manualTriggerConfig"] = json!({});
    }
    let manual = &mut configuration["manualTriggerConfig"];
    number(manual, "parallelism", (1, limits::REPLICAS), Some(1))?;
    number(manual, "replicaCompletionCount", (1, limits::REPLICAS), Some(1))?;
    self::configuration(configuration)?;
    let configuration = configuration.clone();
    identities(simulator, &doc["identity"], &configuration)?;
    let environment = doc["properties"]["environmentId"].clone();
    let template = &mut doc["properties"]["template"];
    self::template(simulator, template, &configuration)?;
    volumes(simulator, template, &environment)
}

/// A whole number between two, or what it is when it is left out.
fn number(object: &mut Value, field: &str, (low, high): (i64, i64), other: Option<i64>) -> Result<()> {
    match (object[field].as_i64(), other) {
        (None, Some(other)) => {
            object[field] = json!(other);
            Ok(())
        }
        (Some(number), _) if (low..=high).contains(&number) => Ok(()),
        (given, _) => {
            let given = given.map_or_else(|| "null".to_owned(), |number| number.to_string());
            let message =
                format!("Invalid value '{given}' for '{field}': it has to be between {low} and {high}.");
            Err(ArmError::bad("InvalidRequestParameterWithDetails", message))
        }
    }
}

/// The environment has to exist.
///
/// # Errors
/// 400.
pub fn environment(simulator: &Simulator, id: &Value) -> Result<()> {
    let Some(id) = id.as_str().filter(|id| !id.is_empty()) else {
        return Err(ArmError::bad("EnvironmentIdRequired", "The property 'environmentId' is required."));
    };
    match environments::find(simulator, id)? {
        Some(found) if found["type"] == "Microsoft.App/managedEnvironments" => Ok(()),
        _ => {
            Err(ArmError::bad("ManagedEnvironmentNotFound", format!("The environment '{id}' was not found.")))
        }
    }
}

/// Containers of a template, their images and resources; volumes are not looked at.
///
/// # Errors
/// 400.
pub fn template(simulator: &Simulator, template: &mut Value, configuration: &Value) -> Result<()> {
    if template["containers"].as_array().is_none_or(Vec::is_empty) {
        return Err(invalid(
            "The following field(s) are either invalid or missing. Field 'template.containers' is invalid with details: \
             'Invalid value: null: at least one container is required'.",
        ));
    }
    let mut known = HashSet::new();
    let mut total = (0_u32, 0_u64);
    for (list, main) in [("initContainers", false), ("containers", true)] {
        for container in template[list].as_array_mut().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let good = (1..=63).contains(&name.len()) && name.bytes().all(plain);
            if !good || name.starts_with('-') || name.ends_with('-') || !known.insert(name.clone()) {
                return Err(field(
                    list,
                    &name,
                    "name",
                    &name,
                    "a container's name is a DNS label that no other has",
                ));
            }
            image::check(simulator, container, configuration).map_err(|why| {
                field(list, &name, "image", container["image"].as_str().unwrap_or_default(), &why)
            })?;
            variables(container, configuration, list, &name)?;
            let (cpu, memory) = resources(container, list, &name, main)?;
            if main {
                total = (total.0 + cpu, total.1 + memory);
            }
        }
    }
    pair(total)
}

fn field(list: &str, container: &str, field: &str, value: &str, why: &str) -> ArmError {
    invalid(format!(
        "The following field(s) are either invalid or missing. Field 'template.{list}.{container}.{field}' is invalid with \
         details: 'Invalid value: \"{value}\": {why}';."
    ))
}

fn variables(container: &Value, configuration: &Value, list: &str, name: &str) -> Result<()> {
    for variable in container["env"].as_array().into_iter().flatten() {
        let text = |field: &str| variable[field].as_str().unwrap_or_default();
        if text("name").is_empty() || text("name").contains('=') {
            return Err(field(list, name, "env", text("name"), "a variable needs a name"));
        }
        let secret = text("secretRef");
        if !secret.is_empty() && !names(&configuration["secrets"], "name").any(|known| known == secret) {
            let message = format!("SecretRef '{secret}' defined for container '{name}' not found.");
            return Err(ArmError::bad("ContainerAppSecretRefNotFound", message));
        }
    }
    Ok(())
}

/// A container's share, filled in where it says nothing.
fn resources(container: &mut Value, list: &str, name: &str, main: bool) -> Result<(u32, u64)> {
    if container["resources"].is_null() {
        if !main {
            return Ok((0, 0));
        }
        container["resources"] = json!({});
    }
    let resources = &mut container["resources"];
    if resources["cpu"].is_null() && resources["memory"].is_null() {
        resources["cpu"] = json!(0.5);
        resources["memory"] = json!("1Gi");
    }
    let cpu = millis(&resources["cpu"]);
    let memory = resources["memory"].as_str().and_then(bytes);
    match (cpu, memory) {
        (Some(cpu), Some(memory)) if cpu > 0 && memory > 0 => {
            resources["ephemeralStorage"] = json!(ephemeral(cpu));
            Ok((cpu, memory))
        }
        _ => Err(field(
            list,
            name,
            "resources",
            &resources.to_string(),
            "cpu and memory are positive quantities",
        )),
    }
}
