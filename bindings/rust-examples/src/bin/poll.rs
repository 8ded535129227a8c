//! A plain loop around poll(2), without futures: a callback gets each output.

use std::fs::File;
use std::io;
use std::sync::mpsc;

use caio::Context;
use rustix::event::{PollFd, PollFlags, poll};

fn main() -> io::Result<()> {
    let ctx = Context::new()?;
    let (sender, outputs) = mpsc::channel();
    let mut running = 0;
    for path in std::env::args().skip(1) {
        let file = File::open(&path)?;
        let size = file.metadata()?.len() as usize;
        let sender = sender.clone();
        ctx.read_at(file, Vec::with_capacity(size), 0).on_complete(move |(read, content)| {
            sender.send((path, read.map(|_| content))).expect("the receiver lives");
        });
        running += 1;
    }
    while running > 0 {
        // A real program waits for its sockets here, too.
        match poll(&mut [PollFd::new(&ctx, PollFlags::IN)], None) {
            Err(rustix::io::Errno::INTR) => continue,
            ready => ready?,
        };
        ctx.poll()?;
        for (path, content) in outputs.try_iter() {
            println!("{} {path}", content?.len());
            running -= 1;
        }
    }
    Ok(())
}
