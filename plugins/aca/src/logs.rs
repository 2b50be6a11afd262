//! The output of a job, from Log Analytics: for after its end, or without an agent. Lines arrive minutes late, in no
//! order, and many have the same time. So they are read in the order in which Log Analytics took them, by
//! `ingestion_time()` ("Log data ingestion time in Azure Monitor"): what comes late comes last, however often it is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Error, ErrorCode, Request, Result,
    jobs::{Handle, LogEntry, LogPage, Output},
    time, url,
};

use crate::{
    ContainerApps, arm,
    jobs::{Found, State, look},
    limits,
    settings::LogTable,
};

/// The column that queries add.
const INGESTED: &str = "Ingested";

/// Where a reading goes on: at two times, without the lines of those very times that were read already. Rows have no id,
/// so they are told by what they say, and counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the last line was taken, as Azure wrote it: ticks of 100 nanoseconds count.
    #[serde(rename = "i")]
    ingested: String,
    /// When it was written, likewise: what is taken together has one time of ingestion.
    #[serde(rename = "t")]
    time: String,
    /// What was read at those times, and how often.
    #[serde(rename = "s")]
    seen: BTreeMap<String, u32>,
}

/// The answer of the query API.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    tables: Vec<Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Column {
    name: String,
}

/// One line as the table has it.
struct Line {
    ingested: String,
    time: String,
    stream: String,
    text: String,
}

impl LogTable {
    fn name(self) -> &'static str {
        match self {
            Self::Typed => "ContainerAppConsoleLogs_CL",
            Self::Plain => "ContainerAppConsoleLogs",
        }
    }

    /// The name of a column of texts.
    fn text(self, column: &str) -> String {
        match self {
            Self::Typed => format!("{column}_s"),
            Self::Plain => column.to_owned(),
        }
    }
}

/// The query for the lines of one container of one execution.
fn query(table: LogTable, execution: &str, main: &str, place: &Place, rows: usize) -> String {
    let text = |column: &str| table.text(column);
    let mut query =
        format!("{} | where {} startswith \"{execution}\"", table.name(), text("ContainerGroupName"));
    if !main.is_empty() {
        query = format!("{query} | where {} == \"{main}\"", text("ContainerName"));
    }
    query = format!("{query} | extend {INGESTED} = ingestion_time()");
    if !place.ingested.is_empty() {
        let (ingested, time) = (&place.ingested, &place.time);
        query = format!(
            "{query} | where {INGESTED} > datetime({ingested}) or ({INGESTED} == datetime({ingested}) and TimeGenerated >= datetime({time}))"
        );
    }
    let finer = if table == LogTable::Typed { ", _timestamp_d asc" } else { "" };
    format!(
        "{query} | order by {INGESTED} asc, TimeGenerated asc{finer} | take {rows} | project {INGESTED}, TimeGenerated, {}, {}",
        text("Stream"),
        text("Log")
    )
}

/// Reads on.
///
/// # Errors
/// `unsupported` without a workspace; `invalid-argument` for a cursor of somebody else; the provider's.
pub fn page(plugin: &ContainerApps, handle: &Handle, cursor: Option<&str>, limit: u32) -> Result<LogPage> {
    let mut place = Place::read(cursor)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, limits::LOG_PAGE_MAX);
    let mut entries = Vec::new();
    let mut more = false;
    if let (true, Some((execution, main))) = (handle.started, execution(plugin, handle)?) {
        let seen: u32 = place.seen.values().sum();
        // However many lines have one time: what was read of them comes first again.
        let rows = (limit + usize::try_from(seen).unwrap_or(usize::MAX)).min(limits::LOG_ROWS_MAX);
        let lines = ask(plugin, &query(plugin.config.log_table, &execution, &main, &place, rows))?;
        more = lines.len() >= rows;
        take(lines, &mut place, limit, &mut entries);
    }
    // Strings and numbers are always JSON.
    let next = serde_json::to_string(&place).unwrap_or_default();
    let poll_after_ms = if more { limits::LOG_NEXT_PAGE_MS } else { limits::LOG_POLL_MS };
    Ok(LogPage { entries, next, poll_after_ms, lag_ms: plugin.config.log_lag_ms })
}

