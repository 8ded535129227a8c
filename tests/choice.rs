//! AUTO takes the backend of the environment, of the administrator, or the first available one. The probe reports it.

#![cfg(target_os = "linux")]

#[path = "c/mod.rs"]
mod c;
#[macro_use]
mod support;

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::files::{Folder, c_path};
use support::*;

const VARIABLE: &str = "CAIO_IMPL";

/// The choice of AUTO without a setting.
fn best() -> u32 {
    BACKENDS.into_iter().find(|backend| probe(*backend).0 == 0).expect("threads at least")
}

fn set(value: impl AsRef<OsStr>) {
    // SAFETY: in its own process, whose other threads do not read the environment.
    unsafe { std::env::set_var(VARIABLE, value) };
}

fn unset() {
    // SAFETY: as above.
    unsafe { std::env::remove_var(VARIABLE) };
}

fn taken() -> u32 {
    let ctx = Ctx::on(CAIO_BACKEND_AUTO);
    let (result, why) = probe(CAIO_BACKEND_AUTO);
    assert_eq!(result, 0, "{why}");
    assert!(why.contains(backend_name(ctx.backend() as u32)), "it says what it takes: {why}");
    ctx.backend() as u32
}

#[test]
fn the_best_that_works() {
    process::alone(|| {
        unset();
        assert_eq!(taken(), best());
        assert_eq!(Ctx::new(&options(CAIO_BACKEND_AUTO)).backend() as u32, best());
        let mut ctx = std::ptr::null_mut();
        // SAFETY: NULL options are all defaults.
        assert_eq!(unsafe { caio::capi::caio_ctx_new(std::ptr::null(), &mut ctx) }, 0);
        // SAFETY: a live context, then freed once.
        unsafe {
            assert_eq!(caio::capi::caio_ctx_backend(ctx) as u32, best());
            caio::capi::caio_ctx_free(ctx);
        }
    });
}

#[test]
fn the_environment_chooses() {
    process::alone(|| {
        for backend in backends() {
            set(backend_name(backend));
            assert_eq!(taken(), backend);
            let (_, why) = probe(CAIO_BACKEND_AUTO);
            assert!(why.contains(VARIABLE), "{why}");
            // A named backend ignores the environment.
            for named in backends() {
                assert_eq!(Ctx::on(named).backend() as u32, named);
            }
        }
        unset();
        assert_eq!(taken(), best(), "asked again each time");
    });
}

#[test]
fn unknown_values_fall_through() {
    process::alone(|| {
        let long = "x".repeat(100_000);
        for value in ["auto", "URING", "threads", "epoll", "1", "uring,linux", "-", "\u{1b}[31mred\n", "ä€", &long] {
            set(value);
            assert_eq!(taken(), best(), "{value:?}");
            let (_, why) = probe(CAIO_BACKEND_AUTO);
            assert!(why.contains(VARIABLE), "{value:?} is said to be ignored: {why}");
            assert!(!why.contains(char::is_control), "{why:?}");
        }
        set("sideways");
        let (_, why) = probe(CAIO_BACKEND_AUTO);
        assert!(why.contains("sideways"), "{why}");
        set(OsStr::from_bytes(b"\xff\xfe"));
        assert_eq!(taken(), best(), "no UTF-8");
        set("");
        assert_eq!(taken(), best(), "empty");
    });
}

/// The default_implementation file of this build, from the text of the probe.
fn default_file() -> PathBuf {
    let (_, why) = probe(CAIO_BACKEND_AUTO);
    let words = why.split([' ', ';', ',', '\'', '"']);
    let path = words.map(Path::new).find(|word| word.is_absolute() && word.ends_with("default_implementation"));
    path.unwrap_or_else(|| panic!("the probe names the file: {why}")).into()
}

/// For this thread and its children, mounts an empty tmpfs over the directory of the default_implementation file.
/// Returns false if this machine does not allow it.
fn private_folder(folder: &Path) -> bool {
    let existing = folder.ancestors().find(|folder| folder.is_dir()).expect("the root at least");
    let (existing, none, tmpfs) = (c_path(existing), std::ptr::null(), c"tmpfs".as_ptr());
    // SAFETY: live strings.
    let mounted = existing.as_c_str() != c"/"
        && unsafe {
            libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
                && libc::mount(tmpfs, existing.as_ptr(), tmpfs, 0, c"mode=755".as_ptr().cast()) == 0
        };
    if mounted {
        std::fs::create_dir_all(folder).expect("the folder, in memory");
    }
    mounted
}

/// Runs `body` with the path of a private default_implementation file.
fn with_default_file(body: impl FnOnce(&Path)) {
    process::alone(|| {
        unset();
        let file = default_file();
        if private_folder(file.parent().expect("its folder")) {
            body(&file);
        } else {
            skipped("the file default_implementation needs root (CAP_SYS_ADMIN, for a mount of its own)");
        }
    });
}

