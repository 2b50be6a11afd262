//! Tokens that the simulator has issued, and what is known of one.

use std::time::Duration;

use rusqlite::OptionalExtension;

use super::Audience;
use crate::error::Result;
use crate::server::Simulator;
use crate::{ids, limits, time};

/// Tokens outlive the process, as a cloud's do.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, expires INTEGER NOT NULL, audience TEXT NOT \
                          NULL) WITHOUT ROWID;";

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// For this audience; none: for all.
    Good(Option<String>),
    /// Since then.
    Expired(String),
    /// Nobody issued it.
    Unknown,
}

/// Looks a token up.
pub fn standing(simulator: &Simulator, token: &str) -> rusqlite::Result<Standing> {
    if token == simulator.info.token {
        return Ok(Standing::Good(None));
    }
    let db = simulator.db.lock();
    let mut query = db.prepare_cached("SELECT expires, audience FROM tokens WHERE token = ?1")?;
    let found: Option<(i64, String)> =
        query.query_row([token], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(match found {
        Some((expires, audience)) if expires > time::now().as_second() => Standing::Good(Some(audience)),
        Some((expires, _)) => {
            Standing::Expired(time::seconds(jiff::Timestamp::from_second(expires).unwrap_or_default()))
        }
        None => Standing::Unknown,
    })
}

/// Issues one; gives it with its life in seconds.
pub fn issue(simulator: &Simulator, audience: Audience) -> Result<(String, i64)> {
    let token = ids::token();
    let now = time::now().as_second();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let life = seconds(simulator.config.token_life);
    let db = simulator.db.lock();
    let forgotten = now.saturating_sub(seconds(limits::EXPIRED_TOKEN_KEPT));
    db.prepare_cached("DELETE FROM tokens WHERE expires <= ?1")?.execute([forgotten])?;
    db.prepare_cached("INSERT INTO tokens VALUES (?1, ?2, ?3)")?.execute((
        &token,
        now + life,
        audience.word(),
    ))?;
    Ok((token, life))
}
