# shellcheck shell=bash
# OpenWrt's odhcpd, which Debian has not.
PACKAGE=odhcpd
# shellcheck source=scripts/lab.d/peers/advertisements.sh
source scripts/lab.d/peers/advertisements.sh
