//! What holds for every sequence of events.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use sockerless_ports::{
    backend,
    link::{
        Exit,
        request::{Health, HealthStatus},
    },
};

use super::*;

fn now(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + seconds)
}

fn generation() -> impl Strategy<Value = u32> {
    0..5u32
}

fn report() -> impl Strategy<Value = Report> {
    use backend::Phase::{Absent, Cancelled, Failed, Succeeded};
    prop_oneof![
        Just(Report::Pending),
        Just(Report::Running { since: None }),
        (
            prop_oneof![Just(Succeeded), Just(Failed), Just(Cancelled), Just(Absent)],
            proptest::option::of(0..3i32)
        )
            .prop_map(|(phase, exit_code)| {
                let (reason, message) = ("REASON".into(), "words".into());
                Report::Ended {
                    since: None,
                    end: CloudEnd { phase, exit_code, term_signal: None, reason, message },
                }
            }),
    ]
}

fn wish() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any::<bool>().prop_map(|agent| Event::Start { agent }),
        1 => (proptest::option::of(0..5u64), any::<bool>())
            .prop_map(|(grace, restart)| Event::Stop { signal: 15, grace, restart }),
        1 => prop_oneof![Just(9), Just(15), Just(1), Just(28)].prop_map(|signal| Event::Kill { signal }),
        1 => Just(Event::Pause),
        1 => Just(Event::Remove),
    ]
}

fn of_agent() -> impl Strategy<Value = Event> {
    let exit = |code| Exit { code, signal: None, out_of_memory: false, time: 0 };
    let healths = [HealthStatus::Starting, HealthStatus::Healthy, HealthStatus::Unhealthy];
    prop_oneof![
        6 => generation().prop_map(|generation| Event::Launched { generation, pid: 1 }),
        1 => generation().prop_map(|generation| {
            Event::LaunchFailed { generation, code: 127, message: "no".into() }
        }),
        2 => (generation(), any::<bool>()).prop_map(|(generation, up)| Event::Line { generation, up }),
        6 => (generation(), 0..3i32).prop_map(move |(generation, code)| {
            Event::Exited { generation, exit: exit(code) }
        }),
        1 => (generation(), 0..3usize).prop_map(move |(generation, which)| {
            let health = Health { status: healths[which], ..Health::default() };
            Event::Health { generation, health: health.into() }
        }),
        1 => generation().prop_map(|generation| Event::Leaving { generation }),
        2 => (generation(), any::<bool>()).prop_map(|(generation, saved)| {
            Event::Saved { generation, result: if saved { Ok(()) } else { Err("no".into()) } }
        }),
        1 => (generation(), any::<bool>()).prop_map(|(generation, quiet)| Event::Resume { generation, quiet }),
    ]
}

fn of_time_and_cloud() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => generation().prop_map(|generation| Event::StartFailed { generation, message: "no".into() }),
        3 => (generation(), report()).prop_map(|(generation, report)| Event::Cloud { generation, report }),
        1 => (generation(), 0..60i64)
            .prop_map(|(generation, second)| Event::GraceOver { generation, deadline: now(second) }),
        1 => generation().prop_map(|generation| Event::KillOverdue { generation }),
        1 => generation().prop_map(|generation| Event::Abandon { generation }),
        1 => generation().prop_map(|generation| Event::Interrupted { generation }),
        1 => generation().prop_map(|generation| Event::Unanswered { generation }),
        3 => (generation(), any::<bool>()).prop_map(|(generation, agent)| Event::RestartDue { generation, agent }),
        2 => (generation(), 0..9000i64)
            .prop_map(|(generation, second)| Event::LingerOver { generation, until: now(second) }),
        1 => Just(Event::Resized),
        1 => prop_oneof![Just(Shared::Volumes), Just(Shared::Binds)]
            .prop_map(|what| Event::Returned { what, problem: "disk".into() }),
        1 => Just(Event::EraseFailed { message: "disk".into() }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![4 => wish(), 6 => of_agent(), 4 => of_time_and_cloud()]
}

fn rules() -> impl Strategy<Value = Rules> {
    let policy = prop_oneof![
        2 => Just(Policy::No),
        1 => (0..3u32).prop_map(|most| Policy::OnFailure { most }),
        1 => Just(Policy::Always),
        1 => Just(Policy::UnlessStopped),
    ];
    (policy, any::<bool>(), 0..20i64, any::<bool>()).prop_map(|(restart, remove, linger, health)| Rules {
        // The two exclude each other from the creation on.
        auto_remove: remove && restart == Policy::No,
        restart,
        linger: SignedDuration::from_secs(linger),
        restart_hold: SignedDuration::from_secs(30),
        stop_signal: None,
        health,
    })
}

/// All steps of a life, one second apart: each event with the state before and after it, and its effects.
fn live(rules: &Rules, events: &[Event]) -> Vec<(Event, State, State, Vec<Effect>)> {
    let mut state = State::default();
    let mut steps = Vec::new();
    for (second, event) in events.iter().enumerate() {
        if let Ok((next, effects)) = step(&state, rules, event, now(second as i64)) {
            steps.push((event.clone(), state, next.clone(), effects));
            state = next;
        }
    }
    steps
}

fn lives() -> impl Strategy<Value = (Rules, Vec<Event>)> {
    (rules(), proptest::collection::vec(event(), 0..60))
}

/// Somebody said that it ended well.
fn said_zero(event: &Event, before: &State) -> bool {
    let well = |end: &CloudEnd| end.exit_code == Some(0) || end.phase == backend::Phase::Succeeded;
    match event {
        Event::Exited { exit, .. } => exit.code == 0,
        Event::Cloud { report: Report::Ended { end, .. }, .. } => well(end),
        Event::Line { .. } => before.cloud_end.as_ref().is_some_and(well),
        _ => false,
    }
}

