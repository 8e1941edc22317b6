#!/bin/bash
# Build both doubles for both bitnesses: build.sh FOLDER makes FOLDER/32 and FOLDER/64.
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
for pair in i686:32 x86_64:64; do
    out=$1/${pair#*:}
    mkdir -p "$out"
    compile() {
        # Exports carry their plain names: Windows has no _WMCreateBackupRestorer@8.
        "${pair%:*}-w64-mingw32-gcc" -std=gnu11 -Wall -Wextra -Werror -O1 -s -shared \
            -static-libgcc -Wl,--enable-stdcall-fixup,--kill-at -o "$@" -lole32 -loleaut32
    }
    cd "$source"
    compile "$out/WMVCore.dll" wmvcore.c operation.c double.c wmvcore.def
    compile "$out/wmdrmsdk.dll" wmdrmsdk.c double.c wmdrmsdk.def
done
