//! What the agent does with files, ports and processes when the daemon asks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::{
    fs,
    io::Read,
    net::Ipv4Addr,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use fixture::{PATIENCE, World, shell};
use sockerless_mesh::shadow;
use sockerless_ports::link::{
    Channel, Launch, Link, Reach, Target,
    request::{End, Entry, Fault, FaultKind, Protocol, Put, Reply, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

/// A container whose process sleeps.
async fn world() -> World {
    let world = World::new(shell("echo ready; sleep 1000")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    world
}

async fn ask(world: &World, request: Request) -> (Reply, Box<dyn Channel>) {
    timeout(PATIENCE, world.link().open(&world.run, request)).await.expect("waited in vain").unwrap()
}

/// All that comes, and the end.
async fn rest(channel: &dyn Channel) -> (Vec<u8>, End) {
    let mut all = Vec::new();
    let reading = async {
        while let Some((_, bytes)) = channel.read().await {
            all.extend_from_slice(&bytes);
        }
        channel.end().await.unwrap()
    };
    let end = timeout(PATIENCE, reading).await.expect("waited in vain");
    (all, end)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

async fn get(world: &World, path: &Path) -> Vec<u8> {
    let (reply, channel) = ask(world, Request::Get { path: text(path) }).await;
    assert!(matches!(reply, Reply::Stat(_)), "{reply:?}");
    let (archive, end) = rest(&*channel).await;
    assert_eq!(end, End::Done);
    archive
}

async fn put(world: &World, put: Put, archive: Vec<u8>) -> End {
    let (reply, channel) = ask(world, Request::Put(put)).await;
    assert_eq!(reply, Reply::Ready);
    // Whoever is refused in the midst learns why at the end.
    let _ = channel.write(archive.into()).await;
    channel.finish();
    rest(&*channel).await.1
}

fn into(path: &Path) -> Put {
    Put { path: text(path), owners: true, ..Put::default() }
}

#[tokio::test]
async fn files_go_out_and_in_again() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..3_000_000u32).map(|number| (number / 7) as u8).collect();
    fs::create_dir(folder.path().join("from")).unwrap();
    fs::create_dir(folder.path().join("to")).unwrap();
    fs::write(folder.path().join("from/file"), &content).unwrap();
    let archive = get(&world, &folder.path().join("from/.")).await;
    assert_eq!(put(&world, into(&folder.path().join("to")), archive).await, End::Done);
    assert!(fs::read(folder.path().join("to/file")).unwrap() == content);
    let (reply, _channel) = ask(&world, Request::Stat { path: text(&folder.path().join("to/file")) }).await;
    let Reply::Stat(stat) = reply else { panic!("{reply:?}") };
    assert_eq!((stat.name.as_str(), stat.size), ("file", content.len() as u64));
}

#[tokio::test]
async fn what_is_not_there_and_what_is_broken_is_said() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    for request in
        [Request::Stat { path: text(&none) }, Request::Get { path: text(&none) }, Request::Put(into(&none))]
    {
        let (reply, channel) = ask(&world, request).await;
        let message = format!("lstat {}: no such file or directory", none.display());
        assert_eq!(reply, Reply::Failed(Fault { kind: FaultKind::NotFound, message }));
        assert_eq!(rest(&*channel).await.0, b"");
    }
    let file = folder.path().join("file");
    fs::write(&file, vec![1; 100_000]).unwrap();
    let mut archive = get(&world, &file).await;
    archive.truncate(50_000);
    let End::Failed(fault) = put(&world, into(folder.path()), archive).await else { panic!("a cut archive") };
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::Invalid, "unexpected EOF: the archive is cut short")
    );
    // Refused while much more is to come.
    let End::Failed(fault) = put(&world, into(folder.path()), vec![b'x'; 20_000_000]).await else {
        panic!("no archive")
    };
    assert_eq!(fault.message, "archive/tar: invalid tar header");
}