proptest! {
    #[test]
    fn only_wishes_are_refused((rules, events) in lives()) {
        let mut state = State::default();
        for (second, event) in events.iter().enumerate() {
            match step(&state, &rules, event, now(second as i64)) {
                Ok((next, _)) => state = next,
                Err(_) => {
                    let wish = matches!(
                        event,
                        Event::Start { .. } | Event::Stop { .. } | Event::Kill { .. } | Event::Pause | Event::Remove
                    );
                    prop_assert!(wish, "{:?}", event);
                }
            }
        }
    }

    #[test]
    fn no_sequence_of_events_leads_to_a_forbidden_state((rules, events) in lives()) {
        for (event, before, state, _) in live(&rules, &events) {
            prop_assert_eq!(state.is_live(), state.ended < state.generation);
            prop_assert!(state.launched <= state.generation && state.ended <= state.generation);
            prop_assert!(state.host <= state.serves && state.serves <= state.generation);
            prop_assert!(state.generation - state.ended <= 1);
            prop_assert!(state.is_live() || (state.stop.is_none() && state.cloud_end.is_none()));
            prop_assert!(!state.is_live() || state.linger.is_none());
            prop_assert_eq!(state.phase == Phase::Running, state.is_live() && state.launched == state.generation);
            prop_assert!(state.phase != Phase::Running || state.serves == state.generation);
            prop_assert!(state.phase != Phase::Created || state.launched == 0);
            prop_assert!(!matches!(state.phase, Phase::Exited | Phase::Restarting) || state.launched > 0);
            prop_assert!(!state.paused || state.phase == Phase::Running);
            prop_assert_eq!(state.phase == Phase::Restarting, state.restarts.due.is_some());
            prop_assert!(!state.restarts.automatic || state.phase == Phase::Starting);
            if before.phase == Phase::Removing {
                prop_assert!(matches!(state.phase, Phase::Removing | Phase::Dead));
            }
            if before.phase == Phase::Running && !state.is_live() && state.exit_code == 0 {
                prop_assert!(said_zero(&event, &before), "{:?}", event);
            }
        }
    }

    /// A job is launched once and released once, no sooner than nothing needs it and no later; so there are never two that
    /// are needed, and none that lingers is forgotten.
    #[test]
    fn each_job_is_released_when_nobody_needs_it_any_more((rules, events) in lives()) {
        let mut needed: Option<u32> = None;
        let mut launched = std::collections::HashSet::new();
        for (event, _, state, effects) in live(&rules, &events) {
            for effect in effects {
                match effect {
                    Effect::Release { host } => {
                        prop_assert_eq!(needed.take(), Some(host), "{:?}", event);
                    }
                    Effect::Launch { generation } => {
                        prop_assert_eq!(needed.replace(generation), None, "{:?}", event);
                        prop_assert!(launched.insert(generation));
                    }
                    Effect::Succeed { host, from, generation } => {
                        prop_assert_eq!(needed, Some(host));
                        prop_assert!(from < generation);
                    }
                    _ => {}
                }
            }
            let host = (state.is_live() || state.linger.is_some()).then_some(state.host);
            prop_assert_eq!(needed, host, "{:?} {:?}", event, state);
            if let Some(linger) = state.linger {
                prop_assert!(linger.until.is_some() || linger.saving || state.phase == Phase::Restarting);
            }
        }
    }

    #[test]
    fn each_run_has_one_log_one_start_and_one_end((rules, events) in lives()) {
        let steps = live(&rules, &events);
        let Some((_, _, last, _)) = steps.last() else { return Ok(()) };
        let all: Vec<&Effect> = steps.iter().flat_map(|(_, _, _, effects)| effects).collect();
        let count = |wanted: &dyn Fn(&Effect) -> bool| all.iter().filter(|effect| wanted(effect)).count();
        for generation in 1..=last.generation {
            prop_assert_eq!(count(&|effect| *effect == Effect::BeginLog { generation }), 1);
            let over = usize::from(generation <= last.ended);
            prop_assert_eq!(count(&|effect| *effect == Effect::FinishLog { generation }), over);
            let begun = |effect: &Effect| {
                matches!(effect, Effect::Launch { generation: of } | Effect::Succeed { generation: of, .. } if *of == generation)
            };
            prop_assert!((1..=2).contains(&count(&begun)));
        }
        let died = count(&|effect| matches!(effect, Effect::Announce(Announcement::Die { .. })));
        let started = count(&|effect| *effect == Effect::Announce(Announcement::Start));
        prop_assert_eq!(started, died + usize::from(last.phase == Phase::Running));
    }

    #[test]
    fn a_policy_counts_its_starts_and_keeps_its_limit((rules, events) in lives()) {
        for (event, before, state, _) in live(&rules, &events) {
            if matches!(event, Event::Start { .. }) {
                prop_assert_eq!(state.restarts.count, 0);
            } else if state.phase == Phase::Restarting && before.phase != Phase::Restarting {
                prop_assert_eq!(state.restarts.count, before.restarts.count + 1);
                prop_assert!(!before.restarts.cancelled);
            } else {
                prop_assert_eq!(state.restarts.count, before.restarts.count);
            }
            if let Policy::OnFailure { most } = rules.restart {
                prop_assert!(most == 0 || state.restarts.count <= most);
            }
            prop_assert!(rules.restart != Policy::No || state.restarts.count == 0);
        }
    }
}
