# shellcheck shell=bash
# Another customer of the same MAP domain, in a namespace of its own: for the ways between customers. Sourced.

# 0xabcd of EA bits: 192.0.2.171, PSID 0xcd. Its set begins with 4096 + 0xcd * 16.
readonly PEER4=192.0.2.171 PEER_PORT=7376
readonly -A PEER6=([rfc7597]=2001:db8:10ab:cd00:0:c000:2ab:cd [draft03]=2001:db8:10ab:cd00:c0:2:ab00:cd00)

# start_peer draft03|rfc7597 [mesh]. It has a web server at PEER_PORT; in a mesh it speaks with other customers directly.
start_peer() {
    local id=$1 address=${PEER6[$1]} rules flags=()
    mapfile -t rules < <(map_rules 4)
    [[ $id == rfc7597 ]] || flags=(--draft03)
    [[ -z ${2:-} ]] || flags+=(--mesh)
    ip -n peer addr replace 2001:db8:10ab:cd00::1/64 dev p0 nodad
    ip -n peer addr replace "$address/128" dev p0 nodad
    ip -n isp route replace 2001:db8:10ab:cd00::/64 dev i2
    ip -n peer route replace default via "$(link_local isp i2)" dev p0
    # The kernel knows no protocol 4.
    on peer nft "add table ip6 peer; add chain ip6 peer input { type filter hook input priority 0; };
        add rule ip6 peer input ip6 nexthdr 4 drop"
    rm -f "$LAB/peer.sock"
    spawn peer peer "$LAB_PROGRAM" ce --address "$address" --border-router "$BR" "${flags[@]}" \
        --control "$LAB/peer.sock" "${rules[@]}"
    within 10 "the other customer answers" ask_peer
    on peer sysctl -qw net.ipv6.conf.softwires.disable_ipv6=1
    ip -n peer addr add "$PEER4/32" dev softwires
    ip -n peer link set softwires up mtu 1460
    ip -n peer route replace default dev softwires
    spawn peer-http peer python3 -u -m http.server --bind "$PEER4" --directory "$LAB/www" "$PEER_PORT"
    spawn peer-many peer python3 -u scripts/lab.d/many serve $((PEER_PORT + 1))
    within 10 "its servers listen" peer_listens
}

peer_listens() { on peer sh -c "ss -Hlnt 'sport = :$PEER_PORT' | grep -q . && ss -Hlnu 'sport = :$((PEER_PORT + 1))' | grep -q ."; }

stop_peer() {
    stop peer-http
    stop peer-many
    stop peer
}

ask_peer() { "$LAB_PROGRAM" tell "$LAB/peer.sock" status; }

# peer_count NAME. from-br, from-ces, to-br, to-ces, refused.
peer_count() { ask_peer | sed -n "s/^$1 //p"; }

link_local() { ip -n "$1" -6 addr show dev "$2" scope link | sed -n 's/.*inet6 \(fe80[^/]*\).*/\1/p'; }
