//! `docker login`, in the words that dockerd 20.10 had for the same registries.

use sockerless_ports::registry::{ImageError, Login, Registry};

use super::{
    Bench,
    hub::{Door, Hub},
    login,
};

fn at(host: &str, login: Login) -> Login {
    Login { serveraddress: host.into(), ..login }
}

#[tokio::test]
async fn a_right_password_is_taken_by_every_kind_of_door() {
    for (door, identity) in [(Door::Open, ""), (Door::Basic, ""), (Door::Token, "again")] {
        let (bench, hub) = (Bench::new().await, Hub::open(door).await);
        let login = at(&hub.host, login("user", "secret"));
        assert_eq!(bench.images.login(login).await.unwrap(), identity, "{door:?}");
    }
}

#[tokio::test]
async fn an_identity_token_takes_the_password_s_place() {
    let (bench, hub) = (Bench::new().await, Hub::open(Door::Token).await);
    let login = |token: &str| at(&hub.host, Login { identitytoken: token.into(), ..Login::default() });
    bench.images.login(login("again")).await.unwrap();
    let asked = hub.asked("POST");
    assert_eq!(asked, ["POST /token"]);
    assert!(matches!(bench.images.login(login("stale")).await, Err(ImageError::Denied(_))));
}

#[tokio::test]
async fn a_wrong_password_is_denied() {
    let bench = Bench::new().await;
    let basic = Hub::open(Door::Basic).await;
    let words = format!("login attempt to http://{}/v2/ failed with status: 401 Unauthorized", basic.host);
    let answer = bench.images.login(at(&basic.host, login("user", "wrong"))).await;
    assert_eq!(answer, Err(ImageError::Denied(words)));

    let token = Hub::open(Door::Token).await;
    let words = format!("Get \"http://{}/v2/\": unauthorized: incorrect username or password", token.host);
    let answer = bench.images.login(at(&token.host, login("user", "wrong"))).await;
    assert_eq!(answer, Err(ImageError::Denied(words)));
}

#[tokio::test]
async fn what_is_not_about_the_password_is_another_error() {
    let bench = Bench::new().await;
    let basic = Hub::open(Door::Basic).await;
    let words = format!("Get \"http://{}/v2/\": no basic auth credentials", basic.host);
    let answer = bench.images.login(at(&basic.host, Login::default())).await;
    assert_eq!(answer, Err(ImageError::Unavailable(words)));

    let shut = Hub::open(Door::Shut).await;
    let words =
        format!("login attempt to http://{}/v2/ failed with status: 500 Internal Server Error", shut.host);
    let answer = bench.images.login(at(&shut.host, login("user", "secret"))).await;
    assert_eq!(answer, Err(ImageError::Unavailable(words)));

    // Bound and dropped: nobody listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let words = format!("Get \"http://{nowhere}/v2/\": dial tcp {nowhere}: connect: connection refused");
    let answer = bench.images.login(at(&nowhere.to_string(), login("user", "secret"))).await;
    assert_eq!(answer, Err(ImageError::Unavailable(words)));
}

#[tokio::test]
async fn nothing_of_a_login_is_kept_for_pulls() {
    let (bench, hub) = (Bench::new().await, Hub::open(Door::Basic).await);
    hub.put_image("private", "1", "amd64", "x");
    bench.images.login(at(&hub.host, login("user", "secret"))).await.unwrap();
    assert!(bench.pull(&hub.url("private:1")).await.is_err());
}
