//! Runs a test body on every backend, with each variant and in each directory of its plan.

use super::files::{Dir, Folder};
use super::*;
use std::fmt;
use std::sync::mpsc;

/// The options of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Default,
    NoInline,
    SingleThread,
    Sqpoll,
    OneWorker,
}

use Variant::*;

/// The variants and directories of a test.
#[derive(Clone, Copy)]
pub struct Plan {
    variants: &'static [Variant],
    folders: &'static [Folder],
    alone: bool,
}

impl Plan {
    /// Every variant, in the default temporary directory.
    pub const EVERY: Plan = Plan {
        variants: &[Default, NoInline, SingleThread, Sqpoll, OneWorker],
        folders: &[Folder::Default],
        alone: false,
    };
    /// Every variant that allows several threads.
    pub const SHARED: Plan = Plan { variants: &[Default, NoInline, Sqpoll, OneWorker], ..Plan::EVERY };
    /// Every variant, in every directory.
    pub const FOLDERS: Plan = Plan { folders: Folder::ALL, ..Plan::EVERY };
    /// The default variant, in the default temporary directory.
    pub const DEFAULT: Plan = Plan { variants: &[Default], ..Plan::EVERY };
    /// The default variant, and the one without inline completion.
    pub const PLAIN: Plan = Plan { variants: &[Default, NoInline], ..Plan::EVERY };
    /// The default variant, in its own process.
    pub const ALONE: Plan = Plan { alone: true, ..Plan::DEFAULT };

    /// The same plan, in its own process.
    pub const fn alone(self) -> Plan {
        Plan { alone: true, ..self }
    }

    /// The same plan, in every directory.
    pub const fn everywhere(self) -> Plan {
        Plan { folders: Folder::ALL, ..self }
    }
}

/// One run of a test: the backend, the variant, the directory.
pub struct Case {
    pub backend: u32,
    pub variant: Variant,
    pub folder: Folder,
    pub dir: Dir,
}

impl fmt::Display for Case {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        let backend = backend_name(self.backend);
        write!(
            to,
            "backend {backend}, variant {:?}, folder {:?} {}",
            self.variant,
            self.folder,
            self.dir.path.display()
        )
    }
}

impl Case {
    /// The backend of its contexts, also for AUTO.
    pub fn engine(&self) -> u32 {
        if self.backend == CAIO_BACKEND_AUTO { Ctx::on(CAIO_BACKEND_AUTO).backend() as u32 } else { self.backend }
    }

    pub fn options(&self) -> caio_options {
        let mut options = options(self.backend);
        match self.variant {
            Default => {}
            NoInline => options.flags = CAIO_CTX_NO_INLINE,
            SingleThread => options.flags = CAIO_CTX_SINGLE_THREAD,
            Sqpoll => options.flags = CAIO_CTX_SQPOLL,
            OneWorker => options.threads = 1,
        }
        options
    }

    pub fn ctx(&self) -> Ctx {
        Ctx::new(&self.options())
    }

    /// A context with this `max_requests`.
    pub fn ctx_of(&self, max_requests: u32) -> Ctx {
        Ctx::new(&caio_options { max_requests, ..self.options() })
    }

    /// Reports that this file system has no O_DIRECT.
    pub fn skipped_without_direct(&self) {
        skipped(&format!("direct transfers in {} need O_DIRECT there", self.folder.root().display()));
    }

    fn matters(&self) -> bool {
        self.variant != Sqpoll || self.backend == CAIO_BACKEND_URING
    }
}

/// Runs `body` on one backend. A failure names its case. A hanging case ends the process.
pub fn run(backend: u32, plan: Plan, body: fn(&Case)) {
    if !available(backend) {
        return;
    }
    let all = || {
        plan.folders
            .iter()
            .filter(|folder| folder.available())
            .for_each(|folder| in_folder(backend, plan, *folder, body))
    };
    if plan.alone { process::alone(all) } else { all() }
}

fn in_folder(backend: u32, plan: Plan, folder: Folder, body: fn(&Case)) {
    for variant in plan.variants {
        let case = Case { backend, variant: *variant, folder, dir: folder.make() };
        if case.matters() {
            let _watch = Watch::over(&case);
            body(&case);
        }
    }
}

/// Prints the case if its body panics, and ends the process if its body hangs.
struct Watch {
    what: String,
    _alive: mpsc::Sender<()>,
}

impl Watch {
    fn over(case: &Case) -> Self {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let what = format!("{test}: {case}");
        let (alive, ended) = mpsc::channel::<()>();
        let hung = what.clone();
        std::thread::spawn(move || {
            if receive(&ended, PATIENCE * 4) == Err(mpsc::RecvTimeoutError::Timeout) {
                skip_capture(&format!("hung: {hung}"));
                std::process::abort();
            }
        });
        Self { what, _alive: alive }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed: {}", self.what);
        }
    }
}

fn skip_capture(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Registers each `fn(&Case)` as a test of each backend: `uring::name`, `linux::name`, `thread::name`.
#[macro_export]
macro_rules! promises {
    ($($plan:expr => { $($name:ident),* $(,)? })*) => {
        $crate::promises!(@backend uring CAIO_BACKEND_URING $($plan => { $($name)* })*);
        $crate::promises!(@backend linux CAIO_BACKEND_LINUX $($plan => { $($name)* })*);
        $crate::promises!(@backend thread CAIO_BACKEND_THREAD $($plan => { $($name)* })*);
        $crate::promises!(@backend auto CAIO_BACKEND_AUTO $($plan => { $($name)* })*);
    };
    (@backend $module:ident $backend:ident $($plan:expr => { $($name:ident)* })*) => {
        mod $module {
            #[allow(unused_imports)]
            use $crate::support::case::Plan;
            $($(
                #[test]
                fn $name() {
                    $crate::support::case::run($crate::support::$backend, $plan, super::$name);
                }
            )*)*
        }
    };
}
