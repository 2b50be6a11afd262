use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
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

/// Lets events happen one second apart.
fn live(events: &[Event], auto_remove: bool) -> (State, Vec<Effect>) {
    let mut state = State::default();
    let mut all = Vec::new();
    for (second, event) in events.iter().enumerate() {
        if let Ok((next, effects)) = step(&state, auto_remove, event, now(second as i64)) {
            state = next;
            all.extend(effects);
        }
    }
    (state, all)
}

fn exit(code: i32) -> Exit {
    Exit { code, signal: None, out_of_memory: false, time: 0 }
}

const START: Event = Event::Start { agent: true };
const LAUNCHED: Event = Event::Launched { generation: 1, pid: 7 };

#[test]
fn an_agents_exit_is_the_exit() {
    let (state, effects) = live(&[START, LAUNCHED, Event::Exited { generation: 1, exit: exit(7) }], false);
    assert_eq!((state.phase, state.exit_code, state.ended), (Phase::Exited, 7, 1));
    assert!(effects.contains(&Effect::Announce(Announcement::Die { code: 7, seconds: 1 })));
    assert!(effects.contains(&Effect::Release { generation: 1 }));
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
    assert!(effects.contains(&Effect::Release { generation: 1 }));
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

fn generation() -> impl Strategy<Value = u32> {
    0..4u32
}

fn event() -> impl Strategy<Value = Event> {
    let phases = prop_oneof![
        Just(Report::Pending),
        Just(Report::Running { since: None }),
        (0..4usize, proptest::option::of(0..3i32)).prop_map(|(phase, code)| ended(
            [
                backend::Phase::Succeeded,
                backend::Phase::Failed,
                backend::Phase::Cancelled,
                backend::Phase::Absent
            ][phase],
            code
        )),
    ];
    prop_oneof![
        4 => any::<bool>().prop_map(|agent| Event::Start { agent }),
        3 => generation().prop_map(|generation| Event::Launched { generation, pid: 1 }),
        1 => generation().prop_map(|generation| Event::LaunchFailed { generation, code: 127, message: "no".into() }),
        1 => generation().prop_map(|generation| Event::StartFailed { generation, message: "no".into() }),
        2 => (generation(), any::<bool>()).prop_map(|(generation, up)| Event::Line { generation, up }),
        2 => (generation(), 0..3i32).prop_map(|(generation, code)| Event::Exited { generation, exit: exit(code) }),
        3 => (generation(), phases).prop_map(|(generation, report)| Event::Cloud { generation, report }),
        1 => (proptest::option::of(0..5u64), any::<bool>())
            .prop_map(|(grace, restart)| Event::Stop { signal: 15, grace, restart }),
        1 => prop_oneof![Just(9), Just(15), Just(1), Just(28)].prop_map(|signal| Event::Kill { signal }),
        1 => (generation(), 0..60i64).prop_map(|(generation, second)| Event::GraceOver { generation, deadline: now(second) }),
        1 => generation().prop_map(|generation| Event::KillOverdue { generation }),
        1 => generation().prop_map(|generation| Event::Abandon { generation }),
        1 => generation().prop_map(|generation| Event::Interrupted { generation }),
        1 => Just(Event::Remove),
        1 => Just(Event::EraseFailed { message: "disk".into() }),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_events_leads_to_a_forbidden_state(
        events in proptest::collection::vec(event(), 0..40),
        auto_remove: bool,
    ) {
        let mut state = State::default();
        let mut all = Vec::new();
        for (second, event) in events.iter().enumerate() {
            let before = state.clone();
            match step(&state, auto_remove, event, now(second as i64)) {
                Ok((next, effects)) => {
                    state = next;
                    all.extend(effects);
                }
                Err(_) => {
                    let wish = matches!(event, Event::Start { .. } | Event::Stop { .. } | Event::Kill { .. } | Event::Remove);
                    prop_assert!(wish);
                }
            }
            prop_assert_eq!(state.is_live(), state.ended < state.generation);
            prop_assert!(state.launched <= state.generation && state.ended <= state.generation);
            prop_assert!(state.generation - state.ended <= 1);
            prop_assert!(state.is_live() || (state.stop.is_none() && state.cloud_end.is_none()));
            prop_assert_eq!(state.phase == Phase::Running, state.is_live() && state.launched == state.generation);
            prop_assert!(state.phase != Phase::Created || state.launched == 0);
            prop_assert!(state.phase != Phase::Exited || state.launched > 0);
            if before.phase == Phase::Removing {
                prop_assert!(matches!(state.phase, Phase::Removing | Phase::Dead));
            }
            // A zero has been reported by somebody.
            if before.phase == Phase::Running && !state.is_live() && state.exit_code == 0 {
                let said = match event {
                    Event::Exited { exit, .. } => exit.code == 0,
                    Event::Cloud { report: Report::Ended { end, .. }, .. } => {
                        end.exit_code == Some(0) || end.phase == backend::Phase::Succeeded
                    }
                    Event::Line { .. } => before.cloud_end.as_ref().is_some_and(|end| {
                        end.exit_code == Some(0) || end.phase == backend::Phase::Succeeded
                    }),
                    _ => false,
                };
                prop_assert!(said, "{:?}", event);
            }
        }
        for generation in 1..=state.generation {
            let count = |wanted: &Effect| all.iter().filter(|effect| *effect == wanted).count();
            prop_assert_eq!(count(&Effect::Launch { generation }), 1);
            let over = usize::from(generation <= state.ended);
            prop_assert_eq!(count(&Effect::Release { generation }), over);
            prop_assert_eq!(count(&Effect::FinishLog { generation }), over);
        }
        let died = all.iter().filter(|effect| matches!(effect, Effect::Announce(Announcement::Die { .. }))).count();
        let started = all.iter().filter(|effect| **effect == Effect::Announce(Announcement::Start)).count();
        prop_assert_eq!(started, died + usize::from(state.phase == Phase::Running));
    }
}
