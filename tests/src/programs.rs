//! Images of real programs, from Debian's packages: `postgres`, `redis` and `nginx` with entry points that do what the official
//! images' do, and `client` with the clients of all three. They share their layers.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, Header};

use crate::{
    debian, dist,
    images::{Layer, sha256},
};

/// What is installed.
const PACKAGES: [&str; 6] = ["postgresql", "redis-server", "nginx-light", "curl", "git", "gosu"];
/// Images have no cluster: their entry point makes one. Programs are found whatever PostgreSQL's version is.
const HOOK: &str = "rm -rf $1/var/lib/postgresql/* $1/etc/postgresql/* $1/var/cache/debconf/* && \
                    ln -s $(ls $1/usr/lib/postgresql | head -n 1) $1/usr/lib/postgresql/current";
/// Where programs are looked for.
const PATH: &str =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/current/bin";

/// The archive of all images, for `docker load`. Made when it is first needed.
#[track_caller]
pub fn archive() -> PathBuf {
    let folder = dist::target().join("images");
    let recipe = sha256(format!("{PACKAGES:?}{HOOK}").as_bytes());
    let system = debian::once(&folder, &format!("system-{}.tar", &recipe[..12]), |path| {
        let part = path.with_extension("part");
        debian::system(&PACKAGES, HOOK, &part);
        fs::rename(part, path).expect("both are in one folder");
    });
    let scripts = scripts().expect("a layer in memory");
    let images = images();
    let recipe = sha256(format!("{recipe}{}{images:?}", sha256(&scripts)).as_bytes());
    debian::once(&folder, &format!("programs-{}.tar", &recipe[..12]), |path| {
        let part = path.with_extension("part");
        write(&system, scripts, &images, &part).expect("the target folder can be written");
        fs::rename(part, path).expect("both are in one folder");
    })
}

/// The entry points, and what nginx serves.
fn scripts() -> io::Result<Vec<u8>> {
    let mut layer = Layer::default();
    layer.folder("docker-entrypoint-initdb.d", 0o755)?;
    layer.file(
        "usr/local/bin/postgres-entrypoint",
        0o755,
        include_str!("../programs/postgres-entrypoint"),
    )?;
    layer.file("usr/local/bin/redis-entrypoint", 0o755, include_str!("../programs/redis-entrypoint"))?;
    layer.file("etc/nginx/conf.d/logs.conf", 0o644, "access_log /dev/stdout;\nerror_log /dev/stderr;\n")?;
    layer.finish()
}

/// Names and configurations.
fn images() -> Vec<(&'static str, Value)> {
    let data = "/var/lib/postgresql/data";
    vec![
        (
            "postgres:latest",
            json!({
                "Env": [PATH, "LANG=C.UTF-8", format!("PGDATA={data}")],
                "Entrypoint": ["postgres-entrypoint"],
                "Cmd": ["postgres"],
                "ExposedPorts": {"5432/tcp": {}},
                "Volumes": {data: {}},
                "StopSignal": "SIGINT",
            }),
        ),
        (
            "redis:latest",
            json!({
                "Env": [PATH],
                "Entrypoint": ["redis-entrypoint"],
                "Cmd": ["redis-server"],
                "ExposedPorts": {"6379/tcp": {}},
                "Volumes": {"/data": {}},
                "WorkingDir": "/data",
            }),
        ),
        (
            "nginx:latest",
            json!({
                "Env": [PATH],
                "Cmd": ["nginx", "-g", "daemon off;"],
                "ExposedPorts": {"80/tcp": {}},
                "StopSignal": "SIGQUIT",
            }),
        ),
        ("client:latest", json!({"Env": [PATH, "LANG=C.UTF-8"], "Cmd": ["bash"]})),
    ]
}

/// What `docker save` would write: the layers once, and a configuration for each image.
fn write(system: &Path, scripts: Vec<u8>, images: &[(&str, Value)], to: &Path) -> io::Result<()> {
    let diffs = [digest(system)?, sha256(&scripts)].map(|digest| format!("sha256:{digest}"));
    let mut archive = Builder::new(fs::File::create(to)?);
    let mut add = |name: &str, size: u64, content: &mut dyn Read| {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(size);
        archive.append_data(&mut header, name, content)
    };
    let mut manifest = Vec::new();
    for (name, config) in images {
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diffs},
            "history": [
                {"created": "2026-01-01T00:00:00Z", "created_by": "mmdebstrap"},
                {"created": "2026-01-01T00:00:00Z", "created_by": "entry points"},
            ],
        })
        .to_string();
        let file = format!("{}.json", sha256(config.as_bytes()));
        add(&file, config.len() as u64, &mut config.as_bytes())?;
        manifest.push(json!({"Config": file, "RepoTags": [name], "Layers": ["system.tar", "scripts.tar"]}));
    }
    let manifest = Value::from(manifest).to_string();
    add("manifest.json", manifest.len() as u64, &mut manifest.as_bytes())?;
    add("scripts.tar", scripts.len() as u64, &mut scripts.as_slice())?;
    let mut layer = fs::File::open(system)?;
    add("system.tar", layer.metadata()?.len(), &mut layer)?;
    archive.into_inner().map(drop)
}

/// SHA-256 of a file too large for the memory of a test.
fn digest(file: &Path) -> io::Result<String> {
    let (mut file, mut state, mut part) = (fs::File::open(file)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(state.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => state.update(&part[..read]),
        }
    }
}
