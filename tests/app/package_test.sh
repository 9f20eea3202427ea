#!/usr/bin/env bash
# `cpack` makes a .deb and a .tar.gz that hold what `cmake --install` does: the .deb with dependencies by dpkg-shlibdeps, section
# and description; dpkg installs it into a root of its own and removes it again, and the program runs from both.
#
#   package_test.sh SOURCE BUILD        exit code 77: the packages cannot be made here
set -uo pipefail
source=$1 build=$2 xbench=$2/xbench
. "$source/tests/app/packaging.sh"
for tool in cpack dpkg-deb dpkg-shlibdeps; do command -v $tool >/dev/null || skip "no $tool here (dpkg-dev)"; done

make_package() {
    cpack --config "$build/CPackConfig.cmake" -G "$1" -B "$work/packages" >"$work/log" 2>&1 || fail "cpack -G $1: $(tail -n 5 "$work/log")"
}
make_package DEB
make_package TGZ
deb=$(echo "$work"/packages/xbench_*.deb) archive=$(echo "$work"/packages/xbench-*.tar.gz)
[ -f "$deb" ] && [ -f "$archive" ] || { fail "no package: $(ls "$work/packages")"; finish; }

about=$(dpkg-deb --info "$deb")
for line in 'Package: xbench' 'Section: science' 'Maintainer: .*<.*@.*>' 'Recommends: openmpi-bin' 'Description: .*image' \
    'Depends: .*libc6 (>= ' 'Depends: .*libhwloc15' 'Depends: .*libhdf5' 'Depends: .*libfmt' "Architecture: $(dpkg --print-architecture)"; do
    grep -q "$line" <<<"$about" || fail "the .deb has no '$line': $about"
done
contents=$(dpkg-deb --contents "$deb")
for file in ./usr/bin/xbench ./usr/share/man/man1/xbench.1.gz ./usr/share/man/man1/xbench-data-import.1.gz \
    ./usr/share/bash-completion/completions/xbench ./usr/share/zsh/site-functions/_xbench \
    ./usr/share/fish/vendor_completions.d/xbench.fish ./usr/share/xbench/configs/scaling.json \
    ./usr/share/xbench/slurm/train.sh ./usr/share/doc/xbench/README.md ./usr/share/doc/xbench/CHANGELOG.md.gz; do
    grep -q " $file\$" <<<"$contents" || fail "the .deb has no $file"
done
grep -vE '^(drwxr-xr-x|-rwxr-xr-x|-rw-r--r--) root/root' <<<"$contents" && fail "these have other owners or modes"

# Into a root of its own, without root's rights and without its maintainer's questions.
root=$work/root
mkdir -p "$root/var/lib/dpkg/"{info,updates} && touch "$root/var/lib/dpkg/"{status,available}
dpkg_there() { PATH=$PATH:/usr/sbin:/sbin dpkg --root="$root" --force-not-root --force-depends --log="$work/dpkg.log" "$@"; }
dpkg_there --install "$deb" >"$work/log" 2>&1 || fail "dpkg --install: $(tail -n 5 "$work/log")"
mkdir "$work/elsewhere" && cd "$work/elsewhere" || exit 1
"$root/usr/bin/xbench" --config scaling.json --dry-run >"$work/log" 2>&1 || fail "installed by dpkg: $(cat "$work/log")"
if command -v man >/dev/null; then
    MANPATH=$root/usr/share/man man -w xbench train >/dev/null || fail "man xbench train does not find its page"
fi
dpkg_there --remove xbench >"$work/log" 2>&1 || fail "dpkg --remove: $(tail -n 5 "$work/log")"
left=$(find "$root/usr" -type f 2>/dev/null)
[ -z "$left" ] || fail "dpkg --remove left $left"

mkdir "$work/unpacked" && tar -C "$work/unpacked" -xzf "$archive"
program=$(echo "$work"/unpacked/xbench-*/bin/xbench)
"$program" --config scaling.json --dry-run >"$work/log" 2>&1 || fail "from the archive: $(cat "$work/log")"
finish "$(basename "$deb") $(stat -c %s "$deb") bytes, $(grep -oE 'Depends: .*' <<<"$about")"
