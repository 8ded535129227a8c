# The Rust API in event loops and runtimes, and in a program that is built to unwind.
# shellcheck shell=bash

examples=$root/bindings/rust-examples
built=${CARGO_TARGET_DIR:-$root/target}/rust-examples
# Sources of different sizes; one is larger than what the programs read at once.
head -c 200000 /dev/zero >zeros
files=("$root"/src/*.rs "$root/README.md" "$PWD/zeros" /dev/null)

build_examples() { cargo build -q --locked --manifest-path "$examples/Cargo.toml" --target-dir "$built"; }

# reads BACKEND PROGRAM: whether the program finds the true size of each file.
reads() {
    local file
    for file in "${files[@]:0:${#files[@]}-1}"; do echo "$(wc -c <"$file") $file"; done | sort >expected
    CAIO_IMPL=$1 "$built/debug/$2" "${files[@]:0:${#files[@]}-1}" | sort >got && cmp expected got
}

if check "Rust examples: build" build_examples; then
    for program in tokio smol poll plain; do
        for backend in uring linux thread; do
            check "Rust: $program, on $backend" reads $backend $program
        done
    done
fi

build_unwind() {
    RUSTFLAGS='--cfg caio_panic' cargo build -q --locked --manifest-path "$root/tests/unwind/Cargo.toml" --target-dir "$built-unwind"
}

# aborts PLACE HOW: a panic of the library at PLACE ends the process, though the program catches panics.
aborts() {
    CAIO_PANIC=$1 exits 134 "$built-unwind/debug/unwind" "$2" && says "a bug in $1"
}
unwind() { expect "no panic" "$("$built-unwind/debug/unwind" "$1")"; }

if check "a program that is built to unwind: build" build_unwind; then
    for api in rust c; do
        check "a program that is built to unwind, no panic, $api" unwind $api
        check "a panic in a call aborts, $api" aborts call $api
    done
    check "a panic in a thread of the library aborts" aborts thread rust
fi
