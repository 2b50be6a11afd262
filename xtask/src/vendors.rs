//! Whether the host knows no cloud: no vendor's name stands outside the credentials, the plugins, the simulators, the
//! documents and tests.

use std::{fs, path::Path};

use crate::Result;

/// Where no vendor may be named: the host, what runs in containers, and the contract.
const FOLDERS: [&str; 3] = ["agent", "host", "wit"];
/// The one crate in there that may.
const EXCEPT: &str = "host/credentials/";
/// What a vendor's name looks like, in small letters: as a word of its own, or within one.
const WORDS: [&str; 5] = ["aca", "aws", "entra", "gcp", "gcs"];
/// See [`WORDS`].
const PARTS: [&str; 8] =
    ["amazon", "azure", "cloud run", "cloudrun", "container apps", "gcloud", "google", "microsoft"];
/// What has to be: a daemon that nobody has configured has a default backend.
const ALLOWED: [(&str, &str); 2] = [
    ("host/daemon/src/config/mod.rs", "const DEFAULT_BACKEND: &str = \"cloudrun\";"),
    ("host/daemon/src/cli.rs", "[default: cloudrun]"),
];

/// Errors: each line that names one.
pub fn check(root: &Path) -> Result {
    let mut found = Vec::new();
    for folder in FOLDERS {
        walk(root, &root.join(folder), &mut found)?;
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("the host must know no cloud:\n{}", found.join("\n")).into())
    }
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) -> Result {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let tests = path.file_name().is_some_and(|name| name == "tests" || name == "target");
            if !tests && !format!("{name}/").starts_with(EXCEPT) {
                walk(root, &path, found)?;
            }
        } else if is_source(&name) {
            found.extend(lines(&name, &fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// Code, manifests and the contract; tests may use a cloud for an example.
fn is_source(name: &str) -> bool {
    let ending = name.rsplit('.').next().unwrap_or_default();
    matches!(ending, "rs" | "toml" | "wit") && !name.ends_with("tests.rs") && !name.ends_with("_test.rs")
}

/// The lines of a file that name a vendor, up to its tests: a module. What else is for tests alone may stand in the midst of code.
fn lines(name: &str, text: &str) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let begins = |pair: &[&str]| {
        let is_module = pair[1].split_whitespace().any(|word| word == "mod") && pair[1].ends_with('{');
        pair[0].trim() == "#[cfg(test)]" && is_module
    };
    let end = all.windows(2).position(begins).unwrap_or(all.len());
    let allowed = |line: &str| ALLOWED.iter().any(|(file, part)| *file == name && line.contains(part));
    all[..end]
        .iter()
        .enumerate()
        .filter(|(_, line)| names_vendor(line) && !allowed(line))
        .map(|(number, line)| format!("{name}:{}: {}", number + 1, line.trim()))
        .collect()
}

fn names_vendor(line: &str) -> bool {
    let line = line.to_lowercase();
    let mut words = line.split(|c: char| !c.is_alphanumeric());
    let is_runs = line.contains("cloud runs");
    PARTS.iter().any(|part| line.contains(part) && !(*part == "cloud run" && is_runs))
        || words.any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_vendor_is_named_where_the_host_must_know_no_cloud() -> crate::Result {
        check(&crate::command::root())
    }

    #[test]
    fn names_are_told_from_words_that_contain_them() {
        for named in [
            "// as Google does",
            "let x = \"azure-arm\";",
            "--runtime aca",
            "gs:// of GCS",
            "a Cloud Run job",
        ] {
            assert!(names_vendor(named), "{named}");
        }
        for fine in ["what every cloud runs", "an academic entrance", "// laws of contracts"] {
            assert!(!names_vendor(fine), "{fine}");
        }
    }

    #[test]
    fn tests_may_have_examples_and_code_may_not() {
        let text =
            "let a = \"google\";\n#[cfg(test)]\npub(crate) mod tests {\nconst A: &str = \"google\";\n}";
        assert_eq!(lines("host/x/src/a.rs", text), ["host/x/src/a.rs:1: let a = \"google\";"]);
        let text = "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nuse a::b;\nlet a = \"google\";";
        assert_eq!(lines("host/x/src/a.rs", text), ["host/x/src/a.rs:5: let a = \"google\";"]);
        assert!(!is_source("host/x/src/grant/tests.rs") && is_source("wit/plugin.wit"));
    }
}
