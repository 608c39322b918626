# shellcheck shell=bash
# A resolver of the line's, which the AFTR's name is asked of. Sourced by its rows, which set
#
#   PACKAGE              the Debian package
#   resolver_start       starts it as the process `resolver` in the namespace isp: it answers on RESOLVER and asks UPSTREAM of everything
# shellcheck source=scripts/lab.d/peers/line.sh
source scripts/lab.d/peers/line.sh

# shellcheck disable=SC2034 # rows
readonly RESOLVER=2001:db8:53::53 UPSTREAM=2001:db8:53::1

# found NAME ADDRESS. The AFTR's name is that from now on, and is found to be one that is written so.
found() {
    AFTR=$1
    router_conf >"$LAB/router.toml"
    reload router
    seconds_until 20 "$1 is $2" holds "(s['service']['remote'] or '').startswith('$2') and s['service']['aftr_name'].startswith('$1')"
}

# What comes from it by UDP has no room for all of them.
cut_answer() {
    forget
    found cut.example 2001:db8:ffff::1
    if heard "$RESOLVER.53: Flags [S]"; then saw "cut answer: asked again by TCP"; else saw "cut answer: whole by UDP"; fi
}

build_line
ip -n isp addr add "$RESOLVER/128" dev lo
ip -n isp addr add "$UPSTREAM/128" dev lo
ip -n isp addr add 2001:db8:1:1::1/64 dev i0 nodad
listen isp i0 port 53
spawn upstream isp python3 scripts/lab.d/peers/upstream "$UPSTREAM"
# Some remember for a while that nobody answered.
within 5 "the upstream answers" on isp sh -c 'ss -Hlnu "sport = :53" | grep -q .'
resolver_start
advertises "RDNSS $RESOLVER { AdvRDNSSLifetime 300; };" 2001:db8:1:1::/64
# shellcheck disable=SC2034 # router_conf
AFTR=one.example
router_start
found one.example 2001:db8:ffff::1
saw "name: found"
found alias8.example 2001:db8:ffff::2
saw "8 aliases: found"
found alias11.example 2001:db8:ffff::2
saw "11 aliases: found"
cut_answer
row "$(version)" "has the AFTR's name: a name, a chain of 8 and of 11 aliases, an answer that is cut" "$SEEN"
