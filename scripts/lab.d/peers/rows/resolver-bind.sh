# shellcheck shell=bash
# BIND.
PACKAGE=bind9
resolver_start() {
    cat >"$LAB/named.conf" <<B
options {
    directory "$LAB/peer";
    listen-on { none; };
    listen-on-v6 { $RESOLVER; };
    query-source-v6 address $RESOLVER;
    allow-query { any; };
    forward only;
    forwarders { $UPSTREAM; };
    dnssec-validation no;
    pid-file "$LAB/peer/pid";
    session-keyfile "$LAB/peer/key";
};
controls { };
B
    spawn resolver isp named -g -c "$LAB/named.conf"
}
# shellcheck source=scripts/lab.d/peers/resolvers.sh
source scripts/lab.d/peers/resolvers.sh
