//! Google's discovery documents as compact field tables, checked in with their revision; a script makes Azure's.
//!
//! A document is half a megabyte of prose; the simulator needs names and types alone, and only of
//! what the methods it serves can reach. A type is one word: `string`, `int64`, `timestamp`, …, `#Message`,
//! `[T]` for a list, `{T}` for a map, `<A|B>` for an enum; ` ro` behind it marks a field that only the
//! server sets, ` req` a query parameter that has to be there.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

/// The packages whose models are Azure's tables; `xtask/python/azure_schemas.py` reads them.
const AZURE: [&str; 3] = ["azure-mgmt-appcontainers", "azure-mgmt-storage", "azure-mgmt-privatedns"];

/// The package that carries the documents, at the release whose documents are checked in last.
const PACKAGE: &str = "google-api-python-client";

/// Which methods of which API the simulator serves; a table has what these can reach.
const SERVED: &[(&str, &[&str])] = &[
    (
        "run.v2",
        &[
            "run.projects.locations.jobs.create",
            "run.projects.locations.jobs.delete",
            "run.projects.locations.jobs.get",
            "run.projects.locations.jobs.list",
            "run.projects.locations.jobs.patch",
            "run.projects.locations.jobs.run",
            "run.projects.locations.jobs.executions.cancel",
            "run.projects.locations.jobs.executions.delete",
            "run.projects.locations.jobs.executions.get",
            "run.projects.locations.jobs.executions.list",
            "run.projects.locations.jobs.executions.tasks.get",
            "run.projects.locations.jobs.executions.tasks.list",
            "run.projects.locations.operations.delete",
            "run.projects.locations.operations.get",
            "run.projects.locations.operations.list",
            "run.projects.locations.operations.wait",
        ],
    ),
    (
        "storage.v1",
        &[
            "storage.buckets.delete",
            "storage.buckets.get",
            "storage.buckets.insert",
            "storage.buckets.list",
            "storage.buckets.patch",
            "storage.buckets.update",
            "storage.objects.compose",
            "storage.objects.copy",
            "storage.objects.delete",
            "storage.objects.get",
            "storage.objects.insert",
            "storage.objects.list",
            "storage.objects.patch",
            "storage.objects.rewrite",
            "storage.objects.update",
        ],
    ),
    (
        "logging.v2",
        &[
            "logging.entries.write",
            "logging.entries.list",
            "logging.projects.logs.list",
            "logging.projects.logs.delete",
        ],
    ),
    (
        "dns.v1",
        &[
            "dns.changes.create",
            "dns.changes.get",
            "dns.changes.list",
            "dns.managedZones.create",
            "dns.managedZones.delete",
            "dns.managedZones.get",
            "dns.managedZones.list",
            "dns.projects.get",
            "dns.resourceRecordSets.create",
            "dns.resourceRecordSets.delete",
            "dns.resourceRecordSets.get",
            "dns.resourceRecordSets.list",
            "dns.resourceRecordSets.patch",
        ],
    ),
];

/// A cloud with a simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Cloud {
    /// Google Cloud
    Google,
    /// Microsoft Azure
    Azure,
}

/// Makes the tables of one cloud, or of all, in the workspace `root`.
///
/// # Errors
/// Those of [`generate`] and [`generate_azure`].
pub fn all(cloud: Option<Cloud>, discovery: Option<&Path>, root: &Path) -> Result<(), Box<dyn Error>> {
    if cloud != Some(Cloud::Azure) {
        generate(discovery, &root.join("simulators/google/schemas"))?;
    }
    if cloud != Some(Cloud::Google) {
        generate_azure(&root.join("xtask/python/azure_schemas.py"), &root.join("simulators/azure/schemas"))?;
    }
    Ok(())
}

