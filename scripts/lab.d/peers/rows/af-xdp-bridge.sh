# shellcheck shell=bash
# AF_XDP on a device of kind bridge.
device() {
    make lan type bridge
    ip -n router link set below master lan
}
# shellcheck source=scripts/lab.d/peers/af-xdp.sh
source scripts/lab.d/peers/af-xdp.sh
