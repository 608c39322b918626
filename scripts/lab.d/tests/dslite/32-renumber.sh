# shellcheck shell=bash
# Another prefix by DHCPv6 during a download, the old one filtered: the tunnel moves, the download is made good.
# The AFTR knows softwires by their address, so connections end; the client tries again.
slow_download --speed-limit 1000 --speed-time 3 --connect-timeout 3 \
    --retry 30 --retry-delay 1 --retry-all-errors --retry-max-time 60
isp_line pd 2
moved() { internet && [[ $(near_end) == 2001:db8:20* ]]; }
within $((T1 + 20)) "the tunnel comes from the new prefix" moved
downloaded
