use jiff::{SignedDuration, Timestamp};
use sockerless_ports::{backend, link::Exit};

use super::*;

fn now(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + seconds)
}

fn ended(phase: backend::Phase, exit_code: Option<i32>) -> Report {
    let end =
        CloudEnd { phase, exit_code, term_signal: None, reason: "REASON".into(), message: "words".into() };
    Report::Ended { since: None, end }
}

fn rules(auto_remove: bool) -> Rules {
    Rules {
        auto_remove,
        restart: Policy::No,
        linger: SignedDuration::from_secs(600),
        restart_hold: SignedDuration::from_secs(30),
        stop_signal: None,
        health: false,
    }
}

/// Lets events happen one second apart.
fn live(events: &[Event], auto_remove: bool) -> (State, Vec<Effect>) {
    live_by(&rules(auto_remove), events)
}

fn live_by(rules: &Rules, events: &[Event]) -> (State, Vec<Effect>) {
    let mut state = State::default();
    let mut all = Vec::new();
    for (second, event) in events.iter().enumerate() {
        if let Ok((next, effects)) = step(&state, rules, event, now(second as i64)) {
            state = next;
            all.extend(effects);
        }
    }
    (state, all)
}

fn exit(code: i32) -> Exit {
    Exit { code, signal: None, out_of_memory: false, time: 0 }
}

fn exited(generation: u32, code: i32) -> Event {
    Event::Exited { generation, exit: exit(code) }
}

const START: Event = Event::Start { agent: true };
const LAUNCHED: Event = Event::Launched { generation: 1, pid: 7 };

#[test]
fn an_agents_exit_is_the_exit() {
    let (state, effects) = live(&[START, LAUNCHED, exited(1, 7)], false);
    assert_eq!((state.phase, state.exit_code, state.ended), (Phase::Exited, 7, 1));
    assert!(effects.contains(&Effect::Announce(Announcement::Die { code: 7, seconds: 1 })));
    assert!(!effects.contains(&Effect::Release { host: 1 }), "its agent lingers");
    let (_, effects) = live(&[START, LAUNCHED, exited(1, 7)], true);
    assert!(effects.contains(&Effect::Release { host: 1 }));
}

#[test]
fn the_clouds_end_waits_for_the_agents_word_while_the_line_is_up() {
    let up = Event::Line { generation: 1, up: true };
    let cloud = Event::Cloud { generation: 1, report: ended(backend::Phase::Failed, Some(1)) };
    let (state, _) = live(&[START, up.clone(), LAUNCHED, cloud.clone()], false);
    assert_eq!(state.phase, Phase::Running);
    let (state, _) = live(
        &[START, up.clone(), LAUNCHED, cloud.clone(), Event::Exited { generation: 1, exit: exit(9) }],
        false,
    );
    assert_eq!(state.exit_code, 9);
    let (state, _) = live(&[START, up, LAUNCHED, cloud, Event::Line { generation: 1, up: false }], false);
    assert_eq!((state.phase, state.exit_code), (Phase::Exited, 1));
}

#[test]
fn an_exit_code_that_nobody_reported_is_an_error_and_never_zero() {
    for phase in [backend::Phase::Failed, backend::Phase::Cancelled, backend::Phase::Absent] {
        let cloud = Event::Cloud { generation: 1, report: ended(phase, None) };
        let (state, _) = live(&[START, LAUNCHED, cloud], false);
        assert_eq!(state.exit_code, 255);
        assert!(state.error.contains("words"), "{}", state.error);
    }
}

#[test]
fn out_of_memory_is_137() {
    let end = CloudEnd {
        phase: backend::Phase::Failed,
        exit_code: None,
        term_signal: None,
        reason: String::new(),
        message: "Memory limit of 512Mi exceeded".into(),
    };
    let cloud = Event::Cloud { generation: 1, report: Report::Ended { since: None, end } };
    let (state, _) = live(&[START, LAUNCHED, cloud], false);
    assert_eq!((state.exit_code, state.out_of_memory), (137, true));
}

#[test]
fn a_command_that_is_not_there_leaves_a_created_container_with_127() {
    let failed = Event::LaunchFailed { generation: 1, code: 127, message: "not found".into() };
    let (state, effects) = live(&[START, failed], false);
    assert_eq!((state.phase, state.exit_code, state.error.as_str()), (Phase::Created, 127, "not found"));
    assert!(effects.contains(&Effect::Release { host: 1 }));
}

