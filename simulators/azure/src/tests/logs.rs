//! Queries.

use super::*;

async fn query(cloud: &Cloud, text: &str) -> Answer {
    let path = format!("/v1/workspaces/{}/query", cloud.server.info().workspace);
    cloud
        .raw("POST", &path, &[("content-type", "application/json")], json!({"query": text}).to_string())
        .await
}

#[tokio::test]
async fn the_lines_of_an_execution_are_found() {
    let cloud = Cloud::start().await;
    cloud.create("job", cloud.job(&["talk"])).await;
    let execution = cloud.ended(&cloud.start_job("job").await).await;
    let name = execution["name"].as_str().unwrap();
    for (table, suffix) in [("ContainerAppConsoleLogs_CL", "_s"), ("ContainerAppConsoleLogs", "")] {
        let text = format!(
            "{table} | where ContainerGroupName{suffix} startswith \"{name}\" | where ContainerName{suffix} == \"main\"
             | order by TimeGenerated asc | take 10 | project Stream{suffix}, Line = Log{suffix}"
        );
        let table = query(&cloud, &text).await.json()["tables"][0].clone();
        assert_eq!(table["columns"][1], json!({"name": "Line", "type": "string"}));
        let mut rows: Vec<Value> = table["rows"].as_array().unwrap().clone();
        rows.sort_by_key(ToString::to_string);
        assert_eq!(rows, [json!(["stderr", "err"]), json!(["stdout", "out"])]);
    }
    let none =
        query(&cloud, "ContainerAppConsoleLogs_CL | where TimeGenerated > datetime(2100-01-01)").await.json();
    assert_eq!(none["tables"][0]["rows"], json!([]));
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_a_clear_error() {
    let cloud = Cloud::start().await;
    for (text, code) in [
        ("Heartbeat | take 1", "SemanticError"),
        ("ContainerAppConsoleLogs_CL | where Colour == 1", "SemanticError"),
        ("ContainerAppConsoleLogs_CL | summarize count()", "SyntaxError"),
    ] {
        let answer = query(&cloud, text).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["innererror"]["code"]),
            (400, &json!(code)),
            "{text}"
        );
    }
    let inner = query(&cloud, "Heartbeat | take 1").await.json()["error"]["innererror"]["innererror"].clone();
    let words = inner["message"].as_str().unwrap();
    assert!(inner["code"] == "SEM0100" && words.contains("Failed to resolve table"), "{inner}");
    let other = cloud.raw("POST", "/v1/workspaces/other/query", &[], "{}").await;
    assert_eq!(other.error(), (404, "WorkspaceNotFoundError".to_owned()));
}
