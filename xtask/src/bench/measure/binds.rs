//! Bind mounts: the ways in and back.

use std::fs;

use super::{
    FEW,
    cli::{middle, run, timed, uptime},
};
use crate::{Result, bench::subject::Subject};

/// Folders in the directory, and files in each.
const FOLDERS: usize = 200;
const FILES: usize = 100;
/// Bytes of a file: about what a source file has.
const BYTES: usize = 3_000;

/// Writes every file anew, and says when that was done.
const REWRITE: &str = "text=$(cat /work/folder0/file0)
    for folder in /work/*; do for file in $folder/*; do echo \"$text\" > $file; done; done
    read up idle < /proc/uptime; echo $up";

/// The seconds that a directory of 20,000 files adds to a start, and those between the end of a process that has written all
/// of them anew and the end of `docker run`. The run in the middle counts for each.
pub fn both_ways(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let socket = subject.socket().to_owned();
    let plain = timed(&socket, &["run", "--rm", "busybox", "true"])?.1;
    let (mut ins, mut backs) = (Vec::new(), Vec::new());
    // Files and containers stay until all is measured: see the synced volumes.
    let (mut folders, mut containers) = (Vec::new(), Vec::new());
    for round in 0..FEW {
        let folder = tempfile::tempdir()?;
        for number in 0..FOLDERS {
            let at = folder.path().join(format!("folder{number}"));
            fs::create_dir(&at)?;
            for file in 0..FILES {
                fs::write(at.join(format!("file{file}")), format!("line of {number}\n").repeat(BYTES / 12))?;
            }
        }
        let mount = format!("{}:/work", folder.path().display());
        let [reader, writer] = ["reader", "writer"].map(|name| format!("bound-{name}-{round}"));
        let read_only = format!("{mount}:ro");
        let nothing = ["run", "--name", &reader, "--volume", &read_only, "busybox", "true"];
        ins.push(timed(&socket, &nothing)?.1 - plain);
        let output =
            run(&socket, &["run", "--name", &writer, "--volume", &mount, "busybox", "sh", "-ec", REWRITE])?;
        backs.push(uptime()? - output.trim().parse::<f64>()?);
        folders.push(folder);
        containers.extend([reader, writer]);
    }
    let removal: Vec<&str> =
        ["rm", "--force"].into_iter().chain(containers.iter().map(String::as_str)).collect();
    run(&socket, &removal)?;
    Ok([ins, backs].map(middle).to_vec())
}
