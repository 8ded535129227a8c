//! A kernel that fails one system call, or always forbids one. There is no hang and no crash. Each operation has
//! exactly one event, with a clean error or the right result, and the next operation works. The program that runs is
//! `tests/c/mixed.c`.

#![cfg(target_os = "linux")]

#[path = "../c/mod.rs"]
mod c;
#[path = "kernel/emulated.rs"]
mod emulated;
#[path = "kernel/exhaust.rs"]
mod exhaust;
#[path = "kernel/forbid.rs"]
mod forbid;
#[path = "kernel/inject.rs"]
mod inject;
#[path = "kernel/machine.rs"]
mod machine;
#[path = "../support/mod.rs"]
mod support;
#[path = "kernel/watched.rs"]
mod watched;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use support::files::{Dir, Folder};
use support::*;

/// One run of the program: its backend and flags.
#[derive(Clone, Copy, Debug)]
struct Setting {
    backend: u32,
    flags: u32,
}

/// Every backend, with and without inline completion.
fn settings() -> Vec<Setting> {
    let with_flags = |backend| [0, CAIO_CTX_NO_INLINE].map(|flags| Setting { backend, flags });
    backends().into_iter().flat_map(with_flags).collect()
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| c::program("mixed", c::Language::C, c::Link::Shared))
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// This many rounds had a clean error.
    Ran { failed: u32 },
    /// caio_ctx_new failed with this errno.
    NoContext { errno: i32 },
}

/// Runs the program under `wrapper` (strace, or env) with `more` arguments; a broken promise is an error.
fn run(wrapper: &[String], setting: Setting, dir: &Path, rounds: u32, more: &[String]) -> Result<Verdict, String> {
    let Setting { backend, flags } = setting;
    let own = [backend.to_string(), flags.to_string(), dir.display().to_string(), rounds.to_string()];
    let mut words: Vec<String> = wrapper.to_vec();
    words.push(program().display().to_string());
    words.extend(own.into_iter().chain(more.iter().cloned()));
    let mut command = Command::new(&words[0]);
    let output = watched::output(command.args(&words[1..])).map_err(|error| error.to_string())?;
    let output = output.ok_or_else(|| format!("{setting:?} hung"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let number = |text: &str| text.split(|c: char| c != '-' && !c.is_ascii_digit()).find_map(|word| word.parse().ok());
    let after = |word: &str| said.split_once(word).and_then(|(_, rest)| number(rest));
    let verdict = match output.status.code() {
        Some(0) => after("failed").map(|failed: i32| Verdict::Ran { failed: failed as u32 }),
        Some(3) => after("no context:").map(|errno: i32| Verdict::NoContext { errno: -errno }),
        _ => None,
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    verdict.ok_or_else(|| format!("{:?} {}: {said}{stderr}", setting, output.status))
}

/// Runs all jobs, a few at a time, as they mostly wait for the disk. At the end, panics with all failures.
fn all<Job: Sync>(jobs: &[Job], judge: impl Fn(&Job, &Dir) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        let dir = Folder::Disk.make();
        // Relaxed: only distinct numbers matter.
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(what) = judge(job, &dir) {
                eprintln!("wrong: {what}");
                wrong.lock().expect("no panic").push(what);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(work);
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), jobs.len(), wrong.join("\n"));
}
