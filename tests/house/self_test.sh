#!/usr/bin/env bash
# Shows that the checks of this folder can fail: each one is given a small good tree, which it must accept, and the same tree
# with one thing wrong, which it must refuse while naming the place.
#
#   self_test.sh CHECK COMPILER      CHECK: include_directions isa_symbols file_headers paths readme format operator_places
#                                  library_exceptions sizes results_tables
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
check=$1 compiler=${2:-c++}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# put PATH TEXT: writes a file of the sample tree
put() {
    mkdir -p "$(dirname "$scratch/tree/$1")"
    printf '%b' "$2" >"$scratch/tree/$1"
}
fresh() {
    rm -rf "$scratch/tree"
    put core/a.h '// A header.\n#include <vector>\n'
    put core/a.cpp '// Code.\n#include "core/a.h"\n#include <hwloc.h>\n'
    put kernels/op.h '// Meaning.\n#include "core/a.h"\n'
    put kernels/kernel.h '// Kernel.\n#include <cstddef>\n'
    put kernels/conv2d/direct.isa.cpp '// Fast code.\n#include "kernels/kernel.h"\n#include "kernels/conv2d/tile.h"\n'
    put kernels/conv2d/tile.h '// A tile.\n#include <immintrin.h>\n'
    put kernels/simd/simd_emulated.h '// Emulation.\n#include <simde/x86/avx512.h>\n'
    put models/m.cpp '// A model.\n#include "core/a.h"\n#include "kernels/op.h"\n#include "models/m.h"\n'
    put models/m.h '// A model.\n'
    put eval/e.cpp '// Scores.\n#include "plan/p.h"\n#include "core/a.h"\n'
    put plan/p.h '// Plans.\n#include "kernels/op.h"\n'
    put parallel/train/t.cpp '// A loop.\n#include "parallel/strategy/s.h"\n#include "parallel/comm/c.h"\n'
    put parallel/strategy/s.h '// A strategy.\n#include "parallel/comm/c.h"\n'
    put parallel/comm/c.h '// Ranks.\n#include "core/a.h"\n'
    put data/datasets.cpp '// Either kind.\n#include "data/synthetic/y.h"\n'
    put data/synthetic/y.h '// Drawn.\n#include "data/set/i.h"\n'
    put data/set/i.h '// A set.\n'
    put kernels/gelu/op.cpp '// gelu.\n'
    put kernels/silu/op.cpp '// silu.\n'
    put kernels/simd/simd.h '// Vectors.\n#include "kernels/kernel.h"\n'
    put scripts/first_run.sh '#!/usr/bin/env bash\n# Runs.\n'
    put scripts/test.sh '#!/usr/bin/env bash\n# Tests.\n'
    put .ci/run '#!/usr/bin/env bash\n# CI.\nexec bash scripts/test.sh\n'
    put README.md '# x\n```\nbash scripts/first_run.sh\nbash scripts/test.sh\n```\n'
    chmod +x "$scratch/tree/scripts/"*.sh
}
# expect accepted | refused TEXT: runs the check on the sample tree
expect() {
    local output status=0
    output=$(bash "$here/$check.sh" "$scratch/tree" 2>&1) || status=$?
    if [ "$1" = accepted ] && [ "$status" != 0 ]; then
        printf 'FAIL: a good tree was refused:\n%s\n' "$output"
        failures=$((failures + 1))
    elif [ "$1" = refused ] && { [ "$status" != 1 ] || ! grep -qF -- "$2" <<<"$output"; }; then
        printf 'FAIL: exit code %s, expected 1 and the text "%s":\n%s\n' "$status" "$2" "$output"
        failures=$((failures + 1))
    fi
}
# bad PATH TEXT MESSAGE: one thing wrong in an otherwise good tree
bad() {
    fresh
    put "$1" "$2"
    expect refused "$3"
}

