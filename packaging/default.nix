# nix-build -E 'with import <nixpkgs> { }; callPackage ./packaging { }'
{ lib, rustPlatform, pkg-config }:

rustPlatform.buildRustPackage {
  pname = "libcaio";
  inherit ((builtins.fromTOML (builtins.readFile ../Cargo.toml)).package) version;

  src = lib.cleanSource ../.;
  cargoLock.lockFile = ../Cargo.lock;
  nativeBuildInputs = [ pkg-config ];

  # The Makefile builds the library with cargo, then the tools with the C compiler.
  makeFlags = [ "PREFIX=${placeholder "out"}" "CARGO_FLAGS=--frozen" "RPATH=$(LIBDIR)" ];
  buildPhase = ''
    runHook preBuild
    make $makeFlags
    runHook postBuild
  '';
  installPhase = ''
    runHook preInstall
    make $makeFlags install
    runHook postInstall
  '';
  # The tests need system calls that the sandbox of a build forbids.
  doCheck = false;

  meta = {
    description = "Asynchronous file I/O for every event loop: io_uring, Linux AIO or threads behind one C ABI";
    license = lib.licenses.asl20;
    platforms = lib.platforms.linux;
    mainProgram = "caio-cp";
  };
}
