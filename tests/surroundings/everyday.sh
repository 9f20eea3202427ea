#!/usr/bin/env bash
# What a user does in a day, in the folder it is started in: draw a set, import images, look, train, evaluate, predict, sweep,
# two ranks, collectives. Each command must end well and leave what it promises; none may die by a signal or show the text of
# a library's exception. Tests of surroundings run it where something is missing.
#
#   everyday.sh XBENCH [refused=COMMAND,...]     commands that may refuse here (exit code 1 or 2, and one line that says why)
#
# Exit code 77: nothing could be tried. Lines that begin with "skipped" say what was not.
set -u
xbench=$1 may_refuse=${2:-refused=}
failures=0
work=${EVERYDAY_FOLDER:-everyday}
rm -rf "$work"
mkdir "$work" && cd "$work" || exit 77

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
# sound NAME CODE: no signal, and no word of a library
sound() {
    [ "$2" -lt 128 ] || fail "$1 died with $2: $(tail -n 3 log)"
    ! grep -aqE "what\(\)|terminate called|json\.exception|filesystem error|basic_string|vector::|HDF5-DIAG|should not happen" log ||
        fail "$1 shows a library's words: $(tail -n 3 log)"
}
# do_it NAME ARGUMENTS...: `xbench ARGUMENTS` must end with 0, or with a line that says why where NAME may be refused
do_it() {
    local name=$1 code
    shift
    "$xbench" "$@" >log 2>&1
    code=$?
    sound "$name" $code
    [ $code = 0 ] && return
    case ",${may_refuse#refused=}," in *",$name,"*)
        [ $code -le 2 ] && [ -s log ] && return ;;
    esac
    fail "$name ended with $code: $(tail -n 3 log)"
}
there() { [ -s "$1" ] || fail "there is no $1"; }

png='\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0aIDAT\x78\x9c\x63\xc8\x00\x00\x00\x6a\x00\x69\x39\x46\x4a\x8a\x00\x00\x00\x00IEND\xae\x42\x60\x82'
mkdir -p img/a img/b
for i in 1 2 3 4 5 6 7 8 9; do printf "$png" >img/a/$i.png && printf "$png" >img/b/$i.png; done
cat >job.json <<'JSON'
{"name": "job", "model": {"name": "pneumonia_cnn", "widths": [4, 4, 4]}, "data": {"path": "set.h5"},
 "train": {"batch_size": 8, "collective_timeout_seconds": 20},
 "sweep": [{"trainer": "serial"}, {"trainer": "cpu_ddp", "ranks": 2}], "scaling": {"repeats": 1, "factors": false, "oversubscribe": true}}
JSON
do_it version --version
do_it doctor doctor
do_it synth data synth --out set.h5 --count 40 --size 16
there set.h5
do_it import data import img --out img.h5 --size 16 --split 50,25,25
there img.h5
do_it info data info set.h5
do_it train train --config job.json --out run --quiet
do_it eval eval --checkpoint run --data set.h5 --out eval
do_it predict predict --checkpoint run --data set.h5 --out set.csv
do_it predict_files predict --checkpoint run --data img --out img.csv
case ",${may_refuse#refused=}," in *,train,*) ;; *) there run/metrics.json && there eval/metrics.json && there img.csv ;; esac

# Ranks, where the launcher itself works here.
mpirun -n 2 --bind-to none --oversubscribe "$xbench" train --config job.json --trainer cpu_ddp --out ranks --quiet >log 2>&1
code=$?
if [ $code = 0 ] || mpirun -n 2 --bind-to none --oversubscribe true >launcher 2>&1 </dev/null; then
    sound "two ranks" $code
    case ",${may_refuse#refused=}," in *,train,*) ;; *)
        [ $code = 0 ] || fail "two ranks ended with $code: $(grep -a xbench log | tail -n 3)"
        cmp -s run/checkpoints/last.safetensors ranks/checkpoints/last.safetensors || fail "two ranks end with other weights" ;;
    esac
    do_it comm comm -b 4K -e 4K --op all_reduce --rounds 1 --ranks 2
    do_it sweep --config job.json --out sweep --quiet
    case ",${may_refuse#refused=}," in *,train,*) ;; *) there sweep/scaling.csv ;; esac
else
    echo "skipped: ranks, as mpirun -n 2 true fails here: $(grep -av '^-*$' launcher | head -n 1)"
    do_it sweep --config job.json --set 'sweep=[{"trainer":"serial"}]' --out sweep --quiet
fi
cd ..
[ $failures = 0 ] && rm -rf "$work"
exit $((failures > 0))