/// Execution and main container of a job.
fn execution(plugin: &ContainerApps, handle: &Handle) -> Result<Option<(String, String)>> {
    let state = State::of(handle)?;
    let mut found = [Found { name: handle.name.clone(), started: true, state, ..Found::default() }];
    if found[0].state.execution.is_none() {
        look(plugin, &mut found)?;
    }
    // An app's replica is known by its status.
    let state = State::of(&found[0].status(plugin.host.now(), 1).handle)?;
    // Both stand in a query: nothing but names may come there.
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    Ok(state
        .execution
        .filter(|name| is_name(name))
        .map(|name| (name, Some(state.main).filter(|main| is_name(main)).unwrap_or_default())))
}

fn ask(plugin: &ContainerApps, query: &str) -> Result<Vec<Line>> {
    let answer = plugin.host.send(&request(plugin, query)?)?;
    let doing = "reading the log";
    plugin.check(doing, &answer)?;
    let answer: Answer = answer.json()?;
    let Some(table) = answer.tables.into_iter().next() else { return Ok(Vec::new()) };
    let column = |name: &str| {
        let is = |column: &Column| column.name == name;
        table
            .columns
            .iter()
            .position(is)
            .ok_or_else(|| Error::internal(format!("{doing}: no column {name} in the answer")))
    };
    let names = plugin.config.log_table;
    let (ingested, time) = (column(INGESTED)?, column("TimeGenerated")?);
    let (stream, log) = (column(&names.text("Stream"))?, column(&names.text("Log"))?);
    let text =
        |row: &[Value], index: usize| row.get(index).and_then(Value::as_str).unwrap_or_default().to_owned();
    let line = |row: &Vec<Value>| {
        let line = Line {
            ingested: text(row, ingested),
            time: text(row, time),
            stream: text(row, stream),
            text: text(row, log),
        };
        let told = !line.ingested.is_empty() && !line.time.is_empty();
        told.then_some(line).ok_or_else(|| Error::internal(format!("{doing}: a line has no time")))
    };
    table.rows.iter().map(line).collect()
}

/// A query, signed.
///
/// # Errors
/// `unsupported` without a workspace.
pub fn request(plugin: &ContainerApps, query: &str) -> Result<Request> {
    let Some(workspace) = &plugin.config.workspace else {
        let message = "the containers' logs cannot be read after their end without a workspace: set `log_analytics_workspace` \
                       (SOCKERLESS_ACA_LOG_ANALYTICS_WORKSPACE)";
        return Err(Error::new(ErrorCode::Unsupported, message));
    };
    let target = format!("{}/v1/workspaces/{}/query", plugin.config.logs, url::encode(workspace));
    Ok(Request::post(target).credential(plugin.config.logs_credential()).json(&json!({"query": query})))
}

/// The doctor's question: whether the table can be read at all.
pub fn trial(plugin: &ContainerApps) -> Result<()> {
    let query = format!("{} | take 1", plugin.config.log_table.name());
    let answer = plugin.host.send(&request(plugin, &query)?)?;
    if answer.is_success() { Ok(()) } else { Err(arm::error("reading the log", &answer, plugin.host.now())) }
}

impl Place {
    fn read(cursor: Option<&str>) -> Result<Self> {
        match cursor.filter(|cursor| !cursor.is_empty()) {
            None => Ok(Self::default()),
            Some(cursor) => serde_json::from_str(cursor)
                .ok()
                // It stands in a query.
                .filter(|place: &Self| {
                    let times = [&place.ingested, &place.time].map(|time| time.chars());
                    times.into_iter().flatten().all(|c| c.is_ascii_alphanumeric() || "-:.+".contains(c))
                })
                .ok_or_else(|| Error::invalid("this is no cursor of this plugin's logs")),
        }
    }
}

