use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use sockerless_plugin_sdk::testing::{FakeHost, response};

use super::*;
use crate::{
    ContainerApps,
    testing::{asked, host, on, with},
};

/// Files and folders by their path, `SHARE/…`; a folder has no content.
type Tree = Rc<RefCell<BTreeMap<String, Option<Vec<u8>>>>>;

fn fault(status: u16, code: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>said {code}\nRequestId:1</Message></Error>"
    );
    with(response(status, body), "x-ms-error-code", code)
}

/// An account that keeps files, and knows shares that are made by Resource Manager.
pub fn account(tree: Tree) -> FakeHost {
    host().answering(move |request| {
        let tree = &mut *tree.borrow_mut();
        let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
        if let Some(share) = path.split("/shares/").nth(1) {
            tree.insert(share.to_owned(), None);
            return response(201, "{}");
        }
        let path = super::xml::decode(path.strip_prefix("https://acc.file.core.windows.net/").unwrap());
        answer(tree, request, &path, query)
    })
}

fn answer(
    tree: &mut BTreeMap<String, Option<Vec<u8>>>,
    request: &Request,
    path: &str,
    query: &str,
) -> Response {
    let header =
        |name: &str| request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (parent, share) = (path.rsplit_once('/').map(|(parent, _)| parent), path.split('/').next().unwrap());
    if !tree.contains_key(share) {
        return fault(404, "ShareNotFound");
    }
    match (request.method, query) {
        (Method::Put, _) if parent.is_some_and(|parent| !tree.contains_key(parent)) => {
            fault(404, "ParentNotFound")
        }
        (Method::Put, "restype=directory") => match tree.insert(path.to_owned(), None) {
            Some(_) => fault(409, "ResourceAlreadyExists"),
            None => response(201, ""),
        },
        (Method::Put, "comp=range") => {
            let range = header("x-ms-range").unwrap();
            let from: usize = range["bytes=".len()..].split('-').next().unwrap().parse().unwrap();
            let sent = request.body.as_ref().unwrap();
            assert!(sent.len() <= limits::RANGE_BYTES);
            let file = tree.get_mut(path).unwrap().as_mut().unwrap();
            file[from..from + sent.len()].copy_from_slice(sent);
            response(201, "")
        }
        (Method::Put, "comp=rename") => {
            let source = header("x-ms-file-rename-source").unwrap();
            let source = source.strip_prefix("https://acc.file.core.windows.net/").unwrap();
            let content = tree.remove(&super::xml::decode(source)).unwrap();
            tree.insert(path.to_owned(), content);
            response(200, "")
        }
        (Method::Put, _) => {
            let size = header("x-ms-content-length").unwrap().parse().unwrap();
            tree.insert(path.to_owned(), Some(vec![0; size]));
            response(201, "")
        }
        (Method::Get, query) if query.contains("comp=list") => list(tree, path),
        (Method::Delete, _) => {
            tree.remove(path).map_or_else(|| fault(404, "ResourceNotFound"), |_| response(202, ""))
        }
        _ => match tree.get(path) {
            Some(Some(content)) if request.method == Method::Head => {
                let answer = with(response(200, ""), "content-length", &content.len().to_string());
                with(answer, "last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")
            }
            Some(Some(content)) => {
                let range = header("x-ms-range").unwrap();
                let (from, to) = range["bytes=".len()..].split_once('-').unwrap();
                let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
                if from >= content.len() {
                    return fault(416, "InvalidRange");
                }
                let mut answer = response(206, "");
                answer.body = content[from..content.len().min(to + 1)].to_vec();
                answer
            }
            _ => fault(404, "ResourceNotFound"),
        },
    }
}

fn list(tree: &BTreeMap<String, Option<Vec<u8>>>, path: &str) -> Response {
    if !matches!(tree.get(path), Some(None)) {
        return fault(404, "ResourceNotFound");
    }
    let inside = tree.iter().filter_map(|(name, content)| {
        let name = name.strip_prefix(path)?.strip_prefix('/').filter(|name| !name.contains('/'))?;
        Some(match content {
            None => format!("<Directory><Name>{name}</Name><Properties /></Directory>"),
            Some(content) => format!(
                "<File><Name>{name}</Name><Properties><Content-Length>{}</Content-Length></Properties></File>",
                content.len()
            ),
        })
    });
    response(
        200,
        format!(
            "<EnumerationResults><Entries>{}</Entries><NextMarker /></EnumerationResults>",
            inside.collect::<String>()
        ),
    )
}

