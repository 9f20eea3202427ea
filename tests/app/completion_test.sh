#!/usr/bin/env bash
# The completions of bash, zsh and fish, each in the shell itself: commands, every option of --help, the words of options
# that take some, files and folders. All lines are asked in one shell, zsh's in a pseudo terminal.
#
#   completion_test.sh SOURCE XBENCH SHELL        exit code 77: that shell is not here
set -uo pipefail
source=$1 xbench=$2 shell=$3
. "$source/tests/app/packaging.sh"
command -v "$shell" >/dev/null || skip "no $shell here; scripts/install_deps.sh --tests installs it"
"$xbench" --print-completion "$shell" >"$work/_xbench" || fail "--print-completion $shell"
mkdir "$work/here" "$work/answers" "$work/here/some_folder"
touch "$work/here/some_file.json"

# Rows of: what is proposed ("!": what is not) | for the last word of this line.
expected="
train|tr
predict|pre
import|data im
--out|data synth --o
bf16|step --precision 
bf16|step --precision b
!fp32|step --precision b
sharded|train --trainer sh
debug|--log-level d
pneumonia_cnn|train --model pn
pneumonia_cnn|models pn
all_reduce|comm --op all_r
conv2d=reference|step --impl conv2d=r
train.epochs=|train --set train.ep
train.precision=bf16|train --set train.precision=b
some_file.json|--config some_
some_file.json|data info some_
some_folder|train --out some_
!some_file.json|train --out some_
!some_file.json|train --epochs some_
!--model|train --epochs "
options=0
for command in "${commands[@]}"; do
    for option in $(options_of "$command"); do
        [[ $option == --* ]] || continue
        expected+=$'\n'"$option|${command:+$command }--"
        options=$((options + 1))
    done
done
# Line n's answer is the file n.
cut -s -d'|' -f2 <<<"$expected" | awk '!seen[$0]++ { print "xbench " $0 }' >"$work/lines"

cd "$work/here" || exit 1
case $shell in
    bash)
        # As bash cuts a line: "=" is a word of its own. What it glues to the answer is what stands before.
        timeout 60 bash --norc --noprofile -c '
            . "$1/_xbench"
            while IFS= read -r line; do
                IFS=" " read -ra words <<<"${line//=/ = }"
                [[ $line != *" " && $line != *= ]] || words+=("")
                COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1)) COMPREPLY=()
                _xbench
                before=; [[ $line != *=* ]] || { before=${line##* } before=${before%"${before##*=}"}; }
                printf "%s\n" "${COMPREPLY[@]/#/$before}" >"$1/answers/$((++n))"
            done <"$1/lines"' complete "$work" ;;
    zsh)
        zsh -n "$work/_xbench" || fail "zsh -n"
        cat >"$work/.zshrc" <<'ZSH'
PS1= fpath=($ZDOTDIR $fpath)
autoload -Uz compinit && compinit -u -D
setopt no_auto_menu no_auto_list no_beep
compadd() {   # every match goes through here
    local -a hits
    builtin compadd -O hits "$@"
    print -rl -- $hits >>$ZDOTDIR/hits
    builtin compadd "$@"
}
ask() {
    local line n=0
    while IFS= read -r line; do
        : >$ZDOTDIR/hits
        BUFFER=$line CURSOR=$#line
        zle complete-word
        mv $ZDOTDIR/hits $ZDOTDIR/answers/$((++n))
    done <$ZDOTDIR/lines
    exit
}
zle -N ask && bindkey '^I' ask
ZSH
        # shellcheck disable=SC2016
        ZDOTDIR=$work TERM=xterm timeout 60 zsh -f -c '
            zmodload zsh/zpty
            zpty terminal zsh -d -i
            zpty -n -w terminal $'"'\t'"'
            while zpty -r terminal seen; do :; done' ;;
    fish)
        fish --no-execute "$work/_xbench" || fail "fish --no-execute"
        HOME=$work timeout 60 fish --no-config -c '
            source $argv[1]/_xbench
            set n 0
            while read -l line
                set n (math $n + 1)
                complete -C $line >$argv[1]/answers/$n
            end <$argv[1]/lines' "$work" ;;
esac

while IFS='|' read -r wanted line; do
    [ -n "$wanted" ] || continue
    n=$(grep -nxF -- "xbench $line" "$work/lines" | cut -d: -f1)
    found=$(cut -f1 "$work/answers/$n" 2>/dev/null | sed 's,/$,,')
    if [ "${wanted:0:1}" = ! ]; then
        ! grep -qxF -- "${wanted:1}" <<<"$found" || fail "xbench $line: ${wanted:1} is proposed"
    else
        grep -qxF -- "$wanted" <<<"$found" || fail "xbench $line: no $wanted among: $(tr '\n' ' ' <<<"$found" | cut -c1-200)"
    fi
done <<<"$expected"
finish "$shell: $options options, $(wc -l <"$work/lines") lines"
