//! TCP connections of real programs to peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use fixture::with;

#[test]
fn a_program_connects_to_a_peer_and_sees_its_address() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let said = container
            .python(
                "s = socket.create_connection(('172.18.0.3', 8080))
f = s.makefile('rw')
print(f.readline().strip())
f.write('hello\\n'); f.flush()
print(f.readline().strip())
print(*s.getpeername()); print(s.getsockname()[0])
s.shutdown(socket.SHUT_WR)
print(repr(f.read()))",
            )
            .await;
        assert_eq!(said, "172.18.0.3:8080\nhello\n172.18.0.3 8080\n172.18.0.2\n''");
    });
}

#[test]
fn a_peer_that_refuses_cannot_be_reached_or_is_silent_is_told_as_such() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let said = container
            .python(
                "def tried(*to):
    s = socket.socket()
    try: s.connect(to)
    except OSError as e: print(errno.errorcode[e.errno])
    return s
tried('172.18.0.3', 81)
tried('172.18.0.99', 8080)
s = tried('172.18.0.3', 81); s.connect(('172.18.0.3', 8080)); print(s.recv(99))
t = threading.Thread(target=lambda: print(errno.errorcode[s.connect_ex(('172.18.0.3', 8080))])); t.start(); t.join()",
            )
            .await;
        assert_eq!(said, "ECONNREFUSED\nEHOSTUNREACH\nECONNREFUSED\nb'172.18.0.3:8080\\n'\nEISCONN");
    });
}

#[test]
fn a_port_that_listens_later_is_reached_then() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 1).await;
        let program = "print(socket.socket().connect_ex(('172.18.0.3', 8080)))";
        let refused = container.python(program).await;
        container.peers.echo([172, 18, 0, 3], 8080).await;
        assert_eq!((refused.as_str(), container.python(program).await.as_str()), ("111", "0"));
    });
}

#[test]
fn two_peers_and_the_container_itself_use_one_port() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        container.peers.echo([172, 18, 0, 4], 8080).await;
        let said = container
            .python(
                "server = socket.create_server(('', 8080))
def serve():
    while True:
        c, who = server.accept(); c.sendall(b'own\\n'); print(c.getpeername()[0], c.getsockname()[0]); c.close()
threading.Thread(target=serve, daemon=True).start()
for to in '172.18.0.3', '172.18.0.4', '172.18.0.2':
    s = socket.create_connection((to, 8080)); print(s.makefile().readline().strip(), s.getpeername()[0])
time.sleep(0)",
            )
            .await;
        let mut said: Vec<&str> = said.lines().collect();
        // The server's own line may come before or after the client's last.
        said.sort_unstable();
        let expected = ["172.18.0.3:8080 172.18.0.3", "172.18.0.4:8080 172.18.0.4", "own 172.18.0.2"];
        for line in expected {
            assert!(said.contains(&line), "{said:?}");
        }
    });
}

#[test]
fn a_server_on_the_own_address_is_reached_by_it_and_one_on_localhost_is_not() {
    with(async |container| {
        let said = container
            .python(
                "own = socket.create_server(('172.18.0.2', 0)); print(own.getsockname()[0])
port = own.getsockname()[1]
local = socket.create_server(('127.0.0.1', port))
s = socket.create_connection(('172.18.0.2', port)); c, who = own.accept(); c.sendall(b'own'); print(s.recv(9), c.getsockname()[0])
own.close()
print(errno.errorcode[socket.socket().connect_ex(('172.18.0.2', port))])
six = socket.socket(socket.AF_INET6); six.setblocking(False)
print(errno.errorcode[six.connect_ex(('::ffff:172.18.0.2', port))]); select.select([], [six], [])
print(errno.errorcode[six.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])",
            )
            .await;
        assert_eq!(said, "172.18.0.2\nb'own' 172.18.0.2\nECONNREFUSED\nEINPROGRESS\nECONNREFUSED");
    });
}

#[test]
fn sockets_that_do_not_block_and_those_of_ipv6_connect_too() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let said = container
            .python(
                "for family, to in (socket.AF_INET, '172.18.0.3'), (socket.AF_INET6, '::ffff:172.18.0.3'):
    s = socket.socket(family); s.setblocking(False); p = select.epoll(); p.register(s, select.EPOLLOUT | select.EPOLLET)
    print(s.connect_ex((to, 8080)) in (0, errno.EINPROGRESS)); p.poll()
    print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.getpeername()[0], os.get_blocking(s.fileno()))
    p.modify(s, select.EPOLLIN); p.poll(); print(s.recv(99))
