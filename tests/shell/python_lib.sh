# What the checks of the Python package begin with: in its folder, CARGO_TARGET_DIR for what is built there, `python`.
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../../bindings/python" || exit 1
target=${CARGO_TARGET_DIR:-$PWD/../../target}
case $target in /*) ;; *) target=$PWD/../../$target ;; esac
export CARGO_TARGET_DIR=$target/python
unset CAIO_IMPL
python=${PYTHON:-python3}
