//! File systems that lose unsynced data in a crash. One is that of `tests/faultfs`. The other is mounted at CAIO_FLAKY,
//! on device-mapper's flakey target, which then drops all writes (`tests/torture/oldkernel/flaky`).

use super::support::faultfs::FaultFs;
use super::support::files::{Dir, Folder};
use std::path::PathBuf;
use std::process::Command;

pub enum Disk {
    /// The file system is dropped before the folder that it is mounted in.
    Faults(FaultFs, #[allow(dead_code)] Dir),
    Flaky(PathBuf),
}

impl Disk {
    pub fn new() -> Option<Self> {
        if let Some(folder) = std::env::var_os("CAIO_FLAKY") {
            return Some(Self::Flaky(folder.into()));
        }
        let dir = Folder::Default.make();
        let faults = FaultFs::mount(&dir)?;
        Some(Self::Faults(faults, dir))
    }

    /// The name in the tally.
    pub fn name(&self) -> String {
        match self {
            Self::Faults(..) => String::new(),
            Self::Flaky(_) => format!(" on {} that drops writes", std::env::var("CAIO_FS").expect("CAIO_FS")),
        }
    }

    /// The longest time until the writer is killed, in microseconds. Emulation is slow.
    pub fn longest_life_us(&self) -> usize {
        match self {
            Self::Faults(..) => 60_000,
            Self::Flaky(_) => 2_000_000,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Faults(faults, _) => faults.path(name),
            Self::Flaky(folder) => folder.join(name),
        }
    }

    /// Sends a command, which only the first kind understands.
    pub fn tell(&self, command: &str) {
        if let Self::Faults(faults, _) = self {
            faults.tell(command);
        }
    }

    pub fn crash(&self) {
        match self {
            Self::Faults(faults, _) => faults.tell("crash"),
            Self::Flaky(_) => {
                let switch = std::env::var_os("CAIO_SWITCH").expect("CAIO_SWITCH");
                assert!(Command::new(switch).arg("crash").status().expect("the switch").success());
            }
        }
    }
}
