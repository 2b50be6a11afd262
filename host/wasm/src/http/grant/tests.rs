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
fn a_setting_in_the_operators_grant_is_not_the_plugins_default() {
    let asks = [grant("setting:endpoint", &["google"])];
    let default = settings(None, Some("https://evil.test"));
    let grants = Grants::effective("t", &asks, Some(&asks), &default).unwrap();
    assert_eq!(admit(&grants, "https://evil.test/"), None);
    let named = settings(Some("https://mine.test"), Some("https://evil.test"));
    let grants = Grants::effective("t", &asks, Some(&asks), &named).unwrap();
    assert_eq!(admit(&grants, "https://mine.test/"), Some((vec!["google".to_owned()], true)));
}

#[test]
fn a_successor_gets_no_more_than_the_first_asked_unless_the_operator_gives_it() {
    let first = asked(&[grant("a.test", &["one"]), grant("setting:endpoint", &["one"])]);
    let asks = [grant("a.test", &["one", "two"]), grant("evil.test", &["one"])];
    let capped = asked(&asks).at_most(&first);
    assert_eq!(admit(&capped, "https://a.test/"), Some((vec!["one".to_owned()], false)));
    assert_eq!(admit(&capped, "https://evil.test/"), None);
    assert_eq!(capped.granted(), [grant("a.test", &["one"])]);
    assert_eq!(capped.withheld(), [grant("a.test", &["two"]), grant("evil.test", &["one"])]);
    let given = Grants::effective("t", &asks, Some(&asks), &Settings::default()).unwrap().at_most(&first);
    assert_eq!((given.granted(), given.withheld()), (asks.to_vec(), vec![]));
}

#[test]
fn what_is_shown_is_the_narrower_of_what_is_asked_and_what_is_given() {
    let asks = [grant("*.cloud.test", &["one"]), grant("a.cloud.test", &["two"]), grant("b.test", &[])];
    let given =
        [grant("a.cloud.test", &["one"]), grant("*.x.cloud.test", &["two"]), grant("c.test", &["one"])];
    let grants = Grants::effective("t", &asks, Some(&given), &Settings::default()).unwrap();
    assert_eq!(grants.granted(), [grant("*.x.cloud.test", &[]), grant("a.cloud.test", &["one"])]);
    assert_eq!(
        grants.withheld(),
        [grant("*.cloud.test", &["one"]), grant("a.cloud.test", &["two"]), grant("b.test", &[])]
    );
    assert_eq!(grants.hosts(), "*.x.cloud.test, a.cloud.test");
    let all = asked(&asks);
    assert_eq!(all.granted()[1], grant("a.cloud.test", &["one", "two"]));
    assert_eq!(all.withheld(), []);
}

#[test]
fn an_address_of_a_setting_is_shown_with_its_port_and_is_no_other() {
    let asks = [grant("setting:endpoint", &["one"]), grant("a.test", &[])];
    let shown = |address: &str, given: &[HttpGrant]| {
        let grants = Grants::effective("t", &asks[..1], Some(given), &settings(Some(address), None)).unwrap();
        grants.granted()
    };
    assert_eq!(shown("http://127.0.0.1:1", &asks[..1]), [grant("http://127.0.0.1:1", &["one"])]);
    assert_eq!(
        shown("https://a.test", &[grant("a.test", &["one"])]),
        [grant("https://a.test:443", &["one"])]
    );
    for elsewhere in ["http://a.test", "https://a.test:444", "https://b.test"] {
        assert_eq!(shown(elsewhere, &[grant("a.test", &["one"]), grant("*.a.test", &["one"])]), []);
    }
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
    fn what_is_shown_is_what_is_admitted(
        asks in prop::collection::vec(0_usize..6, 0..4), gives in prop::collection::vec(0_usize..6, 0..4),
    ) {
        let patterns = ["*.a.test", "*.b.a.test", "a.test", "c.a.test", "c.b.a.test", "d.test"];
        let grants = |chosen: &[usize]| -> Vec<_> {
            chosen.iter().map(|at| grant(patterns[*at], &[["one", "two"][at % 2]])).collect()
        };
        let grants = Grants::effective("t", &grants(&asks), Some(&grants(&gives)), &Settings::default()).unwrap();
        let shown = asked(&grants.granted());
        for host in ["a.test", "x.a.test", "c.a.test", "b.a.test", "x.b.a.test", "c.b.a.test", "d.test"] {
            let url = format!("https://{host}/");
            prop_assert_eq!(admit(&grants, &url), admit(&shown, &url), "{}", host);
        }
    }

    #[test]
    fn a_grant_admits_no_host_but_its_own(host in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}") {
        let grants = asked(&[grant("api.cloud.test", &[])]);
        let admitted = admit(&grants, &format!("https://{host}/")).is_some();
        prop_assert_eq!(admitted, host == "api.cloud.test");
    }
}
