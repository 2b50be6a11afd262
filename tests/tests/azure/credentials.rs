//! A daemon that signs in as Microsoft's own libraries do: every source of tokens, the account's key by `listKeys`, and the
//! registry's own token for a push.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sockerless_tests::{Daemon, backend::ACA, until};

use super::Azure;

/// A cloud that no daemon uses. It is its first daemon's embedded one, which starts it and ends it.
struct Cloud {
    azure: Azure,
    daemon: Daemon,
}

impl Cloud {
    fn start() -> Self {
        let daemon = Daemon::of(&ACA, &[], &[]);
        Self { azure: Azure::of(&daemon), daemon }
    }

    /// A daemon to which this is a cloud like any other: `section` is what stands in `[credentials.azure-arm]`.
    fn daemon(&self, section: &str, environment: &[(&str, &str)]) -> Daemon {
        let azure = &self.azure;
        let (http, account) = (azure.text("http"), azure.text("storage_account"));
        let settings: String = ["resource_group", "environment", "location", "storage_account"]
            .map(|name| format!("{name} = '{}'\n", azure.text(name)))
            .concat();
        let text = format!(
            "backend = 'aca'\ncallback_url = 'none'\n[simulator]\nmode = 'off'\n\
             [credentials.azure-arm]\nkind = 'azure'\narm_endpoint = '{http}'\n{section}\n\
             [backends.aca]\nsubscription_id = '{}'\nlog_analytics_workspace = '{}'\nlog_lag = '1'\nrepository = '{}/containers'\n\
             registry_identity = 'system-environment'\narm_endpoint = '{http}'\nlogs_endpoint = '{http}'\n\
             files_endpoint = '{http}/files/{account}'\n{settings}",
            azure.text("subscription"),
            azure.text("workspace"),
            azure.text("registry"),
        );
        let file = self.daemon.folder().join("config.toml");
        fs::write(&file, text).unwrap();
        Daemon::of(&ACA, &["--config", &file.to_string_lossy()], environment)
    }

    /// A container of an image that has to be pushed, with a volume, whose output is in the cloud's log alone: Resource
    /// Manager, the registry, the account's key in a body and in signatures, and Log Analytics.
    fn signs_in(&self, section: &str, environment: &[(&str, &str)]) {
        let daemon = self.daemon(section, environment);
        daemon.load_busybox();
        let docker = daemon.docker();
        docker.run("volume create data").ok();
        let script = "echo kept > /data/f; echo signed in; exit 3";
        let done = docker.args(["run", "--name", "one", "-v", "data:/data", "busybox", "sh", "-c", script]);
        assert_eq!(done.code, 3, "{section}: {}", done.stderr);
        docker.until_says("one", "signed in");
        let sizes = "{{range .Volumes}}{{.Name}} {{.Size}}{{end}}";
        assert_eq!(docker.args(["system", "df", "-v", "--format", sizes]).ok(), "data 5B");
        docker.run("rm one").ok();
        docker.run("volume rm data").ok();
        until("the job goes", || self.azure.list("jobs").is_empty().then_some(()));
    }

    /// Entra is asked by TLS alone.
    fn entra(&self, source: &str, more: &str) -> String {
        let field = |name: &str| self.azure.text(name);
        format!(
            "source = '{source}'\ntenant = '{}'\nclient_id = '{}'\nauthority = '{}'\n{more}",
            field("tenant"),
            field("client_id"),
            field("azure")
        )
    }

    /// Whose certificate is to be trusted.
    fn trust(&self) -> [(&'static str, &str); 1] {
        [("SSL_CERT_FILE", self.azure.text("certificate"))]
    }
}

#[test]
fn an_application_signs_in_by_its_secret_and_is_told_when_that_is_wrong() {
    let cloud = Cloud::start();
    let section = |secret: &str| cloud.entra("client-secret", &format!("client_secret = '{secret}'"));
    cloud.signs_in(&section(cloud.azure.text("client_secret")), &cloud.trust());
    let daemon = cloud.daemon(&section("old"), &cloud.trust());
    daemon.load_busybox();
    let words = daemon.docker().run("run busybox true").fails(125);
    assert!(words.contains("AADSTS7000215"), "{words}");
}

#[test]
fn a_workload_signs_in_by_the_token_in_its_file() {
    let cloud = Cloud::start();
    let claims = json!({"iss": "https://kubernetes.example", "sub": "system:serviceaccount:a:b", "exp": 4_102_444_800_i64});
    let token = format!(
        "{}.{}.c2ln",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let file = cloud.daemon.folder().join("token");
    fs::write(&file, token).unwrap();
    let section = cloud.entra("workload-identity", &format!("token_file = '{}'", file.display()));
    cloud.signs_in(&section, &cloud.trust());
}

#[test]
fn a_managed_identity_signs_in_at_the_endpoint_of_its_app() {
    let cloud = Cloud::start();
    let field = |name: &str| cloud.azure.text(name);
    let environment =
        [("IDENTITY_ENDPOINT", field("identity_endpoint")), ("IDENTITY_HEADER", field("identity_header"))];
    cloud.signs_in("source = 'managed-identity'", &environment);
}

#[test]
fn a_managed_identity_signs_in_at_the_metadata_server_of_its_machine() {
    let cloud = Cloud::start();
    // That server's address is no loopback: what would go there is led to the simulator.
    cloud.signs_in("source = 'managed-identity'", &[("HTTP_PROXY", cloud.azure.text("http"))]);
}

#[test]
fn whoever_logged_in_at_the_cli_signs_in_by_it() {
    let cloud = Cloud::start();
    let folder = cloud.daemon.folder().join("bin");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("az");
    let token = json!({"accessToken": cloud.azure.text("token"), "expiresOn": "2099-01-01 00:00:00.000000",
        "expires_on": 4_070_908_800_i64, "tokenType": "Bearer"});
    fs::write(&program, format!("#!/bin/sh\necho '{token}'\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    cloud.signs_in("source = 'cli'", &[("PATH", &path)]);
}

#[test]
fn a_renewed_key_is_used_at_once_and_told_to_the_environment_after_a_start_that_failed() {
    let cloud = Cloud::start();
    let field = |name: &str| cloud.azure.text(name);
    let environment =
        [("IDENTITY_ENDPOINT", field("identity_endpoint")), ("IDENTITY_HEADER", field("identity_header"))];
    let daemon = cloud.daemon("source = 'managed-identity'", &environment);
    daemon.load_busybox();
    let docker = daemon.docker();
    docker.run("run -v data:/data busybox touch /data/f").ok();
    let sizes = ["system", "df", "-v", "--format", "{{range .Volumes}}{{.Name}} {{.Size}}{{end}}"];
    docker.args(sizes).ok();
    cloud.azure.renew_key();
    // Signed with the old key, refused, and signed with the new one.
    assert_eq!(docker.args(sizes).ok(), "data 0B");
    let refused = docker.run("run --name one -v data:/data busybox ls /data");
    assert_ne!(refused.code, 0, "the environment has the old key: {}", refused.stdout);
    docker.run("start one").ok();
    assert_eq!(docker.run("wait one").ok(), "0");
    docker.until_says("one", "f");
}
