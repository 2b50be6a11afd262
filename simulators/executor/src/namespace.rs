//! The user namespace of an ordinary user's executor.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{error::ExecutorError, stage::stage_command};

/// Held by a process of its own, which ends with this one.
#[derive(Debug)]
pub(crate) struct UserNamespace {
    _holder: Child,
    _line: UnixStream,
    path: PathBuf,
}

impl UserNamespace {
    /// In it, this user is root, and the user's range from /etc/subuid and /etc/subgid follows.
    ///
    /// # Errors
    /// [`ExecutorError::Unsupported`] with the remedy.
    pub(crate) async fn open(program: &Path, scope: &str) -> Result<Self, ExecutorError> {
        let uid = nix::unistd::Uid::current();
        let user = nix::unistd::User::from_uid(uid)
            .ok()
            .flatten()
            .ok_or_else(|| ExecutorError::Unsupported(format!("user {uid} is not in /etc/passwd")))?;
        let uids = sub_range("/etc/subuid", &user.name, uid.as_raw())?;
        let gids = sub_range("/etc/subgid", &user.name, uid.as_raw())?;

        let failed = |error| ExecutorError::system("user namespace", error);
        let (line, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = stage_command(program, "holder", scope);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut holder = Command::from(command).kill_on_drop(true).spawn().map_err(failed)?;
        let pid = holder.id().ok_or_else(|| failed(io::Error::other("the holder has ended")))?;
        let theirs = line.try_clone().map_err(failed)?;
        theirs.set_nonblocking(true).map_err(failed)?;
        let mut lines = BufReader::new(tokio::net::UnixStream::from_std(theirs).map_err(failed)?).lines();
        if lines.next_line().await.map_err(failed)?.is_none() {
            let mut message = String::new();
            if let Some(mut stderr) = holder.stderr.take() {
                tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut message).await.map_err(failed)?;
            }
            return Err(ExecutorError::Unsupported(message.trim().to_owned()));
        }
        map("newuidmap", pid, uid.as_raw(), uids).await?;
        map("newgidmap", pid, nix::unistd::Gid::current().as_raw(), gids).await?;
        Ok(Self { _holder: holder, _line: line, path: PathBuf::from(format!("/proc/{pid}/ns/user")) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Id 0 is this user, 1 and on are the range.
async fn map(tool: &str, pid: u32, own: u32, (start, count): (u32, u32)) -> Result<(), ExecutorError> {
    let output = Command::new(tool)
        .args([pid, 0, own, 1, 1, start, count].map(|number| number.to_string()))
        .output()
        .await
        .map_err(|_| {
            ExecutorError::Unsupported(format!(
                "{tool} is missing: `sudo apt-get install uidmap` installs it, or run as root"
            ))
        })?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(ExecutorError::Unsupported(format!(
        "{message}; an ordinary user's containers need it, or run as root"
    )))
}

/// The largest range of a user.
fn sub_range(path: &str, user: &str, uid: u32) -> Result<(u32, u32), ExecutorError> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    largest_range(&text, user, uid).ok_or_else(|| {
        ExecutorError::Unsupported(format!(
            "{path} gives {user} no range of ids for containers: `sudo usermod --add-subuids 100000-165535 \
             --add-subgids 100000-165535 {user}` does, or run as root"
        ))
    })
}

fn largest_range(text: &str, user: &str, uid: u32) -> Option<(u32, u32)> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (owner == user || owner.parse() == Ok(uid)).then_some(range)
    };
    text.lines().filter_map(range).max_by_key(|(_, count): &(u32, u32)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_range_of_the_user_by_name_or_number_is_taken() {
        let text = "other:1:99999999\nme:100:10\n# comment\n1000:200000:65536\n";
        assert_eq!(largest_range(text, "me", 1000), Some((200_000, 65536)));
        assert_eq!(largest_range(text, "me", 1001), Some((100, 10)));
        assert_eq!(largest_range(text, "you", 1002), None);
    }
}
