//! The columns of `ps`: their names, titles, and how a process looks in each.

use jiff::{Timestamp, tz::TimeZone};
use sockerless_ports::link::request::ProcessInfo;

/// What a row needs beside the process.
pub(super) struct Machine {
    /// Milliseconds since 1970.
    pub now: i64,
    /// Bytes that the container may use.
    pub memory: u64,
}

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Pid,
    Parent,
    Group,
    Session,
    Uid,
    Gid,
    User,
    Terminal,
    State,
    Stat,
    /// `[dd-]hh:mm:ss`
    Time,
    /// `m:ss`
    ShortTime,
    Seconds,
    /// `[[dd-]hh:]mm:ss`
    Elapsed,
    ElapsedSeconds,
    /// `22:13`, `Nov14` or `2023`
    Started,
    StartedLong,
    CpuShare,
    CpuWhole,
    MemoryShare,
    VirtualKib,
    ResidentKib,
    Pages,
    Nice,
    /// 20 + nice, and the other two scales that `ps` has for it.
    Priority,
    PriorityLong,
    PriorityUp,
    Threads,
    Name,
    Command,
    /// The kernel's own business, which an agent does not look up.
    Unknown,
}

/// Title and kind of a column, by the name that `-o` has for it.
pub(super) fn named(name: &str) -> Option<(&'static str, Column)> {
    use Column::*;
    Some(match name {
        "pid" | "tgid" => ("PID", Pid),
        "ppid" => ("PPID", Parent),
        "pgid" => ("PGID", Group),
        "pgrp" => ("PGRP", Group),
        "sid" => ("SID", Session),
        "sess" | "session" => ("SESS", Session),
        "uid" => ("UID", Uid),
        "euid" => ("EUID", Uid),
        "gid" => ("GID", Gid),
        "egid" => ("EGID", Gid),
        // Names of groups are not looked up.
        "group" => ("GROUP", Gid),
        "egroup" => ("EGROUP", Gid),
        "user" | "uname" => ("USER", User),
        "euser" => ("EUSER", User),
        // Of `-f`: a name in spite of its title.
        "full_uid" => ("UID", User),
        "tname" => ("TTY", Terminal),
        "tty" | "tt" => ("TT", Terminal),
        "s" | "state" => ("S", State),
        "stat" => ("STAT", Stat),
        "time" | "cputime" => ("TIME", Time),
        "bsdtime" => ("TIME", ShortTime),
        "times" | "cputimes" => ("TIME", Seconds),
        "etime" => ("ELAPSED", Elapsed),
        "etimes" => ("ELAPSED", ElapsedSeconds),
        "stime" => ("STIME", Started),
        "start_time" | "bsdstart" => ("START", Started),
        "start" => ("STARTED", Started),
        "lstart" => ("STARTED", StartedLong),
        "%cpu" | "pcpu" => ("%CPU", CpuShare),
        "c" => ("C", CpuWhole),
        "cp" => ("CP", CpuWhole),
        "%mem" | "pmem" => ("%MEM", MemoryShare),
        "vsz" | "vsize" => ("VSZ", VirtualKib),
        "rss" | "rssize" => ("RSS", ResidentKib),
        "rsz" => ("RSZ", ResidentKib),
        "sz" => ("SZ", Pages),
        "ni" | "nice" => ("NI", Nice),
        "bsdpri" => ("PRI", Priority),
        "longpri" => ("PRI", PriorityLong),
        "pri" => ("PRI", PriorityUp),
        "nlwp" => ("NLWP", Threads),
        "thcount" => ("THCNT", Threads),
        "comm" | "ucomm" | "fname" => ("COMMAND", Name),
        "ucmd" => ("CMD", Name),
        "args" | "command" => ("COMMAND", Command),
        "cmd" => ("CMD", Command),
        "wchan" => ("WCHAN", Unknown),
        "addr" => ("ADDR", Unknown),
        "f" | "flag" | "flags" => ("F", Unknown),
        "psr" => ("PSR", Unknown),
        "tpgid" => ("TPGID", Unknown),
        "cls" | "class" => ("CLS", Unknown),
        "rtprio" => ("RTPRIO", Unknown),
        "label" => ("LABEL", Unknown),
        _ => return None,
    })
}

