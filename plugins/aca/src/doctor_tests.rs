use serde_json::json;
use sockerless_plugin_sdk::{
    Response,
    plugin::Verdict,
    testing::{FakeHost, response},
};

use super::*;
use crate::testing::{GROUP, host, on, refused};

const GUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn good(request: &Request) -> Response {
    response(
        200,
        if request.url.contains("managedEnvironments") {
            json!({"location": "West Europe", "properties": {"provisioningState": "Succeeded"}})
        } else {
            json!({"properties": {"numberOfVirtualNetworkLinks": 1}})
        },
    )
}

fn verdicts(checks: &[Check]) -> Vec<(&str, Verdict)> {
    checks.iter().map(|check| (check.name.as_str(), check.verdict)).collect()
}

#[test]
fn a_good_account_passes_and_warns_of_what_is_not_set() {
    let (plugin, _) = on(host().answering(good));
    assert_eq!(
        verdicts(&checks(&plugin)),
        [
            ("credentials", Verdict::Pass),
            ("jobs", Verdict::Pass),
            ("services", Verdict::Pass),
            ("environment", Verdict::Pass),
            ("storage account", Verdict::Pass),
            ("files", Verdict::Pass),
            ("repository", Verdict::Warn),
            ("logs", Verdict::Warn),
            ("zones", Verdict::Skip),
        ]
    );
}

#[test]
fn each_refusal_fails_its_own_check_with_azures_words_and_a_remedy() {
    let host = host()
        .setting("log_analytics_workspace", GUID)
        .setting("dns_zone", "z.internal")
        .setting("repository", "r.azurecr.io/x")
        .answering(|_| refused(403, "AuthorizationFailed"));
    let (plugin, _) = on(host);
    for check in &checks(&plugin)[1..] {
        let expected = if check.name == "services" { Verdict::Warn } else { Verdict::Fail };
        assert_eq!(check.verdict, expected, "{}", check.name);
        assert!(!check.remedy.is_empty(), "{check:?}");
        assert!(check.name == "repository" || check.finding.contains("AuthorizationFailed"), "{check:?}");
    }
}

#[test]
fn a_share_that_is_not_there_is_missed_only_where_no_image_brings_the_agent() {
    let answer = |request: &Request| match request.url.contains(".file.") {
        true => refused(404, "ShareNotFound"),
        false => good(request),
    };
    let files = |repository: &str| {
        let (plugin, _) = on(host().setting("repository", repository).answering(answer));
        checks(&plugin).into_iter().find(|check| check.name == "files").unwrap().verdict
    };
    assert_eq!((files(""), files("r.azurecr.io/x")), (Verdict::Warn, Verdict::Pass));
}

/// One check of an account that answers as given where a URL has the word.
fn only(host: FakeHost, check: &str, word: &'static str, status: u16, body: serde_json::Value) -> Check {
    let host = host.answering(move |request| match request.url.contains(word) {
        true => response(status, body.clone()),
        false => good(request),
    });
    checks(&on(host).0).into_iter().find(|one| one.name == check).unwrap()
}

#[test]
fn who_may_not_look_at_apps_is_told_that_services_do_not_work() {
    let body =
        json!({"error": {"code": "AuthorizationFailed", "message": "no Microsoft.App/containerApps/read"}});
    let check = only(host(), "services", "/containerApps", 403, body);
    assert_eq!(check.verdict, Verdict::Warn);
    assert!(check.finding.contains("containerApps/read"), "{check:?}");
    assert!(check.remedy.contains("--role \"Container Apps Contributor\""), "{check:?}");
}

#[test]
fn a_log_that_has_no_table_yet_is_a_warning_in_log_analytics_words() {
    let words =
        "'take' operator: Failed to resolve table or column expression named 'ContainerAppConsoleLogs_CL'";
    let body = json!({"error": {"code": "BadArgumentError", "message": "The request had some invalid properties",
        "innererror": {"code": "SemanticError", "message": "A semantic error occurred.",
            "innererror": {"code": "SEM0100", "message": words}}}});
    let host = host().setting("log_analytics_workspace", GUID);
    let check = only(host, "logs", "/query", 400, body);
    assert_eq!(check.verdict, Verdict::Warn);
    assert!(check.finding.contains(words), "{check:?}");
}

#[test]
fn a_key_that_the_account_forbids_is_no_use_in_a_vault_either() {
    for host in [host(), host().setting("storage_key_secret", "https://v.vault.azure.net/secrets/key")] {
        let body = json!({"properties": {"allowSharedKeyAccess": false}});
        let check = only(host, "storage account", "/storageAccounts/", 200, body);
        assert_eq!(check.verdict, Verdict::Fail);
        let id = format!("--ids {GROUP}/providers/Microsoft.Storage/storageAccounts/acc ");
        assert!(check.remedy.contains(&id), "{check:?}");
    }
}

#[test]
fn commands_name_the_group_of_the_zone_which_may_be_another() {
    let id = "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/other/providers/Microsoft.Network/privateDnsZones/z.internal";
    let of =
        |status, body| only(host().setting("dns_zone", id), "zones", "privateDnsZones", status, body).remedy;
    let wanted = "--subscription 01234567-89ab-cdef-0123-456789abcdef --resource-group other ";
    for remedy in [of(404, json!({})), of(200, json!({"properties": {"numberOfVirtualNetworkLinks": 0}}))] {
        assert!(remedy.contains(wanted), "{remedy}");
    }
}

#[test]
fn an_environment_elsewhere_and_a_zone_without_a_link_are_told() {
    let host =
        host().setting("location", "northeurope").setting("dns_zone", "z.internal").answering(|request| {
            if request.url.contains("privateDnsZones") {
                return response(200, json!({"properties": {"numberOfVirtualNetworkLinks": 0}}));
            }
            good(request)
        });
    let checks = checks(&on(host).0);
    let of = |name: &str| checks.iter().find(|check| check.name == name).unwrap();
    assert_eq!((of("environment").verdict, of("zones").verdict), (Verdict::Fail, Verdict::Warn));
    assert!(of("environment").remedy.contains("westeurope"));
}

#[test]
fn without_a_credential_nothing_is_asked() {
    let (plugin, host) = on(host().without_credential());
    let checks = checks(&plugin);
    assert_eq!(checks[0].verdict, Verdict::Fail);
    assert!(checks[1..].iter().all(|check| check.verdict == Verdict::Skip));
    assert!(host.requests().is_empty());
}

#[test]
fn who_signs_in_at_another_cloud_is_told_that_the_daemon_has_a_setting_for_it_too() {
    let body =
        json!({"error": {"code": "InvalidAuthenticationToken", "message": "The access token is invalid."}});
    let public = only(host(), "jobs", "/Microsoft.App/jobs", 401, body.clone());
    let china = only(host().setting("cloud", "china"), "jobs", "/Microsoft.App/jobs", 401, body);
    assert!(!public.remedy.contains("credentials.azure-arm"), "{public:?}");
    let hint = "cloud = \"china\" in [credentials.azure-arm]";
    assert!(china.remedy.contains(hint), "{china:?}");
    let none = checks(&on(host().setting("cloud", "china").without_credential()).0).remove(0);
    assert!(none.remedy.contains(hint), "{none:?}");
}
