//! `caio-cp --fsync` is killed at a random moment, and the power fails: no file with its final name is half-written.

use super::support::faultfs::FaultFs;
use super::support::files::{Folder, pattern};
use super::support::*;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FILES: usize = 60;

/// The program: `CAIO_CP`, which the script sets.
fn program() -> Option<PathBuf> {
    let program = std::env::var_os("CAIO_CP").map(PathBuf::from);
    if program.is_none() {
        skipped("copies that are killed needs CAIO_CP");
    }
    program
}

fn name(number: usize) -> String {
    format!("folder-{}/file-{number}", number % 4)
}

fn content(number: usize) -> Vec<u8> {
    let mut bytes = pattern(1 + number * 3001 % 100_000);
    bytes[0] = number as u8;
    bytes
}

fn tree(root: &Path) {
    (0..4).for_each(|number| std::fs::create_dir_all(root.join(format!("folder-{number}"))).expect("a folder"));
    (0..FILES).for_each(|number| std::fs::write(root.join(name(number)), content(number)).expect("a file"));
}

/// The program and its arguments.
struct Copier<'a> {
    program: &'a Path,
    from: &'a Path,
    to: PathBuf,
    faults: &'a FaultFs,
}

impl Copier<'_> {
    fn start(&self, arguments: &[&str]) -> Child {
        std::fs::remove_dir_all(&self.to).ok();
        let mut command = Command::new(self.program);
        let command = command.args(arguments).arg(self.from).arg(&self.to).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("caio-cp")
    }

    /// Kills a copy within this time. Returns how many files with their final names are whole, and how many are not.
    fn round(&self, arguments: &[&str], random: &mut Random, within: Duration) -> (usize, usize) {
        let mut child = self.start(arguments);
        std::thread::sleep(Duration::from_micros(random.below(within.as_micros() as usize) as u64));
        // It may have finished: then all of it must be there.
        child.kill().ok();
        child.wait().expect("its end");
        self.faults.tell("crash");
        let copies = (0..FILES).filter_map(|number| Some((number, std::fs::read(self.to.join(name(number))).ok()?)));
        copies.fold(
            (0, 0),
            |(whole, torn), (number, bytes)| {
                if bytes == content(number) { (whole + 1, torn) } else { (whole, torn + 1) }
            },
        )
    }

    fn time(&self, arguments: &[&str]) -> Duration {
        let begun = Instant::now();
        assert!(self.start(arguments).wait().expect("its end").success());
        begun.elapsed()
    }
}

fn rounds(kills: usize, arguments: &[&str]) -> Option<(usize, usize)> {
    let program = program()?;
    let dir = Folder::Default.make();
    let faults = FaultFs::mount(&dir)?;
    let from = dir.join("tree");
    tree(&from);
    let copier = Copier { program: &program, from: &from, to: faults.path("copy"), faults: &faults };
    let mut random = Random::new(kills as u32);
    let backends: Vec<&str> = backends().into_iter().map(backend_name).collect();
    let mut within = Duration::ZERO;
    let all = (0..kills).map(|at| {
        // The load of the machine changes, so the time is measured again.
        if at % 10 == 0 {
            within = copier.time(arguments).mul_f64(1.2);
        }
        let arguments = [arguments, &["-q", "-b", backends[at % backends.len()]]].concat();
        copier.round(&arguments, &mut random, within)
    });
    Some(all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)))
}

#[test]
fn copies_with_fsync_are_whole_or_absent() {
    let kills = if short() { 12 } else { 150 };
    let Some((whole, torn)) = rounds(kills, &["--fsync"]) else { return };
    println!("{kills} kills of caio-cp --fsync: {whole} files under their final names, {torn} of them not whole");
    assert!(whole > kills, "something was copied");
    assert_eq!(torn, 0);
    tried(kills, "kill -9 in caio-cp --fsync");
    tried(whole, "files under their final names after a kill -9 of caio-cp --fsync");
}

#[test]
fn copies_without_fsync_are_torn() {
    let kills = if short() { 6 } else { 30 };
    let Some((whole, torn)) = rounds(kills, &[]) else { return };
    println!("{kills} kills of caio-cp: {whole} files whole, {torn} not");
    assert!(torn > 0, "none was torn, so the test would not notice a torn file");
    tried(kills, "kill -9 where copies must be torn, and are");
}
