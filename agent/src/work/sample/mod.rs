//! What the container uses: by its control group where the cloud shows one, else by its processes.

mod cgroup;

use std::{fs, time::SystemTime};

use rustix::param::{clock_ticks_per_second, page_size};
use sockerless_agent_wire::request::{Interface, Reply, Sample};

use self::cgroup::Group;
use super::{
    processes::stat::{self, Stat},
    transfer,
};
use crate::shared::Channel;

const SECOND: u64 = 1_000_000_000;

/// Measures once.
pub async fn sample(channel: Channel) {
    // A machine with thousands of processes takes a while.
    let sample = transfer::work(|| Ok(measure())).await;
    channel.answer(sample.map_or_else(Reply::Failed, |sample| Reply::Sample(Box::new(sample))));
}

fn measure() -> Sample {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut sample = Sample { networks: interfaces(&read("/proc/net/dev")), ..Sample::default() };
    (sample.machine_cpu, sample.cpus) = machine(&read("/proc/stat"));
    sample.memory_limit = memory(&read("/proc/meminfo"));
    let own = Stat::parse(&read("/proc/self/stat"));
    by_processes(&stat::all(), own.as_ref(), &mut sample);
    // Better numbers replace these.
    if let Some(group) = Group::find() {
        group.measure(&mut sample);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    sample.time = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    sample
}

/// The sum of those that run, and of those that have ended: their time went to their parents, at last to the agent.
fn by_processes(processes: &[Stat], own: Option<&Stat>, sample: &mut Sample) {
    let tick = SECOND / clock_ticks_per_second().max(1);
    let ended = own.map(|own| (own.ended_user_time, own.ended_system_time)).unwrap_or_default();
    let (mut user, mut system) = ended;
    let (mut pages, mut threads) = (0, 0);
    for process in processes {
        user += process.user_time + process.ended_user_time;
        system += process.system_time + process.ended_system_time;
        pages += process.resident_pages;
        threads += u64::from(process.threads);
    }
    sample.cpu_user = user.saturating_mul(tick);
    sample.cpu_system = system.saturating_mul(tick);
    sample.cpu_total = sample.cpu_user.saturating_add(sample.cpu_system);
    sample.memory = pages.saturating_mul(page_size() as u64);
    sample.pids = threads;
}

/// The time that all processors have spent, as dockerd adds it up, and how many there are.
fn machine(stat: &str) -> (u64, u32) {
    let tick = SECOND / clock_ticks_per_second().max(1);
    // User, nice, system, idle, waiting for input and output, two kinds of interrupts.
    let spent = |line: &str| {
        line.split_whitespace().skip(1).take(7).filter_map(|word| word.parse::<u64>().ok()).sum::<u64>()
    };
    let total = stat.lines().find(|line| line.starts_with("cpu ")).map_or(0, spent);
    let cpus = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    (total.saturating_mul(tick), u32::try_from(cpus).unwrap_or(u32::MAX))
}

/// The machine's memory, bytes.
fn memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default().saturating_mul(1024)
}

fn interfaces(dev: &str) -> Vec<Interface> {
    let parse = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> = counts.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let four = |at: usize| counts.get(at..at + 4)?.try_into().ok();
        Some(Interface { name: name.trim().to_owned(), received: four(0)?, sent: four(8)? })
    };
    dev.lines().filter_map(parse).filter(|interface| interface.name != "lo").collect()
}

/// Lines of a name and a number.
fn keyed(text: &str) -> Vec<(String, u64)> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read() {
        let tick = SECOND / clock_ticks_per_second();
        let stat = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\n";
        assert_eq!(machine(stat), (28 * tick, 2));
        assert_eq!(memory("MemTotal:       2048 kB\nMemFree: 1 kB\n"), 2 << 20);
    }

    #[test]
    fn interfaces_are_read_but_for_the_loopback() {
        let dev = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0\n  \
            eth0: 10 1 2 3 0 0 0 0 20 4 5 6 0 0 0 0\n";
        let expected = Interface { name: "eth0".to_owned(), received: [10, 1, 2, 3], sent: [20, 4, 5, 6] };
        assert_eq!(interfaces(dev), [expected]);
    }

    #[test]
    fn processes_add_up_with_those_that_have_ended() {
        let line = stat::tests::LINE;
        let one = Stat::parse(line).unwrap();
        let mut sample = Sample::default();
        by_processes(&[one.clone(), one.clone()], Some(&one), &mut sample);
        let tick = SECOND / clock_ticks_per_second();
        assert_eq!(
            (sample.cpu_user, sample.cpu_system),
            ((2 * (12 + 56) + 56) * tick, (2 * (34 + 78) + 78) * tick)
        );
        assert_eq!((sample.memory, sample.pids), (100 * page_size() as u64, 6));
    }

    #[test]
    fn a_measurement_has_real_numbers() {
        let sample = measure();
        assert!(sample.machine_cpu > 0 && sample.cpus > 0 && sample.memory_limit > 0);
    }
}