#[test]
fn stop_kills_when_the_grace_is_over_and_then_turns_to_the_cloud() {
    let events = [
        START,
        Event::Line { generation: 1, up: true },
        LAUNCHED,
        Event::Stop { signal: 15, grace: Some(1), restart: false },
        Event::GraceOver { generation: 1, deadline: now(4) },
        Event::KillOverdue { generation: 1 },
        Event::Exited { generation: 1, exit: exit(137) },
    ];
    let (state, effects) = live(&events, false);
    let sent: Vec<_> = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Signal { .. } | Effect::StopJob { .. }))
        .collect();
    assert_eq!(
        sent,
        [
            &Effect::Signal { generation: 1, signal: 15 },
            &Effect::Signal { generation: 1, signal: 9 },
            &Effect::StopJob { generation: 1, grace: 0 }
        ]
    );
    assert_eq!(state.exit_code, 137);
    assert_eq!(effects.last(), Some(&Effect::Announce(Announcement::Stop)));
}

#[test]
fn kill_turns_to_the_cloud_at_once_when_the_agent_is_out_of_reach() {
    let (_, effects) = live(&[START, LAUNCHED, Event::Kill { signal: 9 }], false);
    assert!(effects.contains(&Effect::StopJob { generation: 1, grace: 0 }));
}

#[test]
fn a_container_that_is_stopped_before_its_process_ran_never_runs() {
    let (state, _) =
        live(&[START, Event::Stop { signal: 15, grace: Some(10), restart: false }, LAUNCHED], false);
    assert_eq!((state.phase, state.ended, state.launched), (Phase::Created, 1, 0));
}

#[test]
fn auto_removal_waits_for_a_restart() {
    let ends = Event::Exited { generation: 1, exit: exit(0) };
    let (state, effects) = live(&[START, LAUNCHED, ends.clone()], true);
    assert_eq!(state.phase, Phase::Removing);
    assert_eq!(effects.last(), Some(&Effect::Erase));
    let restart = Event::Stop { signal: 15, grace: None, restart: true };
    let (state, _) = live(&[START, LAUNCHED, restart, ends], true);
    assert_eq!(state.phase, Phase::Exited);
}

#[test]
fn without_an_agent_the_clouds_word_is_all() {
    let start = Event::Start { agent: false };
    let running = Event::Cloud { generation: 1, report: Report::Running { since: Some(now(-5)) } };
    let done = Event::Cloud { generation: 1, report: ended(backend::Phase::Succeeded, Some(0)) };
    let (state, _) = live(&[start.clone(), running, done.clone()], false);
    assert_eq!((state.phase, state.exit_code, state.started), (Phase::Exited, 0, Some(now(-5))));
    let (state, effects) = live(&[start, done], false);
    assert_eq!((state.phase, state.launched), (Phase::Exited, 1));
    assert!(effects.contains(&Effect::Announce(Announcement::Start)));
}

const LINGER_OVER: i64 = 10_000;

fn over(generation: u32) -> Event {
    Event::LingerOver { generation, until: now(LINGER_OVER) }
}

#[test]
fn an_exited_container_starts_in_place_while_its_agent_lingers() {
    let again = [Event::Launched { generation: 2, pid: 9 }, exited(2, 0)];
    let (state, effects) = live(&[&[START, LAUNCHED, exited(1, 1), START][..], &again].concat(), false);
    assert_eq!((state.generation, state.host, state.serves), (2, 1, 2));
    assert_eq!(count(&effects, &Effect::Succeed { host: 1, from: 1, generation: 2 }), 1);
    assert_eq!(count(&effects, &Effect::Launch { generation: 2 }), 0);
    assert_eq!(count(&effects, &Effect::Release { host: 1 }), 0);
}

#[test]
fn at_the_end_of_the_linger_changes_are_saved_and_then_the_job_goes() {
    let ends = [START, LAUNCHED, exited(1, 0), over(1)];
    let (state, effects) = live(&ends, false);
    assert!(effects.contains(&Effect::Save { generation: 1 }) && state.needs_job(1));
    let saved = Event::Saved { generation: 1, result: Ok(()) };
    let (state, effects) = live(&[&ends[..], &[saved, START]].concat(), false);
    assert!(
        effects.contains(&Effect::Release { host: 1 }) && effects.contains(&Effect::Launch { generation: 2 })
    );
    assert_eq!((state.host, state.unsaved.as_str()), (2, ""));
    let lost = Event::Saved { generation: 1, result: Err("disk full".into()) };
    let (state, effects) = live(&[&ends[..], &[lost]].concat(), false);
    assert_eq!(state.unsaved, "disk full");
    assert!(effects.contains(&Effect::Release { host: 1 }));
}

