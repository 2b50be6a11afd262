use std::collections::BTreeMap;

use proptest::prelude::*;
use sockerless_ports::backend::Setting;

use super::*;
use crate::manifest::tests::manifest;

fn grant(host: &str, credentials: &[&str]) -> HttpGrant {
    HttpGrant { host: host.to_owned(), credentials: credentials.iter().map(|c| (*c).to_owned()).collect() }
}

fn settings(given: Option<&str>, default: Option<&str>) -> Settings {
    let mut manifest = manifest();
    manifest.settings = vec![Setting {
        name: "endpoint".to_owned(),
        environment: String::new(),
        description: String::new(),
        required: false,
        default: default.map(str::to_owned),
    }];
    let file: BTreeMap<_, _> =
        given.map(|text| ("endpoint".to_owned(), text.to_owned())).into_iter().collect();
    Settings::resolve(&manifest, &file, &BTreeMap::new()).unwrap()
}

fn admit(grants: &Grants, url: &str) -> Option<(Vec<String>, bool)> {
    let admission = grants.admit(&Url::parse(url).unwrap())?;
    Some((admission.credentials.into_iter().collect(), admission.operator_named))
}

fn asked(grants: &[HttpGrant]) -> Grants {
    Grants::effective("t", grants, None, &Settings::default()).unwrap()
}

#[test]
fn a_host_is_granted_by_https_on_its_usual_port_only() {
    let grants = asked(&[grant("run.googleapis.com", &["google"])]);
    assert_eq!(admit(&grants, "https://run.googleapis.com/v2"), Some((vec!["google".to_owned()], false)));
    assert_eq!(admit(&grants, "https://RUN.googleapis.com:443/"), Some((vec!["google".to_owned()], false)));
    for url in [
        "http://run.googleapis.com/",
        "https://run.googleapis.com:8443/",
        "https://run.googleapis.com.evil.test/",
        "https://evil.test/run.googleapis.com",
    ] {
        assert_eq!(admit(&grants, url), None, "{url}");
    }
}

#[test]
fn a_suffix_grants_what_is_below_it_and_not_its_look_alikes() {
    let grants = asked(&[grant("*.googleapis.com", &[])]);
    assert!(admit(&grants, "https://a.b.googleapis.com/").is_some());
    for url in ["https://googleapis.com/", "https://evilgoogleapis.com/", "https://googleapis.com.evil.test/"]
    {
        assert_eq!(admit(&grants, url), None, "{url}");
    }
}

#[test]
fn a_setting_stands_for_the_origin_that_the_operator_named() {
    let manifest = [grant("setting:endpoint", &["google"])];
    let local = settings(Some("http://127.0.0.1:4000/base"), None);
    let grants = Grants::effective("t", &manifest, None, &local).unwrap();
    assert_eq!(admit(&grants, "http://127.0.0.1:4000/x"), Some((vec!["google".to_owned()], true)));
    for url in ["http://127.0.0.1:4001/", "https://127.0.0.1:4000/", "http://localhost:4000/"] {
        assert_eq!(admit(&grants, url), None, "{url}");
    }
    let unset = Grants::effective("t", &manifest, None, &settings(None, None)).unwrap();
    assert_eq!(admit(&unset, "http://127.0.0.1:4000/x"), None);
}

#[test]
fn a_default_is_the_plugins_wish_and_not_named_by_the_operator() {
    let manifest = [grant("setting:endpoint", &[])];
    let default = settings(None, Some("http://169.254.169.254"));
    let grants = Grants::effective("t", &manifest, None, &default).unwrap();
    assert_eq!(admit(&grants, "http://169.254.169.254/"), Some((vec![], false)));
}

#[test]
fn the_operator_can_only_take_away() {
    let manifest = [grant("a.test", &["one", "two"]), grant("b.test", &["one"])];
    let given = [grant("a.test", &["two", "three"]), grant("c.test", &["one"])];
    let grants = Grants::effective("t", &manifest, Some(&given), &Settings::default()).unwrap();
    assert_eq!(admit(&grants, "https://a.test/"), Some((vec!["two".to_owned()], false)));
    assert_eq!(admit(&grants, "https://b.test/"), None);
    assert_eq!(admit(&grants, "https://c.test/"), None);
    assert!(grants.binds("two") && !grants.binds("three"));
}

#[test]
fn patterns_that_grant_too_much_or_nothing_are_errors() {
    for host in ["*", "*.com", "", "a.test/path", "a.test:80", "user@a.test", "*.*.test", "https://a.test"] {
        let result = Grants::effective("t", &[grant(host, &[])], None, &Settings::default());
        assert!(result.is_err(), "{host:?}");
    }
}

proptest! {
    #[test]
    fn a_grant_admits_no_host_but_its_own(host in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}") {
        let grants = asked(&[grant("api.cloud.test", &[])]);
        let admitted = admit(&grants, &format!("https://{host}/")).is_some();
        prop_assert_eq!(admitted, host == "api.cloud.test");
    }
}
