//! Compiles the C programs of the tests with the `cc` crate, and links them with the library.

#![allow(dead_code)] // every test binary uses its own part

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// How a program is linked with the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    Shared,
    Static,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    C,
    Cpp,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a library of the C API. The crate is a Rust library alone, so cargo builds it for the first test that asks.
fn built(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

/// Builds the libraries into the folder of this program, with its profile and for its target. Cargo locks the folder meanwhile.
fn build() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    let [folder, profile, mut target_dir] = [1, 2, 3].map(|up| program.ancestors().nth(up).expect("a folder of cargo"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["rustc", "--quiet", "--locked", "--lib", "--features=capi", "--crate-type=cdylib,staticlib"]);
    cargo.arg("--manifest-path").arg(root().join("Cargo.toml")).env_remove("CARGO_BUILD_TARGET");
    let host = host();
    if target_dir.ends_with(&host) {
        cargo.arg("--target").arg(host);
        target_dir = target_dir.parent().expect("cargo's folder of all targets");
    }
    cargo.arg("--target-dir").arg(target_dir);
    cargo.arg("--profile").arg(profile.file_name().filter(|name| *name != "debug").unwrap_or("dev".as_ref()));
    succeeds(cargo.args(["--", "-Clink-arg=-Wl,-z,nodelete"]));
    folder.into()
}

pub fn shared_library() -> PathBuf {
    built("libcaio.so")
}

/// A directory of this process.
fn stage() -> &'static Path {
    static STAGE: OnceLock<PathBuf> = OnceLock::new();
    STAGE.get_or_init(|| {
        let program = std::env::current_exe().expect("this program");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program.file_name().expect("its name"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder for C programs");
        folder
    })
}

/// The same directory, in which the shared library has the name that it has when installed.
fn installed() -> &'static Path {
    static LINKED: OnceLock<()> = OnceLock::new();
    LINKED.get_or_init(|| {
        std::os::unix::fs::symlink(shared_library(), stage().join("libcaio.so.0")).expect("a link to the library");
    });
    stage()
}

/// The C or C++ compiler, as the `cc` crate finds it (`CC`, `CXX`, `CFLAGS`, ... are honoured).
pub fn compiler(language: Language) -> Command {
    let host = host();
    let mut build = cc::Build::new();
    build.cpp(language == Language::Cpp).target(&host).host(&host).out_dir(stage()).opt_level(1).debug(true);
    build.cargo_metadata(false).cargo_warnings(false).cargo_debug(false);
    let mut command = build.get_compiler().to_command();
    command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]).arg(root().join("include"));
    command
}

fn host() -> String {
    let arch = match std::env::consts::ARCH {
        "x86" => "i686",
        "riscv64" => "riscv64gc",
        arch => arch,
    };
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    format!("{arch}-unknown-linux-{libc}")
}

/// Compiles one source. Panics with the compiler's output if there is a warning.
pub fn compiles(source: &Path, language: Language, standard: &str) {
    let mut command = compiler(language);
    command.arg(format!("-std={standard}")).arg("-fsyntax-only").args(["-x", dialect(language)]).arg(source);
    succeeds(&mut command);
}

fn dialect(language: Language) -> &'static str {
    match language {
        Language::C => "c",
        Language::Cpp => "c++",
    }
}

fn standard(language: Language) -> &'static str {
    match language {
        Language::C => "-std=c11",
        Language::Cpp => "-std=c++17",
    }
}

/// Builds `tests/c/<name>.c` and returns the program's path.
pub fn program(name: &str, language: Language, link: Link) -> PathBuf {
    let program = stage().join(format!("{name}-{language:?}-{link:?}"));
    let mut command = compiler(language);
    command.arg(standard(language)).args(["-x", dialect(language)]).arg(root().join(format!("tests/c/{name}.c")));
    command.args(["-x", "none", "-pthread", "-o"]).arg(&program);
    match link {
        Link::Shared => {
            let mut runpath = std::ffi::OsString::from("-Wl,-rpath,");
            runpath.push(installed());
            command.arg("-L").arg(installed()).arg("-l:libcaio.so.0").arg(runpath);
        }
        Link::Static => {
            command.arg(built("libcaio.a")).args(["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]);
        }
        Link::Not => {
            command.arg("-ldl");
        }
    }
    succeeds(&mut command);
    program
}

/// Builds `tests/c/<name>.c` as a library to preload.
pub fn preload(name: &str) -> PathBuf {
    let library = stage().join(format!("{name}.so"));
    let mut command = compiler(Language::C);
    command.args([standard(Language::C), "-shared", "-fPIC", "-o"]).arg(&library);
    command.arg(root().join(format!("tests/c/{name}.c"))).arg("-ldl");
    succeeds(&mut command);
    library
}

/// Runs a command to its end. Panics with its output unless it exits with 0.
pub fn succeeds(command: &mut Command) -> Output {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    output
}

pub fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
