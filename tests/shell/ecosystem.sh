#!/bin/bash
# `make check-ecosystem`: builds and runs what is around the library, against a staged installation: the C++ headers, event loops,
# build systems and other languages. Each file in ecosystem/ is one part; PARTS="cxx loops" selects some.
# A missing program is reported with its package. ECOSYSTEM=short: a few of each, which `make check` runs.
suite=ecosystem
. "$(dirname "$0")/lib.sh"

strict=(-Wall -Wextra -Wpedantic -Werror)
flags() { $PKG_CONFIG --cflags --libs "$@" caio; }
short() { [ "${ECOSYSTEM:-}" = short ]; }

# needs WHAT PACKAGE COMMAND...: whether the command works; otherwise reports what is skipped.
needs() {
    "${@:3}" >/dev/null 2>&1 || {
        skip "$1" "$2"
        return 1
    }
}

# short_programs FILE...: whether each has fewer than 60 lines.
short_programs() {
    local file
    for file; do [ "$(wc -l <"$file")" -lt 60 ] || { wc -l "$file"; return 1; }; done
}

for part in ${PARTS:-cxx loops build kit languages rust}; do
    # shellcheck disable=SC1090
    . "$root/tests/shell/ecosystem/$part.sh"
done
finish
