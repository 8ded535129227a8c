//! The layers of the source:
//! - Imports run downward only, and the public APIs do not reach past `context` to the system.
//! - A facility of one system is named in `src/sys` and the backend made of it, and nowhere above.
//! - A backend is named in `src/backend`, and nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from the highest level to the lowest. A room imports from its own level and from lower ones.
const LEVELS: [&[&str]; 6] = [
    &["api", "capi", "raw"],
    &["context"],
    &["route", "pool"],
    &["exec", "backend", "fd"],
    &["completion", "fork_list", "log", "notifier", "op", "slab", "spin", "backoff"],
    &["sys", "sync", "error"],
];

/// What the router may import: it makes no system call, so it has no other way to the kernel than `fd`.
const OF_ROUTE: [&str; 3] = ["backend", "fd", "op"];

/// Facilities that another system does not have under this name.
const FACILITIES: [&str; 13] = [
    "eventfd",
    "epoll",
    "timerfd",
    "io_uring",
    "RWF_",
    "O_DIRECT",
    "UIO_MAXIOV",
    "kqueue",
    "HANDLE",
    "target_os",
    "caio_posix",
    "cfg(unix)",
    "cfg(windows)",
];

/// The rooms that may name them. The C boundary has a public function `caio_ctx_eventfd`.
const DOORS: [&str; 3] = ["sys", "backend", "capi"];

/// The names of one backend. Rooms other than `backend` use what all backends have.
const BACKENDS: [&str; 8] = [
    " Kind::",
    "(Kind::",
    "backend::Kind::",
    "Native::",
    "backend::uring",
    "backend::aio",
    "CAIO_BACKEND_URING",
    "CAIO_BACKEND_LINUX",
];

/// One line of code, without its comment.
struct Line {
    room: String,
    place: String,
    code: String,
    in_tests: bool,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the source") {
        let path = entry.expect("its entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// All lines of `src` but those of `lib.rs`, which only lists the rooms.
fn lines() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    paths.retain(|path| *path != root.join("lib.rs"));
    assert!(paths.len() > 30, "the source was not found");
    let mut lines = Vec::new();
    for path in paths {
        let name = path.strip_prefix(&root).expect("below src");
        let first = Path::new(name.iter().next().expect("a name"));
        let room = first.file_stem().expect("a name").to_str().expect("ASCII").to_owned();
        let mut in_tests = name.ends_with("tests.rs");
        for (at, line) in fs::read_to_string(&path).expect("a source file").lines().enumerate() {
            in_tests |= line == "mod tests {";
            let code = line.split("//").next().unwrap_or_default().to_owned();
            lines.push(Line {
                room: room.clone(),
                place: format!("src/{}:{}", name.display(), at + 1),
                code,
                in_tests,
            });
        }
    }
    lines
}

/// The rooms that a line imports from.
fn imported(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn level(room: &str) -> usize {
    let level = LEVELS.iter().position(|rooms| rooms.contains(&room));
    level.unwrap_or_else(|| panic!("'{room}' has no level in LEVELS; a `use` names one room"))
}

fn report(found: impl Iterator<Item = String>, advice: &str) {
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{advice}:\n{}", found.join("\n"));
}

/// The lines that contain one of `names`, outside the rooms `except`.
fn naming<'a>(lines: &'a [Line], names: &'a [&str], except: &'a [&str]) -> impl Iterator<Item = String> {
    lines.iter().filter(|line| !except.contains(&line.room.as_str())).filter_map(|Line { place, code, .. }| {
        let name = names.iter().find(|name| code.contains(**name))?;
        Some(format!("{place}: {name}"))
    })
}

#[test]
fn imports_run_downward_only() {
    let lines = lines();
    assert!(lines.iter().any(|line| imported(&line.code).count() > 0), "no import was found");
    let upward = lines.iter().flat_map(|Line { room, place, code, .. }| {
        let upward = imported(code).filter(|other| level(other) < level(room));
        upward.map(move |other| format!("{place}: {room} imports {other}"))
    });
    report(upward, "move what both need into a lower room");
}

#[test]
fn the_router_makes_no_system_call() {
    let lines = lines();
    let calls = lines.iter().filter(|line| line.room == "route" && !line.in_tests).flat_map(|line| {
        let other = imported(&line.code).find(|other| !OF_ROUTE.contains(other));
        other.map(|other| format!("{}: {other}", line.place))
    });
    report(calls, "let src/fd ask, or src/context make the attempt");
}

#[test]
fn the_public_apis_make_no_system_call() {
    let lines = lines();
    let calls = lines
        .iter()
        .filter(|line| LEVELS[0].contains(&line.room.as_str()) && imported(&line.code).any(|other| other == "sys"));
    report(calls.map(|line| line.place.clone()), "let src/context re-export it");
}

#[test]
fn no_facility_of_a_system_is_named_above_its_door() {
    report(naming(&lines(), &FACILITIES, &DOORS), "move these behind a neutral name in src/sys");
}

/// Therefore another backend changes no other room. `src/capi/types.rs` has its public number.
#[test]
fn no_backend_is_named_outside_its_room() {
    let mut lines = lines();
    lines.retain(|line| !line.place.starts_with("src/capi/types.rs:"));
    report(naming(&lines, &BACKENDS, &["backend"]), "let the backend state a rule in src/backend/rules.rs");
}
