//! Tables as Log Analytics has them, and a query's answer.

use serde_json::{Value, json};
use sockerless_simulator_common::Database;

use super::QueryError;
use super::kql::{self, Compare, Condition, Datum, Operand, Query, Step};
use super::store::{self, Narrowing, Row};
use crate::{limits, time};

/// Columns of the console's table, with their types. Names have a suffix in a workspace's own table, and none in that of Azure
/// Monitor.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("TimeGenerated", "TimeGenerated", "datetime"),
    ("_timestamp_d", "", "real"),
    ("_ItemId", "_ItemId", "string"),
    ("ContainerAppName_s", "ContainerAppName", "string"),
    ("ContainerJobName_s", "JobName", "string"),
    ("ContainerGroupName_s", "ContainerGroupName", "string"),
    ("ContainerName_s", "ContainerName", "string"),
    ("ContainerImage_s", "ContainerImage", "string"),
    ("EnvironmentName_s", "EnvironmentName", "string"),
    ("Stream_s", "Stream", "string"),
    ("Log_s", "Log", "string"),
];

/// What `extend` adds.
const INGESTION_TIME: &str = "ingestion_time()";

/// A column of an answer: its name, the console's, and its type.
type Column = (String, &'static str, &'static str);

fn table(name: &str) -> Result<Vec<Column>, QueryError> {
    let own = match name {
        "ContainerAppConsoleLogs_CL" => true,
        "ContainerAppConsoleLogs" => false,
        _ => {
            let message =
                format!("'where' operator: Failed to resolve table or column expression named '{name}'");
            return Err(QueryError::new("SemanticError", message));
        }
    };
    let columns = COLUMNS
        .iter()
        .map(|(custom, plain, kind)| ((*(if own { custom } else { plain })).to_owned(), *custom, *kind));
    Ok(columns.filter(|(name, _, _)| !name.is_empty()).collect())
}

fn value(row: &Row, column: &str, environment: &str) -> Option<Datum> {
    let text = |text: &str| Some(Datum::Text(text.to_owned()));
    match column {
        "TimeGenerated" => Some(Datum::Time(row.time)),
        // What is shown can be asked for: ticks.
        INGESTION_TIME => Some(Datum::Time(row.received.div_euclid(100) * 100)),
        // A double holds microseconds of this century.
        "_timestamp_d" => Some(Datum::Number(row.time as f64 / 1e9)),
        "_ItemId" => Some(Datum::Text(format!("{:020}", row.id))),
        "ContainerAppName_s" => text(&row.source.app),
        "ContainerJobName_s" => text(&row.source.job),
        "ContainerGroupName_s" => text(&row.source.replica),
        "ContainerName_s" => text(&row.source.container),
        "ContainerImage_s" => text(&row.source.image),
        "EnvironmentName_s" => text(environment),
        "Stream_s" => text(&row.stream),
        "Log_s" => text(&row.text),
        _ => None,
    }
}

fn find<'a>(columns: &'a [Column], name: &str) -> Result<&'a Column, QueryError> {
    columns.iter().find(|(known, _, _)| known == name).ok_or_else(|| {
        let message = format!("Failed to resolve column or scalar expression named '{name}'");
        QueryError::new("SemanticError", message)
    })
}

/// Answers a query.
///
/// # Errors
/// A SemanticError for a table or column that there is not.
pub fn answer(
    db: &Database,
    query: &Query,
    timespan: Option<&str>,
    environment: &str,
) -> Result<Value, QueryError> {
    let mut columns = table(&query.table)?;
    let (from, to) = span(timespan)?;
    let mut narrowing = Narrowing { from, replica: String::new(), now: time::to_nanos(time::now()) };
    // All conditions before rows are cut off narrow what is read.
    for step in &query.steps {
        match step {
            Step::Where(condition) => narrow(condition, &columns, &mut narrowing)?,
            _ => break,
        }
    }
    let mut rows = Vec::new();
    let first: Vec<&Condition> = query
        .steps
        .iter()
        .map_while(|step| match step {
            Step::Where(condition) => Some(condition),
            _ => None,
        })
        .collect();
    let names = columns.clone();
    let read = store::read(db, &narrowing, |row| {
        let column = |name: &str| {
            let (_, console, _) = names.iter().find(|(known, _, _)| known == name)?;
            value(&row, console, environment)
        };
        if row.time <= to && first.iter().all(|condition| kql::holds(condition, &column)) {
            rows.push(row);
        }
        rows.len() < limits::QUERY_ROWS
    });
    read.map_err(|error| {
        QueryError::new("BadArgumentError", format!("The simulator's database failed: {error}"))
    })?;
    for step in &query.steps[first.len()..] {
        apply(step, &mut columns, &mut rows, environment)?;
    }
    let head: Vec<Value> =
        columns.iter().map(|(name, _, kind)| json!({"name": name, "type": kind})).collect();
    let body: Vec<Vec<Value>> = rows
        .iter()
        .map(|row| columns.iter().map(|(_, console, _)| shown(value(row, console, environment))).collect())
        .collect();
    Ok(json!({"tables": [{"name": "PrimaryResult", "columns": head, "rows": body}]}))
}

