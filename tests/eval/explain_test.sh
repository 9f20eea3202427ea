#!/usr/bin/env bash
# `xbench explain` and the model card of `xbench eval` from a shell: pictures that are PNG files, maps that numpy could read, a
# page that needs nothing else and says what it must.
#
#   explain_test.sh XBENCH SOURCE_DIR
set -uo pipefail
xbench=$1 golden=$2/tests/eval
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failures=0
fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
# refused TEXT ARGUMENTS...: a usage error that says so, and no picture
refused() {
    local text=$1 code=0
    shift
    "$xbench" explain "$@" >refused.txt 2>&1 || code=$?
    [ "$code" = 2 ] || fail "exit code $code, not 2: explain $*: $(cat refused.txt)"
    grep -qF -- "$text" refused.txt || fail "no '$text' in: $(cat refused.txt)"
}
"$xbench" data synth --out set.h5 --count 120 --size 32 --quiet >synth.txt 2>&1 || fail "synth: $(cat synth.txt)"
"$xbench" train --model pneumonia_cnn --data set.h5 --epochs 2 --out run --quiet 2>/dev/null || fail "train"
"$xbench" eval --checkpoint run --data set.h5 --out ev --quiet --cases 3 || fail "eval"

# The card: nothing from elsewhere, no script, well-formed; what it must say; its pictures are PNG files.
python3 - ev/model_card.html <<'PY' || fail "the model card"
import base64, html.parser, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
without = text.replace("http://www.w3.org/2000/svg", "")
assert not re.search(r"<script|https?:|url\(|@import|<link", without), "something from elsewhere"
class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.pictures, self.headings, self.words = [], [], [], []
    def handle_starttag(self, tag, attributes):
        if tag in ("meta", "br", "img"):
            self.pictures += [value for name, value in attributes if name == "src"]
        else:
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag
    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
tags = Tags()
tags.feed(text)
assert not tags.open, tags.open
words = " ".join(tags.words)
for heading in ("Model details", "Intended use", "Data", "Training", "Results on the test split", "Single cases", "Ethical", "CLAIM 2024"):
    assert any(heading in one for one in tags.headings), heading
for said in ("Not a medical device", "in several splits", "always saying", "Reference standard", "pneumonia",
             "learning_rate", "replicates of a bootstrap"):
    assert said in words, said
assert 2 <= len(tags.pictures) <= 12 and len(tags.pictures) % 2 == 0, len(tags.pictures)
for source in tags.pictures:
    kind, data = source.split(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data, validate=True)[:8] == b"\x89PNG\r\n\x1a\n", kind
assert text.count("<svg") >= 5 and "prefers-color-scheme:dark" in text and 'name="viewport"' in text
PY
"$xbench" eval --checkpoint run --data set.h5 --out again --quiet --cases 3 && cmp -s ev/model_card.html again/model_card.html ||
    fail "the same evaluation gives another card"
[ "$("$xbench" eval --checkpoint run --data set.h5 --split TEST --out upper --quiet; grep '"split"' upper/metrics.json)" = "$(grep '"split"' ev/metrics.json)" ] ||
    fail "--split TEST is called otherwise in metrics.json"

# Pictures of files: the golden model's classes, a layer, the map as it is.
mkdir -p files/sub
python3 - <<'PY'
import struct, zlib
def png(name, value):
    rows = b"".join(b"\0" + bytes((value + 7 * x * y) % 256 for x in range(24)) for y in range(24))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 24, 24, 8, 0, 0, 0, 0)) +
                           chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
