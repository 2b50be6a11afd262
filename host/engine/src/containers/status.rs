//! What `docker ps` shows in words.

use jiff::Timestamp;

use sockerless_ports::link::request::HealthStatus;

use super::{health, spec::Spec};
use crate::life::{Phase, State};

/// Docker's word for where a container is. A start shows as what was before it.
pub(crate) fn word(state: &State) -> &'static str {
    match state.phase {
        Phase::Created => "created",
        Phase::Starting if state.restarts.automatic => "restarting",
        Phase::Starting if state.launched == 0 => "created",
        Phase::Starting | Phase::Exited => "exited",
        Phase::Running if state.paused => "paused",
        Phase::Running => "running",
        Phase::Restarting => "restarting",
        Phase::Removing | Phase::Removed => "removing",
        Phase::Dead => "dead",
    }
}

/// `Up 5 seconds`, `Exited (0) 2 minutes ago`, `Created`.
pub(crate) fn text(state: &State, now: Timestamp) -> String {
    let since = |time: Option<Timestamp>| human(time.map_or(0, |time| now.duration_since(time).as_secs()));
    match word(state) {
        "running" => match &state.health {
            None => format!("Up {}", since(state.started)),
            Some(health) => format!("Up {} ({})", since(state.started), judgement(health.status)),
        },
        "paused" => format!("Up {} (Paused)", since(state.started)),
        "restarting" => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished)),
        "exited" => format!("Exited ({}) {} ago", state.exit_code, since(state.finished)),
        "removing" => "Removal In Progress".into(),
        "dead" => "Dead".into(),
        _ => "Created".into(),
    }
}

/// A list says `health: starting` where inspect says `starting`.
fn judgement(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Starting => "health: starting",
        status => health::word(status),
    }
}

/// Docker's rounding of a time in seconds.
pub(crate) fn human(seconds: i64) -> String {
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        120..3600 => format!("{minutes} minutes"),
        _ => match hours {
            ..2 => "About an hour".into(),
            2..48 => format!("{hours} hours"),
            48..336 => format!("{} days", hours / 24),
            336..1440 => format!("{} weeks", hours / 24 / 7),
            1440..17520 => format!("{} months", hours / 24 / 30),
            _ => format!("{} years", hours / 24 / 365),
        },
    }
}

/// Program and arguments in one line; an argument with a blank is quoted.
pub(crate) fn command(spec: &Spec) -> String {
    let mut line = spec.path.clone();
    for arg in &spec.args {
        line.push(' ');
        if arg.contains(' ') {
            line.push('\'');
            line.push_str(arg);
            line.push('\'');
        } else {
            line.push_str(arg);
        }
    }
    line
}

/// RFC 3339 as dockerd writes it: as many digits as it takes, and the year 1 for never.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use sockerless_ports::link::request::Health;

    use super::*;

    #[test]
    fn durations_are_worded_as_docker_words_them() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (2 * 365 * 86400, "2 years"),
        ] {
            assert_eq!(human(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn the_status_says_how_it_went() {
        let now = Timestamp::from_second(1_700_000_100).unwrap();
        let at = |second| Timestamp::from_second(second).ok();
        let mut state = State::default();
        assert_eq!(text(&state, now), "Created");
        state = State { phase: Phase::Running, started: at(1_700_000_095), ..state };
        assert_eq!(text(&state, now), "Up 5 seconds");
        state.paused = true;
        assert_eq!((word(&state), text(&state, now).as_str()), ("paused", "Up 5 seconds (Paused)"));
        state.paused = false;
        for (status, words) in [
            (HealthStatus::Starting, "Up 5 seconds (health: starting)"),
            (HealthStatus::Healthy, "Up 5 seconds (healthy)"),
            (HealthStatus::Unhealthy, "Up 5 seconds (unhealthy)"),
        ] {
            state.health = Some(Health { status, ..Health::default() }.into());
            assert_eq!(text(&state, now), words);
        }
        state.phase = Phase::Restarting;
        (state.exit_code, state.finished) = (1, at(1_700_000_095));
        assert_eq!(
            (word(&state), text(&state, now).as_str()),
            ("restarting", "Restarting (1) 5 seconds ago")
        );
        state = State { phase: Phase::Exited, exit_code: 7, finished: at(1_699_999_900), ..state };
        assert_eq!(text(&state, now), "Exited (7) 3 minutes ago");
    }
}
