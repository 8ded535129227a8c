# The C++ headers: without a warning in each standard and compiler, and their tests under ASan and UBSan.
# shellcheck shell=bash disable=SC2046

strictest=("${strict[@]}" -Wconversion -Wshadow)
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=all -g)
tests=$root/tests/cpp

headers_alone() { # COMPILER STANDARD
    (cd "$STAGE/include" && find caio.hpp caio/*.hpp caio/detail/*.hpp ! -name asio.hpp) | sed 's/.*/#include <&>/' >alone.cpp
    "$1" -std=c++"$2" "${strictest[@]}" -fsyntax-only alone.cpp $($PKG_CONFIG --cflags caio)
}
# cxx COMPILER STANDARD NAME FLAGS...: builds a test.
cxx() { "$1" -std=c++"$2" "${strictest[@]}" "${@:4}" -I. "$tests/$3.cpp" -o "$3-$1-$2" -pthread $(flags); }

# tested COMPILER STANDARD NAME FLAGS...: builds a test and runs it on each backend.
tested() {
    check "$3.cpp as C++$2, $1" cxx "$@"
    for backend in uring linux thread; do
        CAIO_IMPL=$backend check "$3.cpp as C++$2, $1, on $backend" "./$3-$1-$2" $backend
    done
}
# opcodes.inc: the opcodes of the header. example-N.inc: the programs of caio.hpp(3).
generated() {
    sed -n 's/^ *"\(CAIO_OP_[A-Z0-9_]*\)": .*/OPCODE(\1)/p' "$root/bindings/kit/caio.json" >opcodes.inc
    sed -n '/^\.EX$/,/^\.EE$/p' "$root/man/caio.hpp.3" | sed "s/\\\\\[aq\]/'/g; s/\\\\\[dq\]/\"/g; s/\\\\e/\\\\/g; s/\\\\-/-/g" |
        awk '/^\.EX$/ { number++; next } !/^\.EE$/ { print >"example-" number ".inc" }'
    [ "$(wc -l <opcodes.inc)" -ge 37 ] && [ -s example-2.inc ] && [ ! -f example-3.inc ]
}
has_asio() { echo '#include <asio.hpp>' | g++ -fsyntax-only -xc++ -; }
has_boost() { echo '#include <boost/asio.hpp>' | g++ -fsyntax-only -xc++ -; }
sanitizes() { echo 'int main() {}' | "$1" "${sanitizers[@]}" -xc++ - -o sanitized; }

every_standard() { # COMPILER
    local standard name
    for standard in 17 20 2b; do
        check "the C++ headers alone as C++$standard, $1" headers_alone "$1" $standard
        for name in builders callbacks; do tested "$1" $standard $name "${sanitizers[@]}"; done
        [ $standard = 17 ] || for name in coroutines examples; do tested "$1" $standard $name "${sanitizers[@]}"; done
        ! has_asio || tested "$1" $standard asio -DCAIO_ASIO_STANDALONE "${sanitizers[@]}"
    done
}
in_short() {
    check "the C++ headers alone as C++17, g++" headers_alone g++ 17
    for name in builders callbacks; do tested g++ 17 $name "${sanitizers[@]}"; done
    tested g++ 20 examples
    tested g++ 20 coroutines "${sanitizers[@]}"
    ! needs "caio/asio.hpp" libasio-dev has_asio || tested g++ 17 asio -DCAIO_ASIO_STANDALONE
}
in_full() {
    every_standard g++
    ! needs "C++ with clang++" clang have clang++ || ! needs "C++ with clang++" libclang-rt-14-dev sanitizes clang++ || every_standard clang++
    needs "caio/asio.hpp" libasio-dev has_asio
    ! needs "caio/asio.hpp with Boost" libboost-dev has_boost || tested g++ 17 asio "${sanitizers[@]}"
}
if needs "C++" g++ have g++; then
    check "the opcodes of caio.json, the programs of caio.hpp(3)" generated
    if short; then in_short; else in_full; fi
fi
