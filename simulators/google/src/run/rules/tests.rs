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
    for change in [json!({"ports": [{"containerPort": 80}]}), json!({"startupProbe": {}})] {
        assert_eq!(check(with_container(change)).unwrap_err().code, Code::Unimplemented);
    }
}
