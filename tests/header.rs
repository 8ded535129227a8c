//! `include/caio.h` and the binding kit, which are generated from the Rust source, are current. `make header` updates them.

#![cfg(all(target_os = "linux", not(caio_targets)))]

#[path = "header/api.rs"]
mod api;
#[path = "header/kit.rs"]
mod kit;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_checked_in_header_is_current() {
    check("include/caio.h", &generated());
}

#[test]
fn the_checked_in_binding_kit_is_current() {
    let api = api::parse(&generated());
    check("bindings/kit/caio.json", &kit::json(&api));
    check("bindings/kit/caio.cdef.h", &kit::cdef(&api));
}

#[test]
fn the_compiler_agrees_with_the_binding_kit() {
    let program = kit::assertions(&api::parse(&generated()));
    assert!(program.matches("_Static_assert").count() > 100, "{program}");
    let compiler = std::env::var_os("CC").unwrap_or("cc".into());
    let mut cc = Command::new(compiler);
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-fsyntax-only", "-xc", "-"]).arg("-I").arg(root().join("include"));
    let mut child = cc.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a C compiler");
    child.stdin.take().expect("piped").write_all(program.as_bytes()).expect("write to the compiler");
    let output = child.wait_with_output().expect("wait for the compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Compares a file with what is generated, or updates it.
fn check(path: &str, made: &str) {
    let path: PathBuf = root().join(path);
    if std::env::var_os("CAIO_UPDATE_HEADER").is_some() {
        std::fs::write(&path, made).expect("write the file");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{} is stale: run `make header`", path.display());
}

fn generated() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let mut made = Vec::new();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["types", "ctx", "io", "info", "check"] {
        builder = builder.with_src(root().join(format!("src/capi/{file}.rs")));
    }
    builder.generate().expect("cbindgen").write(&mut made);
    for_c(&String::from_utf8(made).expect("UTF-8"))
}

/// Two changes without a setting in cbindgen. Removes "# Safety", which is for Rust. Moves the semicolon of a
/// conditional field into the condition, because `-Wpedantic` warns about a lone one.
fn for_c(header: &str) -> String {
    let mut out = String::new();
    let mut in_safety = false;
    for line in header.lines() {
        if line.trim() == "* # Safety" {
            in_safety = true;
            out.truncate(out.trim_end_matches([' ', '*', '\n']).len());
            out.push('\n');
        }
        in_safety &= line.trim() != "*/";
        if !in_safety {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.replace("\n#endif\n    ;\n", ";\n#endif\n")
}
