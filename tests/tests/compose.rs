//! `docker compose` 2.40, Debian's package, with real programs: a web server, a database and a cache.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use sockerless_tests::{Daemon, Docker, Output, until};

/// A project's folder, and the CLI for it.
struct Project<'a> {
    docker: &'a Docker,
    file: String,
}

impl<'a> Project<'a> {
    fn new(daemon: &Daemon, docker: &'a Docker, text: &str) -> Self {
        let file = daemon.folder().join("compose.yaml");
        fs::write(&file, text).unwrap();
        Self { docker, file: file.display().to_string() }
    }

    fn arguments<'b>(&'b self, args: &[&'b str]) -> Vec<&'b str> {
        [&["compose", "--file", &self.file, "--project-name", "shop"][..], args].concat()
    }

    #[track_caller]
    fn args(&self, args: &[&str]) -> Output {
        self.docker.args(self.arguments(args))
    }

    #[track_caller]
    fn run(&self, args: &str) -> Output {
        self.args(&args.split_whitespace().collect::<Vec<_>>())
    }

    /// What a script with the programs' clients says on the project's network.
    #[track_caller]
    fn says(&self, script: &str) -> String {
        self.args(&["run", "--rm", "-T", "client", "timeout", "120", "bash", "-euc", script]).ok()
    }
}

const STACK: &str = r#"
services:
  web:
    image: nginx
    depends_on:
      db: {condition: service_healthy}
      cache: {condition: service_started}
      migrate: {condition: service_completed_successfully}
    ports: ["127.0.0.1::80"]
    networks: {front: {}, back: {aliases: [shop]}}
    healthcheck: {test: "curl -sf http://127.0.0.1/", interval: 1s, timeout: 20s, start_period: 60s}
  db:
    image: postgres
    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD: secret}
    volumes: ["data:/var/lib/postgresql/data"]
    networks: [back]
    healthcheck: {test: [CMD, pg_isready, -U, app, -h, 127.0.0.1], interval: 1s, timeout: 20s, start_period: 60s}
  migrate:
    image: client
    depends_on: {db: {condition: service_healthy}}
    environment: {PGPASSWORD: secret}
    command: psql -qAt -h db -U app -c "create table if not exists t as select generate_series(1, 10) as n"
    networks: [back]
  cache:
    image: redis
    networks: [back]
  client:
    image: client
    environment: {PGPASSWORD: secret}
    profiles: [never]
    networks: [front, back]
networks: {front: {}, back: {driver_opts: {com.docker.network.bridge.name: shop0}}}
volumes: {data: {driver_opts: {consistency: synced}}}
"#;

#[test]
fn a_stack_comes_up_in_the_order_of_its_health_and_leaves_nothing() {
    let daemon = Daemon::start();
    daemon.load_programs();
    let docker = daemon.docker_with_compose();
    let version = docker.run("compose version --short").ok();
    assert!(version.starts_with("2.40"), "{version}");
    let project = Project::new(&daemon, &docker, STACK);

    project.run("up --detach --wait --quiet-pull").ok();
    let shown =
        project.args(&["ps", "--all", "--format", "{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}"]).ok();
    let mut shown: Vec<&str> = shown.lines().map(str::trim).collect();
    shown.sort_unstable();
    assert_eq!(
        shown,
        ["cache running  0", "db running healthy 0", "migrate exited  0", "web running healthy 0"]
    );
    // Once more changes nothing.
    let ids = project.run("ps -q").ok();
    project.run("up --detach --wait").ok();
    assert_eq!(project.run("ps -q").ok(), ids);

    // Each is reached by its service's name and alias, and the published port from here.
    assert!(project.says("curl -sf http://web/; curl -sf http://shop/").contains("Welcome to nginx!"));
    assert_eq!(project.says("psql -qAt -h db -U app -c 'select sum(n) from t'"), "55");
    assert_eq!(project.says("redis-cli -h cache ping"), "PONG");
    let address = project.run("port web 80").ok();
    let answer = Command::new("curl").args(["-sf", &format!("http://{address}/")]).output().unwrap();
    assert!(String::from_utf8_lossy(&answer.stdout).contains("Welcome to nginx!"), "{answer:?}");

    // exec, cp, top, logs.
    assert_eq!(
        project.args(&["exec", "-T", "db", "psql", "-qAt", "-U", "app", "-c", "select count(*) from t"]).ok(),
        "10"
    );
    assert_eq!(project.args(&["exec", "-T", "db", "sh", "-c", "exit 3"]).code, 3);
    let page = daemon.folder().join("page.html");
    fs::write(&page, "ours\n").unwrap();
    project.args(&["cp", &page.display().to_string(), "web:/var/www/html/page.html"]).ok();
    assert_eq!(project.says("curl -sf http://web/page.html"), "ours");
    assert!(project.run("top cache").ok().contains("redis-server"));
    let logs = project.run("logs --no-color web cache").ok();
    // How far the names are padded depends on which comes first.
    let has = |name, words| logs.lines().any(|line| line.starts_with(name) && line.contains(words));
    assert!(has("web-1 ", "GET /page.html") && has("cache-1 ", "Ready to accept connections"), "{logs}");
    assert_eq!(project.run("logs --no-color --no-log-prefix --tail 1 web").ok().lines().count(), 1);
    assert!(project.run("images").ok().contains("postgres"));

    // stop, start, restart: rows stay, names too.
    project.run("restart cache db").ok();
    project.run("stop web").ok();
    project.run("up --detach --wait").ok();
    assert_eq!(
        project.says("psql -qAt -h db -U app -c 'select sum(n) from t'; redis-cli -h cache ping"),
        "55\nPONG"
    );

    // Without its containers the data stays, and with them it is there again.
    project.run("down --timeout 20").ok();
    assert_eq!(docker.run("ps -aq").ok(), "");
    assert_eq!(docker.run("volume ls -q").ok(), "shop_data");
    project.run("up --detach --wait").ok();
    assert_eq!(project.says("psql -qAt -h db -U app -c 'select sum(n) from t'"), "55");
    project.run("down --volumes --timeout 20").ok();
    assert_eq!(docker.run("ps -aq").ok(), "");
    assert_eq!(docker.run("volume ls -q").ok(), "");
    assert_eq!(docker.run("network ls -q -f type=custom").ok(), "");
}