#[test]
fn a_job_that_ends_while_its_agent_lingers_ends_the_linger_and_nothing_else() {
    let gone = Event::Cloud { generation: 1, report: ended(backend::Phase::Failed, Some(1)) };
    let running = Event::Cloud { generation: 1, report: Report::Running { since: None } };
    let (state, effects) = live(&[START, LAUNCHED, exited(1, 0), running, gone], false);
    assert_eq!((state.phase, state.exit_code, state.linger), (Phase::Exited, 0, None));
    assert!(state.unsaved.contains("lost"));
    assert_eq!(count(&effects, &Effect::Release { host: 1 }), 1);
    assert!(
        !effects.iter().any(|effect| matches!(effect, Effect::Announce(Announcement::Die { code: 1, .. })))
    );
}

#[test]
fn an_agent_that_does_not_answer_is_replaced_by_a_new_job_for_the_same_start() {
    let events = [START, LAUNCHED, exited(1, 0), START, Event::Unanswered { generation: 2 }];
    let (state, effects) = live(&events, false);
    assert_eq!((state.phase, state.generation, state.host), (Phase::Starting, 2, 2));
    let release = effects.iter().position(|effect| *effect == Effect::Release { host: 1 });
    let launch = effects.iter().position(|effect| *effect == Effect::Launch { generation: 2 });
    assert!(release.unwrap() < launch.unwrap());
    assert!(state.unsaved.contains("lost"));
}

#[test]
fn a_stop_that_comes_while_a_start_in_place_is_under_way_waits_for_the_process() {
    let stop = Event::Stop { signal: 15, grace: Some(5), restart: false };
    let events = [START, LAUNCHED, exited(1, 0), START, stop];
    let (state, effects) = live(&events, false);
    assert_eq!(state.phase, Phase::Starting);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Signal { generation: 2, .. })));
    let launched = Event::Launched { generation: 2, pid: 8 };
    let (state, effects) = live(&[&events[..], &[launched]].concat(), false);
    assert_eq!(state.phase, Phase::Running);
    assert!(effects.contains(&Effect::Signal { generation: 2, signal: 15 }));
    assert!(effects.contains(&Effect::AwaitGrace { generation: 2, deadline: now(10) }));
    let (state, _) = live(&[&events[..], &[Event::Unanswered { generation: 2 }]].concat(), false);
    assert_eq!((state.phase, state.ended, state.launched), (Phase::Exited, 2, 1));
}

#[test]
fn a_policy_starts_again_in_place_and_counts() {
    let rules = Rules { restart: Policy::OnFailure { most: 2 }, ..rules(false) };
    let due = |generation| Event::RestartDue { generation, agent: true };
    let launched = |generation| Event::Launched { generation, pid: 1 };
    let events =
        [START, LAUNCHED, exited(1, 1), due(1), launched(2), exited(2, 1), due(2), launched(3), exited(3, 1)];
    let (state, _) = live_by(&rules, &events[..3]);
    assert_eq!((state.phase, state.restarts.count, state.exit_code), (Phase::Restarting, 1, 1));
    assert!(state.is_up() && !state.is_live());
    let (state, effects) = live_by(&rules, &events);
    assert_eq!((state.phase, state.restarts.count, state.host), (Phase::Exited, 2, 1));
    assert_eq!(effects.iter().filter(|effect| matches!(effect, Effect::Launch { .. })).count(), 1);
    let (state, _) = live_by(&rules, &[&events[..], &[START]].concat());
    assert_eq!(state.restarts, Restarts::default(), "a user's start counts from the beginning");
}

#[test]
fn stop_and_kill_end_a_container_that_its_policy_would_start_again() {
    let rules = Rules { restart: Policy::Always, ..rules(false) };
    let stop = Event::Stop { signal: 15, grace: Some(5), restart: false };
    for wish in [stop, Event::Kill { signal: 9 }, Event::Kill { signal: 1 }] {
        let (state, effects) = live_by(&rules, &[START, LAUNCHED, exited(1, 1), wish.clone()]);
        assert_eq!((state.phase, state.exit_code), (Phase::Exited, 1), "{wish:?}");
        assert!(state.linger.is_some_and(|linger| linger.until.is_some()));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Announce(Announcement::Kill { .. }))));
        let told = effects.contains(&Effect::Announce(Announcement::Stop));
        assert_eq!(told, matches!(wish, Event::Stop { .. }), "{wish:?}");
        let (state, _) = live_by(&rules, &[START, LAUNCHED, wish, exited(1, 1)]);
        assert_eq!(state.phase, Phase::Exited);
    }
    let own = Rules { stop_signal: Some(15), ..rules };
    let (state, _) = live_by(&own, &[START, LAUNCHED, Event::Kill { signal: 1 }, exited(1, 1)]);
    assert_eq!(state.phase, Phase::Restarting, "SIGHUP is not how this one is stopped");
}

