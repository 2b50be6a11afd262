//! `docker exec`, between scripted agents and clients.

use std::time::Duration;

use bollard_stubs::models::{
    ContainerStateStatusEnum, ExecConfig, ExecInspectResponse, RestartPolicy, RestartPolicyNameEnum,
};
use bytes::Bytes;
use futures_util::StreamExt;
use sockerless_engine::*;
use sockerless_ports::{
    link::{
        Output, RunId, TerminalSize,
        request::{End, Exec, Fault, FaultKind, Reply, Request},
    },
    store::Kind,
};

use crate::world::*;

/// What the agent does, by the exec's program: `exit N`, `cat`, `flood N` (bytes), `wait` (for input to end), `size`
/// (tells each size), `env`, `show` (what it was asked), `nope` (is not there), `stranger` (an unknown user).
async fn act(request: Request, end: AgentEnd) {
    let exec = match request {
        Request::Exec(exec) => exec,
        Request::Freeze | Request::Thaw => return end.reply(Reply::Ready),
        other => panic!("{other:?}"),
    };
    let argument = exec.argv.get(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    let unstarted = |code, message: &str| Reply::Unstarted { code, message: message.into() };
    match exec.argv[0].as_str() {
        "refused" => {
            let message = "the container is not running".into();
            return end.reply(Reply::Failed(Fault { kind: FaultKind::Conflict, message }));
        }
        "nope" => return end.reply(unstarted(127, "exec: \"nope\": executable file not found in $PATH")),
        "stranger" => {
            return end.reply(unstarted(128, "unable to find user x: no matching entries in passwd file"));
        }
        _ => end.reply(Reply::Started { pid: 77 }),
    }
    let mut code = 0;
    match exec.argv[0].as_str() {
        "exit" => code = argument,
        "cat" => {
            while let Some(bytes) = end.read().await {
                end.write(Output::Stdout, bytes).await;
            }
        }
        "flood" => {
            for _ in 0..argument / 1000 {
                end.write(Output::Stdout, vec![b'x'; 1000]).await;
            }
        }
        "wait" => {
            end.read_all().await;
            code = 9;
        }
        "size" => loop {
            let size = end.resized().await;
            end.write(Output::Stdout, format!("{}x{}\n", size.columns, size.rows)).await;
        },
        "env" => {
            end.write(Output::Stdout, exec.env.join("\n")).await;
        }
        "both" => {
            end.write(Output::Stdout, "out").await;
            end.write(Output::Stderr, "err").await;
        }
        "show" => {
            end.write(Output::Stdout, format!("{exec:?}")).await;
        }
        other => panic!("{other}"),
    }
    end.end(End::Exited { code });
}

async fn world() -> (World, String) {
    let world = World::new().await;
    world.link.serve(act);
    let id = world.run("box", &["sleep"]).await;
    (world, id)
}

fn config(argv: &[&str]) -> ExecConfig {
    ExecConfig {
        cmd: Some(argv.iter().map(|word| (*word).to_owned()).collect()),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    }
}

impl World {
    fn exec(&self, argv: &[&str]) -> String {
        self.engine.create_exec("box", config(argv)).unwrap()
    }

    async fn attached(&self, exec: &str) -> Attachment {
        self.engine.start_exec(exec, ExecStart::default()).await.unwrap().unwrap()
    }

    async fn detached(&self, exec: &str) {
        let start = ExecStart { detach: true, ..ExecStart::default() };
        assert!(self.engine.start_exec(exec, start).await.unwrap().is_none());
    }

    async fn says(&self, argv: &[&str]) -> String {
        text(self.attached(&self.exec(argv)).await.output).await
    }

    fn look(&self, exec: &str) -> ExecInspectResponse {
        self.engine.inspect_exec(exec).unwrap()
    }

    fn code(&self, exec: &str) -> Option<i64> {
        let look = self.look(exec);
        assert_eq!(look.running.unwrap(), look.exit_code.is_none());
        look.exit_code
    }

    async fn code_in_time(&self, exec: &str) -> i64 {
        loop {
            match self.code(exec) {
                Some(code) => return code,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn refused(&self, reference: &str, argv: &[&str]) -> (ErrorKind, String) {
        let error = self.engine.create_exec(reference, config(argv)).unwrap_err();
        (error.kind, error.message)
    }

    fn exec_ids(&self) -> Option<Vec<String>> {
        self.engine.inspect("box", false).unwrap().exec_ids
    }
}

#[tokio::test(start_paused = true)]
async fn the_exit_code_is_there_when_the_output_ends() {
    let (world, container) = world().await;
    let exec = world.exec(&["exit", "7"]);
    let look = world.look(&exec);
    assert_eq!((look.running, look.exit_code, look.pid), (Some(false), None, Some(0)));
    assert_eq!(world.exec_ids(), Some(vec![exec.clone()]));
    let attached = world.attached(&exec).await;
    assert_eq!((world.look(&exec).running, world.look(&exec).pid), (Some(true), Some(77)));
    assert_eq!(text(attached.output).await, "");
    let look = world.look(&exec);
    assert_eq!((look.running, look.exit_code, look.pid), (Some(false), Some(7), Some(77)));
    assert_eq!(look.container_id, Some(container));
    let process = look.process_config.unwrap();
    assert_eq!((process.entrypoint.as_deref(), process.arguments), (Some("exit"), Some(vec!["7".into()])));
    assert_eq!(world.exec_ids(), None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_executed_is_refused_in_dockerds_words() {
    let (world, container) = world().await;
    let stopped = world.create("stopped", &["exit", "0"]).await;
    assert_eq!(world.refused("box", &[]), (ErrorKind::Invalid, "No exec command specified".into()));
    // dockerd looks at the command before it looks for the container.
    assert_eq!(world.refused("ghost", &[]).0, ErrorKind::Invalid);
    assert_eq!(world.refused("ghost", &["cat"]), (ErrorKind::NotFound, "No such container: ghost".into()));
    let not_running = |id: &str| (ErrorKind::Conflict, format!("container {id} is not running"));
    assert_eq!(world.refused("stopped", &["cat"]), not_running(&stopped));
    let keys = ExecConfig { detach_keys: Some("ctrl-!".into()), ..config(&["cat"]) };
    let error = world.engine.create_exec("box", keys).unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Invalid, "Invalid escape keys (ctrl-!) provided")
    );

    let error = world.engine.start_exec("ghost", ExecStart::default()).await.err().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "No such exec instance: ghost"));
    assert_eq!(world.engine.inspect_exec("ghost").unwrap_err().message, "No such exec instance: ghost");

    let (unstarted, running) = (world.exec(&["cat"]), world.exec(&["wait"]));
    world.detached(&running).await;
    let again = world.engine.start_exec(&running, ExecStart::default()).await.err().unwrap();
    let message = format!("Error: Exec command {running} is already running");
    assert_eq!((again.kind, again.message), (ErrorKind::Conflict, message));
    let over = world.exec(&["exit", "0"]);
    text(world.attached(&over).await.output).await;
    let again = world.engine.start_exec(&over, ExecStart::default()).await.err().unwrap();
    let message = format!("Error: Exec command {over} has already run");
    assert_eq!((again.kind, again.message), (ErrorKind::Conflict, message));

    world.engine.kill("box", None).await.unwrap();
    world.wait("box").await;
    assert_eq!(world.refused("box", &["cat"]), not_running(&container));
    // What was not started went with the container's run, what had run is still shown.
    assert_eq!(world.engine.inspect_exec(&unstarted).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(
        world.engine.start_exec(&unstarted, ExecStart::default()).await.err().unwrap().kind,
        ErrorKind::NotFound
    );
    assert_eq!(world.code(&over), Some(0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_executed_in_a_container_that_is_paused_or_between_two_tries() {
    let (world, id) = world().await;
    let exec = world.exec(&["exit", "0"]);
    world.engine.pause("box").await.unwrap();
    let paused = |shown: &str| {
        (ErrorKind::Conflict, format!("Container {shown} is paused, unpause the container before exec"))
    };
    assert_eq!(world.refused("box", &["cat"]), paused("box"));
    let error = world.engine.start_exec(&exec, ExecStart::default()).await.err().unwrap();
    assert_eq!((error.kind, error.message), paused(&id));
    world.engine.unpause("box").await.unwrap();
    text(world.attached(&exec).await.output).await;
    assert_eq!(world.code(&exec), Some(0));

    let tries = world
        .create_with("tries", &["exit", "1"], |request| {
            request.host.restart_policy =
                Some(RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None });
        })
        .await;
    world.engine.start("tries").await.unwrap();
    while world.status("tries") != ContainerStateStatusEnum::RESTARTING {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let message = format!("Container {tries} is restarting, wait until the container is running");
    assert_eq!(world.refused("tries", &["cat"]), (ErrorKind::Conflict, message.clone()));
    assert_eq!(world.engine.top("tries", None).await.unwrap_err().message, message);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_cannot_be_started_tells_why_on_its_output() {
    let (world, _) = world().await;
    for (program, code, words) in [
        (
            "nope",
            127,
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nope\": executable file \
             not found in $PATH: unknown",
        ),
        ("stranger", 126, "unable to find user x: no matching entries in passwd file"),
    ] {
        let exec = world.exec(&[program]);
        assert_eq!(text(world.attached(&exec).await.output).await, format!("{words}\r\n"));
        assert_eq!(world.code(&exec), Some(code));
        let start = ExecStart { detach: true, ..ExecStart::default() };
        let error = world.engine.start_exec(&world.exec(&[program]), start).await.err().unwrap();
        assert_eq!(error.message, words);
    }
    // What is no fault of the command's is an error.
    let refused = world.exec(&["refused"]);
    let error = world.engine.start_exec(&refused, ExecStart::default()).await.err().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Conflict, "the container is not running"));
    assert_eq!(world.code(&refused), Some(126));
    let relative = ExecConfig { working_dir: Some("rel".into()), ..config(&["cat"]) };
    let exec = world.engine.create_exec("box", relative).unwrap();
    let words = "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown\r\n";
    assert_eq!(text(world.attached(&exec).await.output).await, words);
    assert_eq!(world.code(&exec), Some(126));
}

#[tokio::test(start_paused = true)]
async fn an_exec_gets_the_containers_environment_user_and_directory_unless_told_otherwise() {
    let world = World::new().await;
    world.link.serve(act);
    let id = world
        .create_with("box", &["sleep"], |request| {
            request.config.env = Some(vec!["A=container".into(), "B=kept".into(), "C=gone".into()]);
            request.config.user = Some("nobody".into());
            request.config.working_dir = Some("/srv".into());
            request.config.hostname = Some("host".into());
        })
        .await;
    world.engine.start(&id).await.unwrap();
    let own = ExecConfig {
        env: Some(vec!["A=exec".into(), "C".into(), "D=x=y".into()]),
        tty: Some(true),
        ..config(&["env"])
    };
    let exec = world.engine.create_exec("box", own).unwrap();
    let env = text(world.attached(&exec).await.output).await;
    let lines: Vec<&str> = env.lines().filter(|line| !line.starts_with("PATH=")).collect();
    assert_eq!(lines, ["HOSTNAME=host", "TERM=xterm", "A=exec", "B=kept", "D=x=y"]);
    let shown = world.says(&["show"]).await;
    assert!(shown.contains("user: Some(\"nobody\")") && shown.contains("working_dir: \"/srv\""), "{shown}");
    assert!(!shown.contains("TERM"), "{shown}");
    let other = ExecConfig { user: Some("1:2".into()), working_dir: Some("/".into()), ..config(&["show"]) };
    let exec = world.engine.create_exec("box", other).unwrap();
    let shown = text(world.attached(&exec).await.output).await;
    assert!(shown.contains("user: Some(\"1:2\")") && shown.contains("working_dir: \"/\""), "{shown}");
    assert_eq!(world.look(&exec).process_config.unwrap().user.as_deref(), Some("1:2"));
}

#[tokio::test(start_paused = true)]
async fn input_reaches_the_process_and_its_end_too() {
    let (world, _) = world().await;
    let exec = world.exec(&["cat"]);
    let Attachment { output, input } = world.attached(&exec).await;
    let mut input = input.unwrap();
    input.write(Bytes::from("one ")).await.unwrap();
    input.write(Bytes::from("two")).await.unwrap();
    input.close().await.unwrap();
    assert_eq!(text(output).await, "one two");
    assert_eq!(world.code(&exec), Some(0));
    let deaf = ExecConfig { attach_stdin: Some(false), ..config(&["exit", "0"]) };
    let exec = world.engine.create_exec("box", deaf).unwrap();
    assert!(world.attached(&exec).await.input.is_none());
}

#[tokio::test(start_paused = true)]
async fn outputs_stay_apart_and_only_those_that_were_asked_for_come() {
    let (world, _) = world().await;
    let both = world.attached(&world.exec(&["both"])).await.output.chunks;
    let both: Vec<_> =
        both.map(|chunk| chunk.unwrap()).map(|chunk| (chunk.output, chunk.bytes)).collect().await;
    assert_eq!(both, [(Output::Stdout, "out".into()), (Output::Stderr, "err".into())]);
    let one = ExecConfig { attach_stdout: Some(false), ..config(&["both"]) };
    let exec = world.engine.create_exec("box", one).unwrap();
    assert_eq!(text(world.attached(&exec).await.output).await, "err");
}

#[tokio::test(start_paused = true)]
async fn an_exec_outlives_its_client_and_nobody_waits_for_its_output() {
    let (world, _) = world().await;
    let exec = world.exec(&["flood", "1000000"]);
    let mut attached = world.attached(&exec).await;
    attached.output.chunks.next().await.unwrap().unwrap();
    drop(attached);
    assert_eq!(world.code_in_time(&exec).await, 0);
    let exec = world.exec(&["flood", "1000000"]);
    world.detached(&exec).await;
    assert_eq!(world.code_in_time(&exec).await, 0);
    // A client that goes away closes the input with it.
    let exec = world.exec(&["wait"]);
    drop(world.attached(&exec).await);
    assert_eq!(world.code_in_time(&exec).await, 9);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_holds_up_the_process_and_nobody_else() {
    let (world, _) = world().await;
    let slow = world.exec(&["flood", "1000000"]);
    let attached = world.attached(&slow).await;
    assert_eq!(world.says(&["flood", "300000"]).await.len(), 300_000);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.code(&slow), None);
    assert_eq!(text(attached.output).await.len(), 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_while_the_exec_is_being_started_does_not_stop_it() {
    let (world, id) = world().await;
    let run = RunId { container: id, generation: 1 };
    world.link.connect(&run, false);
    let exec = world.exec(&["exit", "3"]);
    let start = world.engine.start_exec(&exec, ExecStart::default());
    assert!(tokio::time::timeout(Duration::from_secs(1), start).await.is_err());
    world.link.connect(&run, true);
    assert_eq!(world.code_in_time(&exec).await, 3);
}

#[tokio::test(start_paused = true)]
async fn an_agent_out_of_reach_is_awaited_and_then_named() {
    let (world, id) = world().await;
    let run = RunId { container: id.clone(), generation: 1 };
    world.link.connect(&run, false);
    let exec = world.exec(&["exit", "4"]);
    let error = world.engine.start_exec(&exec, ExecStart::default()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains(&id) && error.message.contains("lost its connection"), "{error}");
    world.link.connect(&run, true);
    // Nothing has happened, so it may be tried again.
    text(world.attached(&exec).await.output).await;
    assert_eq!(world.code(&exec), Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_terminal_has_a_size_and_detach_keys() {
    let (world, _) = world().await;
    let terminal = ExecConfig {
        tty: Some(true),
        detach_keys: Some("a,b".into()),
        console_size: Some(vec![24, 80]),
        ..config(&["size"])
    };
    let exec = world.engine.create_exec("box", terminal).unwrap();
    assert_eq!(world.look(&exec).detach_keys.as_deref(), Some("YWI="));
    let size = TerminalSize { columns: 100, rows: 30 };
    let start = ExecStart { tty: true, ..ExecStart::default() };
    let (attached, resized) =
        tokio::join!(world.engine.start_exec(&exec, start), world.engine.resize_exec(&exec, size));
    resized.unwrap();
    let Attachment { mut output, input } = attached.unwrap().unwrap();
    assert!(output.tty);
    assert_eq!(output.chunks.next().await.unwrap().unwrap().bytes, "100x30\n");
    let mut input = input.unwrap();
    input.write(Bytes::from("xa")).await.unwrap();
    input.write(Bytes::from("b")).await.unwrap_err();
    assert!(output.chunks.next().await.is_none());
    drop((output, input));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.code(&exec), None, "it runs on");
    let over = world.exec(&["exit", "0"]);
    text(world.attached(&over).await.output).await;
    let error = world.engine.resize_exec(&over, size).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "no such exec"));
    let unstarted = world.exec(&["cat"]);
    let error = world.engine.resize_exec(&unstarted, size).await.unwrap_err();
    assert_eq!(error.message, "timeout waiting for exec session ready");
}

#[tokio::test(start_paused = true)]
async fn the_first_size_is_the_latest_that_was_given() {
    let (world, _) = world().await;
    let terminal =
        |argv: &[&str]| ExecConfig { tty: Some(true), console_size: Some(vec![24, 80]), ..config(argv) };
    let exec = world.engine.create_exec("box", terminal(&["show"])).unwrap();
    assert!(text(world.attached(&exec).await.output).await.contains("Size { columns: 80, rows: 24 }"));
    let exec = world.engine.create_exec("box", terminal(&["show"])).unwrap();
    let size = Some(TerminalSize { columns: 100, rows: 30 });
    let start = ExecStart { tty: true, size, detach: false };
    let attached = world.engine.start_exec(&exec, start).await.unwrap().unwrap();
    assert!(text(attached.output).await.contains("Size { columns: 100, rows: 30 }"));
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_an_execs_life() {
    let (world, _) = world().await;
    let events = world.engine.events(EventsRequest::default()).unwrap();
    let exec = world.exec(&["exit", "5"]);
    text(world.attached(&exec).await.output).await;
    text(world.attached(&world.exec(&["nope"])).await.output).await;
    let events: Vec<_> = events
        .take(5)
        .map(|event| {
            let attributes = event.actor.unwrap().attributes.unwrap();
            (event.action.unwrap(), attributes["execID"] == exec, attributes.get("exitCode").cloned())
        })
        .collect()
        .await;
    assert_eq!(
        events,
        [
            ("exec_create: exit 5".to_owned(), true, None),
            ("exec_start: exit 5".to_owned(), true, None),
            ("exec_die".to_owned(), true, Some("5".to_owned())),
            ("exec_create: nope ".to_owned(), false, None),
            ("exec_start: nope ".to_owned(), false, None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn execs_are_forgotten_some_minutes_after_their_end_or_with_their_container() {
    let (world, id) = world().await;
    let exec = world.exec(&["exit", "0"]);
    text(world.attached(&exec).await.output).await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(world.code(&exec), Some(0));
    assert_eq!(world.store.count(Kind::Exec), 1);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(world.engine.inspect_exec(&exec).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(world.store.count(Kind::Exec), 0);

    let (over, runs) = (world.exec(&["exit", "0"]), world.exec(&["wait"]));
    text(world.attached(&over).await.output).await;
    world.detached(&runs).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.store.count(Kind::Exec), 2);
    let secret = ExecConfig { env: Some(vec!["TOKEN=hush".into()]), ..config(&["wait"]) };
    world.detached(&world.engine.create_exec("box", secret).unwrap()).await;
    assert!(!world.store.text().contains("hush"), "an exec's environment is nobody's business afterwards");
    world.engine.remove(&id, RemoveRequest { force: true, ..RemoveRequest::default() }).await.unwrap();
    for exec in [&over, &runs] {
        assert_eq!(world.engine.inspect_exec(exec).unwrap_err().kind, ErrorKind::NotFound);
    }
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(world.store.count(Kind::Exec), 0);
}

#[tokio::test(start_paused = true)]
async fn an_exec_ends_with_its_container() {
    let (world, _) = world().await;
    let exec = world.exec(&["wait"]);
    let attached = world.attached(&exec).await;
    world.engine.kill("box", None).await.unwrap();
    assert_eq!(text(attached.output).await, "");
    assert_eq!(world.code_in_time(&exec).await, 137);
    assert_eq!(world.exec_ids(), None);
}

#[tokio::test(start_paused = true)]
async fn the_next_daemon_knows_what_runs_and_learns_how_it_ended() {
    let (mut world, _) = world().await;
    let (cat, flood, over) =
        (world.exec(&["wait"]), world.exec(&["flood", "1000000"]), world.exec(&["exit", "6"]));
    let attached = [world.attached(&cat).await, world.attached(&flood).await];
    text(world.attached(&over).await.output).await;
    let unstarted = world.exec(&["cat"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.crash().await;
    drop(attached);
    world.reopen().await;
    assert_eq!(world.code(&cat), None);
    assert_eq!(world.look(&cat).pid, Some(77));
    assert_eq!(world.exec_ids().unwrap().len(), 2);
    // Nobody can write to it any more, and nobody will read what it writes.
    assert_eq!(world.code_in_time(&cat).await, 9);
    assert_eq!(world.code_in_time(&flood).await, 0);
    assert_eq!(world.code(&over), Some(6));
    assert_eq!(world.engine.inspect_exec(&unstarted).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(world.says(&["both"]).await, "outerr");
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(world.store.count(Kind::Exec), 0);
}

#[tokio::test(start_paused = true)]
async fn an_exec_whose_container_ended_while_the_daemon_was_dead_was_killed_with_it() {
    let (mut world, id) = world().await;
    let exec = world.engine.create_exec("box", ExecConfig { tty: Some(true), ..config(&["wait"]) }).unwrap();
    world.detached(&exec).await;
    world.crash().await;
    world.link.signal_from_within(&id, 15).await;
    world.reopen().await;
    assert_eq!(world.code_in_time(&exec).await, 137);
}

#[tokio::test(start_paused = true)]
async fn an_exec_that_is_created_in_one_run_of_its_container_cannot_be_started_in_the_next() {
    let (world, _) = world().await;
    let exec = world.exec(&["cat"]);
    world.engine.restart("box", None, None).await.unwrap();
    assert_eq!(
        world.engine.start_exec(&exec, ExecStart::default()).await.err().unwrap().kind,
        ErrorKind::NotFound
    );
    assert_eq!(world.exec_ids(), None);
    let next = world.exec(&["exit", "1"]);
    text(world.attached(&next).await.output).await;
    assert_eq!(world.code(&next), Some(1));
}

#[tokio::test(start_paused = true)]
async fn without_an_agent_the_missing_setting_is_named() {
    let world = World::with(None, everything()).await;
    world.cloud.stick(Some(sockerless_ports::backend::Phase::Running));
    world.run("box", &["sleep"]).await;
    let (kind, message) = world.refused("box", &["true"]);
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(message.contains("exec") && message.contains("SOCKERLESS_CALLBACK_URL"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_execs_at_once_all_come_to_their_own_end() {
    let (world, _) = world().await;
    let world = std::sync::Arc::new(world);
    let all = (0..100).map(|number: i64| {
        let world = std::sync::Arc::clone(&world);
        tokio::spawn(async move {
            let exec = world.exec(&["exit", &number.to_string()]);
            text(world.attached(&exec).await.output).await;
            assert_eq!(world.code(&exec), Some(number));
        })
    });
    for one in futures_util::future::join_all(all).await {
        one.unwrap();
    }
}

#[test]
fn what_the_agent_is_told_needs_nothing_that_it_was_not_given() {
    let exec = Exec { id: "a".into(), argv: vec!["b".into()], ..Exec::default() };
    assert_eq!(serde_json::from_str::<Exec>(&serde_json::to_string(&exec).unwrap()).unwrap(), exec);
}
