//! `sockerless doctor`: does it work, and if not, what to do.

mod account;
mod local;
mod report;
mod trial;

use std::process::ExitCode;

use sockerless_ports::backend::Verdict;

use crate::{Result, api::Api, backends, cli::DoctorArgs, config::Config, simulator};
use report::{Report, fail, skip};

/// Looks at everything and prints what it found. Fails when a check does.
pub async fn run(args: DoctorArgs) -> Result<ExitCode> {
    let (image, patience, json) = (args.image.clone(), args.patience, args.json);
    let config = Config::doctor(args)?;
    // The simulators that it starts to look at it ends again.
    let ran_before = simulator::all(&config)?;
    let mut report = Report::new(json);
    let examined = examine(&config, image.as_deref(), patience, &mut report).await;
    simulator::stop_all(&config, &ran_before).await?;
    examined?;
    Ok(if report.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(config: &Config, image: Option<&str>, patience: u64, report: &mut Report) -> Result {
    report.add(local::configuration(config));
    report.add(local::state(config));
    report.add(local::agent(config));
    let daemon = Api::find(config).await;
    report.add(local::daemon(config, daemon.as_ref()));
    let backends = match backends::load(config).await {
        Ok(backends) => backends,
        Err(error) => {
            report.add(fail("backend", &error.to_string(), "correct the setting that it names"));
            report.add(skip("test container", "there is no backend to run it on"));
            return Ok(());
        }
    };
    for (name, loaded) in &backends.loaded {
        let named = |check: sockerless_ports::backend::Check| sockerless_ports::backend::Check {
            name: format!("{name}: {}", check.name),
            ..check
        };
        account::examine(loaded.plugin.as_ref())
            .await
            .into_iter()
            .map(named)
            .for_each(|check| report.add(check));
    }
    let callback = local::callback(config, backends.simulator.as_ref(), daemon.is_some()).await;
    let (callback, check) = match callback {
        Ok((callback, check)) => (callback, check),
        Err(check) => (None, check),
    };
    let without_agent = check.verdict == Verdict::Warn;
    report.add(check);
    if report.failed() {
        report.add(skip("test container", "what failed above would fail it as well"));
        return Ok(());
    }
    if without_agent {
        report.add(skip("test container", "it runs nothing but the agent, and there is none"));
        return Ok(());
    }
    let trial = trial::Trial { config, image, patience };
    let checks = match daemon {
        Some(daemon) => trial.by_daemon(&daemon).await,
        None => trial.by_itself(backends, callback).await,
    };
    checks.into_iter().for_each(|check| report.add(check));
    Ok(())
}
