//! The options of procps' `ps`, as far as they make sense for one container.

use sockerless_ports::link::request::ProcessInfo;

use super::columns::{self, Column, Machine};

/// What to show.
#[derive(Debug, Default)]
pub(super) struct Listing {
    columns: Vec<(String, Column)>,
    /// Without any of these all processes are meant.
    pids: Vec<i32>,
    commands: Vec<String>,
    users: Vec<String>,
}

impl Listing {
    pub fn titles(&self) -> Vec<String> {
        self.columns.iter().map(|(title, _)| title.clone()).collect()
    }

    pub fn row(&self, process: &ProcessInfo, machine: &Machine) -> Vec<String> {
        self.columns.iter().map(|(_, column)| columns::value(*column, process, machine)).collect()
    }

    pub fn needs_memory(&self) -> bool {
        self.columns.iter().any(|(_, column)| *column == Column::MemoryShare)
    }

    pub fn selects(&self, process: &ProcessInfo) -> bool {
        if self.pids.is_empty() && self.commands.is_empty() && self.users.is_empty() {
            return true;
        }
        self.pids.contains(&process.pid)
            || self.commands.contains(&process.name)
            || self.users.iter().any(|user| *user == process.user || *user == process.uid.to_string())
    }
}

/// Formats with a letter of their own, and the words of `-o`.
#[derive(Debug, Default)]
struct Wishes {
    full: bool,
    extra_full: bool,
    long: bool,
    jobs: bool,
    bsd: bool,
    bsd_user: bool,
    bsd_long: bool,
    bsd_jobs: bool,
    own: Vec<(String, Column)>,
    listing: Listing,
}

/// Reads options, separated by blanks. Errors: as `ps` words them.
pub(super) fn parse(args: &str) -> Result<Listing, String> {
    let mut wishes = Wishes::default();
    let mut words = args.split_whitespace();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            wishes.gnu(long, &mut words)?;
        } else if let Some(cluster) = word.strip_prefix('-') {
            // As ps: what makes no sense in one syntax is tried in the other, for `-aux`.
            if is_bsd(cluster) {
                wishes.bsd(cluster, &mut words)?;
            } else {
                wishes.sysv(cluster, &mut words)?;
            }
        } else if word.starts_with(|first: char| first.is_ascii_digit()) {
            wishes.bsd = true;
            wishes.listing.pids.extend(pids(word)?);
        } else {
            wishes.bsd(word, &mut words)?;
        }
    }
    wishes.finish()
}

/// `x` is in no cluster of the other syntax, but for what follows an option with a value.
fn is_bsd(cluster: &str) -> bool {
    let options = cluster.split(['o', 'p', 'C']).next().unwrap_or_default();
    options.contains('x')
}

