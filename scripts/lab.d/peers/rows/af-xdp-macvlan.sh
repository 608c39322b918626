# shellcheck shell=bash
# AF_XDP on a device of kind macvlan.
device() { make lan link below type macvlan; }
# shellcheck source=scripts/lab.d/peers/af-xdp.sh
source scripts/lab.d/peers/af-xdp.sh
