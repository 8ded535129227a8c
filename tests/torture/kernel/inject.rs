//! `strace --inject`: the n-th call of a system call fails or is late.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::support::*;
use super::{Dir, Folder, Setting, Verdict, all, program, run, settings};

/// Enough rounds for 50 calls of most kinds.
const ROUNDS: u32 = 55;
const MOST: usize = 50;

/// The injected answers of a system call: an errno, a value, or its true result after a delay.
struct Fault {
    call: &'static str,
    answers: &'static [&'static str],
}

const FAULTS: &[Fault] = &[
    Fault {
        call: "io_uring_enter",
        answers: &["error=EAGAIN", "error=EINTR", "error=ENOMEM", "error=EBUSY", "error=EPERM", "delay_enter=5000"],
    },
    Fault { call: "io_uring_register", answers: &["error=ENOMEM", "error=EINTR", "error=EBUSY"] },
    Fault { call: "io_uring_setup", answers: &["error=ENOMEM", "error=EMFILE", "error=EAGAIN"] },
    Fault {
        call: "io_submit",
        answers: &["error=EAGAIN", "error=EINTR", "error=ENOMEM", "error=EBUSY", "retval=0", "delay_exit=5000"],
    },
    Fault { call: "io_setup", answers: &["error=EAGAIN", "error=ENOMEM", "error=EINTR"] },
    Fault { call: "io_getevents", answers: &["error=EAGAIN", "error=EINTR", "retval=0"] },
    Fault { call: "eventfd2", answers: &["error=EMFILE", "error=ENOMEM", "error=EAGAIN"] },
    Fault { call: "clone3", answers: &["error=EAGAIN", "error=ENOMEM", "delay_exit=5000"] },
    Fault { call: "mmap", answers: &["error=ENOMEM", "error=EAGAIN"] },
    Fault { call: "read", answers: &["error=EAGAIN", "error=EINTR", "delay_exit=2000"] },
    Fault { call: "write", answers: &["error=EINTR", "delay_enter=2000"] },
    Fault { call: "ppoll", answers: &["error=EINTR", "error=EAGAIN", "error=ENOMEM", "retval=0"] },
    Fault { call: "epoll_wait", answers: &["error=EINTR", "retval=0"] },
    Fault { call: "epoll_ctl", answers: &["error=ENOMEM", "error=ENOSPC"] },
    Fault { call: "timerfd_settime", answers: &["delay_exit=2000"] },
    Fault { call: "timerfd_create", answers: &["error=EMFILE", "error=ENOMEM"] },
    Fault { call: "epoll_create1", answers: &["error=EMFILE", "error=ENOMEM"] },
    Fault {
        call: "preadv2",
        answers: &["error=EAGAIN", "error=EINTR", "error=ENOMEM", "error=EIO", "delay_exit=2000"],
    },
    Fault { call: "pread64", answers: &["error=EINTR", "error=EIO", "error=ENOMEM"] },
    Fault { call: "pwrite64", answers: &["error=EINTR", "error=ENOSPC", "error=EIO"] },
    Fault { call: "fdatasync", answers: &["error=EIO", "error=EINTR", "delay_exit=5000"] },
    Fault { call: "process_vm_readv", answers: &["error=EPERM", "error=ENOMEM"] },
    Fault { call: "madvise", answers: &["error=ENOMEM", "error=EINVAL"] },
];

/// How often the program makes each call before its mark, and how often its busiest thread makes it afterwards.
fn counts(setting: Setting, dir: &Dir) -> BTreeMap<String, (usize, usize)> {
    let trace = dir.join("trace");
    let tracer = ["strace", "-f", "-qq", "-o"].map(String::from);
    let tracer: Vec<String> = tracer.into_iter().chain([trace.display().to_string()]).collect();
    run(&tracer, setting, &dir.path, ROUNDS, &[]).expect("a run without faults");
    count_calls(&trace)
}

fn count_calls(trace: &Path) -> BTreeMap<String, (usize, usize)> {
    let text = String::from_utf8_lossy(&std::fs::read(trace).expect("the trace")).into_owned();
    let mut before: BTreeMap<String, usize> = BTreeMap::new();
    let mut after: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut begun = false;
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let Some((name, rest)) = call.split_once('(') else { continue };
        if name == "write" && rest.starts_with("-1, \"begin\"") {
            begun = true;
        }
        if begun {
            *after.entry((name.to_owned(), thread.to_owned())).or_default() += 1;
        } else {
            *before.entry(name.to_owned()).or_default() += 1;
        }
    }
    let mut most: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for ((name, _), count) in after {
        let entry = most.entry(name.clone()).or_insert((before.get(&name).copied().unwrap_or(0), 0));
        entry.1 = entry.1.max(count);
    }
    most
}

