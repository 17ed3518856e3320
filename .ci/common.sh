# What the scripts beside this one share; bash, to be sourced in the project's folder.

say() {
    printf '\n== %s (%d s)\n' "$1" "$SECONDS"
}

# Goes on in a temporary copy of the tracked files, so that the clone stays as it is.
copy_tracked_files() {
    local copy
    copy=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder of now
    trap "rm -rf '$copy'" EXIT
    say "copy the tracked files"
    git ls-files -z | tar --null --files-from=- --create --file=- | tar --extract --directory="$copy"
    cd "$copy"
}

# Tests of pages need a browser, and documents show pipes into jq; what decodes is tested with the
# ffmpeg of a distribution, too. Where these are or can be installed, nothing must be skipped.
require_programs() {
    require TEST_BROWSER "tests of pages" chromium chromedriver
    require TEST_FFMPEG "tests of a second ffmpeg" ffmpeg
    require TEST_JQ "documents with jq" jq
}

# require VARIABLE WHAT PROGRAM...: the programs are there, or are installed with apt, and the
# variable makes what is tested with them more than optional; else it is said loudly.
require() {
    local variable=$1 what=$2 program packages=()
    for program in "${@:3}"; do
        command -v "$program" > /dev/null || packages+=("$(package_of "$program")")
    done
    if [ ${#packages[@]} -gt 0 ] && command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
        say "install ${packages[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq || true
        apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null || true
    fi
    for program in "${@:3}"; do
        if ! command -v "$program" > /dev/null; then
            say "THE ${what^^} ARE SKIPPED: install $(package_of "$program") to run them"
            return
        fi
    done
    export "$variable=required"
}

# Debian's package of a program.
package_of() {
    case $1 in
        chromedriver) echo chromium-driver ;;
        *) echo "$1" ;;
    esac
}
