# shellcheck shell=bash
# v6plus-fixed says OK also to wrong names: what it was told must be right all the same.
NOTIFY_DIALECT=v6plus-fixed NOTIFY_URL=http://update.isp.example/update notify_afresh ok
within 20 "the server was told" notified_at_least 1
notified
told "path == '/update' and known" || fail "the server said OK to the wrong thing"
within 5 "the Internet answers" internet
