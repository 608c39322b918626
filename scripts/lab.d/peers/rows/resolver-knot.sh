# shellcheck shell=bash
# Knot Resolver.
PACKAGE=knot-resolver
resolver_start() {
    cat >"$LAB/kresd.conf" <<K
net.listen('$RESOLVER', 53)
net.ipv4 = false
modules.unload('ta_update')
trust_anchors.remove('.')
policy.add(policy.all(policy.STUB('$UPSTREAM')))
cache.size = 10 * MB
K
    spawn resolver isp kresd --noninteractive --config="$LAB/kresd.conf" "$LAB/peer"
}
# shellcheck source=scripts/lab.d/peers/resolvers.sh
source scripts/lab.d/peers/resolvers.sh
