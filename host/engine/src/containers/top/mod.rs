//! `docker top`: the agent lists the processes, and they are shown as `ps` would.

mod columns;
mod options;

use bollard_stubs::models::ContainerTopResponse;
use jiff::Timestamp;
use sockerless_ports::link::request::{ProcessInfo, Reply, Request};

use self::{columns::Machine, options::Listing};
use crate::{
    Engine, Error, ErrorKind, Result,
    ask::{running, unexpected},
    error::needs_agent,
    supervisor::run_id,
};

/// dockerd's.
const DEFAULT: &str = "-ef";

impl Engine {
    /// `GET /containers/{id}/top`. `ps_args` are options of procps' `ps`: its formats (`-f`, `-F`, `-l`, `-j`, `u`, `l`, `j`, `-o`) and
    /// the selections by number, command and user. Numbers of processes are the container's own; times are UTC.
    ///
    /// Errors: 404, 409 when it does not run, 500 in `ps`' words for options that it does not have, 501 without an agent.
    pub async fn top(&self, reference: &str, ps_args: Option<&str>) -> Result<ContainerTopResponse> {
        let entry = self.containers.find(reference)?;
        let view = running(&entry)?;
        if !view.state.agent {
            return Err(needs_agent("the list of processes"));
        }
        let ps_args = ps_args.filter(|args| !args.trim().is_empty()).unwrap_or(DEFAULT);
        let listing = options::parse(ps_args).map_err(|error| Error::new(ErrorKind::Internal, error))?;
        let run = run_id(&entry, view.state.generation);
        let list = match self.ask(&run, Request::Processes).await?.0 {
            Reply::Processes { list } => list,
            Reply::Failed(fault) => return Err(fault.into()),
            other => return Err(unexpected(&other)),
        };
        let mut machine = Machine { now: Timestamp::now().as_millisecond(), memory: 0 };
        if listing.needs_memory() {
            machine.memory = match self.ask(&run, Request::Sample).await?.0 {
                Reply::Sample(sample) => sample.memory_limit,
                Reply::Failed(fault) => return Err(fault.into()),
                other => return Err(unexpected(&other)),
            };
        }
        let answer = show(&listing, &list, &machine)?;
        self.events.container(&entry, &view.name, "top", &[]);
        Ok(answer)
    }
}