/// Writes `<api>.json` into `out` for every API that the simulator serves.
///
/// `discovery` is a folder with `run.v2.json` and so on; none fetches the PyPI package that has them.
///
/// # Errors
/// A document that is missing or has an unknown shape, a served method it does not know, or pip's failure.
pub fn generate(discovery: Option<&Path>, out: &Path) -> Result<(), Box<dyn Error>> {
    let fetched;
    let folder = match discovery {
        Some(folder) => folder,
        None => {
            fetched = fetch()?;
            fetched.1.as_path()
        }
    };
    fs::create_dir_all(out)?;
    for (api, methods) in SERVED {
        let path = folder.join(format!("{api}.json"));
        let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let document: Value = serde_json::from_slice(&text)?;
        let table = Table::new(&document)?.build(methods)?;
        let target = out.join(format!("{api}.json"));
        fs::write(&target, format!("{}\n", layout(&table)?))?;
        println!("{} (revision {})", target.display(), text_of(&table, "revision")?);
    }
    Ok(())
}

/// Writes Azure's tables into `out`, from the newest releases of its SDKs.
///
/// # Errors
/// Pip's failure, or the script's: a model that is missing or has an unknown shape.
pub fn generate_azure(script: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let folder = python(&AZURE)?;
    run(Command::new(folder.path().join("bin/python")).arg(script).arg(out))
}

/// A Python with packages, which goes with its folder.
fn python(packages: &[&str]) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder.path()))?;
    run(Command::new(folder.path().join("bin/pip")).args(["install", "--quiet"]).args(packages))?;
    Ok(folder)
}

/// The package's documents, in a folder that goes with the first value.
fn fetch() -> Result<(tempfile::TempDir, PathBuf), Box<dyn Error>> {
    let folder = python(&[PACKAGE])?;
    let find = "import googleapiclient, os; print(os.path.dirname(googleapiclient.__file__))";
    let output = Command::new(folder.path().join("bin/python")).args(["-c", find]).output()?;
    if !output.status.success() {
        return Err(
            format!("{PACKAGE} cannot be imported: {}", String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    let package = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    Ok((folder, package.join("discovery_cache/documents")))
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// A table with one method or one schema a line: a diff between revisions is readable then.
fn layout(table: &Value) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("{");
    for (index, (key, value)) in object(table)?.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        match value {
            Value::Object(entries) => {
                text.push_str(&format!("{comma}\n{}: {{", json!(key)));
                for (index, (name, entry)) in entries.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    text.push_str(&format!("{comma}\n  {}: {entry}", json!(name)));
                }
                text.push_str("\n}");
            }
            other => text.push_str(&format!("{comma}\n{}: {other}", json!(key))),
        }
    }
    text.push_str("\n}");
    Ok(text)
}

/// A table in the making.
struct Table<'a> {
    document: &'a Value,
    schemas: BTreeMap<String, Value>,
    waiting: Vec<String>,
}

impl<'a> Table<'a> {
    fn new(document: &'a Value) -> Result<Self, Box<dyn Error>> {
        object(&document["schemas"])?;
        Ok(Self { document, schemas: BTreeMap::new(), waiting: Vec::new() })
    }

    fn build(mut self, served: &[&str]) -> Result<Value, Box<dyn Error>> {
        let mut known = BTreeMap::new();
        methods(self.document, &mut known);
        let mut table = BTreeMap::new();
        for id in served {
            let method = known.get(*id).ok_or_else(|| format!("the document has no method {id}"))?;
            table.insert((*id).to_owned(), self.method(method)?);
        }
        while let Some(name) = self.waiting.pop() {
            if self.schemas.contains_key(&name) {
                continue;
            }
            let schema = &self.document["schemas"][&name];
            if schema.is_null() {
                return Err(format!("the document has no schema {name}").into());
            }
            self.message(&name, schema)?;
        }
        Ok(json!({
            "api": self.document["name"],
            "methods": table,
            "parameters": self.parameters(&self.document["parameters"].clone())?,
            "revision": self.document["revision"],
            "schemas": self.schemas,
            "version": self.document["version"],
        }))
    }

