#!/bin/bash
# Checks types, lint and tests of the Python package in its own virtual environment. PYTHON chooses the interpreter.
# CAIO_TEST_LONG=1 runs the tests in full: 100 000 operations cancelled and 200 interpreters ended on each implementation.
# CAIO_POSIX=1 runs the tests on the library's code for POSIX systems, without the backends of Linux.
. "$(dirname "$0")/python_lib.sh"
report=-rs
# What stubtest is not to compare: names that it does not support, and modules that do not load there.
allowed=('caio\._auto\.AsyncioContext@.*' 'caio\.asyncio_base\.(Context|Operation)Type' 'caio\._native\.__all__')
if [ -n "${CAIO_POSIX:-}" ]; then
    export RUSTFLAGS="${RUSTFLAGS:-} --cfg caio_posix" CARGO_TARGET_DIR=$CARGO_TARGET_DIR/posix
    # Most of what is skipped needs those backends.
    report= allowed+=('caio\.linux_(aio|uring)(_asyncio)?')
fi

if ! command -v "$python" >/dev/null || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "skipped: python needs python3 (3.10 or later)"
    exit 0
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "skipped: python needs python3-venv"
    exit 0
fi
venv=$CARGO_TARGET_DIR/venv-$("$python" -c 'import sys; print(sys.implementation.cache_tag + getattr(sys, "abiflags", ""))')
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv" || exit 1
if ! install_requirements "$venv/bin/python"; then
    echo "skipped: python needs what bindings/python/requirements-check.txt lists, from PyPI"
    exit 0
fi

export PATH=$venv/bin:$PATH
status=0
run() {
    "$@" || status=1
}

# Builds the source distribution, and checks which files it has.
source_distribution() {
    local folder=$CARGO_TARGET_DIR/sdist
    rm -rf "$folder"
    maturin sdist -o "$folder" >"$folder.log" 2>&1 || { cat "$folder.log" && return 1; }
    "$venv/bin/python" ../../tests/shell/wheels/check.py sdist "$folder"/*.tar.gz
}

sources=.
if left_behind "$python"; then
    sources=$(old_sources) || exit 1
fi
# Install a wheel into site-packages, as users do. The tests run without CAIO_IMPL by default.
"$venv/bin/pip" install -q --disable-pip-version-check --no-build-isolation --force-reinstall --no-deps "$sources" || exit 1
# A package takes no file from outside its folder, so this one is a copy.
run cmp ../../LICENSE "$venv"/lib/python*/site-packages/caio-*.dist-info/licenses/LICENSE
run source_distribution
run "$venv/bin/ruff" check -q .
run "$venv/bin/ruff" format -q --check .
if [ -x "$venv/bin/mypy" ]; then
    for system in linux darwin win32; do
        run "$venv/bin/mypy" --python-executable "$venv/bin/python" --platform $system
    done
    # The stubs must match the native module.
    run "$venv/bin/stubtest" --concise --allowlist <(printf '%s\n' "${allowed[@]}") caio
fi
if [ "$sources" != . ]; then
    echo "missing: clippy with the PyO3 of this interpreter"
elif cargo clippy --version >/dev/null 2>&1; then
    run cargo fmt --check
    run env PYO3_PYTHON="$venv/bin/python" cargo clippy -q --locked --release -- -D warnings
else
    echo "skipped: python lint needs clippy and rustfmt (rustup component add clippy rustfmt)"
fi
timeout 3000 "$venv/bin/python" -m pytest -q $report --timeout 120 -p no:cacheprovider --basetemp "$CARGO_TARGET_DIR/tests" |
    sed 's/^SKIPPED \[[0-9]*\] [^ ]* \(.*\) needs \(.*\)/skipped: python \1 needs \2/'
[ "${PIPESTATUS[0]}" = 0 ] || status=1
exit $status
