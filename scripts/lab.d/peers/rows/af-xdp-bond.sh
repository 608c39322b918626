# shellcheck shell=bash
# AF_XDP on a device of kind bond.
device() {
    make lan type bond mode active-backup
    ip -n router link set below down
    ip -n router link set below master lan
}
# shellcheck source=scripts/lab.d/peers/af-xdp.sh
source scripts/lab.d/peers/af-xdp.sh
