# shellcheck shell=bash
# AF_XDP on a device of kind veth.
device() { ip -n router link set below name lan; }
# shellcheck source=scripts/lab.d/peers/af-xdp.sh
source scripts/lab.d/peers/af-xdp.sh
