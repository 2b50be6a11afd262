//! The agent: the first process in a container.
//!
//! It dials the daemon, is told what to run, runs it, and carries what is interactive: standard streams, terminal size,
//! signals, the end. The line to the daemon may break; the process does not notice. It also does what a first process
//! must: it collects orphans and ends with the process's own exit code.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod descriptors;
mod door;
mod input;
mod install;
mod life;
mod line;
mod memory;
mod mesh;
mod output;
mod process;
mod settings;
mod shared;
mod signals;
mod tuning;
mod work;

use std::process::exit;

use sockerless_agent_wire::environment;

/// Says something in the cloud's log.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        // In one piece, since others write there, too. Nobody can be told that nobody listens.
        let line = format!("sockerless-agent: {}\n", format_args!($($argument)*));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }};
}
pub(crate) use say;

/// Keeps buffers for the next read, where musl's allocator maps and unmaps them.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(word) if word == process::STAGE => process::stage(),
        Some(word) if word == "--version" => {
            return println!("sockerless-agent {}", env!("CARGO_PKG_VERSION"));
        }
        Some(word) if word == environment::INSTALL => {
            let installed = install::install(arguments.next());
            exit(installed.map_or_else(
                |problem| {
                    say!("{problem}");
                    tuning::CANNOT_RUN
                },
                |()| 0,
            ));
        }
        _ => {}
    }
    let settings = match settings::Settings::from_environment() {
        Ok(settings) => settings,
        Err(problem) => {
            say!("{problem}");
            exit(tuning::CANNOT_RUN);
        }
    };
    work::files::clock::begin();
    descriptors::raise();
    // What is unpacked without permissions of its own gets these, whatever the cloud has set.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    // The ticket stays in this process's initial environment, where others of the same user could read it.
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        say!("cannot hide the ticket: {error}");
    }
    // Not the first process everywhere (a cloud may put its own before): orphans come here all the same.
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        say!("cannot adopt orphans: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(tuning::THREADS)
        // Not a `LocalSet` in another runtime: that writes to the driver's own descriptor whenever a socket is ready, and
        // the driver looks once more for it.
        .build_local(tokio::runtime::LocalOptions::default());
    let code = match runtime {
        Ok(runtime) => runtime.block_on(life::run(settings)),
        Err(error) => {
            say!("cannot start: {error}");
            tuning::CANNOT_RUN
        }
    };
    exit(code)
}
