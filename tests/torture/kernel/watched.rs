//! Runs a program to its end. If it hangs, kills it and reports where each of its threads was.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const STEP: Duration = Duration::from_millis(10);
/// A minute in steps of this program, not of the clock: a machine that is suspended for a while is no hang.
const PATIENCE: u32 = 6000;

/// The program's output, which is small. `None` if it hung; then stderr shows where its threads were.
pub fn output(command: &mut Command) -> io::Result<Option<Output>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    for _ in 0..PATIENCE {
        if child.try_wait()?.is_some() {
            return child.wait_with_output().map(Some);
        }
        std::thread::sleep(STEP);
    }
    let group = child.id();
    eprintln!("hangs: {command:?}");
    threads_of(group).iter().for_each(|thread| eprintln!("{thread}"));
    // SAFETY: the group that this function started.
    unsafe { libc::kill(-(group as i32), libc::SIGKILL) };
    child.wait()?;
    Ok(None)
}

/// Each thread of a process group: its name, its system call and its kernel stack.
fn threads_of(group: u32) -> Vec<String> {
    let in_group = |stat: &str| stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(2)?.parse().ok());
    let mut threads = Vec::new();
    for process in folders("/proc") {
        if fs::read_to_string(format!("{process}/stat")).ok().and_then(|stat| in_group(&stat)) != Some(group) {
            continue;
        }
        for thread in folders(&format!("{process}/task")) {
            let tell = |what: &str| fs::read_to_string(format!("{thread}/{what}")).unwrap_or_default();
            threads.push(format!("{thread} {}: {}{}", tell("comm").trim(), tell("syscall"), tell("stack")));
        }
    }
    threads
}

fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}