#[tokio::test]
async fn a_client_that_leaves_leaves_no_complete_archive_behind() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("to")).unwrap();
    fs::write(folder.path().join("a"), "whole").unwrap();
    fs::write(folder.path().join("b"), vec![7; 1 << 20]).unwrap();
    let archive = get(&world, folder.path()).await;
    let (reply, channel) = ask(&world, Request::Put(into(&folder.path().join("to")))).await;
    assert_eq!(reply, Reply::Ready);
    channel.write(archive[..500_000].to_vec().into()).await.unwrap();
    drop(channel);
    // The agent is free for the next one, and nothing waits for the rest.
    assert_eq!(put(&world, into(&folder.path().join("to")), archive).await, End::Done);
}

/// `VmHWM`, bytes.
fn most_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_large_file_takes_no_memory() {
    const SIZE: u64 = 128 << 20;
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    // One that costs no disk.
    let file = fs::File::create(folder.path().join("large")).unwrap();
    file.set_len(SIZE).unwrap();
    let before = most_memory(world.agent.id().unwrap());
    let (reply, out) = ask(&world, Request::Get { path: text(&folder.path().join("large")) }).await;
    assert!(matches!(reply, Reply::Stat(_)));
    fs::create_dir(folder.path().join("to")).unwrap();
    let (reply, back) = ask(&world, Request::Put(into(&folder.path().join("to")))).await;
    assert_eq!(reply, Reply::Ready);
    let mut all = 0;
    while let Some((_, bytes)) = out.read().await {
        all += bytes.len() as u64;
        back.write(bytes).await.unwrap();
    }
    back.finish();
    assert_eq!((out.end().await, rest(&*back).await.1), (Ok(End::Done), End::Done));
    assert_eq!(all, 512 + SIZE + 1024);
    assert_eq!(fs::metadata(folder.path().join("to/large")).unwrap().size(), SIZE);
    let grown = most_memory(world.agent.id().unwrap()) - before;
    assert!(grown < 24 << 20, "{grown}");
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_up_its_own_copy_only() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("large")).unwrap().set_len(1 << 30).unwrap();
    fs::write(folder.path().join("small"), "x").unwrap();
    let mut stuck = Vec::new();
    for _ in 0..8 {
        stuck.push(ask(&world, Request::Get { path: text(&folder.path().join("large")) }).await.1);
    }
    for _ in 0..20 {
        assert_eq!(get(&world, &folder.path().join("small")).await.len(), 2048);
    }
    drop(stuck);
    get(&world, &folder.path().join("small")).await;
}

/// From another container.
fn reach(protocol: Protocol, port: u16) -> Request {
    let (from, address) = (Ipv4Addr::new(172, 18, 0, 3), Ipv4Addr::new(172, 18, 0, 2));
    Request::Reach(Reach { from, target: Target { protocol, address, port }, window: 256 << 10 })
}

async fn dial(world: &World, protocol: Protocol, port: u16) -> Box<dyn Channel> {
    let (reply, channel) = ask(world, reach(protocol, port)).await;
    assert_eq!(reply, Reply::Ready);
    channel
}

