//! Generates the comparisons. The parser of ctest2 goes on after an error and leaves out what it did not understand, so
//! the generator runs as a child, and whatever it calls an error fails the build.

use std::process::Command;

const GENERATE: &str = "SYSTEST_GENERATE";

fn main() {
    if std::env::var_os(GENERATE).is_some() {
        return generate();
    }
    for file in ["src", "build.rs", "../../src/capi/types.rs", "../../src/sys/linux/aio_abi.rs", "../../include/caio.h"] {
        println!("cargo:rerun-if-changed={}", file);
    }
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).env(GENERATE, "1").output().expect("the generator");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("error:")).collect();
    assert!(output.status.success() && errors.is_empty(), "{:?}: {:?}\n{}", output.status, errors, said);
    // What tells cargo to link the C half.
    for line in said.lines().filter(|line| line.starts_with("cargo:")) {
        println!("{}", line);
    }
}

fn generate() {
    let mut test = ctest2::TestGenerator::new();
    test.header("linux/aio_abi.h").header("caio.h").include("../../include");
    test.type_name(|name, _, _| if is_kernel(name) { format!("struct {}", name) } else { name.to_string() });
    // The kernel's __u64 is `long long` where uint64_t is `long`. Sizes and offsets are compared all the same.
    test.skip_field_type(|name, _| is_kernel(name));
    test.generate("src/abi.rs", "all.rs");
}

fn is_kernel(name: &str) -> bool {
    name == "iocb" || name == "io_event"
}