s = socket.socket(); s.setblocking(False); r = s.connect_ex(('172.18.0.3', 81))
if r == errno.EINPROGRESS: select.select([], [s], []); r = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
print(errno.errorcode[r])",
            )
            .await;
        assert_eq!(
            said,
            "True\n0 172.18.0.3 False\nb'172.18.0.3:8080\\n'\nTrue\n0 ::ffff:172.18.0.3 False\n\
             b'172.18.0.3:8080\\n'\nECONNREFUSED"
        );
    });
}

#[test]
fn a_silent_peer_holds_up_nobody_else_and_a_signal_reaches_who_waits_for_it() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        container.peers.silent.borrow_mut().push([172, 18, 0, 9].into());
        let said = container
            .python(
                "class Alarm(Exception): pass
def alarm(*_): raise Alarm
threading.Thread(target=lambda: socket.socket().connect_ex(('172.18.0.9', 80)), daemon=True).start()
s = socket.create_connection(('172.18.0.3', 8080)); print(s.recv(99))
signal.signal(signal.SIGALRM, alarm); signal.setitimer(signal.ITIMER_REAL, 0.05)
try: socket.socket().connect(('172.18.0.9', 80))
except Alarm: print('alarm')
sys.stdout.flush(); os._exit(0)",
            )
            .await;
        assert_eq!(said, "b'172.18.0.3:8080\\n'\nalarm");
    });
}

#[test]
fn an_interrupted_connect_is_made_once_and_heard() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let said = container
            .python(
                "signal.signal(signal.SIGALRM, lambda *_: None); signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
done = 0
for _ in range(200):
    s = socket.socket(); s.connect(('172.18.0.3', 8080)); done += s.recv(99) == b'172.18.0.3:8080\\n'; s.close()
signal.setitimer(signal.ITIMER_REAL, 0); print(done)",
            )
            .await;
        assert_eq!(said, "200");
    });
}

