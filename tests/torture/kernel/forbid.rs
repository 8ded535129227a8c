//! seccomp: a filter forbids one system call before the program makes its context.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::support::*;
use super::{Dir, Setting, Verdict, all, program, run, settings};

/// System calls that the library needs, and why.
const EXCEPTED: &[(&str, &str)] = &[
    ("brk", "the C library's memory"),
    ("mmap", "the C library's memory"),
    ("munmap", "the C library's memory"),
    ("mprotect", "the C library makes thread stacks with it"),
    ("futex", "every lock; the C library aborts without it"),
    ("rseq", "the C library starts no thread without it"),
    ("exit_group", "how a process ends"),
    ("exit", "how a thread ends"),
    ("rt_sigreturn", "how signal handlers end"),
    ("execve", "starts the program"),
    ("write", "this program reports its result with it"),
];

/// The system calls that the conformance suite makes, one a line.
const MADE: &str = include_str!("../syscalls.txt");

struct Job {
    setting: Setting,
    name: &'static str,
    number: i64,
    errno: i32,
}

fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    let excepted = |name: &&str| !EXCEPTED.iter().any(|(known, _)| known == name);
    let auto = [Setting { backend: CAIO_BACKEND_AUTO, flags: 0 }];
    for line in MADE.lines().filter(|line| !line.starts_with('#')) {
        let (name, number) = line.split_once(' ').expect("a name and a number");
        if !excepted(&name) {
            continue;
        }
        let number = number.parse().expect("a number");
        for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
            let job = |setting| Job { setting, name, number, errno };
            jobs.extend(auto.into_iter().chain(settings()).map(job));
        }
    }
    jobs
}

const ROUNDS: u32 = 12;

/// The calls that have no substitute, as the manual lists them.
fn needed() -> BTreeSet<&'static str> {
    let page = include_str!("../../../man/caio-backends.7");
    let (_, section) = page.split_once("\nThese calls have no substitute:\n").expect("the list");
    let list = section.split("\nEach operation\n").next().expect("the calls of all operations");
    let name = |line: &'static str| line.strip_prefix(".BR ")?.split(" (2)").next();
    let names = list.lines().filter(|line| line.contains(" (2)")).filter_map(name);
    // Only C libraries without clone3(2) use it.
    names.filter(|name| *name != "clone").collect()
}

/// The calls without which an operation failed, or no context could be made.
type Missed = Mutex<BTreeSet<&'static str>>;

/// An operation fails only if the plain calls that the filter leaves fail too, or the manual says that the library needs the
/// forbidden call.
fn judge(job: &Job, dir: &Dir, missed: &Missed) -> Result<(), String> {
    let Job { setting, name, number, errno } = job;
    let is_needed = needed().contains(name);
    let mut arguments = vec![number.to_string(), errno.to_string()];
    if !is_needed {
        arguments.push("compare".into());
    }
    let verdict = run(&["env".into()], *setting, &dir.path, ROUNDS, &arguments);
    if verdict != Ok(Verdict::Ran { failed: 0 }) {
        missed.lock().expect("no panic").insert(name);
    }
    match verdict {
        Ok(Verdict::Ran { .. }) => Ok(()),
        Ok(Verdict::NoContext { errno: said }) if said == *errno && setting.backend != CAIO_BACKEND_AUTO => Ok(()),
        Ok(Verdict::NoContext { errno: said }) if said == *errno && is_needed => Ok(()),
        Ok(other) => Err(format!("{setting:?} without {name} ({errno}): {other:?}")),
        Err(why) => Err(format!("without {name} ({errno}): {why}")),
    }
}

#[test]
fn one_system_call_is_forbidden() {
    program();
    let list: Vec<Job> =
        jobs().into_iter().enumerate().filter(|(at, _)| !short() || at % 3 == 0).map(|(_, job)| job).collect();
    let missed = Missed::default();
    all(&list, |job, dir| judge(job, dir, &missed));
    if !short() {
        let missed = missed.into_inner().expect("no panic");
        let tried_calls: BTreeSet<&str> = list.iter().map(|job| job.name).collect();
        let unneeded: Vec<_> =
            needed().into_iter().filter(|name| tried_calls.contains(name) && !missed.contains(name)).collect();
        assert!(unneeded.is_empty(), "the manual lists calls that the library does without: {unneeded:?}");
    }
    tried(list.len(), "runs of 12 rounds with one system call forbidden (seccomp): EPERM, ENOSYS and EACCES");
}
