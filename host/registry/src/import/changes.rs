//! `--change`: Dockerfile instructions that alter an image's configuration.

use serde_json::{Value, json};
use sockerless_ports::registry::{Empty, ImageConfig, ImageError};

use super::words;

/// Applies the instructions in order. An entrypoint comes without the command that was there before it. Errors: `Invalid`, for what a change may not be.
pub fn apply(config: &mut ImageConfig, changes: &[String]) -> Result<(), ImageError> {
    let mut has_command = false;
    for line in changes.iter().flat_map(|change| change.lines()).map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (instruction, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let instruction = instruction.to_uppercase();
        one(config, &instruction, rest.trim()).map_err(ImageError::Invalid)?;
        has_command |= instruction == "CMD";
        if instruction == "ENTRYPOINT" && !has_command {
            config.cmd = None;
        }
    }
    Ok(())
}

fn one(config: &mut ImageConfig, instruction: &str, rest: &str) -> Result<(), String> {
    let needed = || {
        if rest.is_empty() { Err(format!("{instruction} requires at least one argument")) } else { Ok(()) }
    };
    match instruction {
        "CMD" => config.cmd = Some(command(config, rest)),
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(config, rest));
        }
        "ENV" => {
            for (name, value) in words::pairs(rest, instruction)? {
                let prefix = format!("{name}=");
                let entry = format!("{prefix}{value}");
                match config.env.iter_mut().find(|old| old.starts_with(&prefix)) {
                    Some(old) => *old = entry,
                    None => config.env.push(entry),
                }
            }
        }
        "EXPOSE" => {
            needed()?;
            for port in words::split(rest)? {
                for port in ports(&port)? {
                    config.exposed_ports.insert(port, Empty {});
                }
            }
        }
        "HEALTHCHECK" => config.healthcheck = Some(health(rest)?),
        "LABEL" => config.labels.extend(words::pairs(rest, instruction)?),
        "ONBUILD" => {
            needed()?;
            let trigger = rest.split_whitespace().next().unwrap_or_default().to_uppercase();
            if ["ONBUILD", "FROM", "MAINTAINER"].contains(&trigger.as_str()) {
                return Err(format!("{trigger} isn't allowed as an ONBUILD trigger"));
            }
            config.on_build.get_or_insert_default().push(rest.to_owned());
        }
        "STOPSIGNAL" => {
            exactly_one(instruction, rest)?;
            config.stop_signal = signal(&words::unquote(rest))?;
        }
        "USER" => {
            exactly_one(instruction, rest)?;
            config.user = words::unquote(rest);
        }
        "VOLUME" => {
            needed()?;
            let paths = match words::list(rest) {
                Some(paths) => paths,
                None => words::split(rest)?.iter().map(|word| words::unquote(word)).collect(),
            };
            if paths.iter().any(|path| path.trim().is_empty()) {
                return Err("VOLUME specified can not be an empty string".into());
            }
            config.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
        }
        "WORKDIR" => {
            needed()?;
            let path = words::unquote(rest);
            config.working_dir = joined(&config.working_dir, &path);
        }
        other => return Err(format!("{} is not a valid change command", other.to_lowercase())),
    }
    Ok(())
}

/// A list in JSON as it is, anything else through a shell.
fn command(config: &ImageConfig, rest: &str) -> Vec<String> {
    words::list(rest).unwrap_or_else(|| {
        let mut shell = config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
        shell.push(rest.to_owned());
        shell
    })
}

fn exactly_one(instruction: &str, rest: &str) -> Result<(), String> {
    match words::split(rest)?.len() {
        1 => Ok(()),
        _ => Err(format!("{instruction} requires exactly one argument")),
    }
}

/// `80`, `80/udp`, `8000-8002/tcp`.
fn ports(text: &str) -> Result<Vec<String>, String> {
    let bad = || format!("invalid containerPort: {text}");
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(format!("invalid proto: {protocol}"));
    }
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad);
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn signal(text: &str) -> Result<String, String> {
    let proper = match text.parse::<u32>() {
        Ok(number) => (1..=64).contains(&number),
        Err(_) => {
            let name = text.strip_prefix("SIG").unwrap_or(text);
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"+-".contains(&b))
        }
    };
    if proper { Ok(text.to_owned()) } else { Err(format!("invalid signal: {text}")) }
}

