use proptest::prelude::*;
use sockerless_ports::registry::ImageError;

use crate::{Platform, Reference};

#[test]
fn names_are_completed_and_shown_as_docker_does() {
    for (text, registry, repository, target, shown) in [
        ("busybox", "docker.io", "library/busybox", "latest", "busybox:latest"),
        ("docker.io/library/busybox:1", "docker.io", "library/busybox", "1", "busybox:1"),
        ("index.docker.io/a/b", "docker.io", "a/b", "latest", "a/b:latest"),
        ("localhost/x", "localhost", "x", "latest", "localhost/x:latest"),
        ("localhost:5000/a/b:t", "localhost:5000", "a/b", "t", "localhost:5000/a/b:t"),
        ("host:5000", "docker.io", "library/host", "5000", "host:5000"),
        ("[::1]:5000/x", "[::1]:5000", "x", "latest", "[::1]:5000/x:latest"),
        ("a.b/c__d-e---f.g", "a.b", "c__d-e---f.g", "latest", "a.b/c__d-e---f.g:latest"),
    ] {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(
            (reference.registry.as_str(), reference.repository.as_str()),
            (registry, repository),
            "{text}"
        );
        assert_eq!((reference.target(), reference.to_string().as_str()), (target, shown));
    }
    let digest = format!("sha256:{}", "ab".repeat(32));
    let both = Reference::parse(&format!("busybox:1@{digest}")).unwrap();
    assert_eq!((both.target(), both.tag.as_deref()), (digest.as_str(), Some("1")));
    assert_eq!(Reference::parse(&format!("busybox@{digest}")).unwrap().tag, None);
}

#[test]
fn malformed_names_are_refused_in_dockers_words() {
    let invalid = |text: &str| Reference::parse(text).unwrap_err().to_string();
    let uppercase = "invalid reference format: repository name (library/Foo) must be lowercase";
    assert_eq!(invalid("Foo"), uppercase);
    assert_eq!(invalid("library/Foo"), uppercase);
    for text in [
        "",
        ":",
        "a:",
        "a@",
        "/a",
        "a//b",
        "a/",
        "-a",
        "a..b",
        "a___b",
        "a b",
        "a:b:c",
        "x.y:p/a",
        "a@sha256:1",
        "a@md5:00",
        "ä",
        "a:ä",
        "-x.y/a",
        "[::1/a",
    ] {
        assert_eq!(invalid(text), "invalid reference format", "{text}");
    }
    let digits = "0".repeat(64);
    assert!(invalid(&digits).contains("cannot specify 64-byte hexadecimal strings"));
    assert!(invalid("a/".repeat(130).trim_end_matches('/')).contains("255 characters"));
    assert!(matches!(Reference::parse("a:"), Err(ImageError::Invalid(_))));
}

#[test]
fn a_platform_is_read_with_its_synonyms() {
    assert_eq!(Platform::parse("linux/aarch64/v8").unwrap().to_string(), "linux/arm64/v8");
    assert_eq!(Platform::parse("x86_64").unwrap(), Platform::default());
    assert!(Platform::parse("linux/arm64").unwrap().takes("linux", "arm64", "v8"));
    assert!(Platform::parse("linux/arm64/v8").unwrap().takes("linux", "arm64", ""));
    assert!(!Platform::parse("linux/arm/v7").unwrap().takes("linux", "arm", "v6"));
    for text in ["", "linux/", "a/b/c/d", "linux/amd 64"] {
        assert!(matches!(Platform::parse(text), Err(ImageError::Invalid(_))), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_and_what_is_shown_is_read_the_same(text in "[a-zA-Z0-9./:@_\\[\\]-]{0,40}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
        }
    }

    #[test]
    fn every_well_formed_name_is_read(
        registry in prop::option::of("[a-z]{1,5}(\\.[a-z]{1,5}){1,2}(:[0-9]{1,4})?"),
        path in "[a-z0-9]{1,5}(/[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}){0,2}",
        tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        digest in prop::option::of("sha256:[0-9a-f]{64}"),
    ) {
        let mut text = registry.map_or_else(|| path.clone(), |registry| format!("{registry}/{path}"));
        if let Some(tag) = &tag { text = format!("{text}:{tag}"); }
        if let Some(digest) = &digest { text = format!("{text}@{digest}"); }
        let reference = Reference::parse(&text).unwrap();
        prop_assert!(reference.repository.ends_with(&path));
        prop_assert_eq!(&reference.digest, &digest);
        let default = digest.is_none().then(|| "latest".to_owned());
        prop_assert_eq!(&reference.tag, &tag.or(default));
    }
}
