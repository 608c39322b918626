# shellcheck shell=bash
# Unbound.
PACKAGE=unbound
resolver_start() {
    cat >"$LAB/unbound.conf" <<U
server:
    interface: $RESOLVER
    access-control: ::/0 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "$LAB/peer"
    pidfile: "$LAB/peer/pid"
    use-syslog: no
    module-config: "iterator"
    outgoing-interface: $RESOLVER
forward-zone:
    name: "."
    forward-addr: $UPSTREAM
remote-control:
    control-enable: no
U
    spawn resolver isp unbound -d -c "$LAB/unbound.conf"
}
# shellcheck source=scripts/lab.d/peers/resolvers.sh
source scripts/lab.d/peers/resolvers.sh
