//! `docker cp`, `diff`, `export` and `commit`, between scripted agents, images in memory and a folder on disk.

mod agent;
mod archive;
mod kept;
mod running;
mod unread;