impl Line {
    fn key(&self) -> String {
        // Long lines are told apart by a hash.
        crate::names::digest(&format!("{}\0{}", self.stream, self.text))
    }
}

/// Takes what is new, up to so many lines.
fn take(lines: Vec<Line>, place: &mut Place, room: usize, out: &mut Vec<LogEntry>) {
    // What was seen at the place's times and comes again.
    let mut again = place.seen.clone();
    let from = (place.ingested.clone(), place.time.clone());
    for line in lines {
        let key = line.key();
        if (&line.ingested, &line.time) == (&from.0, &from.1)
            && let Some(left) = again.get_mut(&key).filter(|left| **left > 0)
        {
            *left -= 1;
            continue;
        }
        if out.len() == room {
            return;
        }
        if (&line.ingested, &line.time) != (&place.ingested, &place.time) {
            place.ingested.clone_from(&line.ingested);
            place.time.clone_from(&line.time);
            place.seen.clear();
        }
        *place.seen.entry(key).or_default() += 1;
        out.push(LogEntry {
            time: time::parse_rfc3339(&line.time).unwrap_or_default(),
            output: if line.stream.eq_ignore_ascii_case("stderr") { Output::Stderr } else { Output::Stdout },
            line: line.text.strip_suffix('\n').unwrap_or(&line.text).as_bytes().to_vec(),
        });
    }
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::{Jobs as _, testing::response};

    use super::*;
    use crate::testing::{body, host, on};

    const WORKSPACE: &str = "01234567-89ab-cdef-0123-456789abcdef";

    const TAKEN: &str = "2026-01-01T00:02:00.7654321Z";

    fn started() -> Handle {
        Handle { name: "a".into(), state: r#"{"x":"a-x1","m":"main"}"#.into(), started: true }
    }

    /// Lines that were all taken at once.
    fn table(rows: &[(&str, &str, &str)]) -> Value {
        let rows: Vec<_> = rows.iter().map(|(time, stream, log)| (TAKEN, *time, *stream, *log)).collect();
        arrived(&rows)
    }

    /// Lines with the time at which they were taken.
    fn arrived(rows: &[(&str, &str, &str, &str)]) -> Value {
        let rows: Vec<Value> =
            rows.iter().map(|(taken, time, stream, log)| json!([taken, time, stream, log])).collect();
        json!({"tables": [{"name": "PrimaryResult", "columns": [{"name": "Ingested", "type": "datetime"},
            {"name": "TimeGenerated", "type": "datetime"}, {"name": "Stream_s", "type": "string"},
            {"name": "Log_s", "type": "string"}], "rows": rows}]})
    }

    fn lines(page: &LogPage) -> Vec<String> {
        page.entries.iter().map(|entry| String::from_utf8(entry.line.clone()).unwrap()).collect()
    }

    #[test]
    fn lines_that_share_a_time_are_neither_lost_nor_doubled() {
        let t = "2026-01-01T00:00:00.1234567Z";
        let late =
            table(&[(t, "stdout", "a"), (t, "stdout", "a"), (t, "stdout", "b"), (t, "stderr", "late")]);
        let early = table(&[(t, "stdout", "a"), (t, "stdout", "b")]);
        let host = host().setting("log_analytics_workspace", WORKSPACE).answering(move |request| {
            let first = !body(request)["query"].as_str().unwrap().contains("datetime(");
            response(200, if first { &early } else { &late })
        });
        let (plugin, host) = on(host);
        let page = plugin.logs(started(), None, 100).unwrap();
        assert_eq!(lines(&page), ["a", "b"]);
        let next = plugin.logs(started(), Some(page.next), 100).unwrap();
        assert_eq!(lines(&next), ["a", "late"]);
        assert_eq!(next.entries[1].output, Output::Stderr);
        let asked = host.requests();
        assert_eq!(asked[0].url, format!("https://api.loganalytics.io/v1/workspaces/{WORKSPACE}/query"));
        assert_eq!(
            body(&asked[1])["query"],
            format!(
                "ContainerAppConsoleLogs_CL | where ContainerGroupName_s startswith \"a-x1\" | where ContainerName_s == \"main\" \
                 | extend Ingested = ingestion_time() \
                 | where Ingested > datetime({TAKEN}) or (Ingested == datetime({TAKEN}) and TimeGenerated >= datetime({t})) \
                 | order by Ingested asc, TimeGenerated asc, _timestamp_d asc | take 102 \
                 | project Ingested, TimeGenerated, Stream_s, Log_s"
            )
        );
    }

    #[test]
    fn a_line_that_was_taken_late_comes_although_newer_ones_were_read() {
        let early = ("2026-01-01T00:02:00Z", "2026-01-01T00:00:10Z", "stdout", "ten");
        let late = ("2026-01-01T00:02:05Z", "2026-01-01T00:00:09Z", "stdout", "nine");
        let host = host().setting("log_analytics_workspace", WORKSPACE).answering(move |request| {
            let first = !body(request)["query"].as_str().unwrap().contains("datetime(");
            let both = [early, late];
            response(200, arrived(if first { &both[..1] } else { &both }))
        });
        let (plugin, _) = on(host);
        let page = plugin.logs(started(), None, 100).unwrap();
        assert_eq!(lines(&page), ["ten"]);
        let next = plugin.logs(started(), Some(page.next), 100).unwrap();
        assert_eq!(lines(&next), ["nine"]);
        let place = Place::read(Some(&next.next)).unwrap();
        assert_eq!((place.ingested.as_str(), place.time.as_str()), (late.0, late.1));
    }

    #[test]
    fn a_line_without_the_time_at_which_it_was_taken_is_an_error_and_not_read_for_ever() {
        let bare = arrived(&[("", "2026-01-01T00:00:09Z", "stdout", "nine")]);
        let host = host().setting("log_analytics_workspace", WORKSPACE);
        let (plugin, _) = on(host.answering(move |_| response(200, &bare)));
        assert_eq!(plugin.logs(started(), None, 9).unwrap_err().code, ErrorCode::Internal);
    }

    #[test]
    fn azure_monitors_table_has_plain_columns() {
        let query = query(LogTable::Plain, "x", "", &Place::default(), 5);
        assert_eq!(
            query,
            "ContainerAppConsoleLogs | where ContainerGroupName startswith \"x\" | extend Ingested = ingestion_time() \
             | order by Ingested asc, TimeGenerated asc | take 5 | project Ingested, TimeGenerated, Stream, Log"
        );
    }

    #[test]
    fn a_page_ends_where_there_is_no_more_room_and_goes_on_there() {
        let all = table(&[
            ("2026-01-01T00:00:00Z", "stdout", "1"),
            ("2026-01-01T00:00:01Z", "stdout", "2"),
            ("2026-01-01T00:00:02Z", "stdout", "3"),
        ]);
        let host =
            host().setting("log_analytics_workspace", WORKSPACE).answering(move |_| response(200, &all));
        let (plugin, _) = on(host);
        let page = plugin.logs(started(), None, 2).unwrap();
        assert_eq!(lines(&page), ["1", "2"]);
        assert_eq!(page.poll_after_ms, limits::LOG_NEXT_PAGE_MS);
        assert_eq!(page.lag_ms, 180_000);
    }

    #[test]
    fn without_a_workspace_it_is_unsupported_and_a_forged_cursor_is_refused() {
        let (plugin, host) = on(host());
        assert_eq!(plugin.logs(started(), None, 9).unwrap_err().code, ErrorCode::Unsupported);
        for forged in [
            r#"{"i":"","t":"x) | union Secrets","s":{}}"#,
            r#"{"i":"x) | union Secrets","t":"","s":{}}"#,
            r#"{"t":"2026-01-01T00:00:00Z","s":{}}"#,
        ] {
            let refused = plugin.logs(started(), Some(forged.into()), 9).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidArgument, "{forged}");
        }
        assert!(host.requests().is_empty());
    }
}
