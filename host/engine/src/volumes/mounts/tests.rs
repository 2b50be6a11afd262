use bollard_stubs::models::{ContainerConfig, HostConfig, Mount, MountTypeEnum, MountVolumeOptions};

use super::*;

fn host(binds: &[&str]) -> HostConfig {
    let binds = binds.iter().map(|bind| (*bind).to_owned()).collect();
    HostConfig { binds: Some(binds), ..HostConfig::default() }
}

fn of(host: &HostConfig) -> Result<Vec<Mounted>> {
    read(&ContainerConfig::default(), host, |container| panic!("{container}"))
}

fn words(binds: &[&str]) -> String {
    of(&host(binds)).unwrap_err().message
}

fn named(name: &str, destination: &str) -> Mounted {
    Mounted {
        source: Source::Volume(name.into()),
        destination: destination.into(),
        read_only: false,
        mode: String::new(),
        copy: true,
        subpath: None,
        real: None,
    }
}

#[test]
fn binds_are_named_volumes_paths_or_volumes_without_a_name() {
    let mounts = of(&host(&["data:/a/", "/src/../x:/b:ro,z", "other:/c/./d:nocopy", "/alone"])).unwrap();
    let destinations: Vec<_> = mounts.iter().map(|mounted| mounted.destination.as_str()).collect();
    assert_eq!(destinations, ["/a", "/alone", "/b", "/c/d"]);
    assert_eq!(mounts[0], named("data", "/a"));
    assert!(matches!(&mounts[1].source, Source::Own(name) if name.len() == 64));
    assert_eq!((&mounts[2].source, mounts[2].read_only), (&Source::Bind("/x".into()), true));
    assert_eq!((mounts[2].mode.as_str(), mounts[2].copy), ("ro,z", false));
    assert!(!mounts[3].copy);
}

#[test]
fn malformed_binds_are_refused_in_dockerds_words() {
    assert_eq!(words(&["a:b:c:d"]), "invalid volume specification: 'a:b:c:d'");
    assert_eq!(words(&["data:"]), "invalid volume specification: 'data:'");
    assert_eq!(
        words(&["data:relative"]),
        "invalid volume specification: 'data:relative': invalid mount path: 'relative' mount path must be absolute"
    );
    assert_eq!(words(&["data:/"]), "invalid volume specification: 'data:/': destination can't be '/'");
    assert_eq!(words(&["data:/a:fast"]), "invalid mode: fast");
    assert_eq!(words(&["data:/a:ro,rw"]), "invalid mode: ro,rw");
    assert_eq!(words(&["data:/a", "other:/a/"]), "Duplicate mount point: /a");
    assert!(words(&["a/b:/a"]).starts_with("create a/b: \"a/b\" includes invalid characters"));
    assert!(words(&["a:/a"]).starts_with("create a: volume name is too short"));
}

#[test]
fn typed_mounts_have_options_and_their_own_words() {
    let mount = |typ, source: &str, target: &str| Mount {
        typ: Some(typ),
        source: Some(source.into()),
        target: Some(target.into()),
        ..Mount::default()
    };
    let one = |mount: Mount| of(&HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() });
    let options =
        MountVolumeOptions { no_copy: Some(true), subpath: Some("in/side".into()), ..Default::default() };
    let mut volume = mount(MountTypeEnum::VOLUME, "data", "/a");
    volume.volume_options = Some(options.clone());
    volume.read_only = Some(true);
    let expected =
        Mounted { copy: false, read_only: true, subpath: Some("in/side".into()), ..named("data", "/a") };
    assert_eq!(one(volume.clone()).unwrap(), [expected]);
    volume.source = None;
    let message = |mount| one(mount).unwrap_err().message;
    assert_eq!(
        message(volume),
        "invalid mount config for type \"volume\": must not set Subpath when using anonymous volumes"
    );
    assert!(matches!(one(mount(MountTypeEnum::VOLUME, "", "/a")).unwrap()[0].source, Source::Own(_)));
    assert_eq!(
        message(mount(MountTypeEnum::BIND, "", "/a")),
        "invalid mount config for type \"bind\": field Source must not be empty"
    );
    assert_eq!(
        message(mount(MountTypeEnum::VOLUME, "data", "")),
        "invalid mount config for type \"volume\": field Target must not be empty"
    );
    let kind = one(mount(MountTypeEnum::NPIPE, "data", "/a")).unwrap_err().kind;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(one(mount(MountTypeEnum::TMPFS, "", "/a")).unwrap().is_empty());
}

#[test]
fn volumes_of_the_image_stand_where_nothing_else_does() {
    let config = ContainerConfig {
        volumes: Some(["/a", "/b", "/c", "/d"].map(str::to_owned).to_vec()),
        ..ContainerConfig::default()
    };
    let mut host = host(&["data:/a"]);
    host.tmpfs = Some([("/b/".to_owned(), String::new())].into());
    host.mounts =
        Some(vec![Mount { typ: Some(MountTypeEnum::TMPFS), target: Some("/c".into()), ..Mount::default() }]);
    let mounts = read(&config, &host, |container| panic!("{container}")).unwrap();
    assert_eq!(mounts[0], named("data", "/a"));
    assert_eq!((mounts.len(), mounts[1].destination.as_str()), (2, "/d"));
}

#[test]
fn what_other_containers_have_can_be_had_too() {
    let others = |container: &str| {
        assert_eq!(container, "other");
        Ok(vec![named("data", "/a"), Mounted { read_only: true, ..named("fixed", "/b") }])
    };
    let from = |wish: &str, binds: &[&str]| {
        let host = HostConfig { volumes_from: Some(vec![wish.to_owned()]), ..host(binds) };
        read(&ContainerConfig::default(), &host, others)
    };
    let plain = from("other", &[]).unwrap();
    assert_eq!(plain[0], Mounted { copy: false, ..named("data", "/a") });
    assert!(plain[1].read_only);
    assert!(from("other:ro", &[]).unwrap().iter().all(|mounted| mounted.read_only));
    // Its own word comes first.
    assert_eq!(from("other", &["mine:/a"]).unwrap()[0], named("mine", "/a"));
    assert_eq!(from("other:fast", &[]).unwrap_err().message, "invalid mode for volumes-from: \"fast\"");
    assert_eq!(from("", &[]).unwrap_err().message, "volumes-from cannot be an empty string");
}
