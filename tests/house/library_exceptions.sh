#!/usr/bin/env bash
# No exception of a library reaches a user. Functions of std::filesystem are called with an error_code or through
# core/files.h, folders are not walked by a range-for (its increment throws), JSON is read and written by the functions of
# core/json.h, numbers are not read by std::stoi and its like, and regular expressions are made where their mistakes are
# caught.
#
#   library_exceptions.sh ROOT      prints what breaks a rule; exit code 1 if anything does
set -euo pipefail
cd "$1"
problems=0
folders=""
for folder in core kernels models plan data eval parallel bench app; do
    [ ! -d "$folder" ] || folders="$folders $folder"
done
# complain MESSAGE ALLOWED PATTERN: lines of code that match, outside of the files ALLOWED (a regular expression)
complain() {
    local found
    # shellcheck disable=SC2086
    found=$(grep -rnE "$3" $folders --include='*.cpp' --include='*.h' --include='*.cu' | grep -vE "^($2):" |
        grep -vE '^[^:]*:[0-9]+: *//' || true)
    [ -n "$found" ] || return 0
    printf '%s\n' "$found"
    echo "  $1"
    problems=$((problems + 1))
}
calls='exists|is_directory|is_regular_file|is_symlink|is_empty|is_other|create_directory|create_directories|remove|remove_all|rename|copy|copy_file|file_size|resize_file|absolute|canonical|weakly_canonical|relative|proximate|current_path|temp_directory_path|last_write_time|permissions|space|status|symlink_status|equivalent|read_symlink|create_symlink|create_hard_link|hard_link_count|recursive_directory_iterator|directory_iterator'
codes='error|failure|ignored|unknown|unreadable|code|status'
# Each call to its closing bracket, over lines; directory_iterator() alone is the end of a walk.
# shellcheck disable=SC2086
found=$(find $folders -name '*.cpp' -o -name '*.h' | sort | CALLS=$calls CODES=$codes xargs -r perl -0777 -ne '
    s{//[^\n]*}{}g;
    while (/\b(?:fs|filesystem)::(?:$ENV{CALLS})(?: [a-z_]+)?(\((?:[^()]++|(?1))*\))/g) {
        my ($call, $arguments, $at) = ($&, $1, $-[0]);
        next if $arguments eq "()" or $arguments =~ /^\((?:fs::)?(?:symlink_)?status\b|\b(?:$ENV{CODES})\)$/;
        my $line = 1 + (substr($_, 0, $at) =~ tr/\n//);
        print "$ARGV:$line: $call\n";
    }')
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    echo "  throws a library's exception: call core/files.h, or hand over a std::error_code"
    problems=$((problems + 1))
fi
complain "its increment throws: list_folder() of core/files.h, or increment(error)" 'none' 'for \(.*:.*directory_iterator\('
complain "throws a library's exception: parse_json() of core/json.h" 'core/json\.cpp|parallel/checkpoint/safetensors\.cpp' '[Jj]son::parse\('
complain "throws where a text is no UTF-8: json_text() of core/json.h" 'core/json\.cpp' '\.dump\('
complain "throws what says nothing: std::from_chars" 'core/config_document\.cpp|app/checkpoint_input\.cpp' 'std::sto(i|l|ll|ul|ull|f|d|ld)\('
complain "made of what a user wrote: catch std::regex_error, and bound the text" \
    'bench/kernels/kernel_(selection|suite|case)\.cpp|core/failure\.cpp|data/import/formats\.cpp' 'std::regex'
[ "$problems" = 0 ] || exit 1
echo "no library's exception can be thrown by the calls that are known for it"
