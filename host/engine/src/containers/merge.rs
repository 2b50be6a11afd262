//! The container's configuration over the image's, as dockerd merges them.

use std::collections::BTreeSet;

use bollard_stubs::models::{ContainerConfig, HealthConfig};
use sockerless_ports::registry::ImageConfig;

use super::process::variable;
use crate::{Error, ErrorKind, Result};

/// What the user left open comes from the image.
pub(crate) fn merge(mut config: ContainerConfig, image: &ImageConfig) -> ContainerConfig {
    let or_image = |value: &mut Option<String>, image: &str| {
        if value.as_deref().unwrap_or_default().is_empty() {
            *value = Some(image.to_owned());
        }
    };
    or_image(&mut config.user, &image.user);
    or_image(&mut config.working_dir, &image.working_dir);
    if config.stop_signal.as_deref().unwrap_or_default().is_empty() && !image.stop_signal.is_empty() {
        config.stop_signal = Some(image.stop_signal.clone());
    }
    config.stop_timeout = config.stop_timeout.or(image.stop_timeout);
    config.shell = config.shell.filter(|shell| !shell.is_empty()).or_else(|| image.shell.clone());

    let mut env = config.env.take().unwrap_or_default();
    for entry in &image.env {
        if !env.iter().any(|known| variable(known) == variable(entry)) {
            env.push(entry.clone());
        }
    }
    config.env = Some(env);

    let mut labels = config.labels.take().unwrap_or_default();
    for (key, value) in &image.labels {
        labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    config.labels = Some(labels);
    config.exposed_ports = union(config.exposed_ports, image.exposed_ports.keys());
    config.volumes = union(config.volumes, image.volumes.keys());
    config.healthcheck = health(config.healthcheck.take(), image.healthcheck.as_ref());

    // An entry point of the user's own drops the image's command; an empty string resets it.
    let no_entrypoint = config.entrypoint.as_ref().is_none_or(Vec::is_empty);
    if no_entrypoint {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&image.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.entrypoint);
        }
    }
    if config.entrypoint.as_ref().is_some_and(|entrypoint| entrypoint.len() == 1 && entrypoint[0].is_empty())
    {
        config.entrypoint = None;
    }
    config
}

fn union<'a>(own: Option<Vec<String>>, image: impl Iterator<Item = &'a String>) -> Option<Vec<String>> {
    let all: BTreeSet<String> = own.into_iter().flatten().chain(image.cloned()).collect();
    (!all.is_empty()).then(|| all.into_iter().collect())
}

fn health(own: Option<HealthConfig>, image: Option<&serde_json::Value>) -> Option<HealthConfig> {
    // A health check that this daemon cannot read is none, as for dockerd.
    let image: Option<HealthConfig> = image.and_then(|value| serde_json::from_value(value.clone()).ok());
    let (Some(mut own), Some(image)) = (own.clone(), image.clone()) else { return own.or(image) };
    if own.test.as_ref().is_none_or(Vec::is_empty) {
        own.test = image.test;
    }
    let or = |own: Option<i64>, image| own.filter(|value| *value != 0).or(image);
    own.interval = or(own.interval, image.interval);
    own.timeout = or(own.timeout, image.timeout);
    own.start_period = or(own.start_period, image.start_period);
    own.start_interval = or(own.start_interval, image.start_interval);
    own.retries = or(own.retries, image.retries);
    Some(own)
}

/// Program and arguments: entry point, then command. Errors: there is neither.
pub(crate) fn command(config: &ContainerConfig) -> Result<(String, Vec<String>)> {
    let mut words = config.entrypoint.iter().flatten().chain(config.cmd.iter().flatten()).cloned();
    match words.next() {
        Some(path) => Ok((path, words.collect())),
        None => Err(Error::new(ErrorKind::Invalid, "no command specified")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageConfig {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        ImageConfig {
            entrypoint: words(&["/entry"]),
            cmd: words(&["serve"]),
            env: vec!["PATH=/bin".into(), "A=image".into()],
            working_dir: "/srv".into(),
            ..ImageConfig::default()
        }
    }

    fn argv(config: ContainerConfig) -> Vec<String> {
        let (path, args) = command(&merge(config, &image())).unwrap();
        std::iter::once(path).chain(args).collect()
    }

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn entry_point_and_command_combine_as_in_docker() {
        let config = |entrypoint, cmd| ContainerConfig { entrypoint, cmd, ..ContainerConfig::default() };
        assert_eq!(argv(config(None, None)), ["/entry", "serve"]);
        assert_eq!(argv(config(None, words(&["x"]))), ["/entry", "x"]);
        assert_eq!(argv(config(words(&["sh"]), None)), ["sh"]);
        assert_eq!(argv(config(words(&[""]), words(&["ls", "-l"]))), ["ls", "-l"]);
        let reset = merge(config(words(&[""]), None), &image());
        assert_eq!(command(&reset).unwrap_err().message, "no command specified");
    }

    #[test]
    fn the_users_variables_come_first_and_win() {
        let config = ContainerConfig { env: words(&["A=own"]), ..ContainerConfig::default() };
        let merged = merge(config, &image());
        assert_eq!(merged.env, words(&["A=own", "PATH=/bin"]));
        assert_eq!(merged.working_dir.as_deref(), Some("/srv"));
    }
}
