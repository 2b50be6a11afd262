//! The daemon's socket, where it is mounted into the container: the agent listens there, and each connection is a channel to
//! the daemon's API.

use std::{
    fs, io,
    os::unix::{
        fs::{PermissionsExt, chown},
        net::UnixListener as StdListener,
    },
    path::Path,
    rc::Rc,
};

use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::sleep,
};

use crate::{process::Failure, say, shared::Shared, tuning};

/// Listens at each of these paths, in the place of what is there; the group that may connect is the process's own, where the
/// agent may give files away. Blocks for a moment.
pub fn listen(paths: &[String], group: Option<u32>) -> Result<Vec<StdListener>, Failure> {
    let listen = |path: &String| {
        bind(Path::new(path), group).map_err(|error| Failure {
            code: 128,
            message: format!(
                "the daemon's socket cannot be served at {path}: {error}; a path that the container's user may write to \
                 (-v /var/run/docker.sock:/tmp/docker.sock) with DOCKER_HOST=unix:///tmp/docker.sock would do"
            ),
        })
    };
    paths.iter().map(listen).collect()
}

fn bind(path: &Path, group: Option<u32>) -> io::Result<StdListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdListener::bind(path)?;
    listener.set_nonblocking(true)?;
    if group.is_some() {
        chown(path, None, group)?;
    }
    // As dockerd's: for its owner and its group.
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Takes connections until it is dropped, which ends those that were taken, too.
pub async fn serve(shared: Rc<Shared>, listener: StdListener) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return say!("the daemon's socket is not served: {error}"),
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Those that have ended are to be forgotten.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn_local(carry(Rc::clone(&shared), stream));
            }
            Err(error) => {
                say!("a connection to the daemon's socket cannot be taken: {error}");
                sleep(tuning::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One that the daemon refuses is closed; the daemon's log says why.
async fn carry(shared: Rc<Shared>, mut stream: UnixStream) {
    if let Ok(mut daemon) = shared.connect_api().await {
        // A process that is gone, or a daemon that is: both ends see it.
        let _ = copy_bidirectional(&mut stream, &mut daemon).await;
    }
}
