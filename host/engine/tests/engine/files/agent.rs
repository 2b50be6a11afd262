//! An agent that knows a few files.

use std::sync::{Arc, Mutex};

use sockerless_ports::link::{
    Output,
    request::{End, Entry, Fault, FaultKind, PathStat, Reply, Request},
};

use super::archive::tar;
use crate::world::AgentEnd;

/// What an agent was asked, and what it got.
#[derive(Default)]
pub struct Asked {
    pub requests: Mutex<Vec<Request>>,
    pub bodies: Mutex<Vec<Vec<u8>>>,
}

impl Asked {
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    pub fn bodies(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.bodies.lock().unwrap())
    }
}

fn fault(kind: FaultKind, message: &str) -> Fault {
    Fault { kind, message: message.into() }
}

/// `/file` holds "text"; `/gone` is not there; `/secret` may not be read; `/broken` ends in the middle; `/bad` takes no
/// archive to its end. Its image is `bin/ bin/vi etc/ etc/passwd`; it has touched `etc/passwd`, removed `bin/vi`, made `new`,
/// and moved a folder to `moved`.
pub async fn act(asked: Arc<Asked>, request: Request, end: AgentEnd) {
    asked.requests.lock().unwrap().push(request.clone());
    let failed = |kind, message: &str| end.reply(Reply::Failed(fault(kind, message)));
    let path = match &request {
        Request::Stat { path } | Request::Get { path } => path.clone(),
        Request::Put(put) => put.path.clone(),
        _ => String::new(),
    };
    match path.as_str() {
        "/gone" => return failed(FaultKind::NotFound, "lstat /gone: no such file or directory"),
        "/secret" => return failed(FaultKind::Forbidden, "open /secret: permission denied"),
        _ => {}
    }
    let stat = PathStat { name: "file".into(), size: 4, mode: 0o100_644, ..PathStat::default() };
    match request {
        Request::Stat { .. } => end.reply(Reply::Stat(stat)),
        Request::Get { path } => {
            end.reply(Reply::Stat(stat));
            let archive = match path.as_str() {
                "/etc/passwd" => tar(&["passwd root:x:0:0::/:/bin/sh\nweb:x:7:8::/:/bin/sh\n"]),
                "/moved/old" => tar(&["old moved"]),
                _ => tar(&["file text"]),
            };
            end.write(Output::Stdout, archive[..700].to_vec()).await;
            if path == "/broken" {
                return end.end(End::Failed(fault(FaultKind::Internal, "read /broken: input/output error")));
            }
            end.write(Output::Stdout, archive[700..].to_vec()).await;
            end.end(End::Done);
        }
        Request::Put(put) => {
            end.reply(Reply::Ready);
            if put.path == "/bad" {
                end.read().await;
                return end.end(End::Failed(fault(FaultKind::Invalid, "unexpected EOF")));
            }
            let body = end.read_all().await;
            asked.bodies.lock().unwrap().push(body);
            end.end(End::Done);
        }
        Request::Export { .. } => {
            end.reply(Reply::Ready);
            end.write(Output::Stdout, tar(&["bin/", "everything x"])).await;
            end.end(End::Done);
        }
        Request::Walk => {
            end.reply(Reply::Ready);
            for entry in walk() {
                end.write(Output::Stdout, serde_json::to_string(&entry).unwrap() + "\n").await;
            }
            end.end(End::Done);
        }
        Request::Changed => {
            end.reply(Reply::Ready);
            let archive =
                tar(&["etc/passwd changed", "./new made", "etc/hosts machine", "late not listed", "moved/"]);
            end.write(Output::Stdout, archive).await;
            end.end(End::Done);
        }
        Request::Freeze | Request::Thaw => end.reply(Reply::Ready),
        other => panic!("{other:?}"),
    }
}

fn walk() -> Vec<Entry> {
    let thing = |path: &str, mode: u32, size: u64, recent: bool| Entry {
        path: path.into(),
        mode,
        size,
        uid: 5,
        gid: 6,
        modified: 1_700_000_000,
        recent,
        ..Entry::default()
    };
    vec![
        thing("/", 0o040_755, 0, true),
        thing("/bin", 0o040_755, 0, true),
        thing("/etc", 0o040_755, 0, false),
        thing("/etc/passwd", 0o100_644, 7, true),
        thing("/etc/hosts", 0o100_644, 7, true),
        thing("/new", 0o100_644, 4, true),
        thing("/moved", 0o040_755, 0, true),
        thing("/moved/old", 0o100_644, 5, false),
        Entry { closed: true, ..thing("/proc", 0o040_555, 0, true) },
    ]
}
