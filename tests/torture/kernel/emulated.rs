//! User-mode emulation (CAIO_EMULATOR), which supports neither io_uring nor kernel AIO.

use super::support::*;
use super::{Folder, Setting, Verdict, program, run};

const ROUNDS: u32 = 12;

#[test]
fn auto_chooses_threads() {
    let Ok(emulator) = std::env::var("CAIO_EMULATOR") else { return };
    program();
    let dir = Folder::Disk.make();
    let none = Verdict::NoContext { errno: libc::ENOSYS };
    let expected = [
        (CAIO_BACKEND_AUTO, Verdict::Ran { failed: 0 }),
        (CAIO_BACKEND_URING, none),
        (CAIO_BACKEND_LINUX, none),
        (CAIO_BACKEND_THREAD, Verdict::Ran { failed: 0 }),
    ];
    let mut runs = 0;
    for flags in [0, CAIO_CTX_NO_INLINE] {
        for (backend, verdict) in expected {
            let said = run(std::slice::from_ref(&emulator), Setting { backend, flags }, &dir.path, ROUNDS, &[]);
            assert_eq!(said, Ok(verdict), "backend {backend}, flags {flags}");
            runs += 1;
        }
    }
    tried(runs, "runs of 12 rounds under user-mode emulation");
}
