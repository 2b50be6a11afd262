//! What a container costs that only waits.

use std::{fs, thread::sleep, time::Duration};

use super::{remove, resident, sleeper};
use crate::{
    Result,
    bench::{http::Connection, subject::Subject},
};

/// Containers at once, each with an agent that holds its connection open.
const CONTAINERS: u32 = 500;
/// What starting them has left to do, and caches to forget.
const SETTLE: Duration = Duration::from_secs(10);
/// How long idleness is watched: a few heartbeats.
const WATCH: Duration = Duration::from_secs(20);
/// The kernel counts a process's time in hundredths of a second, whatever its own clock (proc_pid_stat(5)).
const TICKS: f64 = 100.0;

/// The daemon with 500 of them: memory, memory for each, processor time while nothing happens.
pub fn many(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let mut connection = Connection::open(subject.socket())?;
    let first = sleeper(&mut connection)?;
    sleep(SETTLE);
    let before = memory(subject)?;
    let others = (0..CONTAINERS).map(|_| sleeper(&mut connection)).collect::<Result<Vec<_>>>();
    sleep(SETTLE);
    let after = memory(subject)?;
    let worked = processor(subject)?;
    sleep(WATCH);
    let worked = processor(subject)? - worked;
    for id in others?.iter().chain([&first]) {
        remove(subject, id)?;
    }
    Ok(vec![after / 1024.0, (after - before) / f64::from(CONTAINERS), worked / WATCH.as_secs_f64() * 100.0])
}

/// An agent whose container does nothing.
pub fn one(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let id = sleeper(&mut Connection::open(subject.socket())?)?;
    sleep(SETTLE);
    let memory = subject.agent(&id).and_then(resident);
    remove(subject, &id)?;
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    let size = fs::metadata(subject.agent_program()?)?.len() as f64;
    Ok(vec![memory? / 1024.0, size / 1024.0 / 1024.0])
}

/// In KiB.
fn memory(subject: &dyn Subject) -> Result<f64> {
    subject.processes().into_iter().map(resident).sum()
}

/// Seconds that a processor has worked for it.
fn processor(subject: &dyn Subject) -> Result<f64> {
    let of = |process| -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name, which may hold anything, ends with the last bracket; user and system time are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no stat")?.1.split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).ok_or("no times")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / TICKS)
    };
    subject.processes().into_iter().map(of).sum()
}
