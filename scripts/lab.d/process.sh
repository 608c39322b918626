# shellcheck shell=bash
# Processes of the lab, and waiting for things to become true. Sourced.

# fail REASON. Ends the test; the reason stands in its line.
fail() {
    loud "$*"
    printf '%s\n' "$*" >"$LAB/reason"
    exit 1
}

# skip REASON. Ends the test: this machine cannot run it.
skip() {
    printf '%s\n' "$*" >"$LAB/reason"
    exit "$SKIPPED"
}

note() { printf '%(%T)T %s\n' -1 "$*"; }

milliseconds() { printf '%s' $((${EPOCHREALTIME/[.,]/} / 1000)); }

# poll SECONDS COMMAND... Whether the command succeeds within that time; it is asked ten times a second.
poll() {
    local end=$(($(milliseconds) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        (($(milliseconds) < end)) || return 1
        sleep 0.1
    done
}

# within SECONDS WHAT COMMAND... The same, and the test fails with "WHAT" if not.
within() {
    local seconds=$1 what=$2 began
    shift 2
    began=$(milliseconds)
    poll "$seconds" "$@" || fail "$what: not within $seconds s"
    note "$what: after $(($(milliseconds) - began)) ms"
}

# for_seconds SECONDS WHAT COMMAND... The command must succeed each time, all that time.
for_seconds() {
    local end=$(($(milliseconds) + $1 * 1000)) what=$2
    shift 2
    while (($(milliseconds) < end)); do
        "$@" >/dev/null 2>&1 || fail "$what: no longer"
        sleep 0.1
    done
}

# on NS COMMAND...
on() { ip netns exec "$@"; }

# spawn NAME NS COMMAND... A process that outlives the test; what it says goes to NAME.log.
spawn() {
    local name=$1 ns=$2
    shift 2
    printf -- '--- %(%T)T %s\n' -1 "$*" >>"$LAB/$name.log"
    ip netns exec "$ns" "$@" </dev/null >>"$LAB/$name.log" 2>&1 &
    printf '%s\n' $! >"$LAB/$name.pid"
}

pid_of() { cat "$LAB/$1.pid"; }

# Zombies do not run.
running() {
    local pid state
    pid=$(cat "$LAB/$1.pid" 2>/dev/null) || return 1
    # The state is the first word after the name, which stands in brackets.
    state=$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null) && [[ -n $state && $state != Z ]]
}

stopped() { ! running "$1"; }

# stop NAME [SIGNAL]. It has ten seconds.
stop() {
    running "$1" || return 0
    kill -"${2:-TERM}" "$(pid_of "$1")" 2>/dev/null || true
    if ! poll 10 stopped "$1"; then
        kill -KILL "$(pid_of "$1")" 2>/dev/null || true
        fail "$1 did not end within 10 s of SIG${2:-TERM}"
    fi
}

# reload NAME. SIGHUP.
reload() { kill -HUP "$(pid_of "$1")"; }
