use super::*;

const REGISTRY: &str = "127.0.0.1:4000";

fn with_container(change: Value) -> Value {
    let mut container = json!({"image": "busybox"});
    for (key, value) in change.as_object().unwrap() {
        container[key] = value.clone();
    }
    json!({"template": {"template": {"containers": [container]}}})
}

fn check(mut body: Value) -> Result<Value> {
    job(&mut body, "p", REGISTRY).map(|()| body)
}

#[test]
fn the_clouds_defaults_are_filled_in() {
    let job = check(with_container(json!({}))).unwrap();
    let task = &job["template"]["template"];
    assert_eq!(job["template"]["taskCount"], 1);
    assert_eq!(task["maxRetries"], 3);
    assert_eq!(task["timeout"], "600s");
    assert_eq!(task["containers"][0]["resources"]["limits"], json!({"cpu": "1000m", "memory": "512Mi"}));
}

#[test]
fn processor_and_memory_come_in_the_clouds_pairs() {
    let size = |cpu: &str, memory: &str| {
        check(with_container(json!({"resources": {"limits": {"cpu": cpu, "memory": memory}}})))
    };
    for (cpu, memory) in [("1", "512Mi"), ("1000m", "4Gi"), ("4", "2Gi"), ("8", "32Gi")] {
        assert!(size(cpu, memory).is_ok(), "{cpu} {memory}");
    }
    for (cpu, memory) in
        [("4", "1Gi"), ("8", "2Gi"), ("1", "8Gi"), ("3", "2Gi"), ("1", "128Mi"), ("x", "1Gi")]
    {
        assert_eq!(size(cpu, memory).unwrap_err().code, Code::InvalidArgument, "{cpu} {memory}");
    }
    let message = size("4", "1Gi").unwrap_err().message;
    assert!(message.contains("For 4.0 CPU, memory must be between 2Gi and 16Gi inclusive."), "{message}");
}

#[test]
fn labels_keep_charset_length_and_namespace() {
    let labelled = |key: &str, value: &str| {
        let mut body = with_container(json!({}));
        body["labels"] = json!({key: value});
        check(body)
    };
    assert!(labelled("managed-by", "sockerless").is_ok());
    assert!(labelled("a", "").is_ok());
    let long = "a".repeat(64);
    for (key, value) in [
        ("run.googleapis.com/x", "a"),
        ("A", "a"),
        ("a", "A"),
        ("a", long.as_str()),
        (long.as_str(), "a"),
        ("1", "a"),
    ] {
        assert!(labelled(key, value).is_err(), "{key}={value}");
    }
}

#[test]
fn timeouts_retries_and_counts_have_limits() {
    let with = |field: &str, value: Value| {
        let mut body = with_container(json!({}));
        body["template"]["template"][field] = value;
        check(body)
    };
    assert!(with("timeout", json!("604800s")).is_ok());
    assert!(with("timeout", json!("604801s")).is_err());
    assert!(with("timeout", json!("0s")).is_err());
    assert!(with("maxRetries", json!(0)).is_ok());
    assert!(with("maxRetries", json!(11)).is_err());
    let mut body = with_container(json!({}));
    body["template"]["taskCount"] = json!(0);
    assert!(check(body).is_err());
}

#[test]
fn too_many_or_reserved_variables_and_arguments_are_refused() {
    let many: Vec<Value> = (0..1_001).map(|index| json!({"name": format!("A{index}")})).collect();
    assert!(check(with_container(json!({"env": many}))).is_err());
    assert!(check(with_container(json!({"env": [{"name": "CLOUD_RUN_JOB", "value": "x"}]}))).is_err());
    assert!(check(with_container(json!({"env": [{"name": "A", "value": "x".repeat(32_769)}]}))).is_err());
    assert!(check(with_container(json!({"args": vec!["a"; 1_001]}))).is_err());
}

#[test]
fn what_the_simulator_lacks_is_said_and_not_dropped() {
    for change in [json!({"ports": [{"containerPort": 80}]}), json!({"livenessProbe": {}})] {
        assert_eq!(check(with_container(change)).unwrap_err().code, Code::Unimplemented);
    }
}

fn with_containers(containers: Value) -> Value {
    json!({"template": {"template": {"containers": containers}}})
}

#[test]
fn several_containers_have_names_and_an_order_in_which_they_can_start() {
    let container =
        |name: &str, after: &[&str]| json!({"image": "busybox", "name": name, "dependsOn": after});
    let good = json!([container("a", &["b", "c"]), container("b", &["c"]), container("c", &[])]);
    assert!(check(with_containers(good)).is_ok());
    for (bad, words) in [
        (
            json!([container("a", &[]), container("a", &[])]),
            "containers[1].name: Containers must have unique",
        ),
        (json!([container("a", &[]), container("", &[])]), "containers[1].name: Containers must have unique"),
        (json!([container("a", &["a"])]), "cannot depend on itself"),
        (json!([container("a", &["x"])]), "Container \"x\" not found"),
        (json!([container("a", &["b"]), container("b", &["a"])]), "depends on itself through other"),
        (json!(vec![container("a", &[]); 11]), "At most 10 containers"),
    ] {
        let error = check(with_containers(bad)).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument);
        assert!(error.message.contains(words), "{}", error.message);
    }
}

#[test]
fn a_startup_probe_asks_one_thing_at_reasonable_times() {
    let probe = |probe: Value| check(with_container(json!({"startupProbe": probe})));
    let tcp = json!({"port": 80});
    for good in [
        json!({"tcpSocket": tcp}),
        json!({"httpGet": {"port": 80}, "initialDelaySeconds": 240, "periodSeconds": 240, "timeoutSeconds": 240}),
    ] {
        assert!(probe(good).is_ok());
    }
    for (bad, code) in [
        (json!({}), Code::InvalidArgument),
        (json!({"tcpSocket": tcp, "httpGet": tcp}), Code::InvalidArgument),
        (json!({"tcpSocket": {}}), Code::InvalidArgument),
        (json!({"tcpSocket": {"port": 0}}), Code::InvalidArgument),
        (json!({"httpGet": {"port": 80, "path": "x"}}), Code::InvalidArgument),
        (json!({"httpGet": {"port": 80, "httpHeaders": [{"name": "A\r\nB"}]}}), Code::InvalidArgument),
        (json!({"tcpSocket": tcp, "periodSeconds": 1, "timeoutSeconds": 2}), Code::InvalidArgument),
        (json!({"tcpSocket": tcp, "periodSeconds": 241}), Code::InvalidArgument),
        (json!({"tcpSocket": tcp, "failureThreshold": 0}), Code::InvalidArgument),
        (json!({"grpc": {"port": 80}}), Code::Unimplemented),
    ] {
        assert_eq!(probe(bad.clone()).unwrap_err().code, code, "{bad}");
    }
}