async fn next(channel: &dyn Channel) -> Option<Bytes> {
    timeout(PATIENCE, channel.read()).await.expect("waited in vain").map(|(_, bytes)| bytes)
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_refuses() {
    let world = world().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (reply, channel) = ask(&world, reach(Protocol::Tcp, port)).await;
    let Reply::Failed(fault) = reply else { panic!("{reply:?}") };
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(
        fault.message,
        format!("dial tcp {}:{port}: connect: connection refused", shadow(Ipv4Addr::new(172, 18, 0, 2)))
    );
    assert_eq!(rest(&*channel).await.1, End::Failed(fault));
}

#[tokio::test]
async fn a_listener_on_all_addresses_or_on_one_that_others_see_is_reached() {
    let world = world().await;
    // Nothing is sent: it shows the address that this machine has towards others.
    let towards_others = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = towards_others.connect("192.0.2.1:9").and_then(|()| towards_others.local_addr());
    let own = own.map_or_else(|_| "0.0.0.0".to_owned(), |own| own.ip().to_string());
    for address in ["0.0.0.0", "[::]", &own] {
        let Ok(listener) = TcpListener::bind(format!("{address}:0")).await else { continue };
        let channel = dial(&world, Protocol::Tcp, listener.local_addr().unwrap().port()).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(next(&*channel).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn each_direction_of_a_connection_ends_by_itself() {
    let world = world().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();

    let channel = dial(&world, Protocol::Tcp, port).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    channel.write(Bytes::from_static(b"question")).await.unwrap();
    channel.finish();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"question");
    stream.write_all(b"answer").await.unwrap();
    drop(stream);
    assert_eq!(rest(&*channel).await, (b"answer".to_vec(), End::Done));

    let channel = dial(&world, Protocol::Tcp, port).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"first").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(next(&*channel).await.unwrap(), "first");
    assert_eq!(next(&*channel).await, None);
    channel.write(Bytes::from_static(b"then")).await.unwrap();
    channel.finish();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!((heard, rest(&*channel).await.1), (b"then".to_vec(), End::Done));
}

#[tokio::test]
async fn a_client_that_is_gone_ends_the_connection() {
    let world = world().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let channel = dial(&world, Protocol::Tcp, listener.local_addr().unwrap().port()).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(channel);
    let mut heard = Vec::new();
    // As an end or as a reset: it does not go on.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("waited in vain");
}

#[tokio::test]
async fn a_thousand_connections_at_once_carry_their_own_bytes() {
    const COUNT: u32 = 1000;
    let world = Arc::new(world().await);
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = tokio::spawn(async move {
        loop {
            let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut into) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut into).await;
            });
        }
    });
    let before = most_memory(world.agent.id().unwrap());
    let mut channels = Vec::new();
    for _ in 0..COUNT {
        channels.push(dial(&world, Protocol::Tcp, port).await);
    }
    for (number, channel) in (0..COUNT).zip(&channels) {
        channel.write(Bytes::copy_from_slice(&number.to_be_bytes())).await.unwrap();
    }
    for (number, channel) in (0..COUNT).zip(&channels) {
        channel.finish();
        assert_eq!(rest(&**channel).await, (number.to_be_bytes().to_vec(), End::Done));
    }
    echo.abort();
    let grown = most_memory(world.agent.id().unwrap()) - before;
    assert!(grown < 32 << 20, "{grown}");
}

