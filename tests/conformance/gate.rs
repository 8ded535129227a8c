//! A file whose reads, writes and syncs run until the test lets them end, as on a slow disk.

use crate::c;
use crate::support::files::{Dir, Folder};
use crate::support::{Ctx, Duration, skipped, sys};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

pub struct Gate {
    server: Child,
    orders: Option<ChildStdin>,
    says: BufReader<ChildStdout>,
    dir: Dir,
}

impl Gate {
    /// Mounts the file system of one file, or prints why it cannot.
    pub fn new() -> Option<Self> {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        // Without a compiler, the program is already built.
        let made = || std::env::var_os("CAIO_FUSE_GATE").map(PathBuf::from);
        let program =
            PROGRAM.get_or_init(|| made().unwrap_or_else(|| c::program("fuse_gate", c::Language::C, c::Link::Not)));
        let dir = Folder::Default.make();
        let mut command = Command::new(program);
        let mut server =
            command.arg(&dir.path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the gate's server");
        let orders = server.stdin.take();
        let says = BufReader::new(server.stdout.take().expect("a pipe"));
        let mut gate = Self { server, orders, says, dir };
        if gate.line() != "ready" {
            skipped("long-running operations need /dev/fuse, and root to mount");
            return None;
        }
        Some(gate)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("the gate's server");
        line.trim_end().to_owned()
    }

    /// The file: 1 MiB of `g`.
    pub fn file(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.dir.join("gated")).expect("the gated file")
    }

    /// Waits until one more operation is running.
    pub fn await_held(&mut self) {
        assert_eq!(self.line(), "held");
    }

    /// Waits like [`Gate::await_held`]. Returns false if the context has a pending completion first.
    pub fn is_held_before_event(&mut self, ctx: &Ctx) -> bool {
        let moment = Some(Duration::from_millis(1));
        while self.says.buffer().is_empty() && !sys::readable(self.says.get_ref().as_raw_fd(), moment) {
            if ctx.readable() {
                return false;
            }
        }
        self.await_held();
        true
    }

    /// Lets every running operation end.
    pub fn go(&mut self) {
        self.orders.as_mut().expect("a pipe").write_all(b"go\n").expect("the gate's server");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.server.wait();
    }
}