/// A relative path goes on from the last one.
fn joined(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `NONE`, or `[--interval=…] CMD …`; durations become nanoseconds.
fn health(rest: &str) -> Result<Value, String> {
    let mut check = serde_json::Map::new();
    let mut rest = rest;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        rest = after.trim_start();
        let (name, value) =
            option.split_once('=').ok_or_else(|| format!("HEALTHCHECK --{option} needs a value"))?;
        let key = match name {
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start-period" => "StartPeriod",
            "start-interval" => "StartInterval",
            "retries" => {
                let retries: u32 = value
                    .parse()
                    .map_err(|_| format!("HEALTHCHECK --retries={value}: a number is expected"))?;
                check.insert("Retries".into(), retries.into());
                continue;
            }
            _ => return Err(format!("unknown flag: {name}")),
        };
        check.insert(key.into(), nanoseconds(value)?.into());
    }
    let (kind, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let test = match kind.to_uppercase().as_str() {
        "NONE" if arguments.trim().is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err("HEALTHCHECK NONE takes no arguments".into()),
        "CMD" if arguments.trim().is_empty() => return Err("Missing command after HEALTHCHECK CMD".into()),
        "CMD" => match words::list(arguments) {
            Some(list) => [vec!["CMD".to_owned()], list].concat(),
            None => vec!["CMD-SHELL".to_owned(), arguments.trim().to_owned()],
        },
        other => return Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    };
    check.insert("Test".into(), json!(test));
    Ok(Value::Object(check))
}

/// Go's durations: `1m30s`, `500ms`.
fn nanoseconds(text: &str) -> Result<i64, String> {
    let bad = || format!("time: invalid duration {text:?}");
    let mut total = 0_f64;
    let mut rest = text;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(bad()),
        };
        rest = &rest[end..];
        total += number * unit;
    }
    // Saturates far beyond any health check.
    Ok(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<ImageConfig, ImageError> {
        let mut config = ImageConfig::default();
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        apply(&mut config, &changes).map(|()| config)
    }

    #[test]
    fn instructions_change_the_configuration_as_in_a_dockerfile() {
        let config = changed(&[
            "CMD [\"a\", \"b c\"]",
            "entrypoint exec \"$0\"",
            "ENV A=1 B=\"x y\"",
            "ENV A=2",
            "EXPOSE 80 53/udp 8000-8001",
            "LABEL k=v \"l m\"=\"n o\"",
            "USER 1000:1000",
            "VOLUME [\"/a\", \"/b\"]",
            "VOLUME /c /d",
            "WORKDIR /x",
            "WORKDIR y/../z",
            "STOPSIGNAL SIGQUIT",
            "ONBUILD RUN true",
            "HEALTHCHECK --interval=1m30s --retries=2 CMD curl localhost",
        ])
        .unwrap();
        assert_eq!(config.cmd.unwrap(), ["a", "b c"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "exec \"$0\""]);
        assert_eq!(config.env, ["A=2", "B=x y"]);
        assert_eq!(
            config.exposed_ports.keys().collect::<Vec<_>>(),
            ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]
        );
        assert_eq!(config.labels["l m"], "n o");
        assert_eq!(config.user, "1000:1000");
        assert_eq!(config.volumes.keys().collect::<Vec<_>>(), ["/a", "/b", "/c", "/d"]);
        assert_eq!(config.working_dir, "/x/z");
        assert_eq!(config.stop_signal, "SIGQUIT");
        assert_eq!(config.on_build.unwrap(), ["RUN true"]);
        let health =
            json!({"Interval": 90_000_000_000_i64, "Retries": 2, "Test": ["CMD-SHELL", "curl localhost"]});
        assert_eq!(config.healthcheck.unwrap(), health);
    }

    #[test]
    fn what_is_no_change_is_refused_with_its_reason() {
        for (change, reason) in [
            ("RUN true", "run is not a valid change command"),
            ("EXPOSE x", "invalid containerPort: x"),
            ("EXPOSE 80/icmp", "invalid proto: icmp"),
            ("STOPSIGNAL 99", "invalid signal: 99"),
            ("ENV", "ENV requires at least one argument"),
            ("HEALTHCHECK --interval=1x CMD a", "time: invalid duration \"1x\""),
            ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ] {
            assert_eq!(changed(&[change]), Err(ImageError::Invalid(reason.into())));
        }
    }
}
