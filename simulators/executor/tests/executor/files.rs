use std::os::unix::fs::PermissionsExt;

use sockerless_executor::{FailureReason, MountSource, TaskMount, TaskSpec};

use crate::support::{Entry, Fixture, Image, with};

fn directory(it: &Fixture, path: &str, name: &str, read_only: bool) -> TaskMount {
    let folder = it.folder.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("file"), name).unwrap();
    TaskMount { path: path.into(), source: MountSource::Directory(folder), read_only }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_hide_replace_and_clear_what_lies_below() {
    with(|it| async move {
        let image = Image::busybox()
            .layer(&[
                Entry::folder("data/"),
                Entry::file("data/kept", b"1"),
                Entry::file("data/gone", b"1"),
                Entry::file("data/changed", b"1"),
                Entry::folder("cleared/"),
                Entry::file("cleared/old", b"1"),
                Entry::folder("dir/"),
                Entry::file("dir/inner", b"1"),
            ])
            .layer(&[
                Entry::file("data/.wh.gone", b""),
                Entry::file("data/changed", b"2"),
                Entry::folder("cleared/"),
                Entry::file("cleared/.wh..wh..opq", b""),
                Entry::file("cleared/new", b"2"),
                Entry::file(".wh.dir", b""),
            ]);
        it.registry.push("layered", &image);
        let script = "cd /; echo $(ls data) $(cat data/changed) $(ls cleared) $(ls -d dir 2>/dev/null)";
        let spec =
            TaskSpec { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..it.spec("layered") };
        assert_eq!(it.run(spec).await.text(), "changed kept 2 new\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_modes_links_and_times_are_kept() {
    with(|it| async move {
        let image = Image::busybox().layer(&[
            Entry::folder("own/").owner(7, 8).mode(0o751),
            Entry::file("own/setuid", b"x").owner(1000, 1001).mode(0o4755),
            Entry::hard_link("own/same", "own/setuid"),
            Entry::symlink("own/link", "/own/setuid"),
        ]);
        it.registry.push("owned", &image);
        let script = "stat -c '%n %u %g %a %h %Y' /own /own/setuid; stat -c %i /own/same /own/setuid | uniq | wc -l; readlink /own/link";
        let script = script.replace("| uniq | wc -l", "");
        let spec = TaskSpec { command: vec!["sh".into(), "-c".into(), script], ..it.spec("owned") };
        let done = it.run(spec).await;
        let lines: Vec<&str> = done.text().lines().collect();
        assert_eq!(lines[..2], ["/own 7 8 751 2 1000000000", "/own/setuid 1000 1001 4755 2 1000000000"]);
        assert_eq!(lines[2], lines[3]);
        assert_eq!(lines[4], "/own/setuid");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_cannot_write_outside_of_itself() {
    with(|it| async move {
        let target = it.folder.path().join("escaped");
        let outside = target.to_str().unwrap();
        for (name, wicked) in [
            ("dots", vec![Entry::file("../../../escaped", b"x")]),
            ("middle", vec![Entry::folder("a/"), Entry::file("a/../../escaped", b"x")]),
            ("hard-link", vec![Entry::hard_link("passwd", "../../../etc/passwd")]),
        ] {
            it.registry.push(name, &Image::busybox().layer(&wicked));
            let done = it.run(it.spec(name)).await;
            assert_eq!(done.reason(), FailureReason::ImageInvalid, "{name}: {done:?}");
        }
        // Through a link, the path is taken within the layer.
        let folder = it.folder.path().to_str().unwrap();
        let wicked = [Entry::symlink("way", folder), Entry::file("way/escaped", b"x")];
        it.registry.push("link", &Image::busybox().layer(&wicked));
        assert!(it.run(it.spec("link")).await.failed.is_some());
        let wicked = [
            Entry::symlink("etc", "/"),
            Entry::symlink("up", "../../../../../.."),
            Entry::file("up/escaped", b"x"),
        ];
        it.registry.push("relative", &Image::busybox().layer(&wicked));
        it.run(it.spec("relative")).await;
        assert!(!std::path::Path::new("/escaped").exists());
        assert!(!target.exists(), "{outside}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writable_layer_is_the_tasks_own_and_goes_with_it() {
    with(|it| async move {
        assert_eq!(it.shell("echo mine > /srv/x; cat /srv/x").await.text(), "mine\n");
        assert_eq!(it.shell("ls /srv").await.text(), "");
        let tasks = it.folder.path().join("state/tasks");
        while std::fs::read_dir(&tasks).unwrap().count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_this_machine_appear_where_they_are_mounted() {
    with(|it| async move {
        let mut spec = it.shell_spec("cat /a/b/file /ro/file; echo new > /a/b/new; echo x > /ro/x; echo $?");
        spec.mounts = vec![directory(&it, "/a/b", "rw", false), directory(&it, "/ro", "ro", true)];
        let done = it.run(spec).await;
        assert_eq!(done.text(), "rwro1\n");
        assert_eq!(std::fs::read_to_string(it.folder.path().join("rw/new")).unwrap(), "new\n");
        assert!(!it.folder.path().join("ro/x").exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_mounted_with_its_size() {
    with(|it| async move {
        let mut spec = it.shell_spec("dd if=/dev/zero of=/mem/x bs=1024 count=2048 2>/dev/null; stat -c %s /mem/x; grep ' /mem ' /proc/mounts | cut -d' ' -f3");
        spec.command[2] = spec.command[2].replace(" | cut -d' ' -f3", "");
        spec.mounts = vec![TaskMount {
            path: "/mem".into(),
            source: MountSource::Memory { size: Some(1024 * 1024) },
            read_only: false,
        }];
        let done = it.run(spec).await;
        assert!(done.text().starts_with("1048576\ntmpfs /mem tmpfs rw,nosuid,nodev"), "{done:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_point_that_is_a_link_leads_nowhere_but_into_the_image() {
    with(|it| async move {
        let folder = it.folder.path().join("victim");
        std::fs::create_dir(&folder).unwrap();
        let image = Image::busybox().layer(&[Entry::symlink("way", folder.to_str().unwrap())]);
        it.registry.push("linked", &image);
        let mut spec = it.spec("linked");
        spec.command = ["sh", "-c", "cat /way/file"].map(str::to_owned).to_vec();
        spec.mounts = vec![directory(&it, "/way", "source", false)];
        let done = it.run(spec).await;
        // The link's target is made in the container, or the mount fails; here it stays as it is.
        assert!(done.failed.is_some() || done.text() == "source", "{done:?}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_fails_the_mount() {
    with(|it| async move {
        let mut spec = it.spec("busybox");
        let source = MountSource::Directory(it.folder.path().join("missing"));
        spec.mounts = vec![TaskMount { path: "/m".into(), source, read_only: true }];
        assert_eq!(it.run(spec).await.reason(), FailureReason::MountFailed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_in_a_mounted_folder_runs_in_an_image_without_a_shell() {
    with(|it| async move {
        // As the agent is delivered: a static binary from a bucket, into an empty image.
        let bucket = it.folder.path().join("bucket");
        std::fs::create_dir(&bucket).unwrap();
        std::fs::copy("/bin/busybox", bucket.join("echo")).unwrap();
        std::fs::set_permissions(bucket.join("echo"), std::fs::Permissions::from_mode(0o755)).unwrap();
        it.registry.push("empty", &Image { layers: vec![], config: serde_json::json!({"User": "1000"}) });
        let spec = TaskSpec {
            command: vec!["/agent/echo".into(), "hi".into()],
            mounts: vec![TaskMount {
                path: "/agent".into(),
                source: MountSource::Directory(bucket),
                read_only: true,
            }],
            ..it.spec("empty")
        };
        assert_eq!(it.run(spec).await.text(), "hi\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_pseudo_file_systems_are_there_and_the_machine_is_hidden() {
    with(|it| async move {
        let done = it
            .shell(
                "for d in null zero full random urandom tty ptmx shm mqueue fd stdin; do [ -e /dev/$d ] || echo no $d; done
                 [ -c /dev/null ] && echo x > /dev/null
                 echo hi > /dev/shm/x && cat /dev/shm/x
                 echo 1 > /proc/sys/kernel/panic && echo writable
                 echo 1 > /sys/x && echo writable
                 dd if=/proc/kcore bs=1 count=1 2>/dev/null
                 grep -c overlay /proc/mounts
                 ls /dev | grep -c -E 'sd|vd|kmsg|mem'
                 echo via > /dev/stdout",
            )
            .await;
        assert_eq!(done.text(), "hi\n1\n0\nvia\n", "{}", String::from_utf8_lossy(&done.err));
    })
    .await;
}
