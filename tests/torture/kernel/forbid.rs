//! seccomp: a filter forbids one system call before the program makes its context.

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
    ("write", "signals the eventfd"),
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
        for errno in [libc::EPERM, libc::ENOSYS] {
            let job = |setting| Job { setting, name, number, errno };
            jobs.extend(auto.into_iter().chain(settings()).map(job));
        }
    }
    jobs
}

const ROUNDS: u32 = 12;

fn judge(job: &Job, dir: &Dir) -> Result<(), String> {
    let Job { setting, name, number, errno } = job;
    match run(&["env".into()], *setting, &dir.path, ROUNDS, &[number.to_string(), errno.to_string()]) {
        Ok(Verdict::Ran { failed }) => {
            let _ = failed;
            Ok(())
        }
        Ok(Verdict::NoContext { errno: said }) if said == *errno && setting.backend != CAIO_BACKEND_AUTO => Ok(()),
        // No context works without these.
        Ok(Verdict::NoContext { errno: said }) if said == *errno && ["eventfd2", "read"].contains(name) => Ok(()),
        Ok(other) => Err(format!("{setting:?} without {name} ({errno}): {other:?}")),
        Err(why) => Err(format!("without {name} ({errno}): {why}")),
    }
}

#[test]
fn one_system_call_is_forbidden() {
    program();
    let list: Vec<Job> =
        jobs().into_iter().enumerate().filter(|(at, _)| !short() || at % 3 == 0).map(|(_, job)| job).collect();
    all(&list, judge);
    tried(list.len(), "runs of 12 rounds with one system call forbidden (seccomp), EPERM and ENOSYS");
}
