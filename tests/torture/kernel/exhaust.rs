//! Exhausted descriptors, threads, memory and locked memory, in steps from none to enough.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::support::*;
use super::{Dir, Setting, Verdict, all, c, program, run, settings};

struct Job {
    setting: Setting,
    wrapper: Vec<String>,
    more: Vec<String>,
}

const ROUNDS: u32 = 12;

/// Limits do not apply to root, so the program runs as another user. The kernel counts threads per user, so each run
/// has a new one. The user keeps root's right to all files, because only root may be able to enter the build's
/// directory.
fn as_another_user() -> Vec<String> {
    static LAST: AtomicU32 = AtomicU32::new(60_000);
    // Relaxed: only distinct numbers matter.
    let user = LAST.fetch_add(1, Ordering::Relaxed);
    let files = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"].map(str::to_owned);
    [words(&["setpriv", &format!("--reuid={user}"), "--regid=65534", "--clear-groups"]), files.to_vec()].concat()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Descriptors that this process inherited, such as make's job server, and passes on.
fn inherited_descriptors() -> usize {
    // SAFETY: no memory involved.
    let passed_on = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } == 0;
    (3..1024).filter(passed_on).count()
}

fn limits() -> Vec<Vec<String>> {
    let mut limits = Vec::new();
    // The program itself has three files and two pipes, and opens one more.
    let least = 10 + inherited_descriptors();
    for descriptors in least..least + 20 {
        limits.push(words(&["prlimit", &format!("--nofile={descriptors}")]));
    }
    for threads in [1, 2, 3, 4, 6] {
        // Sets the limit last: execve(2) fails with EAGAIN if the user had too many threads already at the change of
        // user.
        let limit = format!("--nproc={threads}");
        limits.push([as_another_user(), words(&["prlimit", &limit])].concat());
    }
    for kilobytes in [0, 8, 64, 1024] {
        let limit = format!("--memlock={}", kilobytes * 1024);
        limits.push([words(&["prlimit", &limit]), as_another_user()].concat());
    }
    limits
}

fn verdict(job: &Job, dir: &Dir) -> Result<Verdict, String> {
    for name in ["direct", "cold", "buffered"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
    run(&job.wrapper, job.setting, &dir.path, ROUNDS, &job.more)
}

/// The program runs, or caio_ctx_new fails with a clean error.
fn judge(job: &Job, verdict: Result<Verdict, String>) -> Result<(), String> {
    match verdict {
        Ok(Verdict::Ran { .. }) => Ok(()),
        Ok(Verdict::NoContext { errno }) if [libc::EMFILE, libc::EAGAIN, libc::ENOMEM].contains(&errno) => Ok(()),
        Ok(other) => Err(format!("{:?} {:?}: {other:?}", job.wrapper, job.setting)),
        Err(why) => Err(format!("{:?}: {why}", job.wrapper)),
    }
}

#[test]
fn exhausted_resources_yield_a_clean_error() {
    program();
    let at = |setting: Setting| limits().into_iter().map(move |wrapper| Job { setting, wrapper, more: vec![] });
    let list: Vec<Job> = settings().into_iter().flat_map(at).collect();
    let list: Vec<Job> =
        list.into_iter().enumerate().filter(|(at, _)| !short() || at % 3 == 0).map(|(_, job)| job).collect();
    all(&list, |job, dir| judge(job, verdict(job, dir)));
    tried(list.len(), "runs of 12 rounds short of descriptors, threads (RLIMIT_NPROC) or locked memory");
}

/// The pids controller limits the threads of a control group, including the kernel's threads for io_uring.
#[test]
fn a_control_group_limits_threads() {
    program();
    let Some(root) = pids_controller() else {
        eprintln!(
            "not tried: a control group with few threads needs the pids controller, and permission to make a group"
        );
        return;
    };
    let mut list = Vec::new();
    for setting in settings() {
        for most in [1, 2, 3, 4, 6] {
            let group = root.join(format!("caio-{}-{}", std::process::id(), list.len()));
            let enter = format!(
                "mkdir {0} && echo {most} >{0}/pids.max && echo $$ >{0}/cgroup.procs && exec \"$@\"",
                group.display()
            );
            list.push((group, Job { setting, wrapper: words(&["sh", "-c", &enter, "sh"]), more: vec![] }));
        }
    }
    let affected = AtomicUsize::new(0);
    all(&list, |(group, job), dir| {
        let verdict = verdict(job, dir);
        // Relaxed: a count.
        affected.fetch_add(usize::from(verdict != Ok(Verdict::Ran { failed: 0 })), Ordering::Relaxed);
        until("the group is empty", || std::fs::remove_dir(group).is_ok());
        judge(job, verdict)
    });
    assert!(affected.into_inner() >= settings().len(), "one thread is not enough");
    tried(list.len(), "runs of 12 rounds in a control group with room for 1 to 6 threads");
}

/// The folder of the controller, if this process can create groups there.
fn pids_controller() -> Option<PathBuf> {
    let second = std::fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").unwrap_or_default();
    let folder = if second.contains("pids") { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/pids" };
    let try_it = PathBuf::from(folder).join(format!("caio-{}", std::process::id()));
    let can = std::fs::create_dir(&try_it).is_ok() && try_it.join("pids.max").exists();
    std::fs::remove_dir(&try_it).ok();
    can.then(|| folder.into())
}

/// The address space is limited to what the program has plus some kilobytes, so stacks, rings and heap memory may fail.
#[test]
fn address_space_runs_out() {
    program();
    let mut list = Vec::new();
    for setting in settings() {
        for kilobytes in [0, 16, 64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536] {
            let wrapper = words(&["env", &format!("MORE_MEMORY={}", kilobytes * 1024)]);
            list.push(Job { setting, wrapper, more: vec![] });
        }
    }
    let aborted = AtomicUsize::new(0);
    all(&list, |job, dir| with_rusts_ends(job, dir, &aborted));
    let aborted = aborted.into_inner();
    tried(list.len() - aborted, "runs short of address space (RLIMIT_AS): success or an error");
    tried(aborted, "runs short of address space that Rust's standard library ended with its own message");
}

/// The messages with which Rust's standard library and the C library abort a process without memory.
const ENDS: [&str; 2] = ["memory allocation of", "failed to register TLS destructor: out of memory"];

/// As [`judge`], but counts the runs that Rust ended.
fn with_rusts_ends(job: &Job, dir: &Dir, aborted: &AtomicUsize) -> Result<(), String> {
    match judge(job, verdict(job, dir)) {
        Err(why) if why.contains("SIGABRT") && ENDS.iter().any(|end| why.contains(end)) => {
            // Relaxed: a count.
            aborted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        other => other,
    }
}

/// The n-th allocation fails. The result is an error, or Rust's standard library ends the process with its own message.
#[test]
fn an_allocation_fails() {
    program();
    let shim = c::preload("failing_malloc");
    let step = if short() { 8 } else { 1 };
    let mut list = Vec::new();
    for setting in settings() {
        for nth in (1..160).step_by(step) {
            let wrapper = words(&["env", &format!("FAIL_MALLOC={nth}"), &format!("LD_PRELOAD={}", shim.display())]);
            list.push(Job { setting, wrapper, more: vec![] });
        }
    }
    let aborted = AtomicUsize::new(0);
    all(&list, |job, dir| with_rusts_ends(job, dir, &aborted));
    let aborted = aborted.into_inner();
    tried(list.len() - aborted, "runs in which one allocation fails: success or ENOMEM");
    tried(aborted, "runs in which one allocation fails that Rust's standard library ended, as caio(7) documents");
}
