//! An agent with its process. The program is the first word of the container's command:
//! `exit N`, `echo TEXT`, `cat`, `sleep` (ends by TERM), `stubborn` (ends by KILL alone),
//! `silent` (dies without a word when it is told to by HUP), and anything else does not exist.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sockerless_ports::link::*;
use tokio::sync::mpsc;

use super::{
    FakeCloud, FakeLink,
    link::{Door, Fate, Order},
};

pub struct Agent {
    pub link: Arc<FakeLink>,
    pub cloud: Arc<FakeCloud>,
    pub job: String,
    /// Its end is the job's.
    pub main: bool,
    pub run: RunId,
    pub ticket: [u8; 32],
}

enum End {
    Exit(i32),
    /// The agent itself is gone.
    Silence,
}

fn exit(code: i32) -> Exit {
    let signal = (code > 128).then_some(code - 128);
    Exit { code, signal, out_of_memory: false, time: 0 }
}

impl Agent {
    /// One process after the other, until the daemon has no more use for it.
    pub async fn live(mut self) {
        let mut door = self.come_in(None).await;
        loop {
            let code = match self.one(&mut door).await {
                End::Exit(code) => code,
                End::Silence => return self.end(&door, 1).await,
            };
            loop {
                match self.link.fate(&self.run, door.number).await {
                    Fate::Dismissed => return self.end(&door, code).await,
                    Fate::Door => {
                        door = self.come_in(Some(door.number)).await;
                        // An end is told to each daemon.
                        door.events.exited(&self.run, exit(code)).await;
                    }
                    Fate::Successor(next) => {
                        self.link.dismiss(&std::mem::replace(&mut self.run, next));
                        door = self.come_in(None).await;
                        break;
                    }
                }
            }
        }
    }

    /// One run from its launch to its end, of which the daemon has heard.
    async fn one(&self, door: &mut Door) -> End {
        let mut orders = self.link.agent(&self.run);
        let launch = loop {
            tokio::select! {
                biased;
                () = door.events.wanted(&self.run) => {}
                fate = self.link.fate(&self.run, door.number) => match fate {
                    Fate::Dismissed => return End::Silence,
                    _ => {
                        *door = self.come_in(Some(door.number)).await;
                        continue;
                    }
                },
            }
            match door.events.launch(&self.run).await {
                Ok(Some(launch)) => break launch,
                Ok(None) => {
                    self.link.nothing(&self.run);
                    match self.link.fate(&self.run, door.number).await {
                        Fate::Dismissed => return End::Silence,
                        _ => *door = self.come_in(Some(door.number)).await,
                    }
                }
                Err(refusal) if refusal.0.contains("shutting down") => {
                    *door = self.come_in(Some(door.number)).await;
                }
                Err(_) => return End::Silence,
            }
        };
        let program = launch.argv[0].clone();
        let known = ["exit", "echo", "env", "sockets", "cat", "sleep", "stubborn", "silent", "sh"]
            .contains(&program.as_str());
        if !known || self.link.is_broken(&self.run) {
            let message = format!("exec: \"{program}\": executable file not found in $PATH");
            loop {
                door.events.failed(&self.run, LaunchFailure { code: 127, message: message.clone() }).await;
                // Its run may have been dismissed by that very word, but not by another daemon.
                if self.heard(door) {
                    return End::Exit(127);
                }
                *door = self.come_in(Some(door.number)).await;
            }
        }
        self.cloud.begins(&self.job, &self.run.container);
        if self.job_is_first_of_mute() {
            // Until the cloud ends the job; then nothing of it is left.
            self.cloud.ended(&self.job).await;
            return End::Silence;
        }
        loop {
            door.events.started(&self.run, 7).await;
            if self.heard(door) {
                break;
            }
            *door = self.come_in(Some(door.number)).await;
        }
        let mut written = Vec::new();
        let end = self.process(&launch, &mut orders, door, &mut written).await;
        self.cloud.ends(&self.job, &self.run.container);
        let code = match end {
            End::Exit(code) => code,
            End::Silence => return End::Silence,
        };
        loop {
            self.deliver(door, &written).await;
            door.events.exited(&self.run, exit(code)).await;
            // Not acknowledged when the daemon died meanwhile.
            if self.heard(door) {
                return End::Exit(code);
            }
            *door = self.come_in(Some(door.number)).await;
        }
    }

