//! Runs each file of the fuzzer's corpus, `fuzz/corpus/calls`, once. It needs no fuzzer.

// The programs need an address range of more than 4 GiB.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

#[path = "../fuzz/fuzz_targets/program.rs"]
mod program;
#[path = "../fuzz/fuzz_targets/sandbox.rs"]
mod sandbox;

use std::path::Path;

#[test]
fn every_program_of_the_corpus_runs() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/calls");
    let mut files: Vec<_> =
        std::fs::read_dir(corpus).expect("the corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in &files {
        // A failure shows the program that caused it.
        println!("{}", file.display());
        program::run(&std::fs::read(file).expect("a file"));
    }
    println!("{} programs", files.len());
    sandbox::remove();
}
