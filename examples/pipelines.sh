#!/usr/bin/env bash
# Shell pipelines around fls, to run or to copy from.
#
#   bash examples/pipelines.sh                # all of them, from the root of the repository
#   bash examples/pipelines.sh count_cues     # one or more by name
#   bash examples/pipelines.sh --list         # their names
#
# They need fls on the PATH, the usual POSIX tools and python3; jq is used where there is one.
# Only the answer goes to stdout, so fls stands in a pipe like any other filter; --quiet also
# silences the notes on stderr.
set -euo pipefail

lecture=examples/lecture.mp3
talk=examples/talk.mp4
train=examples/podcasts/night-train.opus
bees=examples/podcasts/season-2/bees-on-the-roof.m4a

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Ask one recording one question.
ask() {
    fls ask "$lecture" "What is the main argument?" --quiet
}

# Read the recording from a pipe: - stands for stdin. With a URL it would be
#   curl -sL "$URL" | fls ask - "..."
from_stdin() {
    # shellcheck disable=SC2002 # the pipe is what this shows
    cat "$train" | fls ask - "What does Walter carry, and whose was it?" --quiet
}

# Subtitles for a video, and how many cues they have: an SRT cue is the only line with an arrow.
count_cues() {
    fls transcribe "$talk" --format srt --quiet > "$work/talk.srt"
    printf 'cues: %s\n' "$(grep -c -e '-->' "$work/talk.srt")"
}

# When is a word said? Each cue is one paragraph for awk; print the time of those that have it.
when_said() {
    fls transcribe "$talk" --format srt --quiet |
        awk -v RS= -F '\n' 'tolower($0) ~ /drill/ { print $2 }'
}

# Search what was said: the transcript on one line, cut into sentences, through grep.
search() {
    fls transcribe "$bees" --format txt --quiet |
        tr '\n' ' ' | tr '.?!' '[\n*]' | grep -i honey
}

# The first line of a transcript. head closes the pipe early, and with pipefail a writer that is
# cut short counts as an error, so pipefail is off for this one pipe.
first_line() (
    set +o pipefail
    fls transcribe "$train" --format txt --quiet | head -n 1
)

# The bare answer out of the JSON, with jq or with python3.
answer_field() {
    if command -v jq > /dev/null; then
        fls ask "$talk" "How many tools does the library have?" --json --quiet | jq -r .answer
    else
        fls ask "$talk" "How many tools does the library have?" --json --quiet |
            python3 -c 'import json, sys; print(json.load(sys.stdin)["answer"])'
    fi
}

# Several questions, one reading of the recording: each has its -q. --json prints one line for each,
# so a few lines of Python make a table of them; what is not said has "answered": false.
questions_table() {
    fls ask "$bees" -q "How many hives are on the roof?" \
        -q "How many jars of honey were sold?" \
        -q "What is the name of the mayor?" --json --quiet |
        python3 -c '
import json, sys
for line in sys.stdin:
    row = json.loads(line)
    answer = " ".join(row["answer"].split()) if row["answered"] else "-"
    print(row["question"], answer, sep="\t")
'
}

# What an answer costs: the frames that the speech encoder made, and how many the model was given
# of what it understood (mini reads a transcript, so these are tokens).
cost_of_budgets() {
    for budget in fast balanced accurate; do
        fls ask "$train" "Who is Walter?" --budget "$budget" --json --quiet |
            python3 -c '
import json, sys
usage = json.load(sys.stdin)["usage"]
print(usage["budget"], usage["frames_before"], usage["frames_after"], sep="\t")
'
    done
}

# The same question of every episode, folders included. The loop reads the list of files from its
# stdin, so fls gets an empty one of its own.
every_episode() {
    find examples/podcasts -type f | sort | while IFS= read -r episode; do
        printf '%s\t' "${episode#examples/podcasts/}"
        fls ask "$episode" "What is this episode about?" --budget fast --quiet < /dev/null |
            tr '\n' ' '
        printf '\n'
    done
}

# A folder at once, with the answers in a file to go on with: one JSON object a line, so the number
# of lines is the number of episodes.
notes_file() {
    fls ask examples/podcasts "Who is speaking?" --json --quiet > "$work/notes.jsonl"
    printf 'episodes: %s\n' "$(wc -l < "$work/notes.jsonl" | tr -d ' ')"
}

# A summary as bullets, folded to the width of a letter.
letter() {
    fls summarize "$train" --style bullets --quiet | fold -s -w 72
}

all=(ask from_stdin count_cues when_said search first_line answer_field questions_table
    cost_of_budgets every_episode notes_file letter)

if [ "${1-}" = --list ]; then
    printf '%s\n' "${all[@]}"
    exit
fi
if [ $# -eq 0 ]; then
    set -- "${all[@]}"
fi
for name in "$@"; do
    case " ${all[*]} " in
        *" $name "*) ;;
        *)
            printf 'no pipeline is called %s; --list shows the names\n' "$name" >&2
            exit 2
            ;;
    esac
    printf '== %s\n' "$name" >&2
    "$name"
done