    /// Only the agent that does the run in place is mute, not that of a job of its own.
    fn job_is_first_of_mute(&self) -> bool {
        self.link.is_mute(&self.run) && !self.job.contains(&format!("-{}-", self.run.generation))
    }

    /// The daemon that was told is still there.
    fn heard(&self, door: &Door) -> bool {
        self.link.is_open(&self.run, door.number) || self.link.is_dismissed(&self.run)
    }

    async fn process(
        &self,
        launch: &Launch,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        door: &mut Door,
        written: &mut Vec<u8>,
    ) -> End {
        let program = launch.argv[0].as_str();
        match program {
            "sockets" => {
                written.extend_from_slice(format!("{}\n", launch.sockets.join("\n")).as_bytes());
                return End::Exit(0);
            }
            "exit" => return End::Exit(launch.argv[1].parse().unwrap()),
            "env" => {
                written.extend_from_slice(format!("{}\n", launch.env.join("\n")).as_bytes());
                return End::Exit(0);
            }
            "echo" => {
                written.extend_from_slice(format!("{}\n", launch.argv[1..].join(" ")).as_bytes());
                return End::Exit(0);
            }
            _ => {}
        }
        loop {
            let order = tokio::select! {
                order = orders.recv() => order.unwrap(),
                next = self.come_in(Some(door.number)) => {
                    *door = next;
                    continue;
                }
            };
            match order {
                Order::Signal(9) => return End::Exit(137),
                Order::Signal(1) if program == "silent" => return End::Silence,
                Order::Signal(15) if program == "sleep" => return End::Exit(143),
                Order::Stdin(bytes) if program == "cat" => {
                    written.extend_from_slice(&bytes);
                    self.deliver(door, written).await;
                }
                Order::CloseStdin if program == "cat" => return End::Exit(0),
                Order::Resize(size) => {
                    written.extend_from_slice(format!("{}x{}\n", size.columns, size.rows).as_bytes())
                }
                _ => {}
            }
        }
    }

    /// Sends what is not kept yet.
    async fn deliver(&self, door: &mut Door, written: &[u8]) {
        loop {
            let kept = door.events.kept(&self.run, Output::Stdout).await;
            if kept >= written.len() as u64 {
                return;
            }
            let rest = Bytes::copy_from_slice(&written[kept as usize..]);
            if door.events.output(&self.run, Output::Stdout, kept, rest).await.is_ok() {
                return;
            }
            *door = self.come_in(Some(door.number)).await;
        }
    }

    /// Comes (back) in, with the ticket or the secret.
    async fn come_in(&self, known: Option<u64>) -> Door {
        let mut known = known;
        let secret: Digest = Sha256::digest(b"the agent's secret").into();
        loop {
            let door = self.link.door(&self.run, known).await;
            match door.admission.secret {
                Some(bound) => assert_eq!(bound, secret),
                None => {
                    let ticket: Digest = Sha256::digest(self.ticket).into();
                    assert_eq!(door.admission.ticket, ticket);
                    if door.events.bound(&self.run, secret).await.is_err() {
                        known = Some(door.number);
                        continue;
                    }
                }
            }
            // As the link does, before the agent is welcomed.
            door.events.kept(&self.run, Output::Stdout).await;
            self.link.connect(&self.run, true);
            door.events.line(&self.run, true).await;
            return door;
        }
    }

    async fn end(&self, door: &Door, code: i32) {
        self.cloud.ends(&self.job, &self.run.container);
        if self.main {
            self.cloud.end(&self.job, code);
        }
        self.link.connect(&self.run, false);
        door.events.line(&self.run, false).await;
    }
}
