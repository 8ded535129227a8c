//! `include/caio.h` is current. `make header` updates it.

use std::path::Path;

#[test]
fn the_checked_in_header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/capi/types.rs"))
        .with_src(root.join("src/capi/ctx.rs"))
        .with_src(root.join("src/capi/io.rs"))
        .with_src(root.join("src/capi/info.rs"))
        .with_src(root.join("src/capi/check.rs"))
        .generate()
        .expect("cbindgen")
        .write(&mut made);
    let made = for_c(&String::from_utf8(made).expect("UTF-8"));
    let path = root.join("include/caio.h");
    if std::env::var_os("CAIO_UPDATE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("write the header");
    }
    let kept = std::fs::read_to_string(&path).expect("include/caio.h");
    assert!(kept == made, "include/caio.h is stale: run `make header`");
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
