//! Further processes in running containers (`docker exec`): made, started, shown, and known until some time after their end.
//!
//! An exec's process is its agent's business. The engine holds the channel to it, whoever the client is and whether there
//! is one: output that nobody reads is thrown away, and the end is waited for. What was started is durable, so that the
//! next daemon finds it again by its id.

mod adopt;
mod create;
mod exec;
mod inspect;
mod keep;
mod start;
mod streams;
mod table;
mod words;

pub(crate) use table::Execs;
