# Build, test and install libcaio (GNU make). `make help` lists the targets.
#
#   make install PREFIX=$HOME/.local
#   make PREFIX=/usr SYSCONFDIR=/etc LIBDIR=/usr/lib/x86_64-linux-gnu install DESTDIR=/tmp/package

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DATADIR    ?= $(PREFIX)/share/caio
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
DESTDIR    ?=

CARGO       ?= cargo
CARGO_FLAGS ?= --locked
RUSTC       ?= rustc
CC          ?= cc
CFLAGS      ?= -O2
OBJCOPY     ?= objcopy
PKG_CONFIG  ?= pkg-config
INSTALL     ?= install
# The run path of the tools, for a LIBDIR that ldconfig does not search; distributions set it empty.
RPATH       ?= $(if $(filter $(PREFIX)/%,$(LIBDIR)),$$ORIGIN/../$(patsubst $(PREFIX)/%,%,$(LIBDIR)),$(LIBDIR))

ifeq ($(filter /%,$(PREFIX)),)
$(error PREFIX must be an absolute path, not $(PREFIX))
endif

VERSION := $(shell sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' Cargo.toml)
SONAME  := libcaio.so.0
REAL    := libcaio.so.$(VERSION)
CONFIG  := $(SYSCONFDIR)/caio

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
RELEASE    := $(TARGET_DIR)/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)release
BUILD      := $(TARGET_DIR)/make
SOURCES    := Cargo.toml Cargo.lock build.rs $(shell find src -name '*.rs')
TOOLS      := caio-cp caio-probe caio-bench
EXAMPLES   := $(wildcard c-examples/*.c $(TOOLS:%=c-examples/%/*) c-examples/json/* c-examples/file/*) c-examples/Makefile
PAGES      := $(wildcard man/*.[1-9])
KIT        := caio.json caio.cdef.h
# Scripts for tracers, with the path of the library.
TRACING    := caio-latency.bt caio-paths.sh
HEADERS    := $(patsubst include/%,%,$(wildcard include/*.h include/*.hpp include/caio/*.hpp include/caio/detail/*.hpp))

# Runs a program with a staged installation: $(call within,ROOT) COMMAND
absolute = $(if $(filter /%,$1),$1,$(CURDIR)/$1)
within   = PKG_CONFIG_PATH='$(call absolute,$1)/pkgconfig' LD_LIBRARY_PATH='$(call absolute,$1)$(LIBDIR)'
# Writes a caio.pc with the paths of the staged installation.
relocate = mkdir -p '$1/pkgconfig' && sed 's|^\([a-z]*\)=/|\1=$(call absolute,$1)/|' $(BUILD)/caio.pc >'$1/pkgconfig/caio.pc'

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all install install-lib install-windows install-strip uninstall header demo check check-install check-ecosystem check-cp check-targets check-windows check-loom check-miri check-sanitizers check-valgrind check-python check-python-posix check-python-long wheels \
	torture bench bench-scaling bench-instructions stage stage-env fmt lint clean help FORCE

all: $(BUILD)/libcaio.so $(BUILD)/libcaio.a $(BUILD)/tools ## build the library and the tools (the default)

# The settings that the build depends on; written only when they change.
$(BUILD)/settings: FORCE
	@mkdir -p $(BUILD)
	@echo '$(CONFIG) $(PREFIX) $(LIBDIR) $(INCLUDEDIR) $(DATADIR) $(RPATH)' | cmp -s - $@ || \
		echo '$(CONFIG) $(PREFIX) $(LIBDIR) $(INCLUDEDIR) $(DATADIR) $(RPATH)' >$@

# The library as one object file, without the code that no function of the header reaches. A linker that cannot remove it
# (lld) keeps it.
roots = sed -n 's/^[a-z].*[ *]\(caio_[a-z_0-9]*\)(.*/-Wl,-u,\1/p' include/caio.h
one_object = $(CC) -r -nostdlib $$($(roots)) $(RELEASE)/libcaio.a -o $@

$(BUILD)/caio.o: $(SOURCES) include/caio.h $(BUILD)/settings
	CAIO_CONFIG_DIR='$(CONFIG)' $(CARGO) rustc --release --lib --crate-type staticlib --features capi $(CARGO_FLAGS)
	$(one_object) -Wl,--gc-sections 2>/dev/null || $(one_object)

# Only the functions of the header are visible, so that a program can contain several libraries in Rust. The linker keeps one
# _.stapsdt.base of all objects with static probes.
$(BUILD)/libcaio.a: $(BUILD)/caio.o
	$(OBJCOPY) --wildcard --keep-global-symbol='caio_*' --keep-global-symbol=_.stapsdt.base --strip-unneeded -R .llvmbc -R .llvmcmd $< $(BUILD)/libcaio.o
	rm -f $@
	$(AR) -rcsD $@ $(BUILD)/libcaio.o

# rustc has a version script of its own, which names no versions. Linking with the C compiler allows another.
$(BUILD)/libcaio.so: $(BUILD)/caio.o caio.map
	$(CC) -shared $< -o $@ $(LDFLAGS) -Wl,--gc-sections,--as-needed -Wl,--version-script=caio.map -Wl,-soname,$(SONAME) \
		-Wl,-z,nodelete,-z,relro,-z,now,-z,noexecstack,-z,defs -lgcc_s

# The libraries that Rust's standard library needs in a static link. The compiler adds libc and libgcc itself.
$(BUILD)/libs-private: $(BUILD)/caio.o
	echo | $(RUSTC) $(if $(CARGO_BUILD_TARGET),--target $(CARGO_BUILD_TARGET)) --crate-type staticlib --print native-static-libs -o $(BUILD)/empty.a - 2>&1 | \
		sed -n 's/^note: native-static-libs: //p' | sed 's/-lgcc_s *//;s/-lc$$//;s/ *$$//' >$@
	rm -f $(BUILD)/empty.a
	test -s $@

$(BUILD)/caio.pc: caio.pc.in $(BUILD)/libs-private $(BUILD)/settings
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
		-e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
		-e 's|@CONFIG@|$(CONFIG)|' -e 's|@DATADIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(DATADIR))|' -e "s|@LIBS_PRIVATE@|$$(cat $(BUILD)/libs-private)|" caio.pc.in >$@

# For find_package(caio) of CMake.
CMAKE_FILES := caio-config.cmake caio-config-version.cmake
$(CMAKE_FILES:%=$(BUILD)/%): $(BUILD)/%: packaging/%.in $(BUILD)/libs-private $(BUILD)/settings
	sed -e 's|@VERSION@|$(VERSION)|' -e 's|@REAL@|$(REAL)|' -e 's|@SONAME@|$(SONAME)|' \
		-e "s|@INCLUDE@|$$(realpath -m --relative-to='$(LIBDIR)' '$(INCLUDEDIR)')|" \
		-e "s|@LIBS_PRIVATE@|$$(tr ' ' ';' <$(BUILD)/libs-private)|" $< >$@

# The tools are built like any other program: against an installation, through pkg-config.
$(BUILD)/tools: $(BUILD)/libcaio.so $(BUILD)/libcaio.a $(BUILD)/caio.pc include/caio.h $(EXAMPLES)
	@command -v $(PKG_CONFIG) >/dev/null || { echo 'the programs need pkg-config (Debian: pkg-config)' >&2; exit 1; }
	@$(MAKE) --no-print-directory install-lib DESTDIR='$(call absolute,$(BUILD)/root)' >/dev/null
	@$(call relocate,$(BUILD)/root)
	$(call within,$(BUILD)/root) RPATH='$(RPATH)' $(MAKE) --no-print-directory -C c-examples \
		OUT='$(call absolute,$(BUILD))' CC='$(CC)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LDFLAGS)' tools
	touch $@

# caio.dll, its import library and the static library, by mingw.
WINDOWS_TARGET  ?= x86_64-pc-windows-gnu
WINDOWS_PROFILE ?= release
windows_built    = $(TARGET_DIR)/$(WINDOWS_TARGET)/$(if $(filter dev,$(WINDOWS_PROFILE)),debug,$(WINDOWS_PROFILE))
install-windows: ## install for Windows: caio.dll, libcaio.dll.a, libcaio.a, caio.h, caio.pc
	$(CARGO) rustc --profile $(WINDOWS_PROFILE) --lib --crate-type cdylib,staticlib --features capi --target $(WINDOWS_TARGET) $(CARGO_FLAGS)
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(INCLUDEDIR)'
	$(INSTALL) -m 755 $(windows_built)/caio.dll '$(DESTDIR)$(BINDIR)'
	$(INSTALL) -m 644 $(windows_built)/libcaio.dll.a $(windows_built)/libcaio.a '$(DESTDIR)$(LIBDIR)'
	$(INSTALL) -m 644 include/caio.h '$(DESTDIR)$(INCLUDEDIR)'
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e '/^configdir=/d' -e 's|@LIBDIR@|$${prefix}/lib|' \
		-e 's|@INCLUDEDIR@|$${prefix}/include|' -e 's|@LIBS_PRIVATE@|-lws2_32 -lntdll -luserenv|' \
		caio.pc.in >'$(DESTDIR)$(LIBDIR)/pkgconfig/caio.pc'

install-lib: $(BUILD)/libcaio.so $(BUILD)/libcaio.a $(BUILD)/caio.pc $(CMAKE_FILES:%=$(BUILD)/%)
	$(INSTALL) -d '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(LIBDIR)/cmake/caio'
	$(INSTALL) -m 755 $(BUILD)/libcaio.so '$(DESTDIR)$(LIBDIR)/$(REAL)'
	ln -sf $(REAL) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libcaio.so'
	$(INSTALL) -m 644 $(BUILD)/libcaio.a '$(DESTDIR)$(LIBDIR)'
	$(INSTALL) -m 644 $(BUILD)/caio.pc '$(DESTDIR)$(LIBDIR)/pkgconfig'
	$(INSTALL) -m 644 $(CMAKE_FILES:%=$(BUILD)/%) '$(DESTDIR)$(LIBDIR)/cmake/caio'
	$(INSTALL) -d '$(DESTDIR)$(DATADIR)'
	$(INSTALL) -m 644 $(KIT:%=bindings/kit/%) '$(DESTDIR)$(DATADIR)'
	@for header in $(HEADERS); do \
		$(INSTALL) -d "$$(dirname '$(DESTDIR)$(INCLUDEDIR)'/$$header)" && \
		$(INSTALL) -m 644 include/$$header '$(DESTDIR)$(INCLUDEDIR)'/$$header || exit 1; \
	done

install: all install-lib ## install under PREFIX (DESTDIR, BINDIR, LIBDIR, INCLUDEDIR, MANDIR, SYSCONFDIR)
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)'
	$(INSTALL) -m 755 $(TOOLS:%=$(BUILD)/%) '$(DESTDIR)$(BINDIR)'
	@for script in $(TRACING); do \
		sed 's|@LIBRARY@|$(LIBDIR)/$(SONAME)|' tracing/$$script >$(BUILD)/$$script && \
		$(INSTALL) -m 755 $(BUILD)/$$script '$(DESTDIR)$(DATADIR)' || exit 1; \
	done
	@for page in $(PAGES); do \
		section='$(DESTDIR)$(MANDIR)'/man$${page##*.}; \
		$(INSTALL) -d "$$section" && $(INSTALL) -m 644 $$page "$$section" || exit 1; \
	done
	@echo
	@echo 'libcaio $(VERSION) is in $(DESTDIR)$(LIBDIR).'
	@echo 'A file default_implementation in $(CONFIG) chooses the default backend.'

install-strip: ## the same, without debug information
	$(MAKE) install INSTALL='$(INSTALL)'
	strip --strip-debug '$(DESTDIR)$(LIBDIR)/$(REAL)' '$(DESTDIR)$(LIBDIR)/libcaio.a' $(TOOLS:%='$(DESTDIR)$(BINDIR)/%')

# Directories to remove if they are empty, deepest first. Under a system prefix, only those of libcaio.
LEFT_DIRS := $(DATADIR) $(INCLUDEDIR)/caio/detail $(INCLUDEDIR)/caio $(LIBDIR)/cmake/caio $(LIBDIR)/cmake $(LIBDIR)/pkgconfig $(foreach n,1 2 3 4 5 6 7 8 9,$(MANDIR)/man$n) $(MANDIR)
ifeq ($(filter $(DESTDIR)$(PREFIX),/ /usr /usr/local),)
LEFT_DIRS += $(patsubst %/,%,$(dir $(MANDIR))) $(LIBDIR) $(INCLUDEDIR) $(BINDIR) $(PREFIX)
endif

uninstall: ## remove what install installed
	rm -f '$(DESTDIR)$(LIBDIR)/$(REAL)' '$(DESTDIR)$(LIBDIR)/$(SONAME)' '$(DESTDIR)$(LIBDIR)/libcaio.so' \
		'$(DESTDIR)$(LIBDIR)/libcaio.a' '$(DESTDIR)$(LIBDIR)/pkgconfig/caio.pc' $(CMAKE_FILES:%='$(DESTDIR)$(LIBDIR)/cmake/caio/%') \
		$(TOOLS:%='$(DESTDIR)$(BINDIR)/%')
	rm -f $(KIT:%='$(DESTDIR)$(DATADIR)/%') $(TRACING:%='$(DESTDIR)$(DATADIR)/%')
	@for header in $(HEADERS); do rm -f '$(DESTDIR)$(INCLUDEDIR)'/$$header; done
	@for page in $(PAGES); do rm -f '$(DESTDIR)$(MANDIR)'/man$${page##*.}/$${page##*/}; done
	@for left in $(LEFT_DIRS); do \
		if [ -d '$(DESTDIR)'$$left ]; then rmdir --ignore-fail-on-non-empty '$(DESTDIR)'$$left; fi; \
	done

header: ## regenerate include/caio.h and bindings/kit from the Rust source
	CAIO_UPDATE_HEADER=1 $(CARGO) test $(CARGO_FLAGS) --test header

# A staged installation under the build directory, for the demo, tests and benchmarks.
stage: all
	@rm -rf $(BUILD)/stage
	@$(MAKE) --no-print-directory install DESTDIR='$(call absolute,$(BUILD)/stage)' >/dev/null
	@$(call relocate,$(BUILD)/stage)

# Prints the variables of the staged installation, for eval in the shell tests.
stage-env: stage
	@echo "export STAGE='$(call absolute,$(BUILD)/stage)$(PREFIX)' STAGED_LIBS='$(call absolute,$(BUILD)/stage)$(LIBDIR)'"
	@echo "export SCRATCH='$(call absolute,$(BUILD))' CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' CARGO='$(CARGO)'"
	@echo "export $(call within,$(BUILD)/stage) PATH='$(call absolute,$(BUILD)/stage)$(BINDIR)':\"\$$PATH\""

demo: ## copy a real tree on every backend, compare every byte, print the times (DEMO_SHORT=1: a small tree)
	@MAKE='$(MAKE)' c-examples/demo.sh

check: ## run everything: lint, all tests, staged installation, examples, valgrind
	@MAKE='$(MAKE)' tests/shell/check.sh

check-install: ## test C and C++ programs against a staged installation
	@MAKE='$(MAKE)' tests/shell/install.sh

check-ecosystem: ## build and run what is around the library: C++, loops, build systems, languages (ECOSYSTEM=short: a part)
	@MAKE='$(MAKE)' tests/shell/ecosystem.sh

check-cp: ## test caio-cp
	@MAKE='$(MAKE)' tests/shell/caio_cp.sh

.PHONY: dist deb site check-dist check-package check-site check-tools check-tracing
check-dist: ## test make dist: same bytes, offline, usable
	@MAKE='$(MAKE)' tests/shell/dist.sh

dist: ## make a source tarball with all dependencies and a binary one, with checksums, of the last commit
	@MAKE='$(MAKE)' CARGO='$(CARGO)' CC='$(CC)' packaging/dist.sh

deb: ## build Debian packages, check them with lintian, and install, use and remove them in a chroot (DEB=short: no chroot)
	@MAKE='$(MAKE)' CARGO='$(CARGO)' packaging/deb.sh

check-package: ## test what cargo publishes, alone
	@MAKE='$(MAKE)' CARGO='$(CARGO)' tests/shell/package.sh

site: ## build the manual as a web site in target/site, and check its links
	@docs/build.py '$(or $(SITE_DIR),$(TARGET_DIR)/site)'

check-site: ## test the site: links, and the programs of its pages
	@MAKE='$(MAKE)' tests/shell/site.sh

check-tracing: ## test the static probes, with gdb, bpftrace and perf where they work
	@MAKE='$(MAKE)' tests/shell/tracing.sh

check-tools: ## test caio-probe and caio-bench
	@MAKE='$(MAKE)' tests/shell/tools.sh

check-targets: ## build for other systems, run the tests natively or under qemu, print a table (TARGETS=short: quick tests)
	@CARGO='$(CARGO)' tests/shell/targets.sh

check-windows: ## build for Windows with mingw, and run tests and examples under Wine (WINDOWS=short: a debug build, once)
	@MAKE='$(MAKE)' CARGO='$(CARGO)' tests/shell/windows.sh

check-loom: ## check every interleaving of the hand-written synchronization (loom)
	RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR='$(TARGET_DIR)/loom' CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		$(CARGO) test --release --lib $(CARGO_FLAGS)

check-miri: ## check the memory of the Rust API's operations with a simulated core (Miri, of a nightly toolchain)
	@CARGO='$(CARGO)' tests/torture/miri.sh

check-sanitizers: ## run the unit tests and the tests of the Rust API under AddressSanitizer, LeakSanitizer and ThreadSanitizer
	@SUITES=rust_api CARGO='$(CARGO)' tests/torture/asan.sh
	@SUITES=rust_api CARGO='$(CARGO)' tests/torture/tsan.sh

check-python: ## check the Python package in its own virtual environment: types, lint, tests
	@tests/shell/python.sh

check-python-posix: ## the same, on the code for POSIX systems, forced on Linux
	@CAIO_POSIX=1 tests/shell/python.sh

check-python-long: ## the same, with long tests (several minutes)
	@CAIO_TEST_LONG=1 tests/shell/python.sh

wheels: ## build and test the Python wheels and source distribution; lists those that this machine cannot build
	@tests/shell/python_wheels.sh

check-valgrind: ## run the C tests under valgrind
	@MAKE='$(MAKE)' tests/shell/valgrind.sh

torture: ## test faults, load, hostile input and environments (TORTURE=short: the part that make check runs)
	@MAKE='$(MAKE)' CARGO='$(CARGO)' tests/shell/torture.sh

# ROW, DEPTH and ENGINE select a part, BENCH_SHORT=1 is a short run; see benches/README.md.
run_bench = $(call within,$(BUILD)/stage) PATH='$(call absolute,$(BUILD)/stage)$(BINDIR)':"$$PATH" BENCH_DIR="$${BENCH_DIR:-$(call absolute,$(TARGET_DIR))/bench}" \
	REPORT_TARGET='$(call absolute,$(TARGET_DIR))/report' CC='$(CC)' CARGO='$(CARGO)' benches/run.sh

bench: stage ## compare with liburing, libaio, libuv and plain calls; ROW, DEPTH, ENGINE select a part (BENCH_SHORT=1: a short run)
	@$(run_bench)

bench-scaling: stage ## measure an operation with up to 4096 in flight or 64 contexts, and a cancel
	@ROW=scaling $(run_bench)

bench-instructions: stage ## count the instructions of a cached read with callgrind
	@ROW=instructions $(run_bench)

fmt: ## format the Rust source
	$(CARGO) fmt

lint: ## check formatting and run clippy
	$(CARGO) fmt --check
	$(CARGO) clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	$(CARGO) clippy $(CARGO_FLAGS) --lib -- -D warnings
	$(CARGO) fmt --check --manifest-path benches/report/Cargo.toml
	$(CARGO) fmt --check --manifest-path bindings/rust-examples/Cargo.toml
	$(CARGO) fmt --check --manifest-path tests/unwind/Cargo.toml
	$(CARGO) clippy $(CARGO_FLAGS) --manifest-path benches/report/Cargo.toml --target-dir '$(TARGET_DIR)/report' -- -D warnings

clean: ## remove all build results
	$(CARGO) clean
	$(CARGO) clean --manifest-path tests/systest/Cargo.toml
	$(CARGO) clean --manifest-path tests/faultfs/Cargo.toml

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' Makefile | awk -F': ' '{ printf "%-22s %s\n", $$1, substr($$0, index($$0, ": ") + 2) }'
