//! `sockerless doctor`: does it work, and if not, what to do.

use std::{io::IsTerminal, process::ExitCode};

use sockerless_ports::{
    Backend,
    backend::{Check, Verdict},
};

use crate::{Result, backends, callback, config::Config};

/// Looks at everything and prints what it found. Fails when a check does.
pub async fn run(config: &Config) -> Result<ExitCode> {
    let mut checks = vec![configuration(config)];
    match backends::load(config).await {
        Ok(backends) => {
            checks.push(agent(config));
            checks.push(reachable(config, backends.simulator.is_some()).await);
            for (name, plugin) in &backends.loaded {
                match plugin.doctor().await {
                    Ok(found) => checks.extend(
                        found
                            .into_iter()
                            .map(|check| Check { name: format!("{name}: {}", check.name), ..check }),
                    ),
                    Err(error) => checks.push(fail(name, &error.to_string(), "see the daemon's log")),
                }
            }
        }
        Err(error) => checks.push(fail("backend", &error.to_string(), "correct the setting that it names")),
    }
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    checks.iter().for_each(print);
    println!("{} checks, {failed} failed", checks.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn configuration(config: &Config) -> Check {
    let finding = match &config.source {
        Some(path) => format!("read from {}", path.display()),
        None => "no file; defaults and environment".into(),
    };
    pass("configuration", &finding)
}

fn agent(config: &Config) -> Check {
    let path = config.installed(config.file.agent.as_deref(), "sockerless-agent");
    match std::fs::metadata(&path) {
        Ok(metadata) => pass("agent", &format!("{} ({} KiB)", path.display(), metadata.len() / 1024)),
        Err(error) => fail(
            "agent",
            &format!("{}: {error}", path.display()),
            "install it beside the daemon, or name it by `agent` in the configuration",
        ),
    }
}

/// Whether containers have an address to dial. That it leads here is only known from a container.
async fn reachable(config: &Config, simulated: bool) -> Check {
    let Some(url) = &config.callback_url else {
        if simulated {
            return pass("callback address", "given by the simulator");
        }
        return Check {
            name: "callback address".into(),
            verdict: Verdict::Warn,
            finding: "none: containers run without an agent, so without exec, stdin, cp and published ports"
                .into(),
            remedy: "set callback_url (SOCKERLESS_CALLBACK_URL) to an address that the cloud can reach"
                .into(),
        };
    };
    match callback::open(config, None).await {
        Ok(_) => pass("callback address", &format!("{url}; the port is free to listen at")),
        Err(error) => Check {
            name: "callback address".into(),
            verdict: Verdict::Warn,
            finding: error.to_string(),
            remedy: "if that is the daemon itself, all is well; otherwise set callback_listen".into(),
        },
    }
}

fn pass(name: &str, finding: &str) -> Check {
    Check { name: name.into(), verdict: Verdict::Pass, finding: finding.into(), remedy: String::new() }
}

fn fail(name: &str, finding: &str, remedy: &str) -> Check {
    Check { name: name.into(), verdict: Verdict::Fail, finding: finding.into(), remedy: remedy.into() }
}

fn print(check: &Check) {
    let (word, colour) = match check.verdict {
        Verdict::Pass => ("pass", 32),
        Verdict::Warn => ("warn", 33),
        Verdict::Fail => ("FAIL", 31),
        Verdict::Skip => ("skip", 90),
    };
    if std::io::stdout().is_terminal() {
        println!("\x1b[{colour}m{word}\x1b[0m  {}: {}", check.name, check.finding);
    } else {
        println!("{word}  {}: {}", check.name, check.finding);
    }
    if !check.remedy.is_empty() {
        println!("      → {}", check.remedy);
    }
}