fn world() -> (ContainerApps, Rc<FakeHost>, Tree) {
    let tree = Tree::default();
    let (plugin, host) = on(account(Rc::clone(&tree)));
    (plugin, host, tree)
}

#[test]
fn the_first_blob_makes_share_and_folders_and_is_seen_whole_or_not_at_all() {
    let (plugin, host, tree) = world();
    let content: Vec<u8> =
        (0..limits::RANGE_BYTES + 10).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
    plugin.put("agent/12/a b".into(), content.clone()).unwrap();
    let names: Vec<String> = tree.borrow().keys().cloned().collect();
    assert_eq!(names, ["sockerless", "sockerless/agent", "sockerless/agent/12", "sockerless/agent/12/a b"]);
    assert_eq!(plugin.stat("agent/12/a b".into()).unwrap().unwrap().size, content.len() as u64);
    assert_eq!(plugin.get("agent/12/a b".into(), 0, 9_000_000).unwrap(), content);
    let signed = |request: &Request| request.credential.clone().unwrap();
    let (arm, files): (Vec<_>, Vec<_>) =
        host.requests().into_iter().partition(|request| request.url.contains("management.azure.com"));
    assert!(arm.iter().all(|request| signed(request) == "azure-arm"));
    assert!(files.iter().all(|request| signed(request).starts_with("azure-storage; scope=/subscriptions/")));
    assert!(files.iter().all(|request| request.headers.iter().any(|(name, _)| name == "x-ms-version")));
}

#[test]
fn a_second_blob_needs_four_calls() {
    let (plugin, host, _) = world();
    plugin.put("a/b".into(), vec![1]).unwrap();
    let before = host.requests().len();
    plugin.put("a/b".into(), vec![1, 2]).unwrap();
    let calls = &asked(&host)[before..];
    assert_eq!((calls.len(), calls[3].as_str()), (4, "PUT sockerless/a/b"));
    assert!(calls[0].starts_with("PUT sockerless/a/.b.") && calls[0].ends_with(".part"), "{calls:?}");
    assert_eq!((&calls[0], calls[1].as_str()), (&calls[2], "GET sockerless/a"));
}

#[test]
fn what_was_left_of_a_writing_long_ago_is_removed_by_the_next() {
    let tree = Tree::default();
    let now = 2 * limits::PART_SECONDS;
    let (plugin, _) = on(account(Rc::clone(&tree)).at(now * 1000));
    plugin.put("a/b".into(), vec![1]).unwrap();
    let of = |began: u64| format!("sockerless/a/.b.{began:x}-00000000deadbeef.part");
    let others = [
        of(now - limits::PART_SECONDS),
        "sockerless/a/.c.1-00000000deadbeef.part".to_owned(),
        "sockerless/a/.b.x-1.part".to_owned(),
        "sockerless/a/.b.1-1".to_owned(),
    ];
    let stale = of(now - limits::PART_SECONDS - 1);
    for part in others.iter().chain([&stale]) {
        tree.borrow_mut().insert(part.clone(), Some(vec![7]));
    }
    plugin.put("a/b".into(), vec![2]).unwrap();
    assert!(!tree.borrow().contains_key(&stale));
    assert!(others.iter().all(|other| tree.borrow().contains_key(other)), "{tree:?}");
    assert_eq!(tree.borrow()["sockerless/a/b"], Some(vec![2]));
}

#[test]
fn two_that_write_one_file_do_not_write_into_each_others_part() {
    let (plugin, host, _) = world();
    plugin.put("a".into(), vec![1]).unwrap();
    plugin.put("a".into(), vec![2]).unwrap();
    let mut parts: Vec<_> = asked(&host).into_iter().filter(|call| call.ends_with(".part")).collect();
    parts.dedup();
    let [_no_share, first, second] = parts.as_slice() else { panic!("{parts:?}") };
    assert_ne!(first, second);
}

/// An account whose renaming answers 404: it was done before, or it was not.
fn lost_renaming(done: bool) -> (ContainerApps, Tree) {
    let tree = Tree::default();
    tree.borrow_mut().insert("sockerless".into(), None);
    let own = Rc::clone(&tree);
    let host = host().answering(move |request| {
        let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
        let path = super::xml::decode(path.strip_prefix("https://acc.file.core.windows.net/").unwrap());
        let tree = &mut *own.borrow_mut();
        if query != "comp=rename" {
            return answer(tree, request, &path, query);
        }
        if done {
            answer(tree, request, &path, query);
        }
        fault(404, "ResourceNotFound")
    });
    (on(host).0, tree)
}

