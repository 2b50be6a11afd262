//! Synced volumes: a git checkout on one, and the ways in and back.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use sockerless_tests::images::{ImageSpec, Layer, archive, busybox_layer};

use super::{
    FEW,
    cli::{middle, run, timed, uptime},
};
use crate::{Result, bench::subject::Subject, command};

/// Folders of the repository, and files in each.
const FOLDERS: usize = 200;
const FILES: usize = 100;
/// Bytes of a file: about what a source file has.
const BYTES: usize = 3_000;

/// When each step was done, by the clock that container and machine share.
const CLONES: &str = "now() { read up idle < /proc/uptime; echo $up; }
    now; git clone -q /repository.git /own; now; git clone -q /repository.git /data/clone; now";

/// What a clone into the volume takes in terms of one to the container's own disk, and the seconds for the ways back and in.
/// The run in the middle counts for each.
pub fn synced(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let socket = subject.socket().to_owned();
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("image.tar");
    fs::write(&image, archive(&ImageSpec::new("git:latest"), with_git(folder.path())?)?)?;
    run(&socket, &["load", "--quiet", "--input", &image.display().to_string()])?;
    let plain = timed(&socket, &["run", "--rm", "git", "true"])?.1;
    let (mut ratios, mut backs, mut ins) = (Vec::new(), Vec::new(), Vec::new());
    // Containers stay until all is measured: on ext4 files are made at a tenth of the speed for some minutes after as many
    // were removed, as it looks for numbers that were not in use a moment ago.
    let mut containers = Vec::new();
    for round in 0..FEW {
        let [writer, reader] = ["writer", "reader"].map(|name| format!("synced-{name}-{round}"));
        let volume = format!("synced-{round}");
        let mount = format!("{volume}:/data");
        run(&socket, &["volume", "create", "--opt", "sockerless.consistency=synced", &volume])?;
        let clones = ["run", "--name", &writer, "--volume", &mount, "git", "sh", "-ec", CLONES];
        let output = run(&socket, &clones)?;
        let over = uptime()?;
        let times: Vec<f64> = output.lines().map(str::parse).collect::<std::result::Result<_, _>>()?;
        let [before, own, synced] = times[..] else { return Err(format!("unexpected: {output}").into()) };
        ratios.push((synced - own) / (own - before));
        backs.push(over - synced);
        let nothing = ["run", "--name", &reader, "--volume", &mount, "git", "true"];
        ins.push(timed(&socket, &nothing)?.1 - plain);
        containers.extend([writer, reader]);
    }
    let of = |command: &[&'static str], names: &[String]| -> Result {
        let all: Vec<&str> = command.iter().copied().chain(names.iter().map(String::as_str)).collect();
        run(&socket, &all).map(drop)
    };
    of(&["rm", "--force"], &containers)?;
    let volumes: Vec<String> = (0..FEW).map(|round| format!("synced-{round}")).collect();
    of(&["volume", "rm"], &volumes)?;
    Ok([ratios, backs, ins].map(middle).to_vec())
}

/// busybox, this machine's git with what it needs, and a repository.
fn with_git(folder: &Path) -> Result<Layer> {
    let program = PathBuf::from(command::read(Command::new("which").arg("git"))?.trim());
    let mut layer = busybox_layer()?;
    layer.file("bin/git", 0o755, fs::read(&program)?)?;
    // A clone starts it by this name, which the package has beside its other programs.
    layer.file("bin/git-upload-pack", 0o755, &b"#!/bin/sh\nexec git upload-pack \"$@\"\n"[..])?;
    for library in command::read(Command::new("ldd").arg(&program))?.split_whitespace() {
        if library.starts_with('/') {
            folders(&mut layer, Path::new(library))?;
            layer.file(library.trim_start_matches('/'), 0o755, fs::read(library)?)?;
        }
    }
    let repository = repository(folder)?;
    add(&mut layer, &repository, "repository.git")?;
    Ok(layer)
}

/// The folders above a file.
fn folders(layer: &mut Layer, file: &Path) -> Result {
    let above: Vec<_> = file.ancestors().skip(1).filter(|path| path.parent().is_some()).collect();
    for path in above.into_iter().rev() {
        layer.folder(path.display().to_string().trim_start_matches('/'), 0o755)?;
    }
    Ok(())
}

/// A folder with all that is in it.
fn add(layer: &mut Layer, folder: &Path, name: &str) -> Result {
    layer.folder(name, 0o755)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add(layer, &entry.path(), &name)?;
        } else {
            layer.file(&name, 0o644, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// A bare repository with one commit, in one pack: as a server would send it.
fn repository(folder: &Path) -> Result<PathBuf> {
    let (commit, bare) = (folder.join("commit"), folder.join("bare"));
    let mut stream = io::BufWriter::new(fs::File::create(&commit)?);
    writeln!(stream, "commit refs/heads/main\ncommitter bench <bench@localhost> 0 +0000\ndata 3\nall")?;
    for folder in 0..FOLDERS {
        for file in 0..FILES {
            let line = format!("folder{folder} line of file {file}\n");
            let text = line.repeat(BYTES / line.len());
            writeln!(stream, "M 100644 inline folder{folder}/file{file}.txt\ndata {}\n{text}", text.len())?;
        }
    }
    stream.into_inner()?;
    let git = || {
        let mut git = Command::new("git");
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").arg("--git-dir").arg(&bare);
        git
    };
    command::run(git().args(["init", "--quiet", "--bare", "--initial-branch", "main"]))?;
    command::run(git().args(["fast-import", "--quiet"]).stdin(fs::File::open(&commit)?))?;
    Ok(bare)
}