impl Wishes {
    fn gnu<'a>(&mut self, long: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<(), String> {
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let mut value = || {
            attached
                .or_else(|| words.next())
                .ok_or_else(|| error(&format!("list of something must follow --{name}")))
        };
        match name {
            "format" => self.format(value()?)?,
            "pid" => self.listing.pids.extend(pids(value()?)?),
            "user" | "User" => self.listing.users.extend(list(value()?)),
            "headers" | "forest" => {}
            "cols" | "columns" | "width" | "lines" | "rows" | "sort" => {
                value()?;
            }
            _ => return Err(error("unknown gnu long option")),
        }
        Ok(())
    }

    fn sysv<'a>(&mut self, cluster: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<(), String> {
        for (at, option) in cluster.char_indices() {
            match option {
                // All that is there belongs to one container.
                'e' | 'A' | 'a' | 'd' | 'w' | 'H' | 'y' | 'n' => {}
                'f' => self.full = true,
                'F' => self.extra_full = true,
                'l' => self.long = true,
                'j' => self.jobs = true,
                'o' | 'p' | 'C' | 'u' | 'U' => {
                    let value = attached(cluster, at).or_else(|| words.next());
                    return self.with_value(option, value);
                }
                'L' | 'T' | 'm' => return Err(error("threads are not available: the agent lists processes")),
                'g' | 'G' | 's' | 't' | 'q' | 'N' | 'O' | 'Z' | 'M' | 'P' | 'c' => {
                    return Err(error(&format!("option -{option} is not available here")));
                }
                _ => return Err(error("unsupported SysV option")),
            }
        }
        Ok(())
    }

    fn bsd<'a>(&mut self, cluster: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<(), String> {
        self.bsd = true;
        for (at, option) in cluster.char_indices() {
            match option {
                'a' | 'x' | 'g' | 'w' | 'f' | 'r' | 'S' | 'c' | 'n' => {}
                'u' => self.bsd_user = true,
                'l' => self.bsd_long = true,
                'j' => self.bsd_jobs = true,
                'o' | 'p' | 'U' => {
                    let value = attached(cluster, at).or_else(|| words.next());
                    return self.with_value(option, value);
                }
                'L' | 'T' | 'm' | 'H' | 'e' | 'h' | 'k' | 'O' | 's' | 't' | 'v' | 'X' | 'Z' => {
                    return Err(error(&format!("option {option} is not available here")));
                }
                _ => return Err(error("unsupported option (BSD syntax)")),
            }
        }
        Ok(())
    }

    fn with_value(&mut self, option: char, value: Option<&str>) -> Result<(), String> {
        let missing = match option {
            'o' => "format specification must follow -o",
            'p' => "list of process IDs must follow -p",
            'C' => "list of command names must follow -C",
            _ => "list of users must follow -u",
        };
        let value = value.ok_or_else(|| error(missing))?;
        match option {
            'o' => self.format(value)?,
            'p' => self.listing.pids.extend(pids(value)?),
            'C' => self.listing.commands.extend(list(value)),
            _ => self.listing.users.extend(list(value)),
        }
        Ok(())
    }

    /// `pid,comm=NAME`: a title of one's own ends the list.
    fn format(&mut self, text: &str) -> Result<(), String> {
        let mut rest = Some(text);
        while let Some(text) = rest {
            let end = text.find([',', '=']).unwrap_or(text.len());
            let (name, tail) = text.split_at(end);
            let (title, column) = columns::named(name)
                .ok_or_else(|| error(&format!("unknown user-defined format specifier \"{name}\"")))?;
            let (title, next) = match tail.split_at_checked(1) {
                Some(("=", own)) => (own, None),
                Some((_, next)) => (title, Some(next)),
                None => (title, None),
            };
            self.own.push((title.to_owned(), column));
            rest = next;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Listing, String> {
        let standard =
            [self.full || self.extra_full, self.long, self.jobs, self.bsd_user, self.bsd_long, self.bsd_jobs];
        let standard = standard.iter().any(|wished| *wished);
        if !self.own.is_empty() {
            if standard {
                return Err(error("conflicting format options"));
            }
            self.listing.columns = self.own;
            return Ok(self.listing);
        }
        let names = if self.bsd_user {
            "user pid %cpu %mem vsz rss tname stat start_time bsdtime args"
        } else if self.bsd_long {
            "f uid pid ppid bsdpri ni vsz rss wchan stat tname bsdtime args"
        } else if self.bsd_jobs {
            "ppid pid pgid sid tname tpgid stat uid bsdtime args"
        } else if self.extra_full {
            "full_uid pid ppid c sz rss psr stime tname time cmd"
        } else if self.long && self.full {
            "f s full_uid pid ppid c longpri ni addr sz wchan stime tname time cmd"
        } else if self.long {
            "f s uid pid ppid c longpri ni addr sz wchan tname time ucmd"
        } else if self.jobs && self.full {
            "full_uid pid ppid pgid sid c stime tname time cmd"
        } else if self.full {
            "full_uid pid ppid c stime tname time cmd"
        } else if self.jobs {
            "pid pgid sid tname time ucmd"
        } else if self.bsd {
            "pid tname stat bsdtime args"
        } else {
            "pid tname time ucmd"
        };
        let named = names.split(' ').filter_map(columns::named);
        self.listing.columns = named.map(|(title, column)| (title.to_owned(), column)).collect();
        Ok(self.listing)
    }
}

fn attached(cluster: &str, at: usize) -> Option<&str> {
    cluster.get(at + 1..).filter(|rest| !rest.is_empty())
}

fn list(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::to_owned)
}

fn pids(text: &str) -> Result<Vec<i32>, String> {
    let numbers: Result<_, _> = text.split(',').map(str::parse).collect();
    numbers.map_err(|_| error("process ID list syntax error"))
}

fn error(words: &str) -> String {
    format!("ps: error: {words}")
}
