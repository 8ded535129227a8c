# The event loops in c-examples/loops: how late a 5 ms timer is beside 10,000 cold reads, and beside cached reads without end,
# through libcaio and through plain reads on a pool of threads. Prints one table.
# shellcheck shell=bash disable=SC2046

loops=$root/c-examples/loops
row() { printf '        %-11s %-5s %14s %14s %12s\n' "$@"; }

build_loop() { make -C "$loops" OUT="$PWD" CFLAGS="-O2 -Werror" CXXFLAGS="-O2 -Werror" "$@"; }

# The limit is for a loop that starves: until the cached reads end, its timer does not run at all. A busy machine can be late once.
runs_loop() { keeps_time "$@" || keeps_time "$@" || keeps_time "$@"; }
keeps_time() { # NAME WAY
    timeout 120 "./$1" "$2" data >said && read -r cold cached rate <said &&
        awk -v cold="$cold" -v cached="$cached" -v rate="$rate" 'BEGIN { exit !(cold < 400 && cached < 400 && rate > 1000) }' || { cat said; return 1; }
}
drained() {
    build_loop CPPFLAGS=-DDRAIN epoll_edge && timeout 120 ./epoll_edge caio data >said && read -r _ cached _ <said &&
        awk -v cached="$cached" 'BEGIN { exit !(cached > 400) }' || { cat said; return 1; }
}
loop() { # NAME
    check "$1: builds" build_loop "$1"
    for way in caio pool; do
        check "$1: its timer runs beside reads, $way" runs_loop "$1" $way
        row "$1" $way $(cat said) >>table
    done
}

# reads.c and pool.c are what all of them share.
check "every loop has fewer than 60 lines" short_programs $(find "$loops" \( -name '*.c' -o -name '*.cpp' \) ! -name reads.c ! -name pool.c)

row loop "" "cold: ms late" "cached: ms late" "cached/s" >table
for name in poll epoll epoll_edge; do loop $name; done
! needs "the loop libuv" libuv1-dev "$PKG_CONFIG" libuv || loop libuv
if ! short; then
    ! needs "the loop glib" libglib2.0-dev "$PKG_CONFIG" glib-2.0 || loop glib
    ! needs "the loop libev" libev-dev "$CC" -fsyntax-only -include ev.h -xc /dev/null || loop libev
    ! needs "the loop libevent" libevent-dev "$PKG_CONFIG" libevent_core || loop libevent
    ! needs "the loop sd-event" libsystemd-dev "$PKG_CONFIG" libsystemd || loop sd_event
    ! needs "the loop asio" libasio-dev g++ -fsyntax-only -include asio.hpp -xc++ /dev/null || loop asio
    ! needs "the loop qt" qtbase5-dev "$PKG_CONFIG" Qt5Core || loop qt
fi
check "epoll_edge: a handler that drains starves the timer" drained
cat table
