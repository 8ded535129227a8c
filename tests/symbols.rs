//! The shared library exports exactly the functions of the header, and loads without surprises.

#![cfg(target_os = "linux")]

#[path = "c/mod.rs"]
mod c;

use std::process::Command;

/// The export list. It only grows.
const EXPORTS: [&str; 21] = [
    "caio_backend_name",
    "caio_backend_probe",
    "caio_ctx_backend",
    "caio_ctx_cancel",
    "caio_ctx_cancel_all",
    "caio_ctx_cancel_fd",
    "caio_ctx_event_handle",
    "caio_ctx_eventfd",
    "caio_ctx_free",
    "caio_ctx_max_requests",
    "caio_ctx_new",
    "caio_ctx_poll",
    "caio_ctx_stats",
    "caio_ctx_submit",
    "caio_ctx_submit_poll",
    "caio_ctx_supports",
    "caio_ctx_wait",
    "caio_ctx_wake",
    "caio_op_check",
    "caio_strerror",
    "caio_version",
];

/// The output of a program of binutils, which every C compiler installs, for the library.
fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).arg(c::shared_library());
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{command:?}: {}", c::said(&output));
            Some(String::from_utf8(output.stdout).expect("UTF-8"))
        }
        Err(_) => {
            eprintln!("skipped: the shared library's symbols needs binutils");
            None
        }
    }
}

#[test]
fn exactly_the_functions_of_the_header_are_exported() {
    let Some(symbols) = ask("nm", &["--dynamic", "--defined-only"]) else { return };
    let mut names: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    names.sort_unstable();
    assert_eq!(names, EXPORTS);
    for line in symbols.lines() {
        let kind = line.split_whitespace().nth(1);
        assert_eq!(kind, Some("T"), "a plain function, neither weak nor data nor versioned: {line}");
    }
}

#[test]
fn the_header_declares_exactly_what_is_exported() {
    let header = std::fs::read_to_string(c::root().join("include/caio.h")).expect("include/caio.h");
    let declared = |line: &&str| line.contains("caio_") && line.contains('(') && !line.starts_with([' ', '#', '/']);
    let lines = header.lines().filter(declared);
    let mut names: Vec<&str> = lines
        .map(|line| line.split('(').next().expect("a part before").rsplit([' ', '*']).next().expect("a name"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, EXPORTS);
}

#[test]
fn the_library_has_no_text_relocations_and_no_run_path() {
    let Some(dynamic) = ask("readelf", &["--wide", "--dynamic"]) else { return };
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
    assert!(!dynamic.contains("RPATH") && !dynamic.contains("RUNPATH"), "no path of the build machine: {dynamic}");
}

#[test]
fn the_library_needs_nothing_but_the_c_library() {
    let Some(dynamic) = ask("readelf", &["--wide", "--dynamic"]) else { return };
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let name = line.rsplit('[').next().expect("a name").trim_end_matches(']');
        let family = name.split(['.', '-']).next().expect("a first part");
        let system = ["libc", "libgcc_s", "libm", "libdl", "libpthread", "librt", "ld"];
        assert!(system.contains(&family), "needs {name}");
    }
}

#[test]
fn the_stack_is_not_executable_and_no_segment_is_written_and_executed() {
    let Some(segments) = ask("readelf", &["--wide", "--program-headers"]) else { return };
    let all = |kind: &'static str| segments.lines().filter(move |line| line.trim_start().starts_with(kind));
    assert_eq!(all("GNU_STACK").map(flags).collect::<Vec<_>>(), ["RW"], "{segments}");
    for line in all("LOAD") {
        assert!(!(flags(line).contains('W') && flags(line).contains('E')), "{line}");
    }
    assert!(segments.contains("GNU_RELRO"), "{segments}");
}

/// Type, offset, two addresses, two sizes, then flags ("R E" is two words), then the alignment.
fn flags(segment: &str) -> String {
    let words: Vec<&str> = segment.split_whitespace().collect();
    words[6..words.len() - 1].concat()
}
