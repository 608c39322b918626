# shellcheck shell=bash
# The server takes the connection and says nothing: given up after a time, and asked again.
notify_afresh silence
within 20 "the server was told" notified_at_least 1
notify_server ok
within 90 "the Internet answers once the server does" internet
notified_at_least 2 || fail "the Internet answers, yet the server was told only once"
