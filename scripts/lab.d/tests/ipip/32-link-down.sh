# shellcheck shell=bash
# The WAN cable is out for ten seconds, sessions live on.
held_download
ip -n onu link set line down
sleep 10
downloading || fail "the download has ended"
ip -n onu link set line up
within 15 "the Internet answers again" internet
downloaded
