# shellcheck shell=bash
# The ISP's resolver. It knows only what it was told: everything else does not exist (NXDOMAIN). Sourced.

readonly AFTR_NAME=aftr.isp.example
# How long the router may believe a name, in seconds.
readonly NAME_TTL=10
# shellcheck disable=SC2034 # tests
readonly AFTR_TTL=$NAME_TTL
# Where a provisioning server is looked for.
# shellcheck disable=SC2034 # provision.sh
readonly DISCOVERY=4over6.info

# The zone of names that hosts ask for.
readonly HOSTS_ZONE=public.example

# Its records: a chain of twelve aliases, more addresses than a datagram of 1232 bytes has room for, a name that leads into a LAN.
hosts_zone() {
    local n
    # shellcheck disable=SC2016 # a word of zone files
    printf '$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns AAAA %s\n' "$RESOLVER"
    printf 'www A %s\nwww AAAA %s\ntext TXT "%s"\n' "$INTERNET" "$INTERNET6" "$(printf 'x%.0s' {1..200})"
    printf 'inside A 192.168.7.66\ninside AAAA fd00::66\ndouble A 127.0.0.2\n'
    for n in {1..11}; do printf 'alias%d CNAME alias%d\n' "$n" $((n + 1)); done
    printf 'alias12 CNAME www\n'
    for n in {1..100}; do printf 'many A 192.0.2.%d\n' "$n"; done
}

# isp_names [NAME=DATA...]. What the resolver knows from now on, beside the AFTR and the ISP's own servers: addresses, or
# TXT where the data begins with "v=", refused or silence where it says so.
isp_names() {
    printf '%s\n' "$@" >"$LAB/names"
    [[ -e $LAB/aftr.addresses ]] || printf '%s\n' "$AFTR1" >"$LAB/aftr.addresses"
    resolver_start_anew
}

# isp_name ADDRESS... What the AFTR's name stands for from now on.
isp_name() {
    printf '%s\n' "$@" >"$LAB/aftr.addresses"
    resolver_start_anew
}

are_names() { [[ -e $LAB/names ]] && cmp -s "$LAB/names" <(printf '%s\n' "$@"); }

resolver_start_anew() {
    milliseconds >"$LAB/names.edition"
    unbound_conf >"$LAB/unbound.conf"
    running unbound || return 0
    reload unbound
    within 10 "the ISP's resolver knows" resolver_knows
}

# Whether it has read what stands in its file now.
resolver_knows() { [[ $(on isp dig +short +time=1 +tries=1 "@$RESOLVER" edition.isp.example TXT) == "\"$(<"$LAB/names.edition")\"" ]]; }

unbound_conf() {
    local record name data
    cat <<U
server:
    interface: $RESOLVER
    access-control: ::/0 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "$LAB"
    pidfile: "$LAB/unbound.own.pid"
    use-syslog: no
    log-queries: yes
    verbosity: 1
    module-config: "iterator"
    local-zone: "." static
    local-data: "edition.isp.example. 60 IN TXT $(<"$LAB/names.edition")"
    local-data: "update.isp.example. 60 IN AAAA $INTERNET6"
    local-data: "$PROVISION_NAME. 60 IN AAAA $PROVISION6"
    local-data: "other.isp.example. 60 IN AAAA $PROVISION6"
U
    while read -r record; do printf '    local-data: "%s. %s IN AAAA %s"\n' "$AFTR_NAME" "$NAME_TTL" "$record"; done <"$LAB/aftr.addresses"
    while IFS= read -r record; do
        name=${record%%=*} data=${record#*=}
        case $data in
        "") ;;
        refused) printf '    local-zone: "%s." always_refuse\n' "$name" ;;
        silence) printf '    local-zone: "%s." always_deny\n' "$name" ;;
        v=*) printf "    local-data: '%s. %s IN TXT \"%s\"'\n" "$name" "$NAME_TTL" "$data" ;;
        *) printf '    local-data: "%s. %s IN AAAA %s"\n' "$name" "$NAME_TTL" "$data" ;;
        esac
    done <"$LAB/names"
    # What hosts of the LAN ask for: names that are somewhere else, and so are followed from one to the next.
    printf '    local-zone: "%s." transparent\n' "$HOSTS_ZONE"
    printf 'auth-zone:\n    name: "%s."\n    zonefile: "%s"\n    for-downstream: no\n    for-upstream: yes\n    fallback-enabled: no\n' \
        "$HOSTS_ZONE" "$LAB/hosts.zone"
    hosts_zone >"$LAB/hosts.zone"
    printf 'remote-control:\n    control-enable: no\n'
}

# resolves ADDRESS... Whether the AFTR's name stands for these and no others.
resolves() {
    local answer
    answer=$(on isp dig +short +time=1 +tries=1 "@$RESOLVER" "$AFTR_NAME" AAAA | sort | tr '\n' ' ')
    [[ $answer == "$(printf '%s\n' "$@" | sort | tr '\n' ' ')" ]]
}

# asked [NAME [TYPE]]. How often a name was asked for, that of the AFTR if not said, but for our own looking. In any case:
# resolvers are asked in odd ones on purpose, and say it back.
asked() { grep -i "info: .* ${1:-$AFTR_NAME}\. ${2:-AAAA} IN" "$LAB/unbound.log" | grep -vc "info: $RESOLVER " || true; }
asked_more_than() { (($(asked "${@:2}") > $1)); }
