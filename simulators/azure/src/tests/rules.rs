//! What jobs are refused.

use super::*;

async fn refusal(cloud: &Cloud, change: impl FnOnce(&mut Value)) -> (u16, String) {
    let mut job = cloud.job(&["true"]);
    change(&mut job);
    cloud.call("PUT", &format!("{}/Microsoft.App/jobs/job", cloud.group()), job).await.error()
}

#[tokio::test]
async fn jobs_obey_the_services_rules() {
    let cloud = Cloud::start().await;
    let own = format!("{}/no/image", cloud.server.info().registry);
    type Change = Box<dyn FnOnce(&mut Value)>;
    let set = |pointer: &'static str, value: Value| -> Change {
        Box::new(move |job: &mut Value| match job.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                job.pointer_mut(parent).unwrap()[name] = value;
            }
        })
    };
    const TEMPLATE: &str = "InvalidParameterValueInContainerTemplate";
    let cases: Vec<(Change, &str)> = vec![
        (set("/location", json!("mars")), "LocationNotAvailableForResourceType"),
        (set("/properties/environmentId", json!("/none")), "ManagedEnvironmentNotFound"),
        (set("/properties/configuration/triggerType", json!("Event")), "JobTriggerTypeNotSupported"),
        (set("/properties/configuration/replicaTimeout", json!(0)), "InvalidRequestParameterWithDetails"),
        (set("/properties/configuration/secrets", json!([{"name": "x"}])), "ContainerAppSecretInvalid"),
        (
            set("/properties/configuration/registries", json!([{"server": "s"}])),
            "ContainerAppRegistryInvalid",
        ),
        (set("/properties/template/containers", json!([])), TEMPLATE),
        (set("/properties/template/containers/0/name", json!("A_b")), TEMPLATE),
        (set("/properties/template/containers/0/image", json!("A")), TEMPLATE),
        (set("/properties/template/containers/0/image", json!(own)), TEMPLATE),
        (
            set("/properties/template/containers/0/resources", json!({"cpu": 0.3, "memory": "1Gi"})),
            "ContainerAppInvalidResourceTotal",
        ),
        (
            set("/properties/template/containers/0/env", json!([{"name": "X", "secretRef": "none"}])),
            "ContainerAppSecretRefNotFound",
        ),
        (
            set(
                "/properties/template/containers/0/volumeMounts",
                json!([{"volumeName": "v", "mountPath": "/v"}]),
            ),
            "ContainerAppVolumeNotFound",
        ),
        (
            set(
                "/properties/template/volumes",
                json!([{"name": "v", "storageType": "AzureFile", "storageName": "none"}]),
            ),
            "ManagedEnvironmentStorageNotFound",
        ),
        (set("/tags", json!({"t": "x".repeat(257)})), "InvalidTagValueLength"),
        (
            set("/identity", json!({"type": "UserAssigned", "userAssignedIdentities": {"/none": {}}})),
            "FailedIdentityOperation",
        ),
    ];
    for (change, code) in cases {
        assert_eq!(refusal(&cloud, change).await, (400, code.to_owned()));
    }
    let named = format!("{}/Microsoft.App/jobs/{}", cloud.group(), "a".repeat(32));
    assert_eq!(cloud.call("PUT", &named, cloud.job(&["true"])).await.error().1, "ContainerAppJobInvalidName");
}

#[tokio::test]
async fn an_image_of_the_own_registry_needs_a_login() {
    let cloud = Cloud::start().await;
    let info = cloud.server.info();
    let (registry, identity) = (info.registry.clone(), info.identity.clone());
    // A manifest without layers is enough for the check.
    let blob = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let put = cloud.raw("POST", &format!("/v2/some/image/blobs/uploads/?digest={blob}"), &[], "{}").await;
    assert_eq!(put.status, 201, "{}", put.text());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": kind, "config": {"digest": blob}, "layers": []}).to_string();
    let put = cloud.raw("PUT", "/v2/some/image/manifests/latest", &[("content-type", kind)], manifest).await;
    assert_eq!(put.status, 201, "{}", put.text());

    let mut job = cloud.job(&["true"]);
    job["properties"]["template"]["containers"][0]["image"] = json!(format!("{registry}/some/image"));
    let path = format!("{}/Microsoft.App/jobs/job", cloud.group());
    let refused = cloud.call("PUT", &path, job.clone()).await;
    assert!(refused.text().contains("UNAUTHORIZED"), "{}", refused.text());
    job["properties"]["configuration"]["registries"] = json!([{"server": registry, "identity": identity}]);
    let unassigned = cloud.call("PUT", &path, job.clone()).await;
    assert_eq!(unassigned.error().1, "ContainerAppRegistryIdentityNotAssigned");
    job["identity"] = json!({"type": "UserAssigned", "userAssignedIdentities": {identity: {}}});
    cloud.create("job", job).await;
}
