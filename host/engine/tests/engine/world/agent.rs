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
    link::{Door, Order},
};

pub struct Agent {
    pub link: Arc<FakeLink>,
    pub cloud: Arc<FakeCloud>,
    pub job: String,
    pub run: RunId,
    pub ticket: [u8; 32],
}

enum End {
    Exit(i32),
    /// The agent itself is gone.
    Silence,
}

impl Agent {
    pub async fn live(self) {
        let mut orders = self.link.agent(&self.run);
        let mut door = self.come_in(None).await;
        let launch = loop {
            match door.events.launch(&self.run).await {
                Ok(launch) => break launch,
                Err(refusal) if refusal.0.contains("shutting down") => {
                    door = self.come_in(Some(door.number)).await
                }
                Err(_) => return self.end(&door, 1).await,
            }
        };
        let program = launch.argv[0].clone();
        if !["exit", "echo", "cat", "sleep", "stubborn", "silent", "sh"].contains(&program.as_str()) {
            let message = format!("exec: \"{program}\": executable file not found in $PATH");
            loop {
                door.events.failed(&self.run, LaunchFailure { code: 127, message: message.clone() }).await;
                if self.link.is_open(&self.run, door.number) {
                    return self.end(&door, 127).await;
                }
                door = self.come_in(Some(door.number)).await;
            }
        }
        loop {
            door.events.started(&self.run, 7).await;
            if self.link.is_open(&self.run, door.number) {
                break;
            }
            door = self.come_in(Some(door.number)).await;
        }
        let mut written = Vec::new();
        let end = self.process(&launch, &mut orders, &mut door, &mut written).await;
        let code = match end {
            End::Exit(code) => code,
            End::Silence => return self.end(&door, 1).await,
        };
        loop {
            self.deliver(&mut door, &written).await;
            let signal = (code > 128).then_some(code - 128);
            door.events.exited(&self.run, Exit { code, signal, out_of_memory: false, time: 0 }).await;
            // Not acknowledged when the daemon died meanwhile.
            if self.link.is_open(&self.run, door.number) {
                break;
            }
            door = self.come_in(Some(door.number)).await;
        }
        self.end(&door, code).await;
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
            "exit" => return End::Exit(launch.argv[1].parse().unwrap()),
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
            self.link.connect(&self.run, true);
            door.events.line(&self.run, true).await;
            return door;
        }
    }

    async fn end(&self, door: &Door, code: i32) {
        self.cloud.end(&self.job, code);
        self.link.connect(&self.run, false);
        door.events.line(&self.run, false).await;
    }
}
