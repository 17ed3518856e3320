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
