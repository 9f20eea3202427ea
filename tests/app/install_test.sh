#!/usr/bin/env bash
# `cmake --install` into a prefix and into a DESTDIR: everything lies in its place, the program runs from there, finds the
# configurations that were installed beside it from any working folder, and no file knows where it was built or installed.
#
#   install_test.sh SOURCE BUILD
set -uo pipefail
source=$1 build=$2 xbench=$2/xbench
. "$source/tests/app/packaging.sh"

# check_tree ROOT: what must lie below it
check_tree() {
    local file
    for file in bin/xbench share/xbench/configs/scaling.json share/xbench/config.schema.json share/xbench/slurm/train.sh \
        share/xbench/slurm/cpu_ddp.sh share/xbench/slurm/xbench.def share/man/man1/xbench.1 share/man/man1/xbench-train.1 \
        share/man/man1/xbench-data-import.1 share/bash-completion/completions/xbench share/zsh/site-functions/_xbench \
        share/fish/vendor_completions.d/xbench.fish share/doc/xbench/README.md share/doc/xbench/CHANGELOG.md \
        share/doc/xbench/docs/configuration.md share/doc/xbench/docs/adr/README.md share/doc/xbench/data/format.md; do
        [ -s "$1/$file" ] || fail "$1 has no $file"
    done
    [ -x "$1/bin/xbench" ] && [ -x "$1/share/xbench/slurm/train.sh" ] || fail "not executable"
    [ "$(find "$1" -name '*.1' | wc -l)" = ${#commands[@]} ] || fail "not one page for each command"
    if grep -rlF -e "$work" -e "$source" "$1/share"; then fail "these files name the folder of the build or the prefix"; fi
}

cmake --install "$build" --prefix "$work/prefix" >"$work/log" 2>&1 || fail "cmake --install: $(tail -n 3 "$work/log")"
check_tree "$work/prefix"
DESTDIR=$work/dest cmake --install "$build" --prefix /usr >"$work/log" 2>&1 || fail "DESTDIR: $(tail -n 3 "$work/log")"
check_tree "$work/dest/usr"
[ "$(ls "$work/dest")" = usr ] || fail "DESTDIR holds $(ls "$work/dest")"

# From a moved prefix, another working folder and by a link on PATH.
mv "$work/prefix" "$work/moved"
mkdir "$work/elsewhere" "$work/links"
cd "$work/elsewhere" || exit 1
ln -s "$work/moved/bin/xbench" "$work/links/xbench"
for name in scaling.json configs/scaling.json; do
    PATH=$work/links:$PATH xbench --config $name --dry-run >"$work/log" 2>&1 || fail "--config $name: $(cat "$work/log")"
done
echo '{"name": "mine", "model": "cifar_cnn", "data": {"synthetic": {"count": 32}}}' >scaling.json
"$work/moved/bin/xbench" --config scaling.json --print-config | grep -q '"mine"' || fail "a file that is here was passed over"
"$work/moved/bin/xbench" --config absent.json --dry-run >"$work/log" 2>&1
[ $? = 2 ] && grep -q 'absent.json' "$work/log" || fail "absent.json: $(cat "$work/log")"
"$work/moved/bin/xbench" data synth --out set.h5 --count 40 --size 16 --quiet >/dev/null || fail "data synth"
"$work/moved/bin/xbench" train --model pneumonia_cnn --data set.h5 --epochs 1 --set train.batch_size=8 --out run --quiet ||
    fail "train"
"$work/moved/bin/xbench" kernels --op relu --list >"$work/log" 2>&1 || fail "the embedded problem lists: $(cat "$work/log")"
# Links between the installed documents hold; CONTRIBUTING is about the source, which is not here.
cd "$work/moved/share/doc/xbench" || exit 1
while IFS=: read -r file link; do
    target=$(dirname "$file")/${link%%#*}
    [ -e "$target" ] || fail "$file links $link, which is not installed"
done < <(grep -roE '\]\([^):]+\)' --include='*.md' . | grep -v '^./CONTRIBUTING' | sed 's/\](\(.*\))/\1/')
finish "a prefix, a DESTDIR, $(find "$work/moved" -type f | wc -l) files"