struct Job {
    setting: Setting,
    call: &'static str,
    answer: &'static str,
    /// The number of the call after the program's mark, and in strace's count.
    nth: usize,
    when: String,
}

/// Calls of which each of the first 50 fails in some run. Of the others, only a few fail.
const EVERY: [&str; 7] = ["io_uring_enter", "io_submit", "io_getevents", "eventfd2", "clone3", "mmap", "read"];

/// The n-th call only, for many n.
fn jobs(setting: Setting, counts: &BTreeMap<String, (usize, usize)>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for fault in FAULTS {
        let Some((before, after)) = counts.get(fault.call) else { continue };
        // The mark is a write itself.
        let before = before + usize::from(fault.call == "write");
        let some: &[usize] = if short() { &[1, 4, 30] } else { &[1, 2, 7, 30] };
        let every = EVERY.contains(&fault.call);
        // Without inline completion, more operations reach the kernel.
        let no_inline = setting.flags != 0;
        if short() && !(every && no_inline) {
            continue;
        }
        let wanted = |nth: &usize| (every && no_inline && !short()) || some.contains(nth);
        let nths: Vec<usize> = (1..=MOST.min(*after)).filter(wanted).collect();
        for answer in fault.answers {
            for &nth in &nths {
                let when = (before + nth).to_string();
                jobs.push(Job { setting, call: fault.call, answer, nth, when });
            }
        }
    }
    jobs
}

/// strace counts per thread, so the fault may affect each of three workers, the poller and the submitter once.
const ROUNDS_TOUCHED: u32 = 5;

fn judge(job: &Job, dir: &Dir) -> Result<(), String> {
    let Job { setting, call, answer, nth, when } = job;
    let what = format!("{call}:{answer}:when={when}");
    let tracer = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e"].map(String::from);
    let more = [format!("trace={call}"), "-e".into(), format!("inject={what}")];
    let tracer: Vec<String> = tracer.into_iter().chain(more).collect();
    match run(&tracer, *setting, &dir.path, ROUNDS, &[]) {
        Ok(Verdict::Ran { failed }) if failed <= ROUNDS_TOUCHED => Ok(()),
        Ok(Verdict::NoContext { .. }) if answer.starts_with("error=") => Ok(()),
        Ok(other) => Err(format!("{setting:?} {what} (call {nth}): {other:?}")),
        Err(why) => Err(format!("{what} (call {nth}): {why}")),
    }
}

fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        skipped("injected faults of system calls needs strace (and the permission to trace)");
    }
    can
}

#[test]
fn one_system_call_fails_once() {
    if !can_trace() {
        return;
    }
    program();
    let mut list = Vec::new();
    for setting in settings() {
        list.extend(jobs(setting, &counts(setting, &Folder::Disk.make())));
    }
    eprintln!("{} runs", list.len());
    all(&list, judge);
    tried(list.len(), "runs of 55 rounds with one system call that fails or is late (strace --inject)");
}

/// io_uring_enter and io_submit accept fewer requests than they were given.
#[test]
fn submissions_are_short() {
    if !can_trace() {
        return;
    }
    let tracer = super::c::program("short_submit", super::c::Language::C, super::c::Link::Not);
    let mut shortened = BTreeMap::new();
    for setting in settings() {
        let dir = Folder::Disk.make();
        let count = dir.join("count");
        let wrapper = [&tracer, &count].map(|path| path.display().to_string());
        let verdict = run(&wrapper, setting, &dir.path, ROUNDS, &[]);
        assert_eq!(verdict, Ok(Verdict::Ran { failed: 0 }), "{setting:?}");
        let count = std::fs::read_to_string(count).expect("the tracer's count");
        *shortened.entry(setting.backend).or_insert(0) += count.trim().parse::<usize>().expect("a number");
    }
    for (backend, count) in &shortened {
        let submits = [CAIO_BACKEND_URING, CAIO_BACKEND_LINUX].contains(backend);
        assert!(!submits || *count > 0, "no submission of backend {backend} was short");
    }
    tried(shortened.values().sum(), "calls of io_submit and io_uring_enter that accepted only a part");
}
