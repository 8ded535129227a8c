//! `kill -9` at a random moment, on a file system that then loses all data that was not synced. Each acknowledged
//! record is there and whole. Controls must lose records: without the sync, with a sync that does not wait for its
//! write, and on a disk that ignores syncs.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

#[path = "crash/copy.rs"]
mod copy;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/records.rs"]
mod records;
#[path = "crash/replace.rs"]
mod replace;

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use disk::Disk;
use records::{Order, RECORD, Writer};
use support::*;

const WRITER: &str = "CAIO_CRASH_WRITER";

/// Runs only as the child of a test here: writes records until it is killed.
#[test]
fn writer() {
    let Some((backend, order, path)) = asked(WRITER) else { return };
    Writer::new(backend, Order::from_number(order), &path).run();
}

/// What the test asks of its child with a variable: two numbers and a path. None in the test itself.
fn asked(variable: &str) -> Option<(u32, u32, PathBuf)> {
    let asked = std::env::var(variable).ok()?;
    // If the test is killed, this process must end too.
    // SAFETY: no memory involved.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let mut words = asked.splitn(3, ' ');
    let mut word = || words.next().expect("two numbers and a path");
    let mut number = || word().parse().expect("a number");
    Some((number(), number(), word().into()))
}

/// Kills a process, and waits until the kernel has released it.
fn kill(mut child: Child) {
    child.kill().expect("kill -9");
    let status = child.wait().expect("its end");
    assert_eq!(status.signal(), Some(libc::SIGKILL), "it lived until it was killed: {status}");
}

/// Runs a test of this program, with a variable that says what to do, kills it at a random moment, and then the power fails.
/// Returns what it wrote after its first word.
fn killed(disk: &Disk, test: &str, variable: &str, asked: &str, random: &mut Random) -> Vec<u8> {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(variable, asked);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program");
    let mut output = child.stdout.take().expect("a pipe");
    await_first(&mut output);
    std::thread::sleep(Duration::from_micros(random.below(disk.longest_life_us()) as u64));
    kill(child);
    let mut acknowledged = Vec::new();
    output.read_to_end(&mut acknowledged).expect("what it said");
    disk.crash();
    disk.tell("clear");
    acknowledged
}

/// One round: how many records were acknowledged, and how many of them are lost.
fn round(disk: &Disk, backend: u32, order: Order, random: &mut Random) -> (usize, usize) {
    let path = disk.path("records");
    std::fs::remove_file(&path).ok();
    // A slow sync lets others queue meanwhile, so that group commit has work.
    disk.tell(&format!("fsync slow {} times=all", random.below(8)));
    let asked = format!("{backend} {} {}", order as u32, path.display());
    let acknowledged = killed(disk, "writer", WRITER, &asked, random);
    let content = std::fs::read(&path).unwrap_or_default();
    let numbers =
        acknowledged.chunks_exact(size_of::<u64>()).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()));
    let (mut count, mut lost) = (0, 0);
    for number in numbers {
        count += 1;
        lost += usize::from(!records::is_whole(&content, number));
    }
    (count, lost)
}

/// Skips the output of the child's test harness.
fn await_first(output: &mut impl Read) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(records::READY) {
        assert_eq!(output.read(&mut byte).expect("the writer"), 1, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
}

/// Rounds on all backends in turn, with each of the orders: acknowledged and lost.
fn rounds(disk: &Disk, count: usize, orders: &[Order], lies: &str) -> (usize, usize) {
    disk.tell(lies);
    let backends = backends();
    let mut random = Random::new(orders[0] as u32);
    let (mut acknowledged, mut lost) = (0, 0);
    for at in 0..count {
        let order = orders[at / backends.len() % orders.len()];
        let (more, of_them) = round(disk, backends[at % backends.len()], order, &mut random);
        acknowledged += more;
        lost += of_them;
    }
    (acknowledged, lost)
}

#[test]
fn acknowledged_records_survive_a_crash() {
    let kills = if short() { 30 } else { 500 };
    let Some(disk) = Disk::new() else { return };
    let (acknowledged, lost) = rounds(&disk, kills, &[Order::Chain, Order::After], "sync honest");
    println!("{kills} kills: {acknowledged} records of {RECORD} bytes acknowledged, {lost} lost");
    assert!(acknowledged > kills, "there were records to lose");
    assert_eq!(lost, 0);
    tried(kills, &format!("kill -9 while records are written and synced{}", disk.name()));
    tried(acknowledged, &format!("records acknowledged before a kill -9{}", disk.name()));
}

/// A control: records must be lost here, or the first test could not fail.
fn loses(order: Order, lies: &str) {
    const MOST_TIMES: usize = 12;
    let Some(disk) = Disk::new() else { return };
    let (mut kills, mut acknowledged, mut lost) = (0, 0, 0);
    // Whether a sync that nothing is linked to starts too early depends on the scheduler: kill until that was seen.
    for _ in 0..MOST_TIMES {
        let more = if short() { 9 } else { 30 };
        let (of_them, of_them_lost) = rounds(&disk, more, &[order], lies);
        (kills, acknowledged, lost) = (kills + more, acknowledged + of_them, lost + of_them_lost);
        if lost > 0 {
            break;
        }
    }
    println!("{kills} kills, {order:?}, {lies}: {acknowledged} acknowledged, {lost} lost");
    assert!(lost > 0, "none of {acknowledged} was lost, so the test would not notice a loss");
    tried(kills, &format!("kill -9 where records must be lost, and are{}", disk.name()));
}

#[test]
fn records_are_lost_without_the_sync() {
    loses(Order::NoSync, "sync honest");
}

#[test]
fn records_are_lost_if_the_sync_starts_too_early() {
    loses(Order::Unlinked, "sync honest");
}

#[test]
fn records_are_lost_on_a_disk_that_ignores_syncs() {
    loses(Order::Chain, "sync ignored");
    loses(Order::Chain, "sync early 40");
}