fn apply(
    step: &Step,
    columns: &mut Vec<Column>,
    rows: &mut Vec<Row>,
    environment: &str,
) -> Result<(), QueryError> {
    match step {
        Step::Where(condition) => {
            narrow(condition, columns, &mut Narrowing::default())?;
            rows.retain(|row| {
                let column = |name: &str| {
                    let (_, console, _) = columns.iter().find(|(known, _, _)| known == name)?;
                    value(row, console, environment)
                };
                kql::holds(condition, &column)
            });
        }
        Step::Extend(name) => columns.push((name.clone(), INGESTION_TIME, "datetime")),
        Step::Project(wanted) => {
            let mut kept = Vec::new();
            for (name, column) in wanted {
                let (_, console, kind) = find(columns, column)?;
                kept.push((name.clone(), *console, *kind));
            }
            *columns = kept;
        }
        Step::Order(by) => {
            let mut keys = Vec::new();
            for (name, ascending) in by {
                keys.push((find(columns, name)?.1, *ascending));
            }
            rows.sort_by(|left, right| {
                let orders = keys.iter().map(|(console, ascending)| {
                    let (left, right) =
                        (value(left, console, environment), value(right, console, environment));
                    let order = match (left, right) {
                        (Some(left), Some(right)) => kql::compare(&left, &right),
                        _ => std::cmp::Ordering::Equal,
                    };
                    if *ascending { order } else { order.reverse() }
                });
                orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            });
        }
        Step::Take(count) => rows.truncate(*count),
    }
    Ok(())
}

/// Checks a condition's columns, and what of it narrows the rows to be read.
fn narrow(condition: &Condition, columns: &[Column], narrowing: &mut Narrowing) -> Result<(), QueryError> {
    match condition {
        Condition::All(parts) => parts.iter().try_for_each(|part| narrow(part, columns, narrowing)),
        Condition::Any(parts) => {
            parts.iter().try_for_each(|part| narrow(part, columns, &mut Narrowing::default()))
        }
        Condition::Not(inner) => narrow(inner, columns, &mut Narrowing::default()),
        Condition::In(operand, _) => match operand {
            Operand::Column(name) => find(columns, name).map(drop),
            Operand::Value(_) => Ok(()),
        },
        Condition::Compare(left, how, right) => {
            for operand in [left, right] {
                if let Operand::Column(name) = operand {
                    find(columns, name)?;
                }
            }
            let (Operand::Column(name), Operand::Value(value)) = (left, right) else { return Ok(()) };
            match (find(columns, name)?.1, how, value) {
                // Replicas have small letters alone.
                ("ContainerGroupName_s", Compare::Equal | Compare::StartsWith, Datum::Text(text))
                    if narrowing.replica.len() < text.len() && !text.contains(char::is_uppercase) =>
                {
                    narrowing.replica = text.clone();
                }
                ("TimeGenerated", Compare::Greater | Compare::AtLeast, Datum::Time(time)) => {
                    narrowing.from = narrowing.from.max(*time);
                }
                _ => {}
            }
            Ok(())
        }
    }
}

fn shown(value: Option<Datum>) -> Value {
    match value {
        Some(Datum::Text(text)) => json!(text),
        Some(Datum::Number(number)) => json!(number),
        Some(Datum::Time(nanos)) => json!(time::text(time::from_nanos(nanos))),
        None => Value::Null,
    }
}

/// `PT1H`, `P1D`, or `FROM/TO`, either of which may be a duration.
fn span(text: Option<&str>) -> Result<(i64, i64), QueryError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok((i64::MIN, i64::MAX)) };
    let bad = || QueryError::new("BadArgumentError", format!("The timespan '{text}' is invalid"));
    let length = |text: &str| -> Option<i64> {
        let span: jiff::Span = text.parse().ok()?;
        let seconds = span.total((jiff::Unit::Second, jiff::SpanRelativeTo::days_are_24_hours())).ok()?;
        // Spans of queries are days at most.
        Some((seconds * 1e9) as i64)
    };
    let moment = |text: &str| text.parse::<jiff::Timestamp>().ok().map(time::to_nanos);
    let now = time::to_nanos(time::now());
    let Some((from, to)) = text.split_once('/') else {
        return Ok((now.saturating_sub(length(text).ok_or_else(bad)?), i64::MAX));
    };
    match (moment(from), moment(to)) {
        (Some(from), Some(to)) => Ok((from, to)),
        (Some(from), None) => Ok((from, from.saturating_add(length(to).ok_or_else(bad)?))),
        (None, Some(to)) => Ok((to.saturating_sub(length(from).ok_or_else(bad)?), to)),
        (None, None) => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn lines_are_found_in_the_order_in_which_they_were_taken_and_each_from_then_on() {
        let db = Database::open(std::path::Path::new(":memory:"), &[store::SCHEMA]).unwrap();
        let now = time::to_nanos(time::now());
        let second = 1_000_000_000;
        let row = |written: i64, received: i64, text: &str| Row {
            id: 0,
            source: Arc::default(),
            time: now - written * second,
            received: now - received * second,
            stream: "stdout".into(),
            text: text.into(),
        };
        let rows =
            [row(90, 20, "late"), row(80, 30, "early"), row(79, 30, "with it"), row(70, -60, "to come")];
        store::add(&db, &rows).unwrap();
        let ask =
            |text: &str| answer(&db, &kql::parse(text).unwrap(), None, "e").unwrap()["tables"][0].clone();
        let table = "ContainerAppConsoleLogs | extend I = ingestion_time()";
        let order = "order by I asc, TimeGenerated asc | project I, Log";
        let all = ask(&format!("{table} | {order}"));
        assert_eq!(all["columns"][0], json!({"name": "I", "type": "datetime"}));
        let texts = |found: &Value| -> Vec<String> {
            let rows = found["rows"].as_array().unwrap().iter();
            rows.map(|row| row[1].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(texts(&all), ["early", "with it", "late"]);
        let taken = all["rows"][1][0].as_str().unwrap();
        let on = ask(&format!("{table} | where I > datetime({taken}) | {order}"));
        assert_eq!(texts(&on), ["late"]);
        let same = ask(&format!("{table} | where I == datetime({taken}) | {order}"));
        assert_eq!(texts(&same), ["early", "with it"]);
    }
}
