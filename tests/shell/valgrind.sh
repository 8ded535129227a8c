#!/bin/bash
# Runs the C tests and caio-cp of the staged installation under valgrind's memcheck. Errors and definite leaks are failures.
suite=valgrind
. "$(dirname "$0")/lib.sh"

build() {
    # shellcheck disable=SC2046
    $CC -std=c11 -g -O1 -pthread -o "$1" "$root/tests/c/$1.c" $("$PKG_CONFIG" --cflags --libs caio)
}

# memcheck STATUS LEAKS PROGRAM...: the program must exit with STATUS. valgrind changes the status after an error.
memcheck() {
    local wanted=$1 leaks=$2
    shift 2
    exits "$wanted" valgrind --quiet --fair-sched=yes --error-exitcode=99 --leak-check="$leaks" \
        --show-leak-kinds=definite --errors-for-leak-kinds=definite "$@"
}

if ! have valgrind; then
    skip "memory errors and leaks" valgrind
    finish
fi
for program in tour exit_live mixed fork; do
    check "$program is built" build "$program"
done
# valgrind does not see what io_uring and kernel AIO read into memory. caio-cp uses these bytes: it looks for zeros.
mkdir -p tree/a && seq 100000 >tree/a/file && ln -s file tree/a/link && truncate -s 1M tree/hole
copies() {
    memcheck 0 full --undef-value-errors="$2" caio-cp -q -b "$1" -j 8 tree "copy-$1" && diff -r --no-dereference tree "copy-$1"
}
no_inline=4
for backend in uring:1 linux:2 thread:3; do
    name=${backend%:*} number=${backend#*:}
    looks=$([ "$name" = thread ] && echo yes || echo no)
    if [ "$name" != thread ] && ! valgrind --quiet --tool=none ./tour "$number" >/dev/null 2>&1; then
        skip "$name" "a kernel and a valgrind that know it"
        continue
    fi
    check "tour, $name" memcheck 0 full ./tour "$number"
    check "tour without inline completion, $name" memcheck 0 full ./tour "$number" $no_inline
    check "all operations, $name" memcheck 0 full --undef-value-errors="$looks" ./mixed "$number" 0 . 2
    check "caio-cp, $name" copies "$name" "$looks"
    # A child may keep heap memory of its parent's context. valgrind does not know MADV_DONTFORK, which the rings use.
    [ "$name" = uring ] || check "fork, $name" memcheck 0 no ./fork "$number"
    for how in main exit thread; do
        check "exit in $how, $name" memcheck 3 full ./exit_live "$number" $how
    done
done
finish
