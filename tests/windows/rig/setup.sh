# Sourced by rig.sh: Wine and both Windows Pythons, from the package registries, into $rig.
#
# Everything is built once and kept; a change of this file, of the shims beside it or of the
# requirements builds it anew. Wine is unpacked into a private tree: the packages for i386 pull in
# more than a machine with another release of a shared library can install, and nothing of it is
# needed. Of i386 only the C library is installed, because its loader has a fixed path.

PYTHON_VERSION=3.11 # the oldest that the project supports, and the last for Windows 8.1
PYTHON_SOURCE=panda3d==1.10.16 # its wheels carry CPython's own DLLs for both Windows platforms
HOST_PACKAGES=(libc6:i386 libfontconfig1 libfreetype6
    gcc-mingw-w64-i686-win32 gcc-mingw-w64-x86-64-win32)
WINE_PACKAGES=(wine64:amd64 libwine:amd64 wine32:i386 libwine:i386 libz-mingw-w64)
# FreeType without fontconfig crashes 32-bit user32 and hangs a single-threaded apartment.
I386_LIBRARIES=(libfreetype6:i386 libpng16-16:i386 libbrotli1:i386 zlib1g:i386
    libfontconfig1:i386 libexpat1:i386)

installed() {
    local state
    state=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) && [ "$state" = installed ]
}

