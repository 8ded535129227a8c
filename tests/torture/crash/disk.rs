//! What loses at a crash whatever was not synced: the file system of `tests/faultfs`; or one that is mounted at CAIO_FLAKY, on
//! device-mapper's flakey, which then drops all writes (`tests/torture/oldkernel/flaky`, in the virtual machine).

use super::support::faultfs::FaultFs;
use super::support::files::{Dir, Folder};
use std::path::PathBuf;
use std::process::Command;

pub enum Disk {
    /// It is gone before the folder that it is mounted in.
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

    /// For the tally.
    pub fn name(&self) -> String {
        match self {
            Self::Faults(..) => String::new(),
            Self::Flaky(_) => format!(" on {} that drops writes", std::env::var("CAIO_FS").expect("CAIO_FS")),
        }
    }

    /// Of a writer, in microseconds: enough for many records. Emulation is slow.
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

    /// What only the first kind understands.
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
