# Build systems: each builds the examples against the installation, with the shared and the static library.
# shellcheck shell=bash

examples=$root/c-examples
greets() { expect "$(printf 'Hello world\nHello from async world')" "$("$1")"; }
uses_shared() { readelf -d "$1" | grep -q 'NEEDED.*libcaio\.so\.0'; }

cmake_builds() { # OUT OPTIONS...
    cmake -S "$examples" -B "$1" -DCMAKE_PREFIX_PATH="$STAGE" "${@:2}" && cmake --build "$1" && greets "$1/hello"
}
cmake_shared() { cmake_builds shared && uses_shared shared/hello; }
cmake_static() { cmake_builds static -DSTATIC=ON && ! uses_shared static/hello; }
cmake_moved() {
    cp -r "$STAGE" moved && cmake_builds elsewhere -DCMAKE_PREFIX_PATH="$PWD/moved" && grep -q "caio_DIR.*$PWD/moved" elsewhere/CMakeCache.txt
}
cmake_versions() { # accepts its own and older versions of one major number
    local asked wanted
    for asked in 0.1:0 0.1.0:0 99:1 0.99:1; do
        wanted=${asked#*:}
        printf 'cmake_minimum_required(VERSION 3.13)\nproject(p C)\nfind_package(caio %s REQUIRED)\n' "${asked%:*}" >CMakeLists.txt
        exits "$wanted" cmake -S . -B "versions-${asked%:*}" -DCMAKE_PREFIX_PATH="$STAGE" || return
    done
}
if needs "find_package" cmake have cmake; then
    check "CMake: caio::caio" cmake_shared
    check "CMake: caio::static" cmake_static
    check "CMake: an installation that was moved" cmake_moved
    check "CMake: find_package accepts the right versions" cmake_versions
fi

meson_builds() { meson setup "$1" "$examples" "${@:2}" && meson compile -C "$1" && greets "$1/hello"; }
meson_shared() { meson_builds meson && uses_shared meson/hello; }
meson_static() { meson_builds meson-static -Dprefer_static=true && ! uses_shared meson-static/hello; }
short && return

if needs "Meson's dependency()" meson have meson ninja; then
    check "Meson: dependency('caio')" meson_shared
    check "Meson: the static library" meson_static
fi

# Versions before 0.10 cannot read the manifest. That of Debian does not say which it is.
has_cargo_c() {
    local version
    version=$("$CARGO" cinstall --version | sed -n 's/^cargo-c \([0-9]\)/\1/p')
    [ -n "$version" ] && printf '%s\n' 0.10 "$version" | sort -VC
}
cargo_c_installs() {
    CARGO_TARGET_DIR=$PWD/target "$CARGO" cinstall --locked --manifest-path "$root/Cargo.toml" --profile dev --libdir=lib --prefix="$PWD/installed" &&
        expect "$(cd "$root/include" && find . -type f | sort)" "$(cd installed/include && find . -type f | sort)" || return
    export PKG_CONFIG_PATH=$PWD/installed/lib/pkgconfig LD_LIBRARY_PATH=$PWD/installed/lib
    # shellcheck disable=SC2046
    $CC "$examples/hello.c" -o hello-cargo-c $(flags) && greets ./hello-cargo-c
}
if needs "cargo-c" "cargo-c 0.10 of crates.io" has_cargo_c; then check "cargo-c: cargo cinstall" cargo_c_installs; fi

# The evaluation needs no nixpkgs: the functions that the derivation calls are passed in.
nix_evaluates() {
    export HOME=$PWD
    nix-instantiate --store dummy:// --eval --strict --json -E "let made = import $root/packaging { lib = { cleanSource = path: 1; licenses.asl20 = 2; platforms.linux = 3; };
        rustPlatform.buildRustPackage = attributes: attributes; pkg-config = 4; }; in { inherit (made) version makeFlags meta; }" >evaluated &&
        grep -F "\"version\":\"$($PKG_CONFIG --modversion caio)\"" evaluated
}
if needs "the Nix derivation" nix-bin have nix-instantiate; then check "Nix: the derivation evaluates" nix_evaluates; fi

# makepkg does not run as root, and wants a pacman in PATH.
as_user() { if [ "$(id -u)" = 0 ]; then unshare --user --map-user=1000 --map-group=1000 "$@"; else "$@"; fi; }
pkgbuild_evaluates() {
    mkdir -p arch && cp "$root/packaging/PKGBUILD" arch && (cd arch && PACMAN=true HOME=$PWD as_user makepkg --printsrcinfo) >said
    grep -x "	pkgver = $($PKG_CONFIG --modversion caio)" said || { cat said; return 1; }
}
# The functions of the PKGBUILD, with the variables of makepkg.
pkgbuild_packages() {
    mkdir -p sources && ln -s "$root" "sources/libcaio-$($PKG_CONFIG --modversion caio)" &&
        CARGO_TARGET_DIR=$PWD/target srcdir=$PWD/sources pkgdir=$PWD/package bash -euc '. "$1"; build; package' - "$root/packaging/PKGBUILD" &&
        [ -f package/usr/lib/libcaio.so.0 ] && [ -f package/usr/share/licenses/libcaio/LICENSE ] && ! readelf -d package/usr/bin/caio-cp | grep -i runpath
}
if needs "the PKGBUILD" makepkg have makepkg; then check "Arch: makepkg reads the PKGBUILD" pkgbuild_evaluates; fi
check "Arch: build() and package() of the PKGBUILD" pkgbuild_packages
