//! The layers of the source: a facility of one system is named in `src/sys` and the backend made of it, and nowhere above.

use std::fs;
use std::path::{Path, PathBuf};

/// Facilities that another system does not have under this name.
const FACILITIES: [&str; 8] =
    ["eventfd", "epoll", "timerfd", "io_uring", "RWF_", "O_DIRECT", "UIO_MAXIOV", "target_os"];

/// The rooms that may name them. The C boundary has a public function `caio_ctx_eventfd`.
const DOORS: [&str; 3] = ["src/sys", "src/backend", "src/capi"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the source") {
        let path = entry.expect("its entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_facility_of_a_system_is_named_above_its_door() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(files.len() > 30, "the source was not found");
    let mut named = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).expect("below the root");
        if DOORS.iter().any(|door| name.starts_with(door)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let what = FACILITIES.iter().find(|what| code.contains(**what));
            named.extend(what.map(|what| format!("{}:{}: {what}", name.display(), at + 1)));
        }
    }
    assert!(named.is_empty(), "move these behind a neutral name in src/sys:\n{}", named.join("\n"));
}
