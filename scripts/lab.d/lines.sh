# shellcheck shell=bash
# Lines with habits of their own (lab/src/line), each with a router and a host, all at the same time. Sourced.
#
#   host -- lan [router] wan -- isp: a program of test code that is the whole line

# lines_begin FILE... Starts the lines of these tests, each in namespaces of its own.
lines_begin() {
    local file name
    private_names
    for file; do
        name=$(test_name "$file")
        name=${name#*/}
        line_net "$name"
        # Not the lab's end if one of them fails.
        line_play "$name" >"$LAB/$name-play.log" 2>&1 &
        printf '%s\n' $! >"$LAB/$name-play.pid"
    done
}

line_net() {
    local ns
    for ns in router isp host; do
        ip netns add "$1-$ns"
        ip -n "$1-$ns" link set lo up
        on "$1-$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    done
    link "$1-router" wan "$1-isp" isp
    link "$1-router" lan "$1-host" eth0
    ip -n "$1-host" addr add 192.168.7.50/24 dev eth0
    ip -n "$1-host" route add default via "$GATEWAY"
}

line_conf() {
    cat <<C
[wan]
link = "xdp:wan"

[lan]
link = "xdp:lan"
ipv4 = "$GATEWAY/24"

[control]
socket = "$LAB/$1/control.sock"

[system]
state-dir = "$LAB/$1/state"

[log]
level = "debug"

[tuning]
idle = "sleep"
table = 1024
huge-pages = false

[service]
C
    "$LAB_PROGRAM" line "$1" --config
}

line_router() { spawn "$1-router" "$1-router" "$HIKYAKU" run --config "$LAB/$1/router.toml"; }

# line_play NAME. From the first second to the last that is judged, one ping a second.
line_play() {
    local name=$1 seconds restarted
    read -r seconds restarted < <("$LAB_PROGRAM" line "$name" --seconds)
    mkdir -p "$LAB/$name/state"
    line_conf "$name" >"$LAB/$name/router.toml"
    spawn "$name-isp" "$name-isp" "$LAB_PROGRAM" line "$name" --play isp
    line_router "$name"
    spawn "$name-ping" "$name-host" scripts/lab.d/pings "$seconds" "$INTERNET"
    if ((restarted > 0)); then
        sleep "$restarted"
        stop "$name-router"
        line_router "$name"
        seconds=$((seconds - restarted))
    fi
    sleep "$seconds"
    on "$name-router" "$HIKYAKU" show --socket "$LAB/$name/control.sock" status || true
    stop "$name-router"
    stop "$name-isp"
}

line_ended() { ! running "$1-play"; }

# line_judged NAME. Waits for its end; fails the test if the pings that came back are not those that should.
line_judged() {
    local name=$1
    poll 300 line_ended "$name" || fail "the line is not played to its end"
    grep -hv DEBUG "$LAB/$name-isp.log" "$LAB/$name-play.log" || true
    sed -nE '/^[0-9]+$/p' "$LAB/$name-ping.log" >"$LAB/$name-answered"
    "$LAB_PROGRAM" line "$name" --judge <"$LAB/$name-answered" 2>"$LAB/$name-judgement" ||
        fail "$(sed 's/^hikyaku-lab: //' "$LAB/$name-judgement")"
}