#[test]
fn a_renaming_whose_answer_was_lost_is_looked_up() {
    let (plugin, tree) = lost_renaming(true);
    plugin.put("a".into(), vec![1, 2]).unwrap();
    assert_eq!(tree.borrow()["sockerless/a"], Some(vec![1, 2]));
    let (plugin, tree) = lost_renaming(false);
    assert_eq!(plugin.put("a".into(), vec![1, 2]).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(tree.borrow().len(), 1, "the part is removed: {tree:?}");
}

#[test]
fn parts_are_read_and_beyond_the_end_there_is_nothing() {
    let (plugin, _, _) = world();
    plugin.put("a".into(), b"hello".to_vec()).unwrap();
    assert_eq!(plugin.get("a".into(), 1, 3).unwrap(), b"ell");
    assert_eq!(plugin.get("a".into(), 9, 3).unwrap(), b"");
    assert_eq!(plugin.get("a".into(), 0, 0).unwrap(), b"");
    assert_eq!(plugin.get("b".into(), 0, 3).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(plugin.get("b".into(), 0, 0).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(plugin.stat("b".into()).unwrap(), None);
}

#[test]
fn all_blobs_below_a_path_are_listed_in_order() {
    let (plugin, _, _) = world();
    assert!(plugin.blobs(String::new(), None).unwrap().items.is_empty());
    for path in ["x/2/b", "x/1", "y", "x/2/a"] {
        plugin.put(path.into(), vec![0; 3]).unwrap();
    }
    let paths = |prefix: &str| -> Vec<String> {
        plugin.blobs(prefix.into(), None).unwrap().items.into_iter().map(|blob| blob.path).collect()
    };
    assert_eq!(paths(""), ["x/1", "x/2/a", "x/2/b", "y"]);
    assert_eq!(paths("x/2/"), ["x/2/a", "x/2/b"]);
    plugin.delete_blob("x/2/a".into()).unwrap();
    plugin.delete_blob("x/2/a".into()).unwrap();
    assert_eq!(paths("x/2"), ["x/2/b"]);
}

#[test]
fn paths_that_azure_does_not_take_are_refused() {
    let (plugin, host, _) = world();
    for path in ["", "/a", "a//b", "a/../b", "a/b.", "a\\b", "a?b", "a\nb"] {
        assert_eq!(plugin.put(path.into(), vec![]).unwrap_err().code, ErrorCode::InvalidArgument, "{path:?}");
    }
    assert!(host.requests().is_empty());
}

#[test]
fn a_refusal_keeps_the_first_line_of_azures_words() {
    let (plugin, _) = on(host().answering(|_| fault(403, "AuthenticationFailed")));
    let error = plugin.stat("a".into()).unwrap_err();
    assert_eq!(error.code, ErrorCode::PermissionDenied);
    assert_eq!(
        error.message,
        "looking for sockerless/a: said AuthenticationFailed (HTTP 403 AuthenticationFailed)"
    );
}

#[test]
fn an_identity_says_what_it_wants() {
    let (plugin, host) =
        on(host().setting("storage_auth", "identity").answering(|_| fault(404, "ResourceNotFound")));
    assert_eq!(plugin.stat("a".into()).unwrap(), None);
    let request = &host.requests()[0];
    assert_eq!(request.credential.as_deref(), Some("azure-storage"));
    assert!(request.headers.contains(&("x-ms-file-request-intent".into(), "backup".into())));
}

#[test]
fn the_agents_folder_is_a_read_only_mount_that_the_environment_gets_todays_key_for() {
    let (plugin, host) = on(host().answering(|_| response(200, "{}")));
    let source = MountSource::Blobs("agent/12/".into());
    let request =
        MountRequest { source, owner: "d0".into(), read_only: true, executable: true, renew: false };
    let mount: Mount = serde_json::from_str(&plugin.mount(request).unwrap().state).unwrap();
    assert_eq!((mount.folder.as_str(), mount.options.as_str()), ("agent/12", super::options::BLOBS));
    assert_eq!((mount.read_write.as_str(), mount.storage(false)), ("", mount.read_only.as_str()));
    assert_eq!(asked(&host).len(), 1);
    let put = crate::testing::body(&host.requests()[0]);
    let file = &put["properties"]["azureFile"];
    assert_eq!(
        (&file["accountName"], &file["shareName"], &file["accessMode"]),
        (&json!("acc"), &json!("sockerless"), &json!("ReadOnly"))
    );
    assert!(
        file["accountKey"].as_str().unwrap().starts_with("placeholder-of-azure-storage-for-/subscriptions/")
    );
}
