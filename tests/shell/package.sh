#!/bin/bash
# The crate as cargo publishes it: its files, a build and the unit tests from the package alone, and a program that depends on it.
# PACKAGE=short does not run the unit tests.
suite=package
. "$(dirname "$0")/lib.sh"
export CARGO_TARGET_DIR=$SCRATCH/package

# Everything under src, and these files.
wanted() {
    printf '%s\n' .cargo_vcs_info.json CHANGELOG.md Cargo.lock Cargo.toml Cargo.toml.orig LICENSE README.md build.rs
    (cd "$root" && find src include examples -type f 2>/dev/null)
}
files() {
    "$CARGO" package --manifest-path "$root/Cargo.toml" --locked --allow-dirty --list 2>/dev/null | grep -v '^.cargo_vcs_info' | LC_ALL=C sort >listed &&
        diff <(wanted | grep -v '^.cargo_vcs_info' | LC_ALL=C sort) listed
}
check "the package contains the source, the header and the documents, and nothing else" files

# cargo builds what it packed.
builds() {
    "$CARGO" package --manifest-path "$root/Cargo.toml" --locked --allow-dirty && tar -xf "$CARGO_TARGET_DIR"/package/caio-*.crate && mv caio-* crate
}
check "the package builds alone" builds

tests() { cd crate && "$CARGO" test --locked --lib; }
[ "${PACKAGE:-}" = short ] || check "its unit tests pass" tests

depends() {
    mkdir -p program/src && cp crate/Cargo.lock program && cd program &&
        printf '[package]\nname = "program"\nedition = "2024"\n[dependencies]\ncaio = { path = "../crate" }\n' >Cargo.toml &&
        printf 'fn main() {\n    let file = std::fs::File::open("/etc/os-release").unwrap();\n    let ctx = caio::Context::new().unwrap();\n    let (size, text) = ctx.block_on(ctx.read_at(file, vec![0; 1 << 16], 0));\n    print!("{}", String::from_utf8_lossy(&text[..size.unwrap()]));\n}\n' >src/main.rs &&
        expect "$(cat /etc/os-release)" "$("$CARGO" run -q --offline)"
}
check "a program that depends on it works" depends

only_rust() { expect "" "$(find "$CARGO_TARGET_DIR" -name 'libcaio*.so' -o -name 'libcaio*.a')"; }
check "it builds no library of the C API" only_rust

rm -rf "$CARGO_TARGET_DIR/package"
finish