# The host's Python of the same version: its library goes into the Windows Pythons.
find_python() {
    local python
    for python in "python$PYTHON_VERSION" python3; do
        if "$python" -c "import ensurepip, sys
sys.exit('%d.%d' % sys.version_info[:2] != '$PYTHON_VERSION')" 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

# Install what the host lacks. Runs every time: a cache may outlive the machine that filled it.
host_packages() {
    local missing=() package
    for package in "${HOST_PACKAGES[@]}"; do
        installed "$package" || missing+=("$package")
    done
    find_python >/dev/null || missing+=("python$PYTHON_VERSION-venv")
    [ ${#missing[@]} -gt 0 ] || return 0
    step "install ${missing[*]}"
    [ "$(id -u)" = 0 ] || die "not root: install these packages first: ${missing[*]}"
    apt_refresh
    DEBIAN_FRONTEND=noninteractive logged apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${missing[@]}"
}

apt_refresh() {
    dpkg --add-architecture i386
    # An index that cannot be fetched matters only when a package is then missing below.
    apt-get update -qq -o DPkg::Lock::Timeout=300 >/dev/null 2>&1 || true
}

unpack_wine() {
    local debs=$rig/debs package deb pair arch from to
    step "download Wine"
    mkdir -p "$debs" "$rig/wine" "$rig/lib32"
    chmod 777 "$debs" # apt downloads as its own user
    apt_refresh
    (cd "$debs" && logged apt-get download -qq "${WINE_PACKAGES[@]}" "${I386_LIBRARIES[@]}")
    step "unpack Wine"
    for package in "${WINE_PACKAGES[@]}"; do
        for deb in "$debs/${package%:*}"_*.deb; do dpkg-deb -x "$deb" "$rig/wine"; done
    done
    for package in "${I386_LIBRARIES[@]}"; do
        for deb in "$debs/${package%:*}"_*.deb; do dpkg-deb -x "$deb" "$rig/lib32"; done
    done
    rm -rf "$debs"
    # The packaged wineserver is a script with absolute paths.
    ln -sf wineserver64 "$rig/wine/usr/lib/wine/wineserver"
    # What libwine's postinst does: mark zlib1.dll as one of Wine's own, so that Wine loads it.
    for pair in i686:i386 x86_64:x86_64; do
        arch=${pair#*:}
        from=$rig/wine/usr/${pair%:*}-w64-mingw32/lib/zlib1.dll
        to=$rig/wine/usr/lib/$arch-linux-gnu/wine/$arch-windows/zlib1.dll
        { head -c 64 "$from"; printf 'Wine builtin DLL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
          tail -c +97 "$from"; } >"$to"
    done
}

make_prefix() {
    step "make the Windows folder"
    logged wine64 wineboot -i
    logged wine64 reg add 'HKCU\Software\Wine' /v Version /d win10 /f
    logged wine64 reg add 'HKCU\Software\Wine\Drivers' /v Graphics /d null /f
}

# The extension modules and DLLs of CPython for Windows, around the host's pure-Python library.
make_python() {
    local bits=$1 arch=$2 platform=$3 short=${PYTHON_VERSION/./} folder=$rig/py$1 stdlib
    local cc=$arch-w64-mingw32-gcc wheels=$rig/wheels-$1
    step "make Python $PYTHON_VERSION for Windows, $bits bits"
    rm -rf "$folder" "$wheels"
    mkdir -p "$folder/DLLs" "$folder/Lib/site-packages"
    logged "$venv/bin/pip" download --no-deps --only-binary=:all: --platform "$platform" \
        --python-version "$PYTHON_VERSION" -d "$wheels" "$PYTHON_SOURCE"
    "$venv/bin/python" - "$wheels" "$folder/DLLs" <<'PYTHON'
import pathlib, sys, zipfile

[wheel] = pathlib.Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for member in archive.namelist():
        folder, _, name = member.rpartition("/")
        unwanted = ("api-ms-", "tcl", "tk", "_tkinter")
        if folder == "deploy_libs" and not name.lower().startswith(unwanted):
            pathlib.Path(sys.argv[2], name.lower()).write_bytes(archive.read(member))
PYTHON
    rm -rf "$wheels"
    mv "$folder/DLLs/python$short.dll" "$folder"/DLLs/vcruntime140*.dll "$folder/"
    stdlib=$("$venv/bin/python" -c 'import os; print(os.path.dirname(os.__file__))')
    tar -C "$stdlib" -cf - --exclude=site-packages --exclude=__pycache__ --exclude=./test \
        --exclude=idlelib --exclude=tkinter --exclude=turtledemo --exclude=lib-dynload \
        --exclude='config-*' --exclude=lib2to3 --exclude=ensurepip . | tar -C "$folder/Lib" -xf -
    "$cc" -municode -O1 -s -o "$folder/python.exe" "$here/rig/python.c" "$folder/python$short.dll"
    # Wheels for the stable ABI import python3.dll, which only forwards.
    { printf 'LIBRARY python3.dll\nEXPORTS\n'
      "$arch-w64-mingw32-objdump" -p "$folder/python$short.dll" |
          sed -n '/\[Ordinal\/Name Pointer\] Table/,/^$/p' |
          awk -v dll="python$short" '$NF ~ /^_?Py[A-Za-z0-9_]*$/ {print $NF" = "dll"."$NF}'
    } >"$folder/python3.def"
    logged "$cc" -shared -nostdlib -s -o "$folder/python3.dll" "$folder/python3.def"
    "$cc" -shared -O1 -s -o "$folder/bcryptprimitives.dll" "$here/rig/bcryptprimitives.c" \
        -ladvapi32 -Wl,--kill-at
    step "wheels, $bits bits"
    # pip judges markers for the host, so what only Windows needs stands in the file too.
    logged "$venv/bin/pip" install --target "$folder/Lib/site-packages" --platform "$platform" \
        --python-version "$PYTHON_VERSION" --implementation cp --only-binary=:all: \
        -r "$here/rig/requirements.txt"
}

make_venv() {
    step "make the host's environment"
    logged "$(find_python)" -m venv "$venv"
    # The wheel is built without isolation, so that a run from the cache needs no network.
    logged "$venv/bin/pip" install 'hatchling>=1.27'
}

# Whether a part was made from these inputs already; what is half made has no stamp.
up_to_date() { [ "$(cat "$rig/$1.complete" 2>/dev/null)" = "$2" ]; }
inputs() { (cd "$here/rig" && cat setup.sh "$@" | sha256sum); }

set_up() {
    local wine pythons
    wine=$(inputs)
    pythons=$(inputs python.c bcryptprimitives.c requirements.txt)
    if ! up_to_date wine "$wine"; then
        rm -rf "$rig"
        mkdir -p "$rig"
        make_venv
        unpack_wine
        make_prefix
        echo "$wine" >"$rig/wine.complete"
    fi
    if ! up_to_date pythons "$pythons"; then
        make_python 32 i686 win32
        make_python 64 x86_64 win_amd64
        echo "$pythons" >"$rig/pythons.complete"
    fi
}
