# shellcheck shell=bash
# A router on a line of a peer's: isp (i0) -- (wan) router (lan) -- (eth0) host. Sourced by the families of rows.

# The line, with the addresses that its ISP has; radvd speaks there once it is started.
build_line() {
    installed || skip "$PACKAGE is not installed"
    name_spaces isp router host
    on router sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    on host sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    # Before its first link, or the kernel's duplicate address detection holds up who listens on its addresses.
    on isp sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    link isp i0 router wan
    link router lan host eth0
    install -d -m 777 "$LAB/peer"
}

# advertises FLAGS [PREFIX]. The line's own router, radvd: flags of radvd.conf(5), and that prefix.
advertises() {
    local flags=$1 prefix=${2:+prefix $2 { \};}
    cat >"$LAB/radvd.conf" <<R
interface i0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1800; $flags $prefix };
R
    spawn radvd isp radvd -n -C "$LAB/radvd.conf" -m stderr -d 1 -p "$LAB/radvd.own.pid"
}

# listen NS LINK FILTER. What goes over it, in tcpdump's words, in $LAB/heard.
listen() {
    spawn heard "$1" tcpdump -l -n -i "$2" "${@:3}"
    within 5 "tcpdump listens" grep -q 'listening on' "$LAB/heard.log"
    forget
}

# What was heard so far does not count any more.
forget() { MARK=$(wc -l <"$LAB/heard.log"); }

# heard WORD WORD... These, one after the other, since `forget`.
heard() {
    tail -n "+$((MARK + 1))" "$LAB/heard.log" | python3 -c 'import sys
words = sys.argv[1:]
for line in sys.stdin:
    if words and words[0] in line:
        words.pop(0)
sys.exit(len(words))' "$@"
}

# ours LETTERS. Whether the tunnel begins in a prefix that is written so.
ours() { holds "(s['service']['local'] or '').startswith('$1')"; }

# seconds_until SECONDS WHAT COMMAND... Within them, or the row fails; sets TOOK, whole seconds.
seconds_until() {
    local began
    began=$(milliseconds)
    within "$@"
    # shellcheck disable=SC2034 # rows
    TOOK=$((($(milliseconds) - began + 500) / 1000))
}
