//! A mounted file system of `tests/faultfs`, which fails and waits on command. Its source documents the commands.

use super::*;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

pub struct FaultFs {
    pub folder: PathBuf,
    server: Child,
    /// The file system exits when this is closed.
    input: Option<ChildStdin>,
}

/// The program, which `tests/torture/lib.sh` builds.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faultfs/target/debug/faultfs");
    assert!(program.exists(), "first: cargo build --manifest-path tests/faultfs/Cargo.toml");
    program
}

impl FaultFs {
    /// Mounts the file system in a directory of a test. None if this machine does not allow it.
    pub fn mount(dir: &files::Dir) -> Option<Self> {
        let folder = dir.join("faulty");
        std::fs::create_dir(&folder).expect("a folder to mount on");
        let mut command = Command::new(program());
        let command = command.arg(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().expect("the server");
        let input = server.stdin.take();
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        if line == "ready\n" {
            return Some(Self { folder, server, input });
        }
        assert_eq!(server.wait().expect("its end").code(), Some(77), "it may not mount, or else it failed");
        skipped("faults of the disk needs fuse3 (/dev/fuse and the right to mount)");
        None
    }

    /// Sends a command.
    pub fn tell(&self, command: &str) {
        let told = std::fs::write(self.folder.join(".control"), command);
        told.unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// The value of a counter: requests of a kind, or `held`.
    pub fn count(&self, name: &str) -> u64 {
        let report = std::fs::read_to_string(self.folder.join(".control")).expect("the report");
        let of_name = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        report.lines().find_map(of_name).unwrap_or_else(|| panic!("no counter {name}"))
    }

    pub fn holds(&self, count: u64) {
        until("requests hang", || self.count("held") == count);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for FaultFs {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.server.wait();
    }
}