const FILES: &str = r#"
services:
  web:
    image: nginx
    volumes: ["./site.conf:/etc/nginx/conf.d/site.conf:ro", "./pages:/srv/pages"]
    configs: [{source: greeting, target: /srv/pages/greeting}, {source: said, target: /srv/said}]
  db:
    image: postgres
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/password}
    volumes: ["./init:/docker-entrypoint-initdb.d:ro"]
    secrets: [password]
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1], interval: 1s, timeout: 20s, start_period: 60s}
  client:
    image: client
    environment: {PGPASSWORD: from a file}
    profiles: [never]
configs: {greeting: {file: ./greeting.txt}, said: {content: "said in the file\n"}}
secrets: {password: {file: ./password.txt}}
"#;

#[test]
fn files_beside_the_compose_file_are_there_in_its_containers() {
    let daemon = Daemon::start();
    daemon.load_programs();
    let docker = daemon.docker_with_compose();
    let project = Project::new(&daemon, &docker, FILES);
    let write = |path: &str, text: &str| {
        let path = daemon.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("site.conf", "server { listen 8080; root /srv; }\n");
    write("pages/page", "of the user\n");
    write("greeting.txt", "hello\n");
    write("password.txt", "from a file\n");
    write("init/1.sql", "create table t as select generate_series(1, 10) as n\n");
    write("init/2.sh", "psql -qU postgres -c 'insert into t values (45)'\n");
    project.run("up --detach --wait").ok();
    assert_eq!(project.says("psql -qAt -h db -U postgres -c 'select sum(n) from t'"), "100");
    let get = "get() { until curl -sf http://web:8080/$1; do sleep 0.1; done; }";
    let all = "get pages/page; get pages/greeting; get said";
    assert_eq!(project.says(&format!("{get}; {all}")), "of the user\nhello\nsaid in the file");

    // What the user changes is there after a restart; what the container writes is here after its end.
    write("pages/page", "changed\n");
    write("site.conf", "server { listen 8081; root /srv; }\n");
    project.args(&["exec", "-T", "web", "sh", "-c", "echo of the container > /srv/pages/made"]).ok();
    project.run("restart web").ok();
    assert_eq!(
        project.says(&format!("{}; {all}", get.replace("8080", "8081"))),
        "changed\nhello\nsaid in the file"
    );
    project.run("down --volumes").ok();
    assert_eq!(fs::read_to_string(daemon.folder().join("pages/made")).unwrap(), "of the container\n");
    assert!(!daemon.folder().join("pages/greeting").exists());
}

const CROWD: &str = r#"
services:
  web:
    image: client
    init: true
    stop_grace_period: 20s
    networks: {default: {aliases: [crowd]}}
    command:
      - sh
      - -c
      - |
        echo $$HOSTNAME > /var/www/html/name
        exec nginx -g 'daemon off;'
  client:
    image: client
    profiles: [never]
"#;

#[test]
fn replicas_share_their_services_name_and_ctrl_c_ends_all() {
    let daemon = Daemon::start();
    daemon.load_programs();
    let docker = daemon.docker_with_compose();
    let project = Project::new(&daemon, &docker, CROWD);
    let get = |name: &str, count: u32| {
        let script = format!(
            "until test $(for n in $(seq 12); do curl -sf http://{name}/name; done | sort -u | wc -l) = {count}; do sleep 0.1; done"
        );
        project.says(&script);
    };
    project.run("up --detach --scale web=2").ok();
    get("web", 2);
    get("crowd", 2);
    project.run("up --detach --scale web=3").ok();
    get("web", 3);
    project.run("up --detach --scale web=1").ok();
    assert_eq!(project.run("ps -q").ok().lines().count(), 1);
    get("crowd", 1);
    project.run("down").ok();

    // In the foreground, until the user has enough.
    let mut up = docker.command(project.arguments(&["up", "--no-color"]));
    let mut up = up.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = up.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines();
    // Two at once would both make the network.
    until("the container", || Some(docker.run("ps -q").ok()).filter(|ids| !ids.is_empty()));
    project.says("until curl -sf http://web/name; do sleep 0.1; done");
    let seen = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("GET /name")));
    assert!(seen.is_some(), "the log is shown while it runs");
    let ended = Command::new("kill").args(["-INT", &up.id().to_string()]).status().unwrap();
    assert!(ended.success());
    lines.for_each(drop);
    let status = up.wait().unwrap();
    let errors = errors.join().unwrap().unwrap();
    assert_eq!(status.code(), Some(130), "{errors}");
    let state = until("the end of all", || Some(docker.run("ps -q").ok()).filter(String::is_empty));
    assert_eq!(state, "");
    assert_eq!(project.run("ps --all -q").ok().lines().count(), 1);
    project.run("down").ok();
    assert_eq!(docker.run("ps -aq").ok(), "");
}
