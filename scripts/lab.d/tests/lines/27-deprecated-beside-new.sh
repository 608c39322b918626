# shellcheck shell=bash
# Renew deprecates the prefix and brings another: it is used at once (RFC 4862 5.5.4).
# fails today: the deprecated prefix is used until it ends ~ ^[0-9]+ of 45 pings came back from second 30
line_judged deprecated-beside-new
