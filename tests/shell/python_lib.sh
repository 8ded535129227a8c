# Shared by the checks of the Python package. Changes to its directory, and sets CARGO_TARGET_DIR and `python`.
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../../bindings/python" || exit 1
target=${CARGO_TARGET_DIR:-$PWD/../../target}
case $target in /*) ;; *) target=$PWD/../../$target ;; esac
export CARGO_TARGET_DIR=$target/python
unset CAIO_IMPL
python=${PYTHON:-python3}

# left_behind INTERPRETER: whether it is free-threaded CPython 3.13, which PyO3 has not supported since 0.29.
left_behind() {
    "$1" -c 'import sys, sysconfig; sys.exit(sys.version_info[:2] != (3, 13) or not sysconfig.get_config_var("Py_GIL_DISABLED"))'
}

# old_sources: unpacks the source distribution with the last PyO3 that supports such an interpreter. Prints the path.
old_sources() {
    local folder=$CARGO_TARGET_DIR/old-pyo3
    rm -rf "$folder" && mkdir -p "$folder/unpacked" &&
        maturin sdist -o "$folder" >"$folder/log" 2>&1 &&
        tar xf "$folder"/*.tar.gz --strip-components=1 -C "$folder/unpacked" &&
        cargo update -q --manifest-path "$folder/unpacked/bindings/python/Cargo.toml" pyo3 --precise 0.28.3 &&
        echo "$folder/unpacked"
}

# install_requirements PYTHON: installs the packages that the checks need. Free-threaded interpreters skip packages without a wheel.
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