png("files/sub/a.png", 3)
png("files/sub_a.png", 60)
PY
weights="--checkpoint $golden/pytorch/one_label.safetensors --model pneumonia_cnn --classes c0,c1,c2 --size 24"
# shellcheck disable=SC2086
{
    "$xbench" explain $weights --image files/sub_a.png --out heat.png --class c2 --raw >said.txt 2>noted.txt || fail "explain: $(cat noted.txt)"
    grep -q '^heat.png: c2 0[.]' said.txt || fail "it says: $(cat said.txt)"
    "$xbench" explain $weights --image files --out maps --raw --quiet 2>noted.txt || fail "explain a folder: $(cat noted.txt)"
    refused 'did you mean f.8' $weights --image files --out x --layer f.88
    refused 'its classes are c0, c1, c2' $weights --image files --out x --class oedema
    refused 'give it as --data' $weights --image set.h5 --out x.png
    refused 'either --image or --data' $weights --out x.png
    refused 'have no splits' $weights --image files --split test --out x
}
# Of a set: by place, where the picture is one; a split's, with the truth beside the class that is shown.
"$xbench" explain --checkpoint run --data set.h5 --index 7 --class pneumonia --out seven.png --raw --quiet || fail "explain --index"
"$xbench" explain --checkpoint run --data set.h5 --split test --class pneumonia --out of_test --raw --quiet || fail "explain --split"
"$xbench" explain --checkpoint run --data set.h5 --index 9,7 --class pneumonia --out two --raw --quiet || fail "explain --index 9,7"
"$xbench" predict --checkpoint run --data set.h5 --out all.csv --quiet || fail "predict"
refused 'its images are 0 to 119' --checkpoint run --data set.h5 --index 3,120 --out x
refused 'excludes' --checkpoint run --data set.h5 --split test --index 7 --out x
refused 'is no data set' --checkpoint run --data files --out x
refused 'ends in .png' --checkpoint run --data set.h5 --index 7 --out x
refused 'is not a split' --checkpoint run --data set.h5 --split tset --out x
[ -e x ] && fail "a refused command left a folder"
python3 - <<'PY' || fail "pictures and maps"
import ast, csv, os, struct
def array(name):
    bytes_ = open(name, "rb").read()
    assert bytes_[:8] == b"\x93NUMPY\x01\x00" and (10 + struct.unpack("<H", bytes_[8:10])[0]) % 64 == 0
    length = struct.unpack("<H", bytes_[8:10])[0]
    header = ast.literal_eval(bytes_[10:10 + length].decode())
    assert header["descr"] == "<f4" and header["fortran_order"] is False and bytes_[9 + length:10 + length] == b"\n"
    rows, columns = header["shape"]
    return rows, columns, struct.unpack(f"<{rows * columns}f", bytes_[10 + length:])
def size(name):
    bytes_ = open(name, "rb").read()
    assert bytes_[:8] == b"\x89PNG\r\n\x1a\n" and bytes_[25] == 2, "an RGB picture"
    return struct.unpack(">II", bytes_[16:24])
assert size("heat.png") == (264, 264), size("heat.png")
assert array("heat.npy")[:2] == (6, 6) and min(array("heat.npy")[2]) >= 0
rows = list(csv.DictReader(open("maps/explain.csv")))
assert sorted(row["id"] for row in rows) == ["sub/a.png", "sub_a.png"], rows
assert len({row["picture"] for row in rows}) == 2
images = {row["id"]: row for row in csv.DictReader(open("all.csv"))}
order = list(images)
split = list(csv.DictReader(open("of_test/explain.csv")))
assert 5 < len(split) < 60 and all(row["label"] == images[row["id"]]["label"] != "" for row in split), split
for row in split:
    assert row["class"] == "pneumonia" and abs(float(row["probability"]) - float(images[row["id"]]["p_1"])) < 1e-6, row
two = list(csv.DictReader(open("two/explain.csv")))
assert [row["id"] for row in two] == [order[7], order[9]], two
assert array("seven.npy") == array(os.path.join("two", two[0]["picture"][:-4] + ".npy"))
assert rows[0]["label"] == "", "image files have no labels"
for row in rows:
    size(os.path.join("maps", row["picture"]))
    assert abs(max(array(os.path.join("maps", row["picture"][:-4] + ".npy"))[2]) - float(row["map_maximum"])) < 1e-6
PY
[ $failures = 0 ] && echo "pictures, maps and cards"
exit $((failures > 0))
