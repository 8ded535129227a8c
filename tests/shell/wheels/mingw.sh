#!/bin/bash
# Links for Windows, without the list of exports of maturin: it names PyInit_caio._native, which is no symbol. rustc has its own list.
arguments=()
for argument; do
    case $argument in */maturin/*.def) ;; *) arguments+=("$argument") ;; esac
done
exec x86_64-w64-mingw32-gcc "${arguments[@]}"
