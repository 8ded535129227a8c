//! A process that replaces a file again and again, each time by one chain, is killed at a random moment, and the power fails:
//! the file is the old or the new one, whole.

use super::disk::Disk;
use super::support::ops::{chain, openat, renameat};
use super::support::*;
use super::{asked, killed, records::READY};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

const REPLACER: &str = "CAIO_CRASH_REPLACER";

/// The content of the file after this many replacements. It begins with the number.
fn content(number: u64) -> Vec<u8> {
    let words = 1 + (number as usize * 7919) % 8000;
    (0..words as u64).flat_map(|at| number.wrapping_add(at.wrapping_mul(number | 1 << 40)).to_ne_bytes()).collect()
}

/// Runs only as the child of a test here: replaces the file until it is killed.
#[test]
fn replacer() {
    let Some((backend, synced, folder)) = asked(REPLACER) else { return };
    replace(backend, synced == 1, &folder);
}

fn replace(backend: u32, synced: bool, folder: &Path) -> ! {
    const NEW: i32 = libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY | libc::O_CLOEXEC;
    let ctx = Ctx::on(backend);
    let folder = File::open(folder).expect("the folder");
    let dir = folder.as_raw_fd();
    let opened = |opcode| op(opcode, CAIO_FD_OPENED);
    let mut output = std::io::stdout();
    output.write_all(READY).and_then(|()| output.flush()).expect("a pipe");
    for number in 1u64.. {
        let bytes = content(number);
        let write = opened(CAIO_OP_WRITE).buf(bytes.as_ptr()).len(bytes.len() as u64).full();
        let sync = if synced { opened(CAIO_OP_FSYNC) } else { ops::nop() };
        let results = ctx.run(&chain(&[
            openat(dir, c"new", NEW, 0o600),
            write,
            sync,
            opened(CAIO_OP_CLOSE),
            renameat(dir, c"new", c"file"),
            openat(dir, c".", libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC, 0),
            opened(CAIO_OP_FSYNC),
            opened(CAIO_OP_CLOSE),
        ]));
        assert_eq!(results, [0, bytes.len() as i64, 0, 0, 0, 0, 0, 0]);
        output.write_all(&number.to_ne_bytes()).and_then(|()| output.flush()).expect("a pipe");
    }
    unreachable!("it is killed before")
}

/// Kills one process. Returns how many replacements it acknowledged, and whether the file is wrong then.
fn round(disk: &Disk, backend: u32, synced: bool, random: &mut Random) -> (u64, bool) {
    let file = disk.path("file");
    std::fs::remove_file(&file).ok();
    std::fs::write(&file, content(0)).and_then(|()| File::open(&file)?.sync_all()).expect("the first file");
    disk.tell(&format!("fsync slow {} times=all", random.below(4)));
    let asked = format!("{backend} {} {}", u32::from(synced), file.parent().expect("its folder").display());
    let acknowledged = killed(disk, "replace::replacer", REPLACER, &asked, random);
    let last = (acknowledged.len() / size_of::<u64>()) as u64;
    let bytes = std::fs::read(&file).unwrap_or_default();
    let number = bytes.get(..8).map_or(u64::MAX, |start| u64::from_ne_bytes(start.try_into().expect("8 bytes")));
    // The one after the last may have been made, and not acknowledged.
    let is_right = (last..=last + 1).contains(&number) && bytes == content(number);
    (last, !is_right)
}

/// Replacements acknowledged, and files that are wrong after a crash.
fn rounds(kills: usize, synced: bool, ends: impl Fn(usize) -> bool) -> Option<(u64, usize)> {
    let disk = Disk::new()?;
    let backends = backends();
    let mut random = Random::new(synced.into());
    let (mut replaced, mut wrong, mut killed) = (0, 0, 0);
    for at in 0..kills {
        killed += 1;
        let (more, is_wrong) = round(&disk, backends[at % backends.len()], synced, &mut random);
        (replaced, wrong) = (replaced + more, wrong + usize::from(is_wrong));
        if ends(wrong) {
            break;
        }
    }
    println!("{killed} kills, synced: {synced}: {replaced} replacements acknowledged, {wrong} files wrong");
    Some((replaced, wrong))
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one() {
    let kills = if short() { 20 } else { 300 };
    let Some((replaced, wrong)) = rounds(kills, true, |_| false) else { return };
    assert!(replaced as usize > kills, "the file was replaced");
    assert_eq!(wrong, 0);
    tried(kills, "kill -9 while one chain replaces a file");
}

#[test]
fn a_file_replaced_without_the_sync_is_torn() {
    let kills = if short() { 40 } else { 100 };
    let Some((_, wrong)) = rounds(kills, false, |wrong| wrong > 0) else { return };
    assert!(wrong > 0, "no file was wrong, so the test would not notice one");
    tried(kills, "kill -9 where a replaced file must be torn, and is");
}
