# shellcheck shell=bash
# The border router does not know us (ICMPv6 unreachable code 5): hosts are told, while it lasts.
within 5 "the Internet answers" internet
near=$(near_end)
notify_server 500
tell unbind "$FIXED"
within 5 "the host is told" unreachable
notify_server ok
tell bind "$FIXED" "$near"
within 10 "the Internet answers again" internet
