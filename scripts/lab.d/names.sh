# shellcheck shell=bash
# Tests by name. Sourced by scripts/lab and by what runs inside.

# Directories of tests, each run in a lab of its own; those that take longest first. auto: how a service is found; market:
# one test for each service that is sold by a name; workers: several on one tunnel; lines: those with habits of their own, all
# at the same time; far-end: the lab itself, without the router.
# shellcheck disable=SC2034 # scripts/lab
readonly SERVICES=(dslite auto market map-e ipip lines workers lw4o6 far-end)

# test_name FILE. dslite/20-mtu.sh is dslite/mtu; the number is only the order.
test_name() { sed -E 's|.*/([^/]+)/[0-9]+-([^/]+)\.sh$|\1/\2|' <<<"$1"; }

# select_tests [NAME...]. Files of these tests, in order; all without a name.
select_tests() {
    local file name word found files=()
    for file in scripts/lab.d/tests/*/*.sh; do
        name=$(test_name "$file")
        (($# == 0)) && files+=("$file")
        for word in "$@"; do
            [[ $name == "$word" || ${name%/*} == "$word" || ${name#*/} == "$word" ]] && files+=("$file") && break
        done
    done
    for word in "$@"; do
        found=no
        for file in "${files[@]}"; do
            name=$(test_name "$file")
            [[ $name == "$word" || ${name%/*} == "$word" || ${name#*/} == "$word" ]] && found=yes
        done
        [[ $found == yes ]] || die "no test $word; see scripts/lab list"
    done
    printf '%s\n' "${files[@]}"
}