/// How a process looks in a column.
pub(super) fn value(column: Column, process: &ProcessInfo, machine: &Machine) -> String {
    let cpu = process.user_time.saturating_add(process.system_time);
    let started = i64::try_from(process.started).unwrap_or(i64::MAX);
    let age = u64::try_from(machine.now.saturating_sub(started)).unwrap_or_default();
    match column {
        Column::Pid => process.pid.to_string(),
        Column::Parent => process.parent.to_string(),
        Column::Group => process.group.to_string(),
        Column::Session => process.session.to_string(),
        Column::Uid => process.uid.to_string(),
        Column::Gid => process.gid.to_string(),
        Column::User => process.user.clone(),
        Column::Terminal if process.tty.is_empty() => "?".into(),
        Column::Terminal => process.tty.clone(),
        Column::State => process.state.to_string(),
        Column::Stat => stat(process),
        Column::Time => clock(cpu / 1000, true),
        Column::ShortTime => format!("{}:{:02}", cpu / 60_000, cpu / 1000 % 60),
        Column::Seconds => (cpu / 1000).to_string(),
        Column::Elapsed => clock(age / 1000, false),
        Column::ElapsedSeconds => (age / 1000).to_string(),
        Column::Started => began(started, machine.now),
        Column::StartedLong => {
            local(started).map_or("-".into(), |time| time.strftime("%a %b %e %H:%M:%S %Y").to_string())
        }
        Column::CpuShare => tenths(share(cpu, age).min(999)),
        Column::CpuWhole => (share(cpu, age) / 10).min(99).to_string(),
        Column::MemoryShare => tenths(share(process.resident_bytes, machine.memory).min(999)),
        Column::VirtualKib => (process.virtual_bytes / 1024).to_string(),
        Column::ResidentKib => (process.resident_bytes / 1024).to_string(),
        Column::Pages => (process.virtual_bytes / 4096).to_string(),
        Column::Nice => process.nice.to_string(),
        Column::Priority => (20 + i64::from(process.nice)).to_string(),
        Column::PriorityLong => (80 + i64::from(process.nice)).to_string(),
        Column::PriorityUp => (19 - i64::from(process.nice)).to_string(),
        Column::Threads => process.threads.to_string(),
        Column::Name => process.name.clone(),
        Column::Command if process.command.is_empty() => format!("[{}]", process.name),
        Column::Command => process.command.join(" "),
        Column::Unknown => "-".into(),
    }
}

/// The state's letter and what `ps` puts behind it, but for the terminal's foreground.
fn stat(process: &ProcessInfo) -> String {
    let mut text = String::from(process.state);
    match process.nice {
        ..0 => text.push('<'),
        0 => {}
        1.. => text.push('N'),
    }
    if process.session == process.pid {
        text.push('s');
    }
    if process.threads > 1 {
        text.push('l');
    }
    text
}

/// Thousandths.
fn share(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1000).checked_div(whole).unwrap_or_default()
}

fn tenths(thousandths: u64) -> String {
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

fn clock(seconds: u64, hours_always: bool) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let short = format!("{minutes:02}:{:02}", seconds % 60);
    match (days, hours) {
        (0, 0) if !hours_always => short,
        (0, hours) => format!("{hours:02}:{short}"),
        (days, hours) => format!("{days}-{hours:02}:{short}"),
    }
}

/// The time today, the day this year, else the year.
fn began(started: i64, now: i64) -> String {
    match (local(started), local(now)) {
        (Some(started), Some(now)) if started.date() == now.date() => started.strftime("%H:%M").to_string(),
        (Some(started), Some(now)) if started.year() == now.year() => started.strftime("%b%d").to_string(),
        (Some(started), _) => started.strftime("%Y").to_string(),
        (None, _) => "-".into(),
    }
}

fn local(milliseconds: i64) -> Option<jiff::Zoned> {
    Some(Timestamp::from_millisecond(milliseconds).ok()?.to_zoned(TimeZone::UTC))
}
