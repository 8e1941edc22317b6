# Sourced by rig.sh: build the double and the wheel, install both, run the tests.

pick_wine() { if [ "$1" = 64 ]; then wine64 "${@:2}"; else wine32 "${@:2}"; fi; }

# Start a Windows Python in the checkout. Its output is UTF-8 or ASCII lines that end in CRLF.
windows_python() {
    local bits=$1
    shift
    (cd "$checkout" && pick_wine "$bits" "$rig/py$bits/python.exe" "$@") </dev/null 2>&1 |
        sed -u 's/\r$//'
}

# Wine makes Documents and its like links into the home folder of the host, and shows them as
# folders: a search of C: would search all that is there.
keep_wine_at_home() {
    local link
    find "$rig/prefix/drive_c/users" -type l | while IFS= read -r link; do
        rm "$link"
        mkdir "$link"
    done
}

install_double() {
    step "build the double"
    keep_wine_at_home
    logged "$here/double/build.sh" "$rig/double"
    local pair name
    for pair in 32:syswow64 64:system32; do
        for name in WMVCore.dll wmdrmsdk.dll; do
            # Over Wine's own files, in the folder that the binding trusts.
            cp "$rig/double/${pair%:*}/$name" "$rig/prefix/drive_c/windows/${pair#*:}/${name,,}"
        done
    done
}

install_wheel() {
    local dist=$rig/dist pair
    step "build the wheel"
    rm -rf "$dist"
    logged "$venv/bin/pip" wheel --no-deps --no-build-isolation -w "$dist" "$checkout"
    for pair in 32:win32 64:win_amd64; do
        logged "$venv/bin/pip" install --no-deps --upgrade --force-reinstall \
            --target "$rig/py${pair%:*}/Lib/site-packages" --platform "${pair#*:}" \
            --python-version "$PYTHON_VERSION" --only-binary=:all: "$dist"/*.whl
    done
}

portable_folders() {
    local folder
    while IFS= read -r folder; do
        folder=${folder%%#*}
        [ -z "${folder// /}" ] || echo "${folder// /}"
    done <"$here/portable.txt"
}

run_tests() {
    local bits=$1 what=$2
    shift 2
    step "$what, $bits bits"
    # The plugin leaves out what not-under-wine.txt lists.
    timeout --foreground --kill-after=10 "$TEST_LIMIT" \
        "$BASH" "$here/rig.sh" --in-rig "$bits" -m pytest -q -p no:cacheprovider -p portable \
        -o 'norecursedirs=.*' -o faulthandler_timeout=120 -o tmp_path_retention_policy=failed "$@"
}

main() {
    local both=(32 64) portable=() failures=() bits arguments=()
    if [ "${1:-}" = --in-rig ]; then # the part of run_tests that `timeout` watches
        windows_python "${@:2}"
        return
    fi
    while [ $# -gt 0 ]; do
        case $1 in
            --only) both=("$2"); shift ;;
            --python) both=("$2"); break ;;
            --) shift; arguments=("$@"); break ;;
            -*) die "unknown option $1: see the head of rig.sh" ;;
            *) portable+=("$1") ;;
        esac
        shift
    done
    mkdir -p "$(dirname "$rig")"
    exec 9>"$rig.lock"
    flock 9
    trap stop_wine EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    host_packages
    set_up
    install_double
    install_wheel
    if [ "${1:-}" = --python ]; then
        windows_python "${@:2}"
        return
    fi
    if [ ${#portable[@]} = 0 ] && [ ${#arguments[@]} = 0 ]; then
        mapfile -t portable < <(portable_folders)
    fi
    for bits in "${both[@]}"; do
        run_tests "$bits" "the interface" tests/windows "${arguments[@]}" || failures+=("windows $bits")
        [ ${#portable[@]} = 0 ] || run_tests "$bits" "the portable tests" "${portable[@]}" \
            "${arguments[@]}" || failures+=("portable $bits")
    done
    [ ${#failures[@]} = 0 ] || die "failed: ${failures[*]}"
    step "all passed"
}
