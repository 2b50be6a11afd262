use futures_util::StreamExt;
use sockerless_engine::{
    EngineOptions, ErrorKind, EventsRequest, Filters, ProgressStream, PullImage, RegistryFacts,
};
use sockerless_ports::registry::{ImportRequest, Login};

use crate::world::*;

async fn told(stream: ProgressStream) -> Vec<Result<String, String>> {
    stream.map(|event| event.map(|event| event.status).map_err(|error| error.message)).collect().await
}

fn pull(reference: &str) -> PullImage {
    PullImage { reference: reference.into(), ..PullImage::default() }
}

#[tokio::test(start_paused = true)]
async fn a_pull_tells_its_progress_and_errors_known_at_once_have_a_status() {
    let world = World::new().await;
    let events = world.engine.pull_image(pull("redis:7")).await.unwrap();
    assert_eq!(told(events).await, [Ok("Pulling from somewhere".to_owned()), Ok("Pulling".to_owned())]);
    let error = world.engine.pull_image(pull("missing:1")).await.err().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "manifest unknown"));
    let error = world.engine.pull_image(pull("Bad Name")).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let broken = world.engine.pull_image(pull("broken:1")).await.unwrap();
    assert_eq!(
        told(broken).await,
        [
            Ok("Pulling from somewhere".to_owned()),
            Ok("Pulling".to_owned()),
            Err("connection reset".to_owned())
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_that_the_registry_refuses_is_unauthorized() {
    let world = World::new().await;
    let login = |password: &str| Login { password: password.into(), ..Login::default() };
    let answer = world.engine.login(login("secret")).await.unwrap();
    assert_eq!(
        (answer.status.as_str(), answer.identity_token.as_deref()),
        ("Login Succeeded", Some("token"))
    );
    let error = world.engine.login(login("wrong")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
}

#[tokio::test(start_paused = true)]
async fn load_and_import_say_what_they_made() {
    let world = World::new().await;
    let archive = || futures_util::stream::empty().boxed();
    let lines = told(world.engine.load_images(archive()).await.unwrap()).await;
    let id = format!("sha256:{}", "c".repeat(64));
    assert_eq!(lines, [Ok("Loaded image: loaded:1".to_owned()), Ok(format!("Loaded image ID: {id}"))]);
    let lines = told(world.engine.import_image(archive(), ImportRequest::default()).await.unwrap()).await;
    assert_eq!(lines, [Ok(format!("sha256:{}", "d".repeat(64)))]);
}

#[tokio::test(start_paused = true)]
async fn images_in_use_stay_and_others_go() {
    let world = World::new().await;
    world.create("user", &["sleep"]).await;
    told(world.engine.pull_image(pull("redis:7")).await.unwrap()).await;
    let error = world.engine.remove_image("busybox", false, false).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    let listed = world.engine.images(false, &Filters::new()).await.unwrap();
    assert_eq!(listed.len(), 2);
    // As in dockerd: not counted in a list.
    assert!(listed.iter().all(|image| image.containers == -1));
    let all = Filters::from([("dangling".to_owned(), vec!["false".to_owned()])]);
    let pruned = world.engine.prune_images(&all).await.unwrap();
    assert_eq!(pruned.space_reclaimed, Some(1000));
    assert_eq!(world.engine.images(false, &Filters::new()).await.unwrap().len(), 1);
    let missing = world.engine.remove_image("redis:7", false, false).await.unwrap_err();
    assert_eq!((missing.kind, missing.message.as_str()), (ErrorKind::NotFound, "No such image: redis:7"));
    assert_eq!(world.engine.inspect_image("redis").await.unwrap_err().message, "No such image: redis:latest");
    let request = EventsRequest { until: Some(std::time::SystemTime::now()), ..EventsRequest::default() };
    let actions: Vec<_> =
        world.engine.events(request).unwrap().map(|event| event.action.unwrap()).collect().await;
    assert_eq!(actions, ["create", "pull", "untag", "delete", "prune"]);
}

#[tokio::test(start_paused = true)]
async fn a_tag_makes_the_image_known_by_another_name() {
    let world = World::new().await;
    world.engine.tag_image("busybox", "mine", "").await.unwrap();
    world.create_with("one", &["sleep"], |request| request.config.image = Some("mine".into())).await;
    assert!(world.engine.tag_image("busybox", "Not Good", "x").await.is_err());
    let inspect = world.engine.inspect_image("mine").await.unwrap();
    assert_eq!(inspect.repo_tags.unwrap(), ["busybox:latest", "mine:latest"]);
    let filters = Filters::from([("reference".to_owned(), vec!["mi*".to_owned()])]);
    let listed = world.engine.images(false, &filters).await.unwrap();
    assert_eq!(listed[0].repo_tags, ["mine:latest"]);
    let unknown = Filters::from([("size".to_owned(), vec!["1".to_owned()])]);
    assert_eq!(world.engine.images(false, &unknown).await.unwrap_err().message, "invalid filter 'size'");
}

#[tokio::test(start_paused = true)]
async fn version_and_info_tell_of_backends() {
    let world = World::new().await;
    let version = world.engine.version();
    assert_eq!(
        (version.api_version.as_deref(), version.min_api_version.as_deref()),
        (Some("1.51"), Some("1.24"))
    );
    assert!(version.components.unwrap().iter().any(|component| component.name == "fake"));
    world.run("one", &["sleep"]).await;
    let info = world.engine.info().await.unwrap();
    assert_eq!((info.containers, info.containers_running, info.images), (Some(1), Some(1), Some(1)));
    assert!(info.runtimes.unwrap().contains_key("fake"));
    assert_eq!(info.default_runtime.as_deref(), Some("fake"));
}

#[tokio::test(start_paused = true)]
async fn info_tells_of_mirrors_registries_without_tls_and_proxies_as_they_are_in_force() {
    let mut world = World::new().await;
    let unset = world.engine.info().await.unwrap();
    assert_eq!(
        (unset.registry_config.unwrap().mirrors, unset.http_proxy),
        (Some(vec![]), Some(String::new()))
    );
    world.crash().await;
    let registries = RegistryFacts {
        insecure: vec!["reg.lan:5000".into()],
        mirrors: vec!["https://mirror.lan".into()],
        proxies: ["".into(), "http://me:secret@proxy.lan:3128".into(), "example.com".into()],
    };
    world.options = EngineOptions { registries, ..world.options.clone() };
    world.reopen().await;
    let info = world.engine.info().await.unwrap();
    let config = info.registry_config.unwrap();
    assert_eq!(config.mirrors, Some(vec!["https://mirror.lan/".to_owned()]));
    assert_eq!(config.index_configs.unwrap()["reg.lan:5000"].secure, Some(false));
    assert_eq!(info.https_proxy.as_deref(), Some("http://xxxxx:xxxxx@proxy.lan:3128"));
    assert_eq!((info.http_proxy.as_deref(), info.no_proxy.as_deref()), (Some(""), Some("example.com")));
}
