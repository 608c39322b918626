# shellcheck shell=bash
# The MAP-E domain and the lw4o6 table of the lab: a rule for each prefix that a line has. Sourced.
#
# 16 EA bits, 0x1234 on line 1 and 0x5678 on line 2: the IPv4 address ends in .18 or .86, the PSID is 0x34 or 0x78.
# With a PSID of 6 bits (offset 6, 1008 ports) it is the same prefixes and another share.

# Where the rules' IPv4 addresses are routed to the border router.
# shellcheck disable=SC2034 # far.sh
readonly SHARED_NETWORKS="192.0.2.0/24 198.18.0.0/15"

# map_rules OFFSET. The rules, as the border router reads them: IPV6,IPV4,EA-LENGTH,PSID-OFFSET.
map_rules() {
    case $1 in
    4) printf '%s,16,4\n' 2001:db8:1000::/40,192.0.2.0/24 2001:db8:2000::/40,198.18.2.0/24 \
        2001:db8:3000::/40,198.18.3.0/24 2001:db8:4000::/40,198.18.4.0/24 ;;
    6) printf '%s,16,6\n' 2001:db8:1000::/40,198.18.16.0/22 2001:db8:2000::/40,198.18.20.0/22 \
        2001:db8:3000::/40,198.18.24.0/22 2001:db8:4000::/40,198.18.28.0/22 ;;
    esac
}

# map_rule OFFSET KIND NUMBER. The one that a line's prefix is of.
map_rule() {
    local which
    case $2 in
    pd) which=$3 ;;
    slaac) which=3 ;;
    hgw) which=4 ;;
    esac
    map_rules "$1" | sed -n "${which}p"
}

# map_domain draft03|rfc7597 OFFSET. What the border router serves from now on.
map_domain() {
    local rules
    mapfile -t rules < <(map_rules "$2")
    tell lend none
    tell map "$1" "${rules[@]}"
}

# lw_share NUMBER. Address and PSID on line pd NUMBER; 8 bits of PSID behind an offset of 4.
lw_share() { if (($1 == 1)); then printf '192.0.2.18 52\n'; else printf '198.18.2.86 120\n'; fi; }

# Prefix of the line, then 0000 | IPv4 | PSID (RFC 7596 5.1, RFC 7597 6).
readonly LW_B4_1=2001:db8:1012:3400:0:c000:212:34 LW_B4_2=2001:db8:2056:7800:0:c612:256:78

# lw_table. The border router is a lwAFTR with this binding table from now on.
lw_table() {
    tell map none
    tell lend none
    tell lend 192.0.2.18 4 8 52 "$LW_B4_1"
    tell lend 198.18.2.86 4 8 120 "$LW_B4_2"
}

# fixed_addresses. It serves nothing but fixed addresses.
fixed_addresses() {
    tell map none
    tell lend none
}
