# shellcheck shell=bash
# AF_XDP on a device of kind vlan.
HOST_DEVICE=eth0.7
device() {
    make lan link below type vlan id 7
    ip -n host link add link eth0 name eth0.7 up type vlan id 7
}
# shellcheck source=scripts/lab.d/peers/af-xdp.sh
source scripts/lab.d/peers/af-xdp.sh
