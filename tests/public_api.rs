//! `tests/public_api.txt` lists the public items of the Rust API. Set `CAIO_UPDATE_PUBLIC_API` to update it. An item that a
//! program may use is never removed. `cargo doc` makes the list, and has no warnings. Each item has an example.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs `cargo doc` and returns the folder of the crate's pages.
fn document() -> std::path::PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["doc", "--quiet", "--locked", "--no-deps", "--lib", "--features", "bytes", "--manifest-path"]);
    cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).arg("--target-dir").arg(target);
    cargo.env("RUSTDOCFLAGS", "-D warnings").env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("doc/caio")
}

/// The texts between each `before` and the next `"`.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// What the crate documents.
#[derive(Default)]
struct Documented {
    /// The items, and the methods, fields and variants of each.
    items: BTreeSet<String>,
    /// The items and methods without an example.
    bare: Vec<String>,
}

fn documented() -> Documented {
    let folder = document();
    let read = |page: &str| fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut found = Documented::default();
    let all = read("all.html");
    for page in quoted(&all, "<li><a href=\"").into_iter().filter(|page| page.ends_with(".html")) {
        let path = page.trim_end_matches(".html");
        let (module, item) = path.rsplit_once('/').map_or((String::new(), path), |(m, i)| (format!("{m}::"), i));
        // A module is MODULE/index.html.
        let (kind, name) = item.split_once('.').unwrap_or(("mod", ""));
        found.items.insert(format!("{kind} {module}{name}"));
        let text = read(page);
        // Behind these are the implementations of traits of other crates.
        let ends = ["id=\"trait-implementations\"", "id=\"implementors\"", "id=\"foreign-impls\""];
        let end = ends.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
        for (number, text) in text[..end].split("id=\"method.").enumerate() {
            let method = if number == 0 { "" } else { text.split('"').next().expect("a name") };
            if kind != "mod" && !text.contains("rust-example-rendered") {
                found.bare.push(format!("{kind} {module}{name} {method}"));
            }
        }
        for marker in ["method.", "tymethod.", "structfield.", "variant."] {
            let members = quoted(&text[..end], &format!("id=\"{marker}")).into_iter();
            found.items.extend(members.map(|member| format!("{kind} {module}{name}: {member}")));
        }
    }
    found
}

#[test]
fn the_public_items_are_those_of_the_list() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_api.txt");
    let Documented { items: found, bare } = documented();
    assert!(bare.is_empty(), "without an example: {bare:#?}");
    if std::env::var_os("CAIO_UPDATE_PUBLIC_API").is_some() {
        fs::write(&path, found.iter().map(|item| format!("{item}\n")).collect::<String>()).expect("write the list");
    }
    let listed: BTreeSet<String> = fs::read_to_string(&path).expect("the list").lines().map(str::to_string).collect();
    let removed: Vec<_> = listed.difference(&found).collect();
    let added: Vec<_> = found.difference(&listed).collect();
    assert!(removed.is_empty() && added.is_empty(), "removed: {removed:#?}\nadded: {added:#?}");
}
