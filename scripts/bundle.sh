#!/usr/bin/env bash
# Packs a built xbench, Open MPI's runtime and every library that they load, with the C library and its loader, into one archive
# that runs in any folder of any x86-64 Linux machine: nothing needs to be installed there, MPI included.
#
#   scripts/bundle.sh BUILD [ARCHIVE]      BUILD/xbench; ARCHIVE is xbench-VERSION-linux-x86_64.tar.gz by default
#
# Inside, bin/xbench and bin/mpirun are small scripts that start the programs of libexec/ with the loader of runtime/.
set -euo pipefail
export LC_ALL=C
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2; }
die() { echo "bundle: $1" >&2 && exit 1; }

[ $# -ge 1 ] && [ $# -le 2 ] || usage
program=$1/xbench
[ -x "$program" ] || die "$program is not there; build it first (scripts/first_run.sh, or cmake --build)"
command -v ompi_info >/dev/null || die "no Open MPI here; scripts/install_deps.sh installs it"
version=$("$program" --version | awk 'NR == 1 { print $2 }')
name=xbench-$version-linux-x86_64
archive=${2:-$name.tar.gz}
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name
mkdir -p "$root"/{bin,libexec,lib,runtime,share,etc}

# Open MPI finds its parts below OPAL_PREFIX where it was configured to have them below its own prefix; so does PMIx.
prefix=$(ompi_info --parsable --path prefix | cut -d: -f3)
plugins=$(ompi_info --parsable --path pkglibdir | cut -d: -f3)
# Empty where Open MPI was built with a PMIx of its own.
pmix=$(ldd "$plugins"/mca_pmix_ext*.so 2>/dev/null | awk '/libpmix/ && !found++ { print $3 }')
[ -z "$pmix" ] || pmix=$(dirname "$(dirname "$(realpath "$pmix")")")
below() { [[ $1 == "$prefix"/* ]] && echo "$root/${1#"$prefix"/}" || die "$1 is not below $prefix"; }

copy_programs() {
    install -s "$program" "$root/libexec/xbench"
    local tool
    for tool in orterun orted; do install "$(command -v $tool)" "$root/libexec/$tool"; done
    mkdir -p "$(below "$plugins")" "$(below "$prefix/share/openmpi")" "$root/etc/openmpi"
    cp "$plugins"/*.so "$(below "$plugins")"
    cp "$prefix"/share/openmpi/*.txt "$(below "$prefix/share/openmpi")"
    if [ -n "$pmix" ]; then
        mkdir -p "$root/pmix/lib/pmix" "$root/pmix/share"
        cp "$pmix"/lib/pmix/*.so "$root/pmix/lib/pmix"
        cp -r "$pmix"/share/. "$root/pmix/share" 2>/dev/null || true
    fi
    cp -r "$source/configs" "$root/configs"
}

# What the programs and plugins load, and what that loads; ldd lists it all.
copy_libraries() {
    local path file
    find "$root" -type f \( -path '*/libexec/*' -o -name '*.so' \) -exec ldd {} + |
        awk '/not found/ { print "bundle: " $1 " is not found" >"/dev/stderr"; bad = 1 }
             $2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-linux/ { print $1 } END { exit bad }' |
        sort -u >"$work/libraries"
    while read -r path; do
        file=$(basename "$path")
        case "$file" in
            ld-linux*) install -m 755 "$path" "$root/runtime/ld.so" ;;
            libc.so.*|libm.so.*|libmvec.so.*|libpthread.so.*|libdl.so.*|librt.so.*|libresolv.so.*|libutil.so.*|libnss_*|libanl.so.*)
                install -m 755 "$path" "$root/runtime/$file" ;;
            *) install -m 644 "$path" "$root/lib/$file" ;;
        esac
    done <"$work/libraries"
    # The C library loads these by name.
    local loaded
    for loaded in libnss_files.so.2 libnss_dns.so.2 libgcc_s.so.1; do
        path=$(ldconfig -p | awk -v file=$loaded '$1 == file && /x86-64/ && !found++ { print $NF }')
        [ -z "$path" ] || install -m 755 "$path" "$root/runtime/$loaded"
    done
}

# write_starter NAME PROGRAM
write_starter() {
    cat >"$root/bin/$1" <<STARTER
#!/bin/sh
# Starts $2 with this bundle's own loader and libraries, wherever the bundle lies.
root=\$(cd "\$(dirname "\$(readlink -f "\$0")")/.." && pwd)
export OPAL_PREFIX="\$root" PMIX_PREFIX="\$root/pmix" PMIX_INSTALL_PREFIX="\$root/pmix"
export XBENCH_PROGRAM="\$root/bin/xbench"
case ":\$PATH:" in
    *":\$root/bin:"*) ;;
    *) export PATH="\$root/bin:\$PATH" ;;
esac
# Where nothing leads to another machine, mpirun must not look for it.
command -v ssh >/dev/null || command -v rsh >/dev/null || command -v srun >/dev/null || export OMPI_MCA_plm=isolated
exec "\$root/runtime/ld.so" --library-path "\$root/runtime:\$root/lib" --argv0 "\$0" "\$root/libexec/$2" "\$@"
STARTER
    chmod 755 "$root/bin/$1"
}

copy_programs
copy_libraries
write_starter xbench xbench
write_starter mpirun orterun
write_starter orted orted
cat >"$root/README" <<README
$("$program" --version)
Unpack anywhere and run bin/xbench; \`bin/xbench doctor\` says what it finds. bin/mpirun is Open MPI's
$(mpirun --version | sed -n 1p); on several machines the folder must lie at the same place on each of them.
README
tar -C "$work" --owner=0 --group=0 --sort=name -czf "$archive" "$name"
echo "$archive: $(du -h "$archive" | cut -f1), $(find "$root" -type f | wc -l) files"
