#!/bin/bash
# Licences, bans and sources of what the packages depend on (deny.toml).
. "$(dirname "$0")/lib.sh"
# Building cargo-deny takes minutes: in full only.
[ "$TORTURE" = full ] || exit 0
if ! "$CARGO" deny --version >/dev/null 2>&1; then
    echo "skipped: licenses, bans and sources needs cargo-deny (cargo install --locked cargo-deny)"
    exit 0
fi
status=0
for manifest in Cargo.toml tests/faultfs/Cargo.toml tests/systest/Cargo.toml; do
    "$CARGO" deny --log-level error --manifest-path "$manifest" --config "$PWD/deny.toml" check bans licenses sources || status=1
done
exit $status
