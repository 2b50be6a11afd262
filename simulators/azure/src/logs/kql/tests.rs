use super::*;

fn row(name: &str) -> Option<Datum> {
    Some(match name {
        "Name" => Datum::Text("Job-1-abc".to_owned()),
        "Log" => Datum::Text("error: no such file".to_owned()),
        "Time" => Datum::Time(parse::moment("2026-11-22T10:00:00Z").unwrap()),
        "Count" => Datum::Number(5.0),
        _ => return None,
    })
}

fn found(condition: &str) -> bool {
    let query = parse(&format!("T | where {condition}")).unwrap();
    let [Step::Where(condition)] = query.steps.as_slice() else { panic!("{query:?}") };
    holds(condition, &row)
}

#[test]
fn conditions_hold_as_kusto_has_them() {
    for good in [
        "Name startswith \"job-1\"",
        "Name == 'Job-1-abc' and Count >= 5",
        "Name =~ 'JOB-1-ABC'",
        "Log has 'file' and not(Log contains 'folder')",
        "Time > datetime(2026-11-22T09:59:59.9999999Z)",
        "Time <= datetime(2026-11-22 10:00)",
        "Count == 4 or (Count < 6 and Name != \"x\")",
        "Name in ('a', 'Job-1-abc')",
        "Time < ago(1s)",
    ] {
        assert!(found(good), "{good}");
    }
    for bad in
        ["Name == 'job-1-abc'", "Log has 'fil'", "Count > 5", "Time < datetime(2026-01-01)", "Other == 1"]
    {
        assert!(!found(bad), "{bad}");
    }
}

#[test]
fn a_query_is_a_table_and_its_steps() {
    let query =
        parse("T\n| where A == 'x' // why\n| project B, C = D | order by B asc, C | take 10").unwrap();
    assert_eq!(query.table, "T");
    let text = |text: &str| text.to_owned();
    assert_eq!(query.steps[1], Step::Project(vec![(text("B"), text("B")), (text("C"), text("D"))]));
    assert_eq!(query.steps[2], Step::Order(vec![(text("B"), true), (text("C"), false)]));
    assert_eq!(query.steps[3], Step::Take(10));
    let query = parse("T | extend I = ingestion_time() | where I > ago(1h)").unwrap();
    assert_eq!(query.steps[0], Step::Extend(text("I")));
}

#[test]
fn what_is_not_known_is_a_syntax_error() {
    for query in [
        "",
        "T | summarize count()",
        "T | where",
        "T | extend I = now()",
        "T | extend ingestion_time()",
        "T | where A == ",
        "T | where A ~ 1",
        "T | take x",
        "T where A == 1",
        "T | where A == 'x",
    ] {
        assert_eq!(parse(query).unwrap_err().code, "SyntaxError", "{query}");
    }
}
