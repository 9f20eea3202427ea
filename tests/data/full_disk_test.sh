#!/usr/bin/env bash
# Disks of many sizes fill up under data import and data synth: each run either leaves a whole set or nothing, with a message
# that names the file and the reason, and never dies by a signal. Device nodes and links given as --out survive. Needs root
# for a small file system of its own; without it the test is skipped.
#
#   full_disk_test.sh XBENCH
set -uo pipefail
xbench=$1
if [ "${2:-}" != inside ]; then
    unshare --mount --propagation private true 2>/dev/null || { echo "no mount namespace of its own here: skipped" && exit 77; }
    exec unshare --mount --propagation private bash "$0" "$xbench" inside
fi
work=$(mktemp -d)
trap 'umount "$work/disk" 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/disk"
mount -t tmpfs -o size=64m none "$work/disk" || {
    echo "no file system can be mounted here: skipped"
    exit 77
}
umount "$work/disk"
failures=0
fail() { echo "FAILED: $1"; failures=$((failures + 1)); }

# One gray pixel as PNG, many times.
png='\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0aIDAT\x78\x9c\x63\xc8\x00\x00\x00\x6a\x00\x69\x39\x46\x4a\x8a\x00\x00\x00\x00IEND\xae\x42\x60\x82'
mkdir -p "$work/src/a" "$work/src/b"
for i in $(seq 40); do printf "$png" > "$work/src/a/$i.png"; printf "$png" > "$work/src/b/$i.png"; done

attempt() { # NAME COMMAND...: what is left on the disk must be whole or nothing
    local name=$1 code
    shift
    "$@" > "$work/log" 2>&1
    code=$?
    [ "$code" = 0 ] || [ "$code" = 1 ] || fail "$name ended with code $code: $(tail -1 "$work/log")"
    if [ "$code" = 1 ]; then
        grep -q 'No space left on device' "$work/log" || fail "$name does not say why: $(tail -1 "$work/log")"
        [ -z "$(ls -A "$work/disk")" ] || fail "$name left behind: $(ls -A "$work/disk")"
        full=$((full + 1))
    else
        "$xbench" data info "$work/disk/set.h5" > "$work/log" 2>&1 || fail "$name left a set that cannot be read: $(tail -1 "$work/log")"
        whole=$((whole + 1))
    fi
}

for command in synth import; do
    full=0 whole=0
    for blocks in 1 2 3 4 6 8 $(seq 10 4 62) 70 90 120; do
        mount -t tmpfs -o size=$((blocks * 4096)) none "$work/disk"
        if [ "$command" = synth ]; then
            attempt "synth on $blocks blocks" "$xbench" data synth --out "$work/disk/set.h5" --count 100 --size 32 --quiet
        else
            attempt "import on $blocks blocks" "$xbench" data import "$work/src" --out "$work/disk/set.h5" --size 32 --quiet
        fi
        umount "$work/disk"
    done
    [ "$full" -ge 3 ] && [ "$whole" -ge 3 ] || fail "$command: $full full disks and $whole whole sets: the sizes test nothing"
done

# An older set survives a failed import onto its name.
mount -t tmpfs -o size=400k none "$work/disk"
"$xbench" data synth --out "$work/disk/set.h5" --count 100 --size 32 --quiet > /dev/null || fail "a set that fits"
before=$(md5sum < "$work/disk/set.h5")
"$xbench" data synth --out "$work/disk/set.h5" --count 1000 --size 32 --quiet > /dev/null 2>&1 && fail "a set that does not fit"
[ "$before" = "$(md5sum < "$work/disk/set.h5")" ] && [ "$(ls -A "$work/disk")" = set.h5 ] || fail "the older set is gone"
umount "$work/disk"

# Devices and links stay what they are.
outs="null link"
mknod "$work/null" c 1 3 2>/dev/null || { echo "skipped: a device node as output, which this root may not make" && outs=link; }
ln -s null "$work/link"
for out in $outs; do
    for command in "synth --count 8 --size 32" "import $work/src --size 32"; do
        "$xbench" data $command --out "$work/$out" --quiet > "$work/log" 2>&1
        [ $? = 2 ] || fail "data $command --out $out: $(tail -1 "$work/log")"
    done
done
[ "$outs" = link ] || [ -c "$work/null" ] || fail "a device was replaced"
[ -L "$work/link" ] || fail "a link was replaced"

# A signal tidies up and ends the process as a signal does.
"$xbench" data synth --out "$work/big.h5" --count 300000 --size 32 --quiet > /dev/null 2>&1 &  # a minute's work
process=$!
sleep 0.5
kill -TERM "$process" 2>/dev/null
wait "$process"
[ $? = 143 ] || fail "an interrupted synth ends with $?"
[ -z "$(ls "$work" | grep big)" ] || fail "an interrupted synth left $(ls "$work" | grep big)"

[ "$failures" = 0 ] && echo "all well"
exit $((failures > 0))
