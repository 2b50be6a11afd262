//! What `sockerless plugin` asks.

use async_trait::async_trait;
use sockerless_api::{PluginBuild, PluginGrant, PluginStanding, Plugins, Reloaded};

use crate::server::Server;

/// One backend, whose new component is refused.
pub struct FakePlugins;

fn build() -> PluginBuild {
    PluginBuild { version: "1.0.0".into(), digest: "sha256:old".into() }
}

#[async_trait]
impl Plugins for FakePlugins {
    fn list(&self) -> Vec<PluginStanding> {
        let granted = vec![PluginGrant { host: "api.test".into(), credentials: vec!["token".into()] }];
        vec![PluginStanding {
            name: "acme".into(),
            component: "acme.wasm".into(),
            build: build(),
            granted,
            withheld: vec![],
        }]
    }

    async fn reload(&self, name: Option<&str>) -> Option<Vec<Reloaded>> {
        let error = Some("it is broken".into());
        let refused =
            Reloaded { name: "acme".into(), before: build(), after: build(), withheld: vec![], error };
        name.is_none_or(|name| name == "acme").then(|| vec![refused])
    }
}

#[tokio::test]
async fn the_loaded_backends_are_listed_with_what_they_were_granted() {
    let server = Server::start().await;
    let answer = server.client().await.request("GET", "/sockerless/plugins").await;
    assert_eq!(answer.status(), 200);
    let listed: Vec<PluginStanding> = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(listed, FakePlugins.list());
}

#[tokio::test]
async fn a_reload_answers_for_each_backend_and_knows_no_others() {
    let server = Server::start().await;
    for path in ["/sockerless/plugins/reload", "/sockerless/plugins/reload?name=acme"] {
        let answer = server.client().await.request("POST", path).await;
        let reloaded: Vec<Reloaded> = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status(), reloaded[0].error.as_deref()), (200, Some("it is broken")));
    }
    let answer = server.client().await.request("POST", "/sockerless/plugins/reload?name=other").await;
    assert_eq!(answer.status(), 404);
    assert!(answer.message().contains("loaded are: acme"), "{}", answer.message());
    assert_eq!(server.client().await.request("GET", "/sockerless/plugins/reload").await.status(), 404);
}