    fn method(&mut self, method: &Value) -> Result<Value, Box<dyn Error>> {
        let parameters = method.get("parameters").cloned().unwrap_or_else(|| json!({}));
        let query: Map<String, Value> = object(&parameters)?
            .iter()
            .filter(|(_, parameter)| parameter["location"] == "query")
            .map(|(name, parameter)| (name.clone(), parameter.clone()))
            .collect();
        let mut entry = Map::new();
        let path = method.get("flatPath").unwrap_or(&method["path"]);
        entry.insert("http".into(), method["httpMethod"].clone());
        entry.insert("path".into(), path.clone());
        entry.insert("query".into(), self.parameters(&Value::Object(query))?);
        for side in ["request", "response"] {
            if let Some(name) = method[side]["$ref"].as_str() {
                self.waiting.push(name.to_owned());
                entry.insert(side.into(), json!(name));
            }
        }
        Ok(Value::Object(entry))
    }

    fn parameters(&mut self, parameters: &Value) -> Result<Value, Box<dyn Error>> {
        let mut entry = Map::new();
        for (name, parameter) in object(parameters)? {
            let mut kind = self.kind(name, parameter)?;
            if parameter["repeated"] == true {
                kind = format!("[{kind}]");
            }
            if parameter["required"] == true {
                kind.push_str(" req");
            }
            entry.insert(name.clone(), json!(kind));
        }
        Ok(Value::Object(entry))
    }

    fn message(&mut self, name: &str, schema: &Value) -> Result<(), Box<dyn Error>> {
        let mut fields = Map::new();
        // Insert first: a message may contain itself.
        self.schemas.insert(name.to_owned(), Value::Null);
        if let Some(properties) = schema.get("properties") {
            for (field, property) in object(properties)? {
                let mut kind = self.kind(&format!("{name}.{field}"), property)?;
                if property["readOnly"] == true {
                    kind.push_str(" ro");
                }
                fields.insert(field.clone(), json!(kind));
            }
        }
        self.schemas.insert(name.to_owned(), Value::Object(fields));
        Ok(())
    }

    /// The word for a type. `place` names a message that stands inline.
    fn kind(&mut self, place: &str, schema: &Value) -> Result<String, Box<dyn Error>> {
        if let Some(name) = schema["$ref"].as_str() {
            self.waiting.push(name.to_owned());
            return Ok(format!("#{name}"));
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            return Ok(format!("<{}>", values.join("|")));
        }
        let format = schema["format"].as_str();
        Ok(match (text_of(schema, "type")?, format) {
            ("any", _) => "any".to_owned(),
            ("array", _) => format!("[{}]", self.kind(place, &schema["items"])?),
            ("boolean", _) => "bool".to_owned(),
            ("integer", Some(format @ ("int32" | "uint32"))) => format.to_owned(),
            ("number", Some(format @ ("double" | "float"))) => format.to_owned(),
            ("object", _) => {
                if let Some(values) = schema.get("additionalProperties") {
                    return Ok(format!("{{{}}}", self.kind(place, values)?));
                }
                if schema.get("properties").is_none() {
                    return Ok("{any}".to_owned());
                }
                self.message(place, schema)?;
                format!("#{place}")
            }
            ("string", Some(format @ ("int64" | "uint64" | "date"))) => format.to_owned(),
            ("string", Some("byte")) => "bytes".to_owned(),
            ("string", Some("google-datetime" | "date-time")) => "timestamp".to_owned(),
            ("string", Some("google-duration")) => "duration".to_owned(),
            ("string", Some("google-fieldmask")) => "fieldmask".to_owned(),
            ("string", None) => "string".to_owned(),
            (kind, format) => {
                return Err(format!("{place}: type {kind} with format {format:?} is new").into());
            }
        })
    }
}

/// All methods of a document by id.
fn methods<'a>(resource: &'a Value, found: &mut BTreeMap<String, &'a Value>) {
    for method in resource["methods"].as_object().into_iter().flat_map(|methods| methods.values()) {
        if let Some(id) = method["id"].as_str() {
            found.insert(id.to_owned(), method);
        }
    }
    for child in resource["resources"].as_object().into_iter().flat_map(|resources| resources.values()) {
        methods(child, found);
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, Box<dyn Error>> {
    value.as_object().ok_or_else(|| format!("an object was expected, not {value}").into())
}

fn text_of<'a>(value: &'a Value, key: &str) -> Result<&'a str, Box<dyn Error>> {
    value[key].as_str().ok_or_else(|| format!("{key} is missing in {value}").into())
}