fn show(listing: &Listing, list: &[ProcessInfo], machine: &Machine) -> Result<ContainerTopResponse> {
    let titles = listing.titles();
    if !titles.iter().any(|title| title == "PID") {
        return Err(Error::new(ErrorKind::Internal, "Couldn't find PID field in ps output"));
    }
    let rows = list.iter().filter(|process| listing.selects(process));
    let rows: Vec<Vec<String>> = rows.map(|process| listing.row(process, machine)).collect();
    Ok(ContainerTopResponse { titles: Some(titles), processes: Some(rows).filter(|rows| !rows.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14, 22:13:20.
    const NOW: i64 = 1_700_000_000_000;

    fn processes() -> Vec<ProcessInfo> {
        let shell = ProcessInfo {
            pid: 7,
            parent: 1,
            group: 7,
            session: 7,
            user: "root".into(),
            state: 'S',
            started: (NOW - 100_000) as u64,
            user_time: 1_500,
            system_time: 600,
            virtual_bytes: 2_322_432,
            resident_bytes: 1_613_824,
            threads: 1,
            name: "sh".into(),
            command: ["sh", "-c", "sleep 1000"].map(String::from).into(),
            ..ProcessInfo::default()
        };
        let worker = ProcessInfo {
            pid: 12,
            parent: 7,
            uid: 33,
            gid: 34,
            user: "www-data".into(),
            state: 'R',
            tty: "pts/0".into(),
            nice: 5,
            started: (NOW - 90_061_000) as u64,
            user_time: 90_000_000,
            threads: 4,
            name: "worker".into(),
            command: vec![],
            ..shell.clone()
        };
        vec![shell, worker]
    }

    fn top(args: &str) -> std::result::Result<(String, Vec<String>), String> {
        let machine = Machine { now: NOW, memory: 64_552_960 };
        let listing = options::parse(args)?;
        let answer = show(&listing, &processes(), &machine).map_err(|error| error.message)?;
        let rows = answer.processes.unwrap_or_default();
        assert!(rows.iter().all(|row| row.len() == answer.titles.as_ref().unwrap().len()), "{args}");
        Ok((answer.titles.unwrap().join(" "), rows.iter().map(|row| row.join("|")).collect()))
    }

    #[test]
    fn the_common_forms_look_as_those_of_ps() {
        for (args, titles, first, second) in [
            (
                "-ef",
                "UID PID PPID C STIME TTY TIME CMD",
                "root|7|1|2|22:11|?|00:00:02|sh -c sleep 1000",
                "www-data|12|7|99|Nov13|pts/0|1-01:00:00|[worker]",
            ),
            (
                "aux",
                "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
                "root|7|2.1|2.5|2268|1576|?|Ss|22:11|0:02|sh -c sleep 1000",
                "www-data|12|99.9|2.5|2268|1576|pts/0|RNl|Nov13|1500:00|[worker]",
            ),
            ("-e", "PID TTY TIME CMD", "7|?|00:00:02|sh", "12|pts/0|1-01:00:00|worker"),
            (
                "ax",
                "PID TTY STAT TIME COMMAND",
                "7|?|Ss|0:02|sh -c sleep 1000",
                "12|pts/0|RNl|1500:00|[worker]",
            ),
            (
                "-eo pid,ppid,pgid,sid,uid,gid,ni,nlwp,etime,time,s",
                "PID PPID PGID SID UID GID NI NLWP ELAPSED TIME S",
                "7|1|7|7|0|0|0|1|01:40|00:00:02|S",
                "12|7|7|7|33|34|5|4|1-01:01:01|1-01:00:00|R",
            ),
            (
                "-el",
                "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD",
                "-|S|0|7|1|2|80|0|-|567|-|?|00:00:02|sh",
                "-|R|33|12|7|99|85|5|-|567|-|pts/0|1-01:00:00|worker",
            ),
            ("-o pid,lstart", "PID STARTED", "7|Tue Nov 14 22:11:40 2023", "12|Mon Nov 13 21:12:19 2023"),
        ] {
            let rows = vec![first.to_owned(), second.to_owned()];
            assert_eq!(top(args), Ok((titles.to_owned(), rows)), "{args}");
        }
        assert_eq!(top("-aux"), top("aux"));
        assert_eq!(top("u"), top("aux"));
        assert_eq!(top("-ef -w"), top("-ef"));
        assert_eq!(top("axo pid,cmd"), top("-o pid -o cmd"));
        assert_eq!(top("-eopid=PID"), top("--format pid"));
    }

    #[test]
    fn processes_are_chosen_by_number_command_and_user() {
        let pids = |args: &str| top(&format!("{args} -o pid")).unwrap().1;
        assert_eq!(pids("-p 12,99"), ["12"]);
        assert_eq!(pids("-C sh"), ["7"]);
        assert_eq!(pids("-u www-data"), ["12"]);
        assert_eq!(pids("-u 0"), ["7"]);
        assert_eq!(pids("-p 7 -C worker"), ["7", "12"]);
        assert_eq!(pids("-p 1"), Vec::<String>::new());
        assert_eq!(top("7").unwrap().1, ["7|?|Ss|0:02|sh -c sleep 1000"]);
    }

    #[test]
    fn what_ps_does_not_have_is_refused_in_its_words() {
        for (args, words) in [
            ("--bogus", "ps: error: unknown gnu long option"),
            ("-o bogus", "ps: error: unknown user-defined format specifier \"bogus\""),
            ("-o", "ps: error: format specification must follow -o"),
            ("-eK", "ps: error: unsupported SysV option"),
            ("aK", "ps: error: unsupported option (BSD syntax)"),
            ("-ef -o pid", "ps: error: conflicting format options"),
            ("-o comm", "Couldn't find PID field in ps output"),
            ("-o pid=Proc,user", "Couldn't find PID field in ps output"),
        ] {
            assert_eq!(top(args), Err(words.to_owned()), "{args}");
        }
        let threads = top("-eLf").unwrap_err();
        assert!(threads.starts_with("ps: error: ") && threads.contains("not available"), "{threads}");
    }

    proptest::proptest! {
        #[test]
        fn no_options_make_it_panic(args in "[-a-zA-Z0-9=, %]{0,20}") {
            let _ = top(&args);
        }
    }
}
