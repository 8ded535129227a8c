# What the checks of the Python package begin with: in its folder, CARGO_TARGET_DIR for what is built there, `python`.
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../../bindings/python" || exit 1
target=${CARGO_TARGET_DIR:-$PWD/../../target}
case $target in /*) ;; *) target=$PWD/../../$target ;; esac
export CARGO_TARGET_DIR=$target/python
unset CAIO_IMPL
python=${PYTHON:-python3}

# left_behind INTERPRETER: whether it is free-threaded CPython 3.13, which PyO3 supports no more since 0.29.
left_behind() {
    "$1" -c 'import sys, sysconfig; sys.exit(sys.version_info[:2] != (3, 13) or not sysconfig.get_config_var("Py_GIL_DISABLED"))'
}

# old_sources: the source distribution, with the PyO3 that still knows such an interpreter; prints where.
old_sources() {
    local folder=$CARGO_TARGET_DIR/old-pyo3
    rm -rf "$folder" && mkdir -p "$folder/unpacked" &&
        maturin sdist -o "$folder" >"$folder/log" 2>&1 &&
        tar xf "$folder"/*.tar.gz --strip-components=1 -C "$folder/unpacked" &&
        cargo update -q --manifest-path "$folder/unpacked/bindings/python/Cargo.toml" pyo3 --precise 0.28.3 &&
        echo "$folder/unpacked"
}

# install_requirements PYTHON: what the checks need. Free-threaded interpreters do without what has no wheel for them.
install_requirements() {
    local requirement install=("$1" -m pip install -q --disable-pip-version-check)
    if ! "$1" -c 'import sys, sysconfig; sys.exit(not sysconfig.get_config_var("Py_GIL_DISABLED"))'; then
        "${install[@]}" -r requirements-check.txt
        return
    fi
    grep -v '^#' requirements-check.txt | while read -r requirement; do
        "${install[@]}" --only-binary :all: "$requirement" 2>/dev/null || echo "missing: a wheel of $requirement for $("$1" -V)"
    done
}