test_include_directions() {
    bad core/b.cpp '// B.\n#include "kernels/op.h"\n' 'core/b.cpp:2: core/ must not include kernels/op.h'
    bad models/n.cpp '// N.\n\n#include "kernels/kernel.h"\n' 'models/n.cpp:3: models/ must not include kernels/kernel.h'
    bad plan/q.cpp '// Q.\n#include "data/d.h"\n' 'plan/q.cpp:2'
    bad kernels/k.cpp '// K.\n  #  include "plan/p.h"  // why\n' 'kernels/k.cpp:2'
    bad eval/f.cpp '// F.\n#include "parallel/t.h"\n' 'eval/f.cpp:2'
    bad data/d.cpp '// D.\n#include "models/m.h"\n' 'data/d.cpp:2'
    bad parallel/comm/d.h '// D.\n#include "parallel/strategy/s.h"\n' 'parallel/comm/d.h:2: parallel/comm/ must not include parallel/strategy/s.h'
    bad parallel/strategy/s.cpp '// S.\n#include "parallel/train/t.h"\n' 'parallel/strategy/ must not include'
    bad bench/base/r.h '// R.\n#include "bench/sweep/s.h"\n' 'bench/base/r.h:2'
    bad bench/runs/r.h '// R.\n#include "bench/sweep/s.h"\n' 'bench/runs/r.h:2'
    bad data/set/s.cpp '// S.\n#include "data/load/l.h"\n' 'data/set/s.cpp:2'
    bad data/load/l.cpp '// L.\n#include "data/datasets.h"\n' 'data/load/l.cpp:2'
    bad kernels/simd/p.h '// P.\n#include "kernels/conv2d/tile.h"\n' 'kernels/simd/p.h:2'
    bad core/b.cpp '// B.\n#include "a.h"\n' 'from the root'
    bad core/b.cpp '// B.\n#include "../core/a.h"\n' 'from the root'
    bad data/d.cpp '// D.\n#include <hwloc.h>\n' 'one file may include it'
    bad kernels/conv2d/tile.h '// T.\n#include <simde/x86/avx512.h>\n' 'one file may include it'
    bad kernels/conv2d/tile.h '// T.\n#include <simde/x86/sse.h>\n' 'kernels/conv2d/tile.h:2: <simde/x86/sse.h>'
    bad kernels/conv2d/direct.isa.cpp '// F.\n#include <vector>\n' '<vector>'
    bad kernels/conv2d/direct.isa.cpp '// F.\n#include "core/a.h"\n' 'core/a.h:2: <vector>'
    bad kernels/conv2d/tile.h '// T.\n#include <algorithm>\n' 'kernels/conv2d/tile.h:2: <algorithm>'
    rm -rf "$scratch/tree" && mkdir "$scratch/tree"
    expect refused 'nothing was checked'
}

test_isa_symbols() {
    local object=$scratch/o.o
    compile() { printf '%b' "$1" | "$compiler" -std=c++20 "${2:--O2}" -x c++ -c -o "$object" -; }
    verdict() { bash "$here/isa_symbols.sh" -o "$object" >"$scratch/out" 2>&1; }
    compile 'namespace xbench::isa_avx2 { int twice(int x) { return 2 * x; } struct S { virtual int f(); }; int S::f() { return 1; } }\nstatic int helper() { return 3; }\nint (*volatile keep)();\n' && verdict && {
        echo 'FAIL: a global variable outside of the namespace was accepted'
        failures=$((failures + 1))
    }
    compile 'namespace xbench::isa_avx2 { int twice(int x) { return 2 * x; } struct S { virtual int f(); }; int S::f() { return 1; } }\n' && verdict || {
        echo 'FAIL: good object refused:' && cat "$scratch/out"
        failures=$((failures + 1))
    }
    compile 'inline __attribute__((noinline)) int weak(int x) { return x + 1; }\nnamespace xbench::isa_avx2 { int f(int x) { return weak(x); } }\n'
    if verdict || ! grep -q 'weak(int)' "$scratch/out"; then
        echo 'FAIL: an inline function outside of the namespace was accepted'
        failures=$((failures + 1))
    fi
    compile '#include <algorithm>\n#include <vector>\nnamespace xbench::isa_avx2 { void f(std::vector<int>& v) { std::sort(v.begin(), v.end()); v.push_back(1); } }\n' -O0
    if verdict || ! grep -q 'std::' "$scratch/out"; then
        echo 'FAIL: a standard template was accepted'
        failures=$((failures + 1))
    fi
}

test_file_headers() {
    bad core/b.cpp '#include "core/a.h"\n// late\n' 'core/b.cpp'
    bad core/b.h '#pragma once\n' 'core/b.h'
    bad scripts/s.sh '#!/usr/bin/env bash\nset -e\n' 'scripts/s.sh'
    bad core/c.cpp '' 'core/c.cpp'
}

test_paths() {
    bad core/b.cpp '// see /home/somebody/notes\n' 'core/b.cpp:1'
    bad docs/a.md 'x\nrun `/opt/tool/bin/x`\n' 'docs/a.md:2'
}

test_readme() {
    bad README.md '```\nscripts/first_run.sh\nscripts/test.sh\n```\nsee docs/absent.md\n' 'docs/absent.md does not exist'
    bad README.md '```\nscripts/first_run.sh\n```\nscripts/test.sh\n' 'no command runs scripts/test.sh'
    bad .ci/run '#!/bin/sh\n' '.ci/run does not run'
    fresh
    chmod -x "$scratch/tree/scripts/test.sh"
    expect refused 'not executable'
    bad scripts/test.sh 'if\n' 'does not parse'
}

