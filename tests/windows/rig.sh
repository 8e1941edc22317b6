#!/bin/bash
# The tests on real CPython for Windows, 32-bit and 64-bit, under Wine, from nothing, by one command:
#
#     tests/windows/rig.sh                      everything
#     tests/windows/rig.sh tests/unit ...       these portable folders instead of portable.txt's
#     tests/windows/rig.sh --only 32 -- -k url  one bitness, the interface alone, with arguments
#                                               for pytest
#     tests/windows/rig.sh --python 32 ...      start that Python with these arguments
#
# Debian's amd64 with Python 3.11 and root (or the packages that it asks for) is what it needs.
# Wine and the Pythons are kept in $XDG_CACHE_HOME/wmbackup-windows-rig. A step that fails ends
# the run; nothing is skipped. What Wine cannot do is listed in not-under-wine.txt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
rig=${XDG_CACHE_HOME:-${HOME:?neither XDG_CACHE_HOME nor HOME is set}/.cache}/wmbackup-windows-rig
venv=$rig/venv
log=$rig.log
TEST_LIMIT=1200 # seconds that one Python may take for all its tests

step() { printf '%4ds  %s\n' "$SECONDS" "$*"; }
die() { printf 'rig: %s\n' "$*" >&2; exit 1; }

# Run a noisy program quietly; show what it said when it fails.
logged() {
    # Never a regular file for stdin, stdout or stderr: Wine's Python answers WinError 6.
    if ! "$@" </dev/null > >(cat >"$log") 2>&1; then
        printf 'rig: failed: %s\n' "$*" >&2
        tail -n 30 "$log" >&2
        return 1
    fi
}

wine_environment() {
    local name
    for name in $(compgen -e WMBACKUP_) $(compgen -e WINE) $(compgen -e PYTHON) DISPLAY; do
        unset "$name"
    done
    # Tests meet the installed package, not the checkout; byte code goes where no checkout is.
    export PYTHONSAFEPATH=1 PYTHONPYCACHEPREFIX='C:\pycache'
    export HYPOTHESIS_STORAGE_DIRECTORY='C:\hypothesis'
    export PYTHONPATH="Z:${here//\//\\}\\rig" # the plugin
    export WINEPREFIX=$rig/prefix WINEDEBUG=-all
    export WINEDLLOVERRIDES="mscoree=;mshtml=;winemenubuilder.exe="
    export LD_LIBRARY_PATH=$rig/lib32/usr/lib/i386-linux-gnu:$rig/lib32/lib/i386-linux-gnu
}
# Without the lock's handle: the server that they start outlives them.
wine64() { (wine_environment && exec "$rig/wine/usr/lib/wine/wine64" "$@" 9>&-); }
wine32() { (wine_environment && exec "$rig/wine/usr/lib/wine/wine" "$@" 9>&-); }

# Only the server of our own prefix, and with it every process in it.
stop_wine() {
    [ -x "$rig/wine/usr/lib/wine/wineserver64" ] || return 0
    (wine_environment && "$rig/wine/usr/lib/wine/wineserver64" -k) 2>/dev/null || true
}

. "$here/rig/setup.sh"
. "$here/rig/run.sh"
main "$@"
