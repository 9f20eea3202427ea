#!/usr/bin/env bash
# The completions of bash, zsh and fish, each in the shell itself: commands, every option of --help, the words of options
# that take some, files and folders.
#
#   completion_test.sh SOURCE XBENCH SHELL        exit code 77: that shell is not here
set -uo pipefail
source=$1 xbench=$2 shell=$3
. "$source/tests/app/packaging.sh"
command -v "$shell" >/dev/null || skip "no $shell here; scripts/install_deps.sh --tests installs it"
"$xbench" --print-completion "$shell" >"$work/script" || fail "--print-completion $shell"

# proposals WORDS...: what the shell proposes for the last word, one a line
case $shell in
    bash)
        proposals() {
            bash --norc --noprofile -c '
                script=$1; shift
                . "$script"
                # As bash cuts the line: "=" is a word of its own.
                for word in "$@"; do
                    while [[ $word == *=* && $word != = ]]; do
                        COMP_WORDS+=("${word%%=*}" =) word=${word#*=}
                        [ -n "$word" ] || continue 2
                    done
                    COMP_WORDS+=("$word")
                done
                COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                _xbench
                printf "%s\n" "${COMPREPLY[@]}"' complete "$work/script" xbench "$@"
        } ;;
    zsh)
        zsh -n "$work/script" || fail "zsh -n"
        # A terminal of its own, in which compadd writes down what it is given.
        cp "$work/script" "$work/_xbench"
        cat >"$work/capture.zsh" <<'ZSH'
zmodload zsh/zpty
zpty pty zsh -f -i
line() { zpty -w pty "$1"; zpty -r -m pty seen '*ready*' }
zpty -w pty "PS1= PROMPT= ; stty rows 200 cols 200; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $1/dump"
zpty -w pty 'zstyle ":completion:*" list-packed no; setopt no_beep
compadd() {
    local -a given; local -i at
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return $?; fi
    typeset -a __hits; builtin compadd -A __hits "$@"
    print -rl -- ${__hits/#/<<} ; builtin compadd "$@"
}
bindkey "^I" complete-word; bindkey "^X" kill-whole-line'
zpty -w pty 'print -r -- rea''dy'
zpty -r -m pty seen '*ready*'
zpty -n -w pty "$2"$'\t'
zpty -w pty $'\x18print -r -- do''ne'
zpty -r -m pty seen '*done*'
print -r -- "$seen" | tr -d '\r' | grep -oE '<<[^<]+' | cut -c3-
zpty -d pty
ZSH
        proposals() { zsh -f "$work/capture.zsh" "$work" "xbench $*"; } ;;
    fish)
        fish --no-execute "$work/script" || fail "fish --no-execute"
        proposals() { HOME=$work fish --no-config -c "source $work/script; complete -C 'xbench $*'" | cut -f1; } ;;
esac

# expect PROPOSAL WORDS...: it is among the proposals; with "!" before it, it is not
expect() {
    local wanted=$1 found
    shift
    found=$(proposals "$@")
    if [ "${wanted:0:1}" = ! ]; then
        ! grep -qxF -- "${wanted:1}" <<<"$found" || fail "xbench $*: ${wanted:1} is proposed"
    else
        grep -qxF -- "$wanted" <<<"$found" || fail "xbench $*: no $wanted among: $(tr '\n' ' ' <<<"$found" | cut -c1-200)"
    fi
}

touch "$work/some_file.json"
mkdir "$work/some_folder"
cd "$work" || exit 1
count=0
for command in "${commands[@]}"; do
    # shellcheck disable=SC2086
    found=$(proposals $command --)
    for option in $(options_of "$command"); do
        [[ $option == --* ]] || continue
        grep -qxF -- "$option" <<<"$found" || fail "xbench $command: $option is not proposed"
        count=$((count + 1))
    done
done
expect train tr
expect import data im
expect bf16 step --precision ''
expect bf16 step --precision b
expect '!fp32' step --precision b
expect sharded train --trainer sh
expect pneumonia_cnn train --model pn
expect pneumonia_cnn models pn
expect all_reduce comm --op all_r
expect some_file.json --config some_
expect some_file.json data info some_
expect '!some_file.json' train --out some_
expect '!some_file.json' train --epochs some_
finish "$shell: $count options"