test_results_tables() {
    local mark='<!-- generated by scripts/results_tables.py: pair results/r.jsonl -->' head='| row | repeats | images/s | of the first row |\n| --- | ---: | ---: | ---: |'
    local records='{"kind":"rep","params":{"point":"serial"},"value":10}\n{"kind":"rep","params":{"point":"two"},"value":19}\n{"kind":"probe","params":{"point":"two"},"value":1}\n'
    local table="$head\n| serial | 1 | 10 | 1.00x |\n| two | 1 | 19 | 1.90x |"
    fresh
    put results/r.jsonl "$records"
    put docs/d.md "# D\n$mark\n$table\n<!-- end generated -->\n"
    expect accepted
    put docs/d.md "# D\n$mark\n${table/1.90x/1.93x}\n<!-- end generated -->\n"
    expect refused 'docs/d.md:2: the table is not that of its sources'
    put docs/d.md "# D\n$mark\n$table\n<!-- end generated -->\n"
    put results/r.jsonl "${records/19/18}"
    expect refused 'docs/d.md:2'
    put docs/d.md "# D\n$mark\n$table\n"
    expect refused 'has no end'
    put docs/d.md "# D\n${mark/r.jsonl/absent.jsonl}\n<!-- end generated -->\n"
    expect refused 'absent.jsonl is not there'
}

test_operator_places() {
    for operator in gelu silu; do
        bad core/b.cpp "// B: $operator.\n" "core/b.cpp: knows the operator $operator"
        bad plan/q.cpp "// Q.\nint x = OpKind::${operator}_grad;\n" "plan/q.cpp: knows the operator $operator"
    done
    bad plan/q.cpp '// Q.\nswitch (op) { case OpKind::relu: break; }\n' 'plan/q.cpp:2'
    bad plan/q.cu '// Q.\nswitch (op) { case OpKind::relu: break; }\n' 'plan/q.cu:2'
    bad kernels/cases/q.cpp '// Q.\nswitch (op) { case OpKind::relu: break; }\n' 'kernels/cases/q.cpp:2'
    fresh
    rm -r "$scratch/tree/kernels/silu"
    expect refused 'kernels/silu: the folder is not there'
}

test_library_exceptions() {
    local throwing='throws a library'"'"'s exception'
    bad core/b.cpp '// B.\nbool there = std::filesystem::exists(path);\n' 'core/b.cpp:2'
    bad data/d.cpp '// D.\n    fs::create_directories(folder / "points");\n' "$throwing"
    bad bench/base/b.cpp '// B.\n    if (fs::is_directory(a, error) && !fs::is_empty(a)) return;\n' 'bench/base/b.cpp:2'
    bad app/a.cpp '// A.\nconst auto full = fs::absolute(fs::path(name)).string();\n' 'app/a.cpp:2'
    bad app/a.cpp '// A.\nfs::directory_iterator entry(folder);\n' 'app/a.cpp:2'
    bad app/a.cpp '// A.\nfor (const auto& e : fs::directory_iterator(folder, ignored)) use(e);\n' 'its increment throws'
    bad bench/base/b.cpp '// B.\nconst Json json = Json::parse(text);\n' 'parse_json()'
    bad parallel/comm/d.cpp '// D.\nwrite(json.dump(2));\n' 'json_text()'
    bad eval/f.cpp '// F.\nint n = std::stoi(word);\n' 'std::from_chars'
    bad models/n.cpp '// N.\nconst std::regex wanted(pattern);\n' 'std::regex_error'
    fresh
    put core/b.cpp '// B: no fs::exists(path).\nif (fs::exists(path, error) && !fs::is_directory(path, error)) return;\nfs::directory_iterator entry(folder, error);\nentry != fs::directory_iterator();\n'
    expect accepted
}

# lines NUMBER: as many lines of code
lines() { printf '    x();\\n%.0s' $(seq "$1"); }

test_sizes() {
    bad core/b.cpp "// B.\nvoid f() {\n$(lines 59)}\n" 'core/b.cpp:void f() { has 61 lines'
    bad core/b.h "// B.\nstruct S {\n    int f(int a,\n          int b) const {\n$(lines 60)    }\n};\n" 'core/b.h:'
    fresh
    put core/b.cpp "// B.\nstruct S {\n    int f() const {\n$(lines 58)    }\n};\n"
    for i in $(seq 30); do put core/short$i.cpp '// S.\nint f() {\n    return 1;\n}\n'; done
    expect accepted
    for i in $(seq 3); do put core/b$i.cpp "// B.\nvoid f() {\n$(lines 30)}\n"; done
    expect refused '95% of the functions have up to'
    fresh
    for i in 1 2 3; do put core/b$i.cpp "// B.\n$(lines 300)"; done
    expect refused '95% of the files have up to 301 lines'
}

test_format() {
    local status=0
    fresh
    printf 'BasedOnStyle: Google\n' >"$scratch/tree/.clang-format"
    bash "$here/format.sh" "$scratch/tree" >"$scratch/out" 2>&1 || status=$?
    if [ "$status" = 77 ]; then
        cat "$scratch/out"
        exit 77
    fi
    put core/b.cpp '// B.\nint   f( ) {return 1 ;}\n'
    expect refused 'core/b.cpp:2'
    fresh
    printf 'BasedOnStyle: Google\nSortIncludes: false\n' >"$scratch/tree/.clang-format"
    expect accepted
}

fresh
[ "$check" = isa_symbols ] || [ "$check" = format ] || expect accepted
"test_$check"
[ "$failures" = 0 ] || exit 1
echo "$check refuses what it should"
