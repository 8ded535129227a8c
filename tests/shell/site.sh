#!/bin/bash
# What the readers of the site see: every page, links that work, and programs that compile.
suite=site
. "$(dirname "$0")/lib.sh"

if ! have mandoc || ! /usr/bin/python3 -c 'import markdown, pygments' 2>/dev/null; then
    skip "the site" "mandoc python3-markdown python3-pygments"
    finish
fi

builds() { exits 0 make -C "$root" site SITE_DIR="$work/site" && grep -q ' 0 broken links$' out; }
check "make site builds it without broken links" builds

# A page for each manual page, each loop and each language, and all have the version.
complete() {
    local version page name
    version=$($PKG_CONFIG --modversion caio)
    for page in site/*.html; do grep -q "<span>$version</span>" "$page" || return; done
    for page in "$root"/man/*; do
        name=$(basename "$page")
        grep -q '^\.so ' "$page" || [ -f "site/$name.html" ] || return
        grep -q ">${name%.*}(${name##*.})<" site/manual.html || return
    done
    for page in "$root"/c-examples/loops/*.c "$root"/c-examples/loops/*.cpp; do
        name=$(basename "$page")
        case $name in reads.c | pool.c) continue ;; esac
        [ -f "site/loop-${name%.*}.html" ] || { echo "no page for $name"; return 1; }
    done
    for name in $(cd "$root/bindings/examples" && find . -type f); do
        grep -qF "<code>bindings/examples/${name#./}</code>" site/language-*.html || { echo "no page for $name"; return 1; }
    done
}
check "the site has a page for each manual page, loop and language" complete

cross_references() { grep -q '<a href="caio_ctx_poll.3.html"><b>caio_ctx_poll</b>(3)</a>' site/caio_ctx_submit.3.html && grep -q '<a href="caio-promises.7.html">caio-promises(7)</a>' site/tutorial.html; }
check "references to manual pages are links" cross_references

plots() {
    local rows
    rows=$(sed -n '/^### throughput/,/^### /s/^| \([a-z0-9-]*\) | 1 .*/\1/p' "$root/benches/README.md")
    [ -n "$rows" ] || return
    for row in $rows; do grep -q "<svg [^>]*aria-label=\"$row\"" site/performance.html || return; done
    expect "" "$(/usr/bin/python3 -c '
import re, sys, xml.dom.minidom
for svg in re.findall("<svg.*?</svg>", open("site/performance.html").read(), re.DOTALL): xml.dom.minidom.parseString(svg)')"
}
check "the page on performance plots each row" plots

if have chromium; then
    check "no page is wider than the window of a phone or a desktop" python3 "$root/tests/shell/site_widths.py" site chromium
    wide() { mkdir wide && sed 's|</main>|<p style="width: 500px">wide</p></main>|' site/backends.html >wide/backends.html && cp site/style.css wide && exits 1 python3 "$root/tests/shell/site_widths.py" wide chromium && grep -q 'backends.html at 360: 516 wide' out; }
    check "a page that is too wide is an error" wide
else
    skip "the width of the pages" chromium
fi

# In a copy of the tree, one link leads nowhere.
broken() {
    mkdir broken && (cd "$root" && tar -c --exclude=target docs man c-examples benches tests bindings src README.md CHANGELOG.md CONTRIBUTING.md LICENSE Cargo.toml) | tar -x -C broken &&
        printf '\n[nowhere](#nowhere)\n' >>broken/docs/backends.md && exits 1 broken/docs/build.py broken/site && says "backends.html: no target for the link #nowhere" &&
        printf '\n[nowhere](nowhere.md)\n' >>broken/docs/backends.md && exits 1 broken/docs/build.py broken/site && says "no file for the link to nowhere.md"
}
check "a broken link is an error" broken

# programs FILE: compiles each C program of a Markdown page, and runs them.
programs() {
    python3 - "$1" <<'END'
import re, sys
for number, block in enumerate(re.findall(r"^```c\n(.*?)^```$", open(sys.argv[1]).read(), re.MULTILINE | re.DOTALL)):
    open(f"block-{number}.c", "w").write(block)
END
    local block
    for block in block-*.c; do
        $CC -std=gnu11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$block" $($PKG_CONFIG --cflags caio) || return
    done
    guide=$(basename "$1" .md)
    $CC -std=gnu11 -Wall -Wextra -Werror -I. -DGUIDE="$(echo "$guide" | tr a-z- A-Z_)" "$root/tests/c/migration.c" -o migration $($PKG_CONFIG --cflags --libs caio) -laio -luring -luv &&
        timeout 60 ./migration
}
headers() { echo '#include <libaio.h>
#include <liburing.h>
#include <uv.h>' | $CC -E - >/dev/null 2>&1; }
if headers; then
    for page in "$root"/docs/migration/{libaio,liburing,libuv,posix-aio}.md; do
        mkdir "$(basename "$page")-programs"
        check "the programs in $(basename "$page") compile and run" eval "cd $(basename "$page")-programs && programs $page"
    done
else
    skip "the programs of the migration guides" "libaio-dev liburing-dev libuv1-dev"
fi

python_program() {
    /usr/bin/python3 -c '
import re, sys
[block] = re.findall(r"^```python\n(.*?)^```$", open(sys.argv[1]).read(), re.MULTILINE | re.DOTALL)
compile(block, "block", "exec")' "$root/docs/migration/python-caio.md"
}
check "the program in python-caio.md compiles" python_program

finish