#[test]
fn what_is_lost_is_still_said_after_a_policys_start() {
    let rules = Rules { restart: Policy::Always, ..rules(false) };
    let broken = Event::Cloud { generation: 1, report: ended(backend::Phase::Failed, Some(1)) };
    let due = |generation| Event::RestartDue { generation, agent: true };
    let again = Event::Launched { generation: 2, pid: 1 };
    let (state, _) = live_by(&rules, &[START, LAUNCHED, broken.clone(), due(1), again.clone()]);
    assert!(state.phase == Phase::Running && !state.unsaved.is_empty());
    let (state, _) = live_by(&rules, &[START, LAUNCHED, broken.clone(), due(1), again, exited(2, 1), due(2)]);
    assert_eq!(state.unsaved, "", "the third run has what the second one has done");
    let (state, _) = live(&[START, LAUNCHED, broken, START], false);
    assert_eq!(state.unsaved, "", "a user could read it before the start");
}

#[test]
fn a_cloud_that_is_down_does_not_end_a_policy() {
    let rules = Rules { restart: Policy::Always, ..rules(false) };
    let gone = Event::Cloud { generation: 1, report: ended(backend::Phase::Failed, Some(1)) };
    let failed = |generation| Event::StartFailed { generation, message: "quota".into() };
    let due = |generation| Event::RestartDue { generation, agent: true };
    let (state, _) = live_by(&rules, &[START, LAUNCHED, gone, due(1), failed(2), due(2), failed(3)]);
    assert_eq!((state.phase, state.restarts.count, state.restarts.pause), (Phase::Restarting, 3, 400));
    let (state, _) = live_by(&rules, &[START, failed(1)]);
    assert_eq!(state.phase, Phase::Created, "a user's start that failed is told to the user");
}

#[test]
fn what_is_paused_can_be_stopped() {
    let stop = Event::Stop { signal: 15, grace: Some(5), restart: false };
    let (state, effects) = live(&[START, LAUNCHED, Event::Pause, stop], false);
    assert!(!state.paused);
    assert!(effects.contains(&Effect::Thaw { generation: 1 }));
    assert!(effects.contains(&Effect::Announce(Announcement::Unpause)));
    let paused = live(&[START, LAUNCHED, Event::Pause], false).0;
    let refused = |event| step(&paused, &rules(false), &event, now(9)).map(|_| ()).unwrap_err();
    assert_eq!([refused(Event::Pause), refused(START), refused(Event::Remove)], [Refused::Paused; 3]);
}

#[test]
fn a_change_of_health_is_told_once_and_an_end_is_unhealthy() {
    use sockerless_ports::link::request::{Health, HealthStatus, Probe};
    let rules = Rules { health: true, ..rules(false) };
    let health = |status, probes, code| Event::Health {
        generation: 1,
        health: Health { status, probes, log: vec![Probe { code, ..Probe::default() }], failing_streak: 0 }
            .into(),
    };
    let events = [
        START,
        LAUNCHED,
        health(HealthStatus::Starting, 1, 1),
        health(HealthStatus::Healthy, 2, 0),
        health(HealthStatus::Healthy, 3, 0),
        health(HealthStatus::Healthy, 3, 0),
        exited(1, 0),
    ];
    let (state, effects) = live_by(&rules, &events);
    let told = |wanted: &Announcement| count(&effects, &Effect::Announce(wanted.clone()));
    assert_eq!(told(&Announcement::Health(HealthStatus::Healthy)), 1);
    assert_eq!(told(&Announcement::Probe { code: 0 }) + told(&Announcement::Probe { code: 1 }), 3);
    assert_eq!(state.health.unwrap().status, HealthStatus::Unhealthy);
    let (state, _) = live(&events, false);
    assert_eq!(state.health, None, "without a check there is no health");
}

#[test]
fn a_container_of_another_size_is_saved_and_starts_in_a_new_job() {
    let ends = [START, LAUNCHED, Event::Resized, exited(1, 0)];
    let (state, effects) = live(&ends, false);
    assert!(effects.contains(&Effect::Save { generation: 1 }));
    assert_eq!(step(&state, &rules(false), &START, now(9)).map(|_| ()), Err(Refused::Saving));
    let saved = Event::Saved { generation: 1, result: Ok(()) };
    let (state, effects) = live(&[&ends[..], &[saved, START]].concat(), false);
    assert!(effects.contains(&Effect::Launch { generation: 2 }) && !state.resized);
}

fn count(effects: &[Effect], wanted: &Effect) -> usize {
    effects.iter().filter(|effect| *effect == wanted).count()
}
