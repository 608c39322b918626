# shellcheck shell=bash
# M, and nothing is delegated: AFTR and resolver are learned by Information-request (RFC 8415 18.2.6).
# fails today: what comes without a prefix is thrown away, and no Information-request is sent ~ ^0 of 15 pings
line_judged managed-without-prefix
