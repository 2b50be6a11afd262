//! The main job: from a fresh machine to a first container.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use clap::Args;

use crate::{Result, build, command, machine};

/// How long the daemon may take until it answers: compiling the plugins for the first time included.
const READY: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END: Duration = Duration::from_secs(30);

/// `x up`
#[derive(Args)]
pub struct UpArgs {
    /// The backend to run containers on.
    #[arg(long, default_value = "cloudrun", value_name = "NAME")]
    backend: String,
    /// The socket of the Docker API [default: DIR/docker.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Folder for all state.
    #[arg(long, default_value = ".state", value_name = "DIR")]
    state: PathBuf,
    /// Leave the daemon running in the background and return; its process id is in DIR/daemon.pid.
    #[arg(long)]
    detach: bool,
    /// Build optimised.
    #[arg(long)]
    release: bool,
}

/// `x down`
#[derive(Args)]
pub struct DownArgs {
    /// Folder for all state.
    #[arg(long, default_value = ".state", value_name = "DIR")]
    state: PathBuf,
}

/// Builds, starts, proves.
pub fn up(args: UpArgs) -> Result {
    machine::prepare_build()?;
    machine::prepare_demo()?;
    let dist = build::all(args.release)?;

    fs::create_dir_all(&args.state)?;
    let state = fs::canonicalize(&args.state)?;
    let socket = match args.socket {
        Some(path) => std::path::absolute(path)?,
        None => state.join("docker.sock"),
    };
    let mut daemon = start(&dist, &state, &socket, &args.backend)?;
    fs::write(pid_file(&state), format!("{}\n", daemon.id()))?;

    let host = format!("unix://{}", socket.display());
    if let Err(error) = prove(&host) {
        daemon.kill()?;
        daemon.wait()?;
        fs::remove_file(pid_file(&state))?;
        return Err(format!("{error}\nthe daemon's log: {}", log(&state).display()).into());
    }
    println!(
        "\nThe daemon runs (process {}, log {}). Use it from any terminal:\n",
        daemon.id(),
        log(&state).display()
    );
    println!("    export DOCKER_HOST={host}");
    println!("    docker run -it --rm busybox\n");
    if args.detach {
        println!("End it with: ./x down --state {}", args.state.display());
        return Ok(());
    }
    println!(
        "Ctrl-C ends the daemon; containers in the simulator go on until: ./x down --state {}",
        args.state.display()
    );
    let status = daemon.wait()?;
    fs::remove_file(pid_file(&state))?;
    if status.success() { Ok(()) } else { Err(format!("the daemon ended with {status}").into()) }
}

/// Starts the daemon and waits until it answers.
fn start(dist: &Path, state: &Path, socket: &Path, backend: &str) -> Result<Child> {
    if let Some(pid) = running(state) {
        return Err(format!(
            "a daemon runs on {} already (process {pid}); end it with: ./x down --state {}",
            state.display(),
            state.display()
        )
        .into());
    }
    let mut serve = Command::new(dist.join("sockerless"));
    serve
        .args(["serve", "--backend", backend, "--state"])
        .arg(state)
        .arg("--socket")
        .arg(socket)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(log(state))?);
    let mut daemon = serve.spawn().map_err(|error| format!("cannot start the daemon: {error}"))?;
    let stdout = daemon.stdout.take().ok_or("the daemon has no standard output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(BufReader::new(stdout).lines().next()));
    match receiver.recv_timeout(READY) {
        Ok(Some(Ok(line))) => {
            println!("{line}");
            Ok(daemon)
        }
        _ => {
            daemon.kill()?;
            daemon.wait()?;
            Err(format!("the daemon did not start; its log says:\n{}", fs::read_to_string(log(state))?)
                .into())
        }
    }
}

/// Runs a first container, as a user would.
fn prove(host: &str) -> Result {
    let folder = tempfile::tempdir()?;
    let archive = sockerless_tests::images::write_busybox(folder.path(), "busybox:latest")?;
    let docker = || {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", host).env_remove("DOCKER_CONTEXT");
        command
    };
    println!("$ docker load --input {}", archive.file_name().unwrap_or_default().to_string_lossy());
    command::run(docker().args(["load", "--input"]).arg(&archive))?;
    println!("$ docker run --rm busybox echo 'Hello from a container in the cloud.'");
    command::run(docker().args(["run", "--rm", "busybox", "echo", "Hello from a container in the cloud."]))
}

/// Ends the daemon, then the simulator.
pub fn down(args: &DownArgs) -> Result {
    let Ok(state) = fs::canonicalize(&args.state) else {
        println!("nothing runs: {} does not exist", args.state.display());
        return Ok(());
    };
    match running(&state) {
        Some(pid) => {
            command::run(Command::new("kill").arg(pid.to_string()))?;
            let deadline = Instant::now() + END;
            while running(&state).is_some() {
                if Instant::now() > deadline {
                    return Err(format!(
                        "the daemon (process {pid}) does not end; its log: {}",
                        log(&state).display()
                    )
                    .into());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            println!("daemon ended");
        }
        None => println!("no daemon runs on {}", state.display()),
    }
    let _ = fs::remove_file(pid_file(&state));
    let simulator = ["release", "dev"]
        .into_iter()
        .map(|profile| command::root().join("target/dist").join(profile).join("sockerless"))
        .find(|program| program.exists());
    match simulator {
        Some(program) => {
            command::run(Command::new(program).args(["simulator", "stop", "--state"]).arg(&state))
        }
        None => Ok(()),
    }
}

/// The process of the daemon on this state, if it runs.
fn running(state: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(pid_file(state)).ok()?.trim().parse().ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    String::from_utf8_lossy(&line).contains("sockerless").then_some(pid)
}

fn pid_file(state: &Path) -> PathBuf {
    state.join("daemon.pid")
}

fn log(state: &Path) -> PathBuf {
    state.join("daemon.log")
}
