# shellcheck shell=bash
# Another prefix and binding during a download: another address and port set; the download is made good.
internet || fail "no Internet to begin with"
slow_download --speed-limit 1000 --speed-time 3 --connect-timeout 3 \
    --retry 30 --retry-delay 1 --retry-all-errors --retry-max-time 60
isp_line pd 2
moved() { internet && near_end_is "$LW_B4_2"; }
within $((T1 + 20)) "the tunnel comes from the new address" moved
downloaded
nothing_refused
