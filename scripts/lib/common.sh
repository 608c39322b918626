# shellcheck shell=bash
# What the scripts share: messages, tools that may be missing, packages. Sourced, not run.

# A step that cannot run here ends with this code, and its caller counts it as skipped.
readonly SKIPPED=77

# Set by --install: missing tools are installed by package name instead of reported.
: "${INSTALL:=no}"

say() { printf '%s\n' "$*"; }

loud() { printf '!! %s\n' "$*" >&2; }

die() {
    loud "$*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# apt_install PACKAGE... Package lists may be missing or old: then they are fetched, once more.
apt_install() {
    have apt-get || die "cannot install $*: this system has no apt-get; install them with its own package manager"
    local get=(apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends)
    say "installing: $*"
    as_root env DEBIAN_FRONTEND=noninteractive "${get[@]}" "$@" >/dev/null 2>&1 && return
    as_root apt-get -o DPkg::Lock::Timeout=300 update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive "${get[@]}" "$@"
}

# need STEP COMMAND PACKAGE... Makes sure of COMMAND: installs the packages if asked to, and
# otherwise skips the step.
need() {
    local step=$1 command=$2
    shift 2
    have "$command" && return
    if [[ $INSTALL == yes ]]; then
        apt_install "$@"
        have "$command" || die "$step: $* did not bring $command"
    else
        say "SKIP $step: needs $command (apt-get install $*)"
        exit "$SKIPPED"
    fi
}

# need_cargo STEP COMMAND CRATE VERSION. The same for a program from crates.io; an empty VERSION
# is any, and otherwise exactly that one is asked for.
need_cargo() {
    local step=$1 command=$2 crate=$3 version=$4
    if have "$command" && [[ -z $version || $("$command" --version 2>/dev/null) == *" $version"* ]]; then
        return
    fi
    local install=(cargo install "$crate" --locked ${version:+--version "$version"})
    if [[ $INSTALL == yes ]]; then
        "${install[@]}"
    else
        say "SKIP $step: needs $command${version:+ $version} (${install[*]})"
        exit "$SKIPPED"
    fi
}

# locked_version CRATE. The version that Cargo.lock holds, or nothing.
locked_version() {
    awk -v name="\"$1\"" '$1 == "name" { found = $3 == name } found && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' Cargo.lock
}

# usage. Prints the comment at the head of the calling script.
usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }
