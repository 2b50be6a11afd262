//! Real programs from Debian's packages, in images like the official ones: they start, serve others of their network by name, and
//! keep what they were told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sockerless_tests::{Daemon, Docker};

/// How a container's own check finds it.
const HEALTH: &str = "{{.State.Health.Status}}";

/// Runs a script with the programs' clients on a network.
#[track_caller]
fn client(docker: &Docker, script: &str) -> String {
    let url = "DB=postgresql://app:secret@db/app";
    docker
        .args([
            "run",
            "--rm",
            "--network",
            "mine",
            "-e",
            url,
            "client",
            "timeout",
            "120",
            "bash",
            "-euc",
            script,
        ])
        .ok()
}

/// PostgreSQL under the alias `db`, with its own check of its health.
#[track_caller]
fn postgres(docker: &Docker, options: &[&str]) {
    let run = "run -d --name pg --network mine --network-alias db -e POSTGRES_USER=app -e POSTGRES_PASSWORD=secret \
               --health-interval 1s --health-timeout 20s --health-start-period 60s --health-cmd";
    let run: Vec<&str> = run.split_whitespace().chain(["pg_isready -U app -h 127.0.0.1"]).collect();
    docker.args([&run[..], options, &["postgres"]].concat()).ok();
}

#[test]
fn postgres_redis_and_nginx_serve_a_client_by_their_aliases() {
    let daemon = Daemon::start();
    daemon.load_programs();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    postgres(&docker, &[]);
    docker.run("run -d --name redis --network mine --network-alias cache redis").ok();
    docker.run("run -d --name nginx --network mine --network-alias web nginx").ok();
    docker.until_shows("pg", HEALTH, "healthy");

    // Each as its own user: root opens port 80, workers and databases are somebody else.
    for (name, user) in [("pg", "postgres"), ("redis", "redis"), ("nginx", "www-data")] {
        let users = docker.args(["top", name, "-eo", "pid,user"]).ok();
        assert!(users.contains(user), "{name}: {users}");
    }
    assert!(client(&docker, "until curl -sf http://web/; do sleep 0.1; done").contains("Welcome to nginx!"));
    assert_eq!(client(&docker, "until redis-cli -h cache ping; do sleep 0.1; done"), "PONG");
    assert_eq!(client(&docker, "redis-cli -h cache set key value; redis-cli -h cache get key"), "OK\nvalue");
    let script = r#"psql -qAt "$DB" -c "create table t (n int primary key); insert into t select generate_series(1, 1000)"
                    psql -qAt "$DB" -c 'select count(*), sum(n) from t'"#;
    assert_eq!(client(&docker, script), "1000|500500");

    // Much in one answer: 20 MB of rows, and as many bytes by HTTP and from the cache.
    let rows = "select n, repeat('x', 90) from generate_series(1, 200000) as n";
    assert_eq!(
        client(&docker, &format!("psql -qAt \"$DB\" -c \"{rows}\" | wc -lc"))
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["200000", "19488895"]
    );
    docker.args(["exec", "nginx", "sh", "-c", "head -c 20000000 /dev/zero > /var/www/html/large"]).ok();
    assert_eq!(client(&docker, "curl -sf http://web/large | wc -c"), "20000000");
    let script = "head -c 10000000 /dev/zero | tr '\\0' x | redis-cli -h cache -x set large; redis-cli -h cache strlen large; \
                  redis-cli -h cache get large | wc -c";
    assert_eq!(client(&docker, script), "OK\n10000000\n10000001");

    // Many connections at once.
    assert!(client(&docker, "redis-benchmark -h cache -c 100 -n 5000 -t set,get --csv").contains("\"GET\""));
    let script = r#"pgbench -iq -s 1 "$DB" 2>/dev/null; pgbench -c 20 -j 2 -t 20 "$DB""#;
    let said = client(&docker, script);
    assert!(said.contains("number of transactions actually processed: 400/400"), "{said}");
    let script = "for n in $(seq 50); do curl -sf -o /dev/null -w '%{http_code}\\n' http://web/ & done; wait";
    assert_eq!(client(&docker, &format!("({script}) | sort | uniq -c")).trim(), "50 200");
    assert!(docker.run("logs nginx").ok().contains("GET /large HTTP/1.1\" 200 20000000"));
}

