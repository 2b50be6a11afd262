//! The thread that owns the connection.

use std::sync::mpsc::Receiver;

use rusqlite::{Connection, TransactionBehavior, params};
use sockerless_ports::store::{Change, Kind, Record, StoreError};
use tokio::sync::oneshot;

use super::schema;
use crate::tuning;

/// What the thread is asked to do. A caller that left does not undo what it asked.
#[derive(Debug)]
pub enum Request {
    /// Read all records of a kind.
    Load(Kind, oneshot::Sender<Result<Vec<Record>, StoreError>>),
    /// Make the changes.
    Commit(Vec<Change>, oneshot::Sender<Result<(), StoreError>>),
}

/// Serves requests in the order in which they came, until nobody can ask any more.
pub fn run(mut connection: Connection, inbox: &Receiver<Request>, name: &str) {
    let mut next = inbox.recv().ok();
    while let Some(request) = next.take() {
        match request {
            Request::Load(kind, reply) => {
                let _left = reply.send(load(&connection, kind).map_err(|e| schema::explain(name, &e)));
            }
            Request::Commit(changes, reply) => {
                let mut group = vec![(changes, reply)];
                while group.len() < tuning::GROUP {
                    match inbox.try_recv() {
                        Ok(Request::Commit(changes, reply)) => group.push((changes, reply)),
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                let result = commit(&mut connection, &group).map_err(|e| schema::explain(name, &e));
                if let Err(error) = &result {
                    tracing::error!(%error, commits = group.len(), "a commit failed");
                }
                for (_, reply) in group {
                    let _left = reply.send(result.clone());
                }
            }
        }
        if next.is_none() {
            next = inbox.recv().ok();
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "closing the records");
    }
}

type Group = [(Vec<Change>, oneshot::Sender<Result<(), StoreError>>)];

fn commit(connection: &mut Connection, group: &Group) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for change in group.iter().flat_map(|(changes, _)| changes) {
        match change {
            Change::Put(kind, record) => transaction
                .prepare_cached(&format!(
                    "INSERT INTO {} (key, content) VALUES (?1, ?2) \
                     ON CONFLICT (key) DO UPDATE SET content = excluded.content",
                    kind.name()
                ))?
                .execute(params![record.key, record.content])?,
            Change::Delete(kind, key) => transaction
                .prepare_cached(&format!("DELETE FROM {} WHERE key = ?1", kind.name()))?
                .execute(params![key])?,
        };
    }
    transaction.commit()
}

fn load(connection: &Connection, kind: Kind) -> rusqlite::Result<Vec<Record>> {
    connection
        .prepare(&format!("SELECT key, content FROM {} ORDER BY key", kind.name()))?
        .query_map([], |row| Ok(Record { key: row.get(0)?, content: row.get(1)? }))?
        .collect()
}