#[test]
fn the_file_chooses() {
    with_default_file(|file| {
        assert_eq!(taken(), best(), "no file");
        for backend in backends() {
            let name = backend_name(backend);
            for content in [
                format!("{name}\n"),
                name.to_string(),
                format!("{name}\r\n"),
                format!("# the machine's default: not uring, not linux\n#thread\n\n \t {name} uring thread\nlinux\n"),
            ] {
                std::fs::write(file, &content).expect("the file");
                assert_eq!(taken(), backend, "{content:?}");
                let (_, why) = probe(CAIO_BACKEND_AUTO);
                assert!(why.contains(file.to_str().expect("UTF-8")), "{why}");
            }
        }
    });
}

#[test]
fn a_file_that_says_nothing_falls_through() {
    with_default_file(|file| {
        for content in ["", "\n\n", "# thread\n", "#thread", "  \n# uring\n\t\n"] {
            std::fs::write(file, content).expect("the file");
            assert_eq!(taken(), best(), "{content:?}");
        }
        for content in [&b"sideways thread\n"[..], b"Thread\n", b"\xff\xfe\x00thread", &[b'x'; 100_000], b"thread\0"] {
            std::fs::write(file, content).expect("the file");
            assert_eq!(taken(), best(), "{:?}", &content[..content.len().min(20)]);
        }
        std::fs::write(file, "sideways thread\n").expect("the file");
        let (_, why) = probe(CAIO_BACKEND_AUTO);
        assert!(why.contains(file.to_str().expect("UTF-8")) && why.contains("sideways"), "{why}");
        std::fs::remove_file(file).expect("the file");
        std::fs::create_dir(file).expect("a folder of its name");
        assert_eq!(taken(), best(), "a folder");
    });
}

/// Any user could change a world-writable file, and a FIFO would block the open: the library ignores both.
#[test]
fn a_file_that_anybody_may_write_is_not_trusted() {
    with_default_file(|file| {
        std::fs::write(file, "thread\n").expect("the file");
        assert_eq!(taken(), CAIO_BACKEND_THREAD);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).expect("its mode");
        assert_eq!(taken(), best());
        std::fs::remove_file(file).expect("the file");
        sys::make_fifo(&c_path(file));
        assert_eq!(taken(), best(), "a FIFO");
    });
}

#[test]
fn the_environment_stands_above_the_file() {
    with_default_file(|file| {
        std::fs::write(file, "linux\n").expect("the file");
        set("thread");
        assert_eq!(taken(), CAIO_BACKEND_THREAD);
        if available(CAIO_BACKEND_LINUX) {
            set("sideways");
            assert_eq!(taken(), CAIO_BACKEND_LINUX, "an unknown value falls through to the file");
        }
    });
}

/// Whether tests/c/who.c writes log lines.
fn tells(program: &Path) -> bool {
    c::said(&c::succeeds(Command::new(program).env("CAIO_LOG", "info"))).contains("caio: context ")
}

/// The output of tests/c/who.c: the backend, "secure" or "plain", the text of the probe.
fn who(program: &Path, variable: &str) -> Vec<String> {
    let output = c::succeeds(Command::new(program).env(VARIABLE, variable));
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// A set-uid program ignores the environment of its caller, but not the file of the administrator.
#[test]
fn a_set_uid_program_ignores_the_environment() {
    with_default_file(|file| {
        const NOBODY: u32 = 65534;
        let plain = c::program("who", c::Language::C, c::Link::Static);
        assert_eq!(who(&plain, "thread")[..2], ["thread", "plain"]);
        assert!(tells(&plain));

        let dir = Folder::Default.make();
        let copy = dir.join("who");
        std::fs::copy(&plain, &copy).expect("a copy");
        let path: CString = c_path(&copy);
        // SAFETY: a live string.
        let owned = unsafe { libc::chown(path.as_ptr(), NOBODY, NOBODY) } == 0;
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o4755)).expect("the set-uid bit");
        let secure = who(&copy, "thread");
        if !owned || secure[1] != "secure" {
            return skipped("set-uid programs needs root and a temporary folder without nosuid");
        }
        assert_eq!(secure[0], backend_name(best()), "not what the environment says");
        assert!(!tells(&copy), "CAIO_LOG is ignored too");
        assert!(!secure[2].contains(&format!("{VARIABLE} asks")), "{}", secure[2]);
        if available(CAIO_BACKEND_LINUX) {
            std::fs::write(file, "linux\n").expect("the file");
            assert_eq!(who(&copy, "thread")[0], "linux", "the file is the administrator's");
        }
    });
}