#[tokio::test]
async fn a_process_that_does_not_read_holds_up_the_writer_and_loses_nothing() {
    let world = world().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let channel = Arc::new(dial(&world, Protocol::Tcp, listener.local_addr().unwrap().port()).await);
    let (mut stream, _) = listener.accept().await.unwrap();
    let much: Bytes = (0..20_000_000u32).map(|number| (number >> 4) as u8).collect();
    let writing = tokio::spawn({
        let (channel, much) = (Arc::clone(&channel), much.clone());
        async move {
            for piece in much.chunks(100_000) {
                channel.write(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            channel.finish();
        }
    });
    let mut heard = vec![0; 1000];
    stream.read_exact(&mut heard).await.unwrap();
    assert!(!writing.is_finished(), "20 MB fit in no buffer");
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard == much);
    writing.await.unwrap();
}

#[tokio::test]
async fn datagrams_keep_their_borders() {
    let world = world().await;
    let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let channel = dial(&world, Protocol::Udp, socket.local_addr().unwrap().port()).await;
    channel.write(Bytes::from_static(b"\0\x03abc\0\0\0")).await.unwrap();
    channel.write(Bytes::from_static(b"\x02de")).await.unwrap();
    let mut buffer = [0; 100];
    let mut peer = None;
    for expected in [&b"abc"[..], b"", b"de"] {
        let (count, from) = timeout(PATIENCE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(&buffer[..count], expected);
        peer = Some(from);
    }
    socket.send_to(&[7; 50_000], peer.unwrap()).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 50_002 {
        heard.extend_from_slice(&next(&*channel).await.unwrap());
    }
    assert!(heard[..2] == 50_000u16.to_be_bytes() && heard[2..] == [7; 50_000]);
    // A port whose owner is gone is no error: it may come back.
    let address = socket.local_addr().unwrap();
    drop(socket);
    for _ in 0..3 {
        channel.write(Bytes::from_static(b"\0\x01x")).await.unwrap();
    }
    let socket = UdpSocket::bind(address).await.unwrap();
    channel.write(Bytes::from_static(b"\0\x01y")).await.unwrap();
    while socket.recv_from(&mut buffer).await.unwrap().0 != 1 || buffer[0] != b'y' {}
    channel.finish();
    assert_eq!(rest(&*channel).await.1, End::Done);
}

const EXPORTED: [&str; 14] = [
    "bin/",
    "bin/busybox",
    "bin/sh",
    "dev/",
    "dev/console",
    "dev/pts/",
    "dev/shm/",
    "etc/",
    "etc/new",
    "etc/old",
    "lib/",
    "lib/x86_64-linux-gnu/",
    "lib64/",
    "proc/",
];

/// A container with a file system of its own, where the agent is the first process. The agent and what it needs of this
/// machine are mounted into it.
async fn inside(root: &Path, launch: Launch) -> World {
    for path in ["bin", "dev", "proc", "lib/x86_64-linux-gnu", "lib64", ".sockerless"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
    let daemon = fixture::Daemon::start(0).await;
    let engine = fixture::Engine::new(launch);
    let run = daemon.admit(&engine);
    let agent = fixture::agent(daemon.port);
    let agent = agent.as_std();
    let binary = Path::new(agent.get_program());
    let script = format!(
        "cd {root} && mount -t tmpfs tmpfs dev && mknod dev/null c 1 3 && mount -t proc proc proc && \
         for path in lib/x86_64-linux-gnu lib64; do mount --bind /$path $path; done && \
         mount --bind {folder} .sockerless && exec chroot . /.sockerless/{name}",
        root = root.display(),
        folder = binary.parent().unwrap().display(),
        name = binary.file_name().unwrap().to_str().unwrap(),
    );
    let mut outside = tokio::process::Command::new("unshare");
    outside.args(["--fork", "--kill-child", "--pid", "--mount", "sh", "-c", &script]);
    outside
        .env_clear()
        .envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .kill_on_drop(true);
    outside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let agent =
        outside.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap();
    World { daemon, engine, run, agent: fixture::Agent(agent) }
}

#[tokio::test]
async fn the_containers_files_are_listed_and_changes_are_told_apart() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/old"), "old").unwrap();
    let script = "echo new > /etc/new; /bin/busybox chmod 600 /etc/old; echo ready; read x";
    let world = inside(root, Launch { stdin: true, ..shell(script) }).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let (reply, channel) = ask(&world, Request::Walk).await;
    assert_eq!(reply, Reply::Ready);
    let (lines, end) = rest(&*channel).await;
    assert_eq!(end, End::Done);
    let lines = String::from_utf8(lines).unwrap();
    let entries: Vec<Entry> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |path: &str| entries.iter().find(|entry| entry.path == path).unwrap();
    assert!(find("/proc").closed && find("/dev").closed && !find("/etc").closed);
    assert!(find("/etc/new").recent && find("/etc/old").recent && !find("/bin/busybox").recent);
    assert!(!lines.contains("/proc/1") && !lines.contains(".sockerless"));
    for (request, names) in [
        (Request::Changed, &["etc/", "etc/new", "etc/old"][..]),
        (Request::Export { except: Vec::new() }, &EXPORTED),
    ] {
        let (reply, channel) = ask(&world, request).await;
        assert_eq!(reply, Reply::Ready);
        let (archive, end) = rest(&*channel).await;
        assert_eq!(end, End::Done);
        let mut archive = tar::Archive::new(archive.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            found.push(String::from_utf8(entry.path_bytes().into_owned()).unwrap());
            if entry.path_bytes().ends_with(b"new") {
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                assert_eq!(content, "new\n");
            }
        }
        assert_eq!(found, names);
    }
}

/// A container whose user is not root.
async fn unprivileged() -> World {
    let daemon = fixture::Daemon::start(0).await;
    let engine = fixture::Engine::new(shell("echo ready; sleep 1000"));
    let run = daemon.admit(&engine);
    let agent = fixture::agent(daemon.port);
    let mut lowered = tokio::process::Command::new("setpriv");
    lowered.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(agent.as_std().get_program());
    lowered.env_clear().envs(agent.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    lowered.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    let agent = lowered.kill_on_drop(true).spawn().unwrap();
    let world = World { daemon, engine, run, agent: fixture::Agent(agent) };
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    world
}

#[tokio::test]
async fn what_the_containers_user_may_not_do_the_agent_may_not_either_and_says_so() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = unprivileged().await;
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let permit = |path: &str, mode| fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir_all(at("open/closed/inner")).unwrap();
    fs::create_dir(at("own")).unwrap();
    for path in ["open/a", "open/secret", "open/z"] {
        fs::write(at(path), "x").unwrap();
    }
    for (path, mode) in
        [("", 0o755), ("open", 0o755), ("open/closed", 0o700), ("open/secret", 0o600), ("own", 0o777)]
    {
        permit(path, mode);
    }
    for path in ["open/secret", "open/closed"] {
        let (reply, _channel) = ask(&world, Request::Get { path: text(&at(path)) }).await;
        let message = format!("open {}: permission denied", at(path).display());
        assert_eq!(reply, Reply::Failed(Fault { kind: FaultKind::Forbidden, message }));
    }
    let (reply, _channel) = ask(&world, Request::Stat { path: text(&at("open/closed/inner")) }).await;
    assert!(matches!(reply, Reply::Failed(Fault { kind: FaultKind::Forbidden, .. })), "{reply:?}");

    // The rest of it comes whole, and the end tells what is not in it.
    let (_, channel) = ask(&world, Request::Get { path: text(&at("open")) }).await;
    let (archive, end) = rest(&*channel).await;
    let End::Partial { fault, left_out, more: 0 } = end else { panic!("{end:?}") };
    let message = format!("open {}: permission denied", at("open/closed").display());
    assert_eq!((fault.kind, fault.message), (FaultKind::Forbidden, message));
    let told: Vec<_> = left_out.iter().map(|out| (out.name.as_str(), out.entry.closed)).collect();
    assert_eq!(told, [("open/closed", true), ("open/secret", false)]);
    assert_eq!((left_out[1].entry.path.clone(), left_out[1].entry.size), (text(&at("open/secret")), 1));
    let mut whole = tar::Archive::new(archive.as_slice());
    let names: Vec<_> =
        whole.entries().unwrap().map(|entry| entry.unwrap().path_bytes().into_owned()).collect();
    assert_eq!(names, [&b"open/"[..], b"open/a", b"open/closed/", b"open/z"]);

    // What is copied in belongs to the container's user, whom the archive does not name.
    permit("open/closed", 0o555);
    fs::write(at("open/closed/inner/file"), "y").unwrap();
    let archive = get(&world, &at("open/closed")).await;
    assert_eq!(put(&world, into(&at("own")), archive.clone()).await, End::Done);
    let copied = fs::metadata(at("own/closed/inner/file")).unwrap();
    assert_eq!((copied.uid(), copied.size()), (65534, 1));
    assert_eq!(fs::metadata(at("own/closed")).unwrap().mode() & 0o777, 0o555);
    // A directory of another's stays as it is, but is filled.
    permit("open/closed", 0o777);
    fs::remove_dir_all(at("open/closed/inner")).unwrap();
    assert_eq!(put(&world, into(&at("open")), archive).await, End::Done);
    assert!(at("open/closed/inner/file").exists());
    assert_eq!(fs::metadata(at("open/closed")).unwrap().mode() & 0o777, 0o777);
    let archive = get(&world, &at("open/a")).await;
    let End::Failed(fault) = put(&world, into(&at("open")), archive).await else { panic!("not permitted") };
    assert_eq!(fault.kind, FaultKind::Forbidden);
}
