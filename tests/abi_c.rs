//! The library in C and C++: the header in every standard, and programs linked with this build.

#![cfg(target_os = "linux")]

#[path = "c/mod.rs"]
mod c;
#[macro_use]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use c::{Language, Link};
use support::case::Case;
use support::{CAIO_CTX_NO_INLINE, CAIO_CTX_SINGLE_THREAD, CAIO_CTX_SQPOLL};

#[test]
fn the_contract_holds_at_compile_time() {
    for part in ["contract_check.c", "contract_check_02.c"] {
        let check = c::root().join("tests/c").join(part);
        c::compiles(&check, Language::C, "c11");
        c::compiles(&check, Language::Cpp, "c++17");
    }
}

#[test]
fn the_header_alone_is_clean_in_every_standard() {
    let header = c::root().join("include/caio.h");
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header_alone.c");
    std::fs::write(&source, "#include <caio.h>\ncaio_options o = CAIO_OPTIONS_INIT;\n").expect("a source file");
    assert!(header.exists());
    for standard in ["c99", "c11", "c17"] {
        c::compiles(&source, Language::C, standard);
    }
    for standard in ["c++11", "c++17", "c++20"] {
        c::compiles(&source, Language::Cpp, standard);
    }
}

/// The constants of the header work in a case label, an initializer and the preprocessor.
#[test]
fn constants_are_constants() {
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("constants.c");
    let text = "#include <caio.h>
        #if CAIO_VERSION_MAJOR != 0 || CAIO_BACKEND_THREAD != 3 || CAIO_FLAG_FULL != 2
        #error constants
        #endif
        static const uint64_t current = CAIO_OFFSET_CURRENT;
        int f(const caio_op *op);
        int f(const caio_op *op) {
            switch (op->opcode) { case CAIO_OP_NOP: return 0; case CAIO_OP_MKDIRAT: return 1; }
            return op->offset == current;
        }\n";
    std::fs::write(&source, text).expect("a source file");
    c::compiles(&source, Language::C, "c99");
    c::compiles(&source, Language::Cpp, "c++11");
}

/// Programs are built once for all backends.
fn built(name: &'static str, language: Language, link: Link) -> PathBuf {
    use std::collections::HashMap;
    use std::sync::Mutex;
    type Built = HashMap<(&'static str, Language, Link), PathBuf>;
    static BUILT: Mutex<Option<Built>> = Mutex::new(None);
    let mut built = BUILT.lock().expect("no build has failed");
    let entry = built.get_or_insert_default().entry((name, language, link));
    entry.or_insert_with(|| c::program(name, language, link)).clone()
}

/// Runs a program in the directory of the case, with the backend as its first argument.
fn run(program: &Path, case: &Case, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.arg(case.backend.to_string()).args(arguments).current_dir(&case.dir.path);
    c::output(&mut command)
}

fn succeeds(program: &Path, case: &Case, arguments: &[&str]) {
    let output = run(program, case, arguments);
    assert!(output.status.success(), "{case}: {}\n{}", output.status, c::said(&output));
}

promises! {
    Plan::DEFAULT.everywhere() => { the_tour_in_c, the_tour_in_cpp }
    Plan::DEFAULT => {
        the_tour_with_the_static_library, exit_with_work_in_flight, dlclose_with_work_in_flight, fork_beside_a_context,
        fork_at_every_system_call, a_child_keeps_no_descriptor_that_was_being_opened, an_event_is_shown_to_who_knows_of_it
    }
}

fn the_tour_in_c(case: &Case) {
    let tour = built("tour", Language::C, Link::Shared);
    for flags in [0, CAIO_CTX_NO_INLINE, CAIO_CTX_SINGLE_THREAD, CAIO_CTX_SQPOLL] {
        succeeds(&tour, case, &[&flags.to_string()]);
    }
}

fn the_tour_in_cpp(case: &Case) {
    succeeds(&built("tour", Language::Cpp, Link::Shared), case, &[]);
}

fn the_tour_with_the_static_library(case: &Case) {
    succeeds(&built("tour", Language::C, Link::Static), case, &[]);
}

fn exit_with_work_in_flight(case: &Case) {
    let program = built("exit_live", Language::C, Link::Shared);
    for how in ["main", "exit", "thread"] {
        for _ in 0..10 {
            let output = run(&program, case, &[how]);
            assert_eq!(output.status.code(), Some(3), "{case}, {how}: {}\n{}", output.status, c::said(&output));
            assert_eq!(output.stdout, b"bye\n", "{case}, {how}: the handlers of atexit have run");
        }
    }
}

fn dlclose_with_work_in_flight(case: &Case) {
    let library = c::shared_library();
    succeeds(&built("dlclose", Language::C, Link::Not), case, &[library.to_str().expect("UTF-8")]);
}

fn fork_beside_a_context(case: &Case) {
    let program = built("fork", Language::C, Link::Shared);
    for _ in 0..5 {
        succeeds(&program, case, &[]);
    }
}

fn fork_at_every_system_call(case: &Case) {
    with_held_threads("fork_anywhere", case);
}

fn a_child_keeps_no_descriptor_that_was_being_opened(case: &Case) {
    succeeds(&built("fork_window", Language::C, Link::Shared), case, &[]);
}

fn an_event_is_shown_to_who_knows_of_it(case: &Case) {
    with_held_threads("shown", case);
}

fn with_held_threads(name: &'static str, case: &Case) {
    let output = run(&built(name, Language::C, Link::Shared), case, &[]);
    let said = c::said(&output);
    assert!(output.status.success(), "{case}: {}\n{said}", output.status);
    said.lines().filter_map(|line| line.strip_prefix("skipped: ")).for_each(support::skipped);
}