#[test]
fn a_program_that_is_killed_while_it_waits_leaves_no_dial_and_no_descriptor() {
    with(async |container| {
        container.peers.silent.borrow_mut().push([172, 18, 0, 9].into());
        let descriptors = || std::fs::read_dir("/proc/self/fd").expect("listed").count();
        // The first program makes what stays.
        container.python("socket.socket().connect_ex(('172.18.0.3', 80))").await;
        let before = descriptors();
        for _ in 0..8 {
            let child =
                container.start(fixture::python("socket.create_connection(('172.18.0.9', 80))")).await;
            while *container.peers.dialling.borrow() == 0 {
                tokio::task::yield_now().await;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            let process = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
            rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("killed");
            fixture::ended(child).await;
            while *container.peers.dialling.borrow() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        while descriptors() > before {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn many_threads_of_many_programs_connect_at_once() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let program = "count = 0; lock = threading.Lock()
def one():
    global count
    for _ in range(20):
        s = socket.create_connection(('172.18.0.3', 8080)); f = s.makefile('rwb', 0); f.readline()
        f.write(b'x' * 5000); s.shutdown(socket.SHUT_WR); got = len(s.makefile('rb').read())
        with lock: count += got
threads = [threading.Thread(target=one) for _ in range(25)]
[t.start() for t in threads]; [t.join() for t in threads]; print(count)";
        let said = tokio::join!(container.python(program), container.python(program));
        assert_eq!(said, ("2500000".to_owned(), "2500000".to_owned()));
    });
}

#[test]
fn a_reset_arrives_as_a_reset_and_an_end_in_one_direction_as_that() {
    with(async |container| {
        container
            .peers
            .serve([172, 18, 0, 3], 1, async |stream| {
                stream.set_zero_linger().expect("set");
            })
            .await;
        container
            .peers
            .serve([172, 18, 0, 3], 2, async |stream| {
                let (from, mut into) = stream.into_split();
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                into.write_all(b"all").await.expect("written");
                into.shutdown().await.expect("ended");
                let mut from = from;
                let mut said = Vec::new();
                from.read_to_end(&mut said).await.expect("read");
                assert_eq!(said, b"still heard");
            })
            .await;
        let said = container
            .python(
                "s = socket.create_connection(('172.18.0.3', 1))
try: print(s.recv(9))
except OSError as e: print(errno.errorcode[e.errno])
s = socket.create_connection(('172.18.0.3', 2)); print(s.makefile().read()); s.sendall(b'still heard')",
            )
            .await;
        assert_eq!(said, "ECONNRESET\nall");
    });
}

#[test]
fn what_is_not_for_the_mesh_goes_on_as_ever() {
    with(async |container| {
        let said = container
            .python(
                "server = socket.create_server(('127.0.0.1', 0)); s = socket.create_connection(server.getsockname())
c, who = server.accept(); c.sendmsg([b'a', b'b']); print(s.recvmsg(9)[0], who == s.getsockname(), s.getpeername() == server.getsockname())
a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [0]); m, f, _, _ = socket.recv_fds(b, 9, 1); print(m, len(f))
u = socket.socket(socket.AF_UNIX); print(errno.errorcode[u.connect_ex('/nonexistent/socket')])
e = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); e.bind(('127.0.0.1', 0)); e.sendto(b'y', e.getsockname()); print(e.recvfrom(9)[0])
print(errno.errorcode[socket.socket().connect_ex(('127.0.0.1', 1))])",
            )
            .await;
        assert_eq!(said, "b'ab' True True\nb'x' 1\nENOENT\nb'y'\nECONNREFUSED");
    });
}

#[test]
fn a_socket_that_does_not_block_is_told_of_a_slow_peer_as_the_kernel_would() {
    with(async |container| {
        let slow = std::rc::Rc::new(tokio::sync::Notify::new());
        container.peers.echo([172, 18, 0, 3], 8080).await;
        container.peers.slow.borrow_mut().insert([172, 18, 0, 3].into(), slow.clone());
        for family in ["AF_INET, '172.18.0.3'", "AF_INET6, '::ffff:172.18.0.3'"] {
            // The peer answers once the program says that its call has returned.
            let program = fixture::python(&format!(
                "family, to = socket.{family}
for port in 8080, 81:
    s = socket.socket(family); s.setblocking(False)
    print(errno.errorcode[s.connect_ex((to, port))], errno.errorcode[s.connect_ex((to, port))], flush=True)
    print('go', file=sys.stderr, flush=True); select.select([], [s], [])
    e = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR); print(errno.errorcode.get(e, e))
    if not e: print(s.getpeername()[0]); s.setblocking(True); print(s.recv(99)); s.sendall(b'x' * 99999); s.shutdown(socket.SHUT_WR); print(len(s.makefile('rb').read()))"
            ));
            let mut program = program;
            program.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            let mut child = container.start(program).await;
            let said = child.stderr.take().expect("piped");
            let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
            std::thread::spawn(move || {
                use std::io::BufRead;
                std::io::BufReader::new(said).lines().try_for_each(|line| tell.send(line.expect("text")))
            });
            for _ in 0..2 {
                assert_eq!(told.recv().await.as_deref(), Some("go"));
                slow.notify_one();
            }
            let said = String::from_utf8(fixture::ended(child).await.stdout).expect("text");
            let peer = family.rsplit('\'').nth(1).expect("an address");
            let expected = format!(
                "EINPROGRESS EALREADY\n0\n{peer}\nb'172.18.0.3:8080\\n'\n99999\nEINPROGRESS EALREADY\nECONNREFUSED\n"
            );
            assert_eq!(said, expected);
        }
    });
}

#[test]
fn a_connection_has_its_names_after_both_directions_have_ended_too() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let said = container
            .python(
                "s = socket.create_connection(('172.18.0.3', 8080))
s.shutdown(socket.SHUT_WR); print(s.makefile().read().strip())
names = set()
try:
    while True: names.add(s.getpeername()[0])
except OSError as e: print(errno.errorcode[e.errno])
print(s.getsockname()[0], names - {'172.18.0.3'})",
            )
            .await;
        assert_eq!(said, "172.18.0.3:8080\nENOTCONN\n172.18.0.2 set()");
    });
}