#[test]
fn postgres_is_ended_in_peace_and_finds_its_rows_again() {
    let daemon = Daemon::start();
    daemon.load_programs();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    // The official image's words of what is missing.
    let output = docker.run("run --rm postgres");
    assert!(output.stderr.contains("POSTGRES_PASSWORD"), "{output:?}");
    assert_eq!(output.code, 1);

    postgres(&docker, &["--shm-size", "128m"]);
    docker.until_shows("pg", HEALTH, "healthy");
    client(
        &docker,
        r#"psql -qAt "$DB" -c "create table t as select generate_series(1, 10) as n; checkpoint""#,
    );
    let wrong = "psql -qAt postgresql://app:wrong@db/app -c 'select 1' 2>&1 || true";
    assert!(client(&docker, wrong).contains("password authentication failed"), "a wrong password is refused");
    // By the socket inside, as whoever runs there.
    let inside =
        ["exec", "-u", "postgres", "pg", "psql", "-qAt", "-U", "app", "-c", "select count(*) from t"];
    assert_eq!(docker.args(inside).ok(), "10");

    docker.run("stop -t 60 pg").ok();
    assert_eq!(docker.args(["inspect", "--format", "{{.State.ExitCode}}", "pg"]).ok(), "0");
    let logs = docker.run("logs pg");
    let logs = format!("{}{}", logs.stdout, logs.stderr);
    assert!(logs.contains("PostgreSQL init process complete"), "{logs}");
    assert!(logs.contains("database system is shut down"), "{logs}");
    docker.run("start pg").ok();
    docker.until_shows("pg", HEALTH, "healthy");
    assert_eq!(client(&docker, r#"psql -qAt "$DB" -c 'select sum(n) from t'"#), "55");
    // Without a farewell: it recovers from its log.
    client(&docker, r#"psql -qAt "$DB" -c 'insert into t values (45)'"#);
    docker.run("kill pg").ok();
    docker.run("start pg").ok();
    docker.until_shows("pg", HEALTH, "healthy");
    assert_eq!(client(&docker, r#"psql -qAt "$DB" -c 'select sum(n) from t'"#), "100");
}

#[test]
fn postgres_on_a_fresh_synced_volume_finds_its_rows_after_a_stop_and_in_another_container() {
    let daemon = Daemon::start();
    daemon.load_programs();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    docker.run("volume create -o sockerless.consistency=synced data").ok();
    let volume = ["-v", "data:/var/lib/postgresql/data"];
    postgres(&docker, &volume);
    docker.until_shows("pg", HEALTH, "healthy");
    client(&docker, r#"psql -qAt "$DB" -c "create table t as select generate_series(1, 10) as n""#);
    docker.run("stop -t 60 pg").ok();
    docker.run("start pg").ok();
    docker.until_shows("pg", HEALTH, "healthy");
    assert_eq!(client(&docker, r#"psql -qAt "$DB" -c 'select sum(n) from t'"#), "55");
    client(&docker, r#"psql -qAt "$DB" -c 'insert into t values (45)'"#);

    // Another container, another job, another disk.
    docker.run("stop -t 60 pg").ok();
    docker.run("rm -v pg").ok();
    postgres(&docker, &volume);
    docker.until_shows("pg", HEALTH, "healthy");
    assert_eq!(client(&docker, r#"psql -qAt "$DB" -c 'select sum(n) from t'"#), "100");
    let logs = docker.run("logs pg");
    assert!(!format!("{logs:?}").contains("init process"), "the cluster was there: {logs:?}");
    assert!(!format!("{logs:?}").contains("not properly shut down"), "nothing was cut off: {logs:?}");
    // A crash is brought back as it was left, and recovered from its log.
    client(&docker, r#"psql -qAt "$DB" -c 'insert into t values (11)'"#);
    docker.run("kill pg").ok();
    assert_eq!(docker.run("wait pg").ok(), "137");
    docker.run("rm pg").ok();
    postgres(&docker, &volume);
    docker.until_shows("pg", HEALTH, "healthy");
    assert_eq!(client(&docker, r#"psql -qAt "$DB" -c 'select sum(n) from t'"#), "111");
}
